"""The bench over the real HTTP driver and server: whatever goes wrong, nothing is lost and nothing overlaps."""

import contextlib
import json
import threading

import numpy as np
import pytest

from sdl.campaign.safety import SuspendPart
from sdl.errors import BudgetSpent, CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted, LeaseLost
from sdl.history import Control, Purpose, Request, Round, RoundKind
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.lease import Lease
from sdl.ledger.people.controls import Controls
from sdl.measurement.bench import Bench

NEEDED = ["445nm", "515nm", "630nm"]
QUIET_S = 0.75
REQUESTS = [Request(0, i, 0, Purpose.DESIGN, np.round([0.1 + i / 20, 0.2 + i / 20, 0.3 + i / 20], 2)) for i in range(4)]


@pytest.fixture
def server():
    with InstrumentServer(Twin(seed=1), hold_s=0.5, stall_s=2.0, drip_s=0.05) as served:
        yield served
        assert served.most_in_flight <= 1  # I1


@pytest.fixture
def bench(server, ledger):
    """A bench that notes its waits instead of waiting."""
    light = driver(server.url)
    with ledger.hold(light.identity, "test") as lease:
        yield at_work(ledger, lease, light)


def driver(url, **options):
    limits = {"connect_s": 1.0, "read_s": 1.5, "deadline_s": 2.0, "quiet_s": QUIET_S}
    patience = {"attempts": 3, "first_wait_s": 0.01, "longest_wait_s": 5.0}
    return ClaudeLight(url, allow_private=True, **{**limits, **patience, **options})


def at_work(ledger, lease, instrument, budget=100):
    entry = ledger.register("campaign", instrument.identity, instrument.space, {}, {})
    ledger.plan(lease, entry.id, Round(0, RoundKind.DESIGN), REQUESTS)
    bench = Bench(ledger, lease, entry.id, instrument, budget, NEEDED, rng=np.random.default_rng(0))
    bench.waits = []
    bench.sleep = bench.waits.append
    return bench


def goes_wrong(server, *specs):
    server.faults = Faults.parse(specs)


def trail(bench):
    return bench.ledger.trail(bench.campaign)


def history(bench):
    return bench.ledger.history(bench.campaign)


def asks(bench, control):
    Controls(bench.ledger).ask("campaign", control)


def tried(bench):
    """Index, attempt and class of every request sent."""
    return [(row["index"], row["attempt"], row["verdict"]) for row in trail(bench)]


def suspended(bench, requests=REQUESTS):
    with pytest.raises(CampaignSuspended) as caught:
        bench.measure(requests)
    return caught.value


# ---------------------------------------------------------------------- as it should be


def test_measurements_are_taken_in_order_and_kept_as_they_came(bench, server):
    taken = []
    bench.measure(REQUESTS, taken.append)
    assert taken == REQUESTS
    assert [each.key for each in history(bench).observations] == [each.key for each in REQUESTS]
    for row, asked in zip(trail(bench), REQUESTS, strict=True):
        answer = json.loads(row["raw"])
        assert answer["in"] == list(row["applied"].values()) == asked.settings.tolist()
        assert answer["out"] == row["out"] == SPACE.named_readings(row["readings"])
    assert bench.waits == []
    assert server.requests == 4


def test_the_intent_is_in_the_ledger_while_the_instrument_measures(ledger):
    seen = []

    class Watched(Twin):
        def measure(self, settings):
            seen.append([(row["state"], row["raw"]) for row in trail(bench)])
            return super().measure(settings)

    with ledger.hold("twin-0", "test") as lease:
        bench = at_work(ledger, lease, Watched())
        bench.measure(REQUESTS[:2])
    (first,), (before, second) = seen
    assert first == second == ("SENT", "")
    assert before[0] == "DONE"


# ---------------------------------------------------------------------- passing faults


@pytest.mark.fault("I-02", "I-03", "I-04", "I-05", "I-08", "I-10", "I-12")
@pytest.mark.parametrize(
    ("word", "verdict", "state", "raw", "wait"),
    [
        ("busy", "RETRY", "FAILED", "<h1>503", 1.0),
        ("500", "RETRY", "FAILED", "<h1>500", 0.0),
        ("reset", "RETRY", "FAILED", '{"in":[', 0.0),
        ("truncated", "RETRY", "FAILED", '{"in":[', 0.0),
        ("json", "RETRY", "FAILED", '{"status":"ok"}', 0.0),
        ("html", "RETRY", "FAILED", "<h1>200", 0.0),
        ("stall", "UNKNOWN", "UNKNOWN", "", QUIET_S),
        ("drip", "UNKNOWN", "UNKNOWN", '{"in', QUIET_S),
        ("echo", "SUSPECT", "DONE", '"out":{"415nm"', 0.0),
        ("nan", "SUSPECT", "DONE", '"415nm":NaN', 0.0),
    ],
)
def test_a_passing_fault_is_kept_and_measured_again(bench, server, word, verdict, state, raw, wait):
    goes_wrong(server, f"{word}@2")
    bench.measure(REQUESTS)
    assert tried(bench) == [(0, 1, "OK"), (1, 1, verdict), (1, 2, "OK"), (2, 1, "OK"), (3, 1, "OK")]
    wrong = trail(bench)[1]
    assert wrong["state"] == state
    assert raw in wrong["raw"]
    assert wrong["reason"]
    assert len(bench.waits) == 1
    assert bench.waits[0] >= wait
    assert [each.key for each in history(bench).observations] == [each.key for each in REQUESTS]
    assert server.requests == history(bench).sent == 5


@pytest.mark.fault("I-11")
def test_a_channel_at_its_ceiling_is_taken_as_it_is(bench, server):
    goes_wrong(server, "saturated@2")
    bench.measure(REQUESTS)
    assert tried(bench)[1] == (1, 1, "OK_CENSORED")
    seen = history(bench).observations[1]
    assert seen.censored.all()
    assert np.isnan(seen.readings).all()


@pytest.mark.fault("I-13")
def test_a_stuck_sensor_takes_the_reading_before_it_with_it(bench, server):
    goes_wrong(server, "stuck@3")
    bench.measure(REQUESTS[:3])
    assert tried(bench) == [(0, 1, "OK"), (1, 1, "SUSPECT"), (2, 1, "SUSPECT"), (2, 2, "OK")]
    assert "stuck" in trail(bench)[1]["reason"]
    assert [each.key for each in history(bench).pending] == [(0, 1, 0), (0, 3, 0)]
    bench.measure(history(bench).pending)
    assert len(history(bench).observations) == 4


@pytest.mark.fault("I-13")
def test_a_sensor_that_stays_stuck_suspends_and_only_one_earlier_reading_is_lost(bench, server):
    goes_wrong(server, "stuck@3-")
    error = suspended(bench)
    assert "stuck" in str(error)
    assert not error.transient
    assert [each.key for each in history(bench).observations] == [(0, 0, 0)]


@pytest.mark.fault("I-13")
def test_a_stuck_sensor_is_recognised_across_a_restart(bench, server):
    bench.measure(REQUESTS[:1])
    goes_wrong(server, "stuck@2")
    again = at_work(bench.ledger, bench.lease, bench.instrument)
    again.measure(REQUESTS[1:2])
    assert tried(again) == [(0, 1, "SUSPECT"), (1, 1, "SUSPECT"), (1, 2, "OK")]


def test_many_faults_at_random_lose_nothing(bench, server):
    goes_wrong(server, "500@15%", "reset@15%", "truncated@15%", "nan@10%", "html@5%")
    server.seed, left = 3, REQUESTS
    for _ in range(20):
        with contextlib.suppress(CampaignSuspended):
            bench.measure(left)
        if not (left := history(bench).pending):
            break
    assert not left
    rows = trail(bench)
    assert len(rows) == server.requests
    assert all(row["raw"] for row in rows)
    for key in {row["index"] for row in rows}:
        mine = [row for row in rows if row["index"] == key]
        assert [row["attempt"] for row in mine] == list(range(1, len(mine) + 1))
        assert [row["verdict"] == "OK" for row in mine] == [False] * (len(mine) - 1) + [True]


# ---------------------------------------------------------------------- faults that stay


@pytest.mark.fault("I-05", "I-08", "I-12")
@pytest.mark.parametrize(
    ("word", "attempts", "transient", "reason"),
    [
        ("busy", 3, True, "answered 503"),
        ("500", 3, True, "answered 500"),
        ("reset", 3, True, "broke off"),
        ("html", 3, True, "did not answer as Claude-Light"),
        ("stall", 3, True, "did not finish its answer in time"),
        ("echo", 2, False, "R sent 0.15, applied 1.0"),
        ("nan", 2, False, "415nm is not a finite number: nan"),
    ],
)
def test_a_fault_that_stays_suspends_the_campaign_with_a_sentence(bench, server, word, attempts, transient, reason):
    goes_wrong(server, f"{word}@2-")
    error = suspended(bench)
    assert error.transient is transient
    identity = bench.instrument.identity
    assert str(error).startswith(
        f"{identity} gave no usable reading at R=0.15, G=0.25, B=0.35 in {attempts} attempts: "
    )
    assert reason in str(error)
    assert str(error).endswith("Nothing is lost; mend this and run the campaign again to go on from here")
    assert server.requests == len(trail(bench)) == 1 + attempts
    goes_wrong(server)
    bench.measure(history(bench).pending)
    assert tried(bench)[1 + attempts] == (1, attempts + 1, "OK")
    assert len(history(bench).observations) == 4


def test_waits_grow_with_each_attempt(bench, server):
    goes_wrong(server, "500")
    bench.instrument = driver(server.url, attempts=5, first_wait_s=1.0, longest_wait_s=3.0)
    suspended(bench)
    assert len(bench.waits) == 4
    for wait, middle in zip(bench.waits, (1, 2, 3, 3), strict=True):
        assert 0.5 * middle <= wait <= 1.5 * middle


@pytest.mark.fault("I-06")
def test_what_is_refused_is_not_repeated(bench, server):
    bench.instrument = driver(server.url.replace("/api", "/apis"))
    error = suspended(bench)
    assert "in 1 attempt: " in str(error)
    assert "answered 404" in str(error)
    assert tried(bench) == [(0, 1, "REJECT")]
    assert server.requests == 0


@pytest.mark.fault("I-01")
def test_an_instrument_that_is_off_suspends_after_some_attempts(bench, server):
    bench.instrument = driver("http://127.0.0.1:1/api")
    error = suspended(bench)
    assert error.transient
    assert "no connection to http://127.0.0.1:1/api" in str(error)
    assert tried(bench) == [(0, 1, "RETRY"), (0, 2, "RETRY"), (0, 3, "RETRY")]


@pytest.mark.fault("I-11")
def test_a_background_at_the_ceiling_suspends(bench, server):
    goes_wrong(server, "saturated")
    reference = Request(1, 0, 0, Purpose.REFERENCE, SPACE.off)
    bench.ledger.plan(bench.lease, bench.campaign, Round(1, RoundKind.EXAM, "white"), [reference])
    error = suspended(bench, [reference])
    assert "the background alone reaches the ceiling: " in str(error)
    assert tried(bench) == [(0, 1, "SUSPECT"), (0, 2, "SUSPECT")]
    assert not any(np.any(row["censored"]) for row in trail(bench))


# ---------------------------------------------------------------------- before a request


def test_an_interruption_finishes_the_measurement_under_way_and_sends_no_other(bench, server):
    with pytest.raises(Interrupted, match="everything measured is kept"):
        bench.measure(REQUESTS, lambda _: bench.interrupted.set())
    assert tried(bench) == [(0, 1, "OK")]
    assert server.requests == 1


def test_an_interruption_ends_a_wait_at_once(bench, server):
    goes_wrong(server, "500@1")
    bench.instrument, bench.sleep = driver(server.url, first_wait_s=30.0, longest_wait_s=60.0), None
    threading.Timer(0.2, bench.interrupted.set).start()
    with pytest.raises(Interrupted):
        bench.measure(REQUESTS)
    assert tried(bench) == [(0, 1, "RETRY")]


@pytest.mark.parametrize(("control", "error"), [(Control.PAUSE, CampaignPaused), (Control.STOP, CampaignStopped)])
def test_a_flag_of_a_person_is_obeyed_before_the_next_request(bench, server, control, error):
    with pytest.raises(error):
        bench.measure(REQUESTS, lambda _: asks(bench, control))
    assert server.requests == len(trail(bench)) == 1


def test_a_flag_is_obeyed_between_two_attempts_as_well(bench, server):
    goes_wrong(server, "500")
    bench.sleep = lambda _: asks(bench, Control.STOP)
    with pytest.raises(CampaignStopped):
        bench.measure(REQUESTS)
    assert server.requests == 1


def test_every_attempt_counts_towards_the_budget(bench, server):
    goes_wrong(server, "500@2-3")
    bench.budget = 4
    with pytest.raises(BudgetSpent):
        bench.measure(REQUESTS)
    assert tried(bench) == [(0, 1, "OK"), (1, 1, "RETRY"), (1, 2, "RETRY"), (1, 3, "OK")]
    assert server.requests == 4


@pytest.mark.fault("O-14")
def test_no_request_is_sent_whose_reply_could_not_be_kept(bench, server):
    bench.suspenders.rule = SuspendPart(free_mb=1e9)
    error = suspended(bench)
    assert "Make space and run the campaign again" in str(error)
    assert server.requests == len(trail(bench)) == 0


@pytest.mark.fault("O-20")
def test_who_lost_the_lease_sends_nothing(bench, server):
    bench.lease = Lease(bench.lease.instrument, bench.lease.token - 1)
    with pytest.raises(LeaseLost):
        bench.measure(REQUESTS)
    assert server.requests == len(trail(bench)) == 0
