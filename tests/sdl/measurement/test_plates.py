"""Plates at the bench: intents first, results one by one or not at all, nothing twice, killed at any moment."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from sdl.errors import BudgetSpent, CampaignSuspended, InstrumentSilent, InvalidInput, LeaseLost
from sdl.history import Purpose, Request, Round, RoundKind
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.interchange import export_import as exchange
from sdl.ledger.ledger import Ledger
from sdl.measurement.bench import Bench
from sdl.space import Plate

REQUESTS = [Request(0, i, 0, Purpose.DESIGN, np.array([2.0 * i, 10.0, 20.0])) for i in range(20)]
CAMPAIGN = {
    "name": "plate",
    "budget": 120,
    "instrument": {"plugin": "plate-reader", "seed": 3, "missing": 0.1},
    "targets": [
        {"name": "orange", "readings": {"450nm": 0.9, "540nm": 0.6, "630nm": 0.2}, "tolerance": 0.1},
        {"name": "green", "readings": {"450nm": 0.7, "540nm": 0.3, "630nm": 0.7}, "tolerance": 0.1},
    ],
}
DIES = """
import json, sys
from pathlib import Path
from flows.engine.direct_run import run_directly
from sdl.campaign.definition import Campaign
from sdl.system.failpoints import arm_failpoint
arm_failpoint(sys.argv[2])
home = Path(sys.argv[1])
run_directly(Campaign.parse(json.loads(sys.argv[3])), home, str(home / "ledger.sqlite"))
"""


class Reader(PlateReader):
    """A reader that does to some plates what the test says."""

    def __init__(self, *deeds, **options):
        super().__init__(seed=1, **options)
        self.deeds, self.asked = list(deeds), []

    def measure_many(self, settings):
        self.asked.append(dict(settings))
        deed = self.deeds.pop(0) if self.deeds else None
        answers = super().measure_many(settings)
        return answers if deed is None else deed(answers)


@pytest.fixture
def bench(ledger, request):
    reader = getattr(request, "param", None) or Reader()
    with ledger.hold(reader.identity, "test") as lease:
        yield at_work(ledger, lease, reader)


def at_work(ledger, lease, reader, budget=100):
    entry = ledger.register("campaign", reader.identity, reader.space, {}, {})
    ledger.plan(lease, entry.id, Round(0, RoundKind.DESIGN), REQUESTS)
    bench = Bench(ledger, lease, entry.id, reader, budget, ["450nm"])
    bench.sleep = lambda _: None
    return bench


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    "deed",
    [
        dict,  # wells and replies as a table
        lambda answers: [(f" {well[0].lower()}{int(well[1:]):02d}", reply) for well, reply in answers],
        lambda answers: [*(pairs := list(answers)), *pairs[:3]],
    ],
)
def test_wells_are_known_however_a_reader_writes_them_and_each_counts_once(ledger, deed):
    reader = Reader(deed)
    with ledger.hold(reader.identity, "test") as lease:
        bench = at_work(ledger, lease, reader)
        bench.measure(REQUESTS)
    assert len(reader.asked) == 1
    assert Counter(row["verdict"] for row in rows(bench)) == {"OK": 20}


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    ("deed", "came"),
    [
        (lambda answers: None, "returned None instead of pairs of a well and its Reply"),
        (lambda answers: [reply for _, reply in answers], r"returned Reply\(.* instead of pairs"),
        (lambda answers: [([well], reply) for well, reply in answers], r"returned \(\['.* instead of pairs"),
    ],
)
def test_a_driver_that_returns_no_wells_is_told_so_and_no_second_plate_is_spent(ledger, deed, came):
    reader = Reader(*[deed] * 4)
    with ledger.hold(reader.identity, "test") as lease:
        bench = at_work(ledger, lease, reader)
        with pytest.raises(CampaignSuspended, match=came):
            bench.measure(REQUESTS)
    assert len(reader.asked) == 1


def rows(bench):
    return bench.ledger.trail(bench.campaign)


def losing(*lost):
    """A plate of which some results, by their order, do not come."""
    return lambda answers: (answer for place, answer in enumerate(answers) if place not in lost)


def twice(answers):
    for answer in answers:
        yield answer
        yield answer


def silent_after_five(answers):
    for place, answer in enumerate(answers):
        if place == 5:
            raise InstrumentSilent("nothing came any more")
        yield answer


def test_a_plate_is_one_question_and_every_attempt_keeps_its_sample(bench, tmp_path):
    bench.measure(REQUESTS)
    assert len(bench.instrument.asked) == 1
    samples = [row["sample"] for row in rows(bench)]
    assert samples == [f"1/{well}" for well in Plate().fill([False] * 20)]
    history = bench.ledger.history(bench.campaign)
    assert [observation.key for observation in history.observations] == [request.key for request in REQUESTS]
    assert [observation.sample for observation in history.observations] == samples
    assert history.plates == 1
    for end in ("jsonl", "csv", "parquet"):
        file = tmp_path / f"plate.{end}"
        exchange.export_campaign(bench.ledger, "campaign", file)
        exchange.import_campaign(bench.ledger, file, f"again-{end}", bench.instrument.space)
        again = bench.ledger.trail(bench.ledger.entry(f"again-{end}").id)
        assert [row["sample"] for row in again] == samples


@pytest.mark.parametrize("bench", [Reader(losing(0, 7), losing(1))], indirect=True)
def test_wells_without_a_result_are_asked_again_and_no_other(bench):
    bench.measure(REQUESTS)
    assert [len(plate) for plate in bench.instrument.asked] == [20, 2, 1]
    done = Counter((row["round"], row["index"], row["replicate"]) for row in rows(bench) if row["state"] == "DONE")
    assert done == Counter(request.key for request in REQUESTS)
    assert [row["reason"] for row in rows(bench) if row["state"] == "FAILED"] == ["no result came for this well"] * 3
    assert {row["sample"].partition("/")[0] for row in rows(bench)} == {"1", "2", "3"}


@pytest.mark.parametrize("bench", [Reader(twice)], indirect=True)
def test_a_result_that_comes_twice_counts_once(bench):
    bench.measure(REQUESTS)
    assert [row["state"] for row in rows(bench)] == ["DONE"] * 20


@pytest.mark.parametrize("bench", [Reader(silent_after_five)], indirect=True)
def test_of_a_plate_that_falls_silent_what_came_counts_and_the_rest_is_unknown(bench):
    bench.measure(REQUESTS)
    states = Counter(row["state"] for row in rows(bench))
    assert states == {"DONE": 20, "UNKNOWN": 15}
    assert [len(plate) for plate in bench.instrument.asked] == [20, 15]


@pytest.mark.parametrize("bench", [Reader(*[losing(0)] * 20)], indirect=True)
def test_a_well_that_never_answers_suspends_the_campaign(bench):
    with pytest.raises(CampaignSuspended, match=r"gave no usable reading at .* in 3 attempts: no result came"):
        bench.measure(REQUESTS[:1])


def test_one_well_that_must_not_be_filled_keeps_the_whole_plate_from_being_sent(bench):
    forbidden = Request(0, 30, 0, Purpose.DESIGN, np.array([61.0, 0.0, 0.0]))
    with pytest.raises(InvalidInput, match="yellow"):
        bench.measure([*REQUESTS, forbidden])
    assert bench.instrument.asked == rows(bench) == []


def test_no_more_wells_are_filled_than_the_budget_has_requests(ledger):
    reader = Reader()
    with ledger.hold(reader.identity, "test") as lease:
        bench = at_work(ledger, lease, reader, budget=7)
        with pytest.raises(BudgetSpent):
            bench.measure(REQUESTS)
        assert [len(plate) for plate in reader.asked] == [7]
        with pytest.raises(BudgetSpent):
            bench.measure(REQUESTS[7:])
        assert len(reader.asked) == 1


def test_what_comes_after_another_controller_took_over_is_not_entered(ledger):
    def taken_over(answers):
        for place, answer in enumerate(answers):
            if place == 4:
                with ledger.writing() as connection:
                    connection.exec_driver_sql("UPDATE leases SET token = token + 1")
            yield answer

    reader = Reader(taken_over)
    with pytest.raises(LeaseLost), ledger.hold(reader.identity, "test") as lease:
        at_work(ledger, lease, reader).measure(REQUESTS)
    states = Counter(row["state"] for row in ledger.trail(ledger.entry("campaign").id))
    assert states == {"DONE": 4, "SENT": 16}


@pytest.mark.fault("O-01", "O-03", "O-04")
@pytest.mark.slow
@pytest.mark.parametrize("place", ["after-intent@1", "after-reply@9", "after-commit@6"])
def test_killed_with_a_plate_in_flight_the_campaign_goes_on_and_takes_nothing_twice(place, tmp_path):
    command = [sys.executable, "-c", DIES, str(tmp_path), place, json.dumps(CAMPAIGN)]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == -9
    with Ledger(tmp_path / "ledger.sqlite") as book:
        before = book.trail(book.entry("plate").id)
        assert before
        assert {row["state"] for row in before} <= {"SENT", "DONE"}
    command[4] = ""
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    with Ledger(tmp_path / "ledger.sqlite") as book:
        entry = book.entry("plate")
        trail, history = book.trail(entry.id), book.history(entry.id)
    lost = [row for row in before if row["state"] == "SENT"]
    assert sum(row["state"] == "UNKNOWN" for row in trail) == len(lost) > 0
    done = Counter((row["round"], row["index"], row["replicate"]) for row in trail if row["state"] == "DONE")
    assert set(done.values()) == {1}
    assert done.keys() == {request.key for request in history.planned}
    assert {finding.target for finding in history.findings if finding.settles} == {"orange", "green"}


@pytest.mark.parametrize("bench", [Reader(losing(0), oven=True)], indirect=True)
def test_every_plate_has_one_value_of_a_knob_that_is_constant_within_it(bench):
    asked = [Request(1, i, 0, Purpose.DESIGN, np.array([2.0 * i, 10.0, 20.0, (25.0, 40.0)[i % 2]])) for i in range(8)]
    bench.ledger.plan(bench.lease, bench.campaign, Round(1, RoundKind.DESIGN), asked)
    bench.measure(asked)
    ovens = [sorted({well["oven"] for well in plate.values()}) for plate in bench.instrument.asked]
    assert ovens == [[25.0], [40.0], [25.0]], "what brought nothing is asked again at its own temperature"
    assert {row["state"] for row in rows(bench)} == {"DONE", "FAILED"}


@pytest.mark.parametrize("bench", [Reader(oven=True)], indirect=True)
def test_a_plate_that_mixes_values_of_such_a_knob_is_refused_before_anything_is_sent(bench):
    mixed = [Request(1, i, 0, Purpose.DESIGN, np.array([2.0, 10.0, 20.0, 25.0 + i])) for i in range(2)]
    bench.ledger.plan(bench.lease, bench.campaign, Round(1, RoundKind.DESIGN), mixed)
    with pytest.raises(InvalidInput, match=r"knob 'oven' is constant within a batch, and this one has 25.0, 26.0"):
        bench._attempt_plate(bench.instrument.space.plate, bench.instrument, mixed, lambda _: None)
    assert bench.instrument.asked == rows(bench) == []
