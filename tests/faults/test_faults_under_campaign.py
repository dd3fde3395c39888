"""Whatever the instrument does in the middle of a campaign: nothing is lost, doubled or believed too soon."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from traps import DESIGN, EXAM, LEARNING, LIGHT

from flows.engine.opening import open_session
from flows.engine.session import Session
from sdl.errors import CampaignSuspended, LeaseHeld
from sdl.history import State
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import WORDS, Faults
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger

PATIENT = {
    "read_s": 60.0,
    "deadline_s": 90.0,
    "quiet_s": 0.2,
    "first_wait_s": 0.01,
    "longest_wait_s": 0.3,
    "allow_private": True,
}
"""Limits of the driver: a machine that is busy with other work does not reach them."""
HASTY = PATIENT | {"read_s": 3.0, "deadline_s": 4.0}
"""Those where the fault is that the instrument is slow."""
SLOW = ("stall", "drip")
COLUMNS = Twin().space.columns(["445nm", "515nm", "630nm"])

SEEN = {
    "busy": ("RETRY", "answered 503", r"<h1>503 "),
    "500": ("RETRY", "answered 500", r"<h1>500 "),
    "stall": ("UNKNOWN", "did not finish its answer in time", ""),
    "drip": ("UNKNOWN", "did not finish its answer in time", r'\{"in":\[\d?'),
    "reset": ("RETRY", "broke off", r'\{"in":\[.*"out":\{.*[^}]'),
    "truncated": ("RETRY", "did not answer as Claude-Light", r'\{"in":\[.*"out":\{.*[^}]'),
    "json": ("RETRY", "did not answer as Claude-Light", r'\{"status":"ok"\}'),
    "html": ("RETRY", "did not answer as Claude-Light", r"<h1>200 OK"),
    "echo": ("SUSPECT", "applied", r'\{"in":\[[01]\.0,[01]\.0,[01]\.0\],"out":\{.*\}\}'),
    "nan": ("SUSPECT", "415nm is not a finite number: nan", r'\{"in":.*"415nm":NaN,.*\}\}'),
    "stuck": ("SUSPECT", "seems stuck", r'\{"in":.*"out":\{.*\}\}'),
    "saturated": ("OK_CENSORED", "415nm is at its ceiling", r'\{"in":.*"415nm":65535,.*\}\}'),
}
"""What becomes of a request by each fault: its class, the reason and the raw text in the ledger."""


@pytest.fixture
def served() -> Iterator[InstrumentServer]:
    twin = Twin(**LIGHT)
    with InstrumentServer(twin, stall_s=6.0, drip_s=0.1) as server:
        yield server


@pytest.fixture
def opened(paper, served, tmp_path):
    """Takes the campaign up, or takes it up again."""

    @contextmanager
    def open_(limits=PATIENT) -> Iterator[Session]:
        written = paper | {"instrument": {"plugin": "claude-light", "url": served.url, **limits}}
        with open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
            yield session

    return open_


def limits_for(word):
    return HASTY if word in SLOW else PATIENT


@pytest.fixture
def trail(tmp_path):
    """Every attempt in the ledger."""

    def read():
        with Ledger(tmp_path / "ledger.sqlite") as book:
            return book.trail(book.entry("paper").id)

    return read


def truly_verified(result, twin):
    """A verdict VERIFIED that the twin's own truth bears out, in the light in which it was found."""
    (target,) = result["targets"]
    truth = twin.truth(twin.space.settings(target["settings"]))[COLUMNS]
    return result["verified"] and bool(np.all(np.abs(truth - 16384) < 164))


def measurements(rows):
    return [(each["round"], each["index"], each["replicate"]) for each in rows]


def counted(rows):
    return [each for each in rows if each["verdict"] in ("OK", "OK_CENSORED")]


def test_requests_are_where_they_are_said_to_be(opened, drive, trail):
    with opened() as session:
        drive(session)
    rows = trail()
    assert [rows[at - 1]["purpose"] for at in (DESIGN, LEARNING, EXAM)] == ["design", "learning", "verification"]
    assert rows[EXAM - 2]["round"] == rows[EXAM - 1]["round"] == rows[-1]["round"]


def test_every_fault_has_its_line_here():
    assert SEEN.keys() | {"lamp"} == WORDS.keys()


@pytest.mark.fault("I-02", "I-03", "I-04", "I-05", "I-08", "I-10", "I-11", "I-12", "I-13")
@pytest.mark.parametrize("at", [DESIGN, EXAM], ids=["in the design", "in the exam"])
@pytest.mark.parametrize("word", SEEN)
def test_after_a_passing_fault_the_campaign_ends_with_the_truth(word, at, served, opened, drive, trail):
    served.faults = Faults.parse([f"{word}@{at}"])
    with opened(limits_for(word)) as session:
        result = drive(session)
    rows, (verdict, reason, raw) = trail(), SEEN[word]
    hit = rows[at - 1]
    assert (hit["seq"], hit["verdict"]) == (at, verdict)
    assert reason in hit["reason"]
    assert re.search(raw, hit["raw"], re.DOTALL)
    assert all(each["raw"] for each in rows if each is not hit)
    assert hit["readings"] in (None, [None] * 10)
    assert truly_verified(result, served.instrument)
    assert (served.requests, served.most_in_flight) == (len(rows), 1)
    assert len(set(measurements(counted(rows)))) == len(counted(rows))


@pytest.mark.fault("I-02", "I-03", "I-04", "I-05", "I-08", "I-10", "I-12", "I-13", "I-21")
@pytest.mark.slow
@pytest.mark.parametrize("word", SEEN)
def test_a_lasting_fault_suspends_and_the_campaign_goes_on_when_it_is_mended(word, served, opened, drive, trail):
    served.faults = Faults.parse([f"{word}@{DESIGN}-"])
    with opened(limits_for(word)) as session, pytest.raises(CampaignSuspended) as suspended:
        drive(session)
    said = str(suspended.value)
    assert re.search(r"gave no usable reading at R=.*, G=.*, B=.* in \d attempts: .*run the campaign again", said)
    assert SEEN[word][1] in said
    with Ledger(session.ledger.engine.url.database) as book:
        entry = book.entry("paper")
        assert (entry.state, entry.reason) == (State.SUSPENDED, said)
        assert book.holder(entry.instrument) is None
    before = trail()
    assert served.requests == len(before)
    served.faults = Faults()
    with opened(limits_for(word)) as session:
        result = drive(session)
    rows = trail()
    assert rows[: len(before)] == before or word == "stuck"
    assert truly_verified(result, served.instrument)
    assert (served.requests, served.most_in_flight) == (len(rows), 1)
    assert len(set(measurements(counted(rows)))) == len(counted(rows))


@pytest.mark.fault("I-18", "I-20")
@pytest.mark.parametrize(
    "at",
    [
        1,
        DESIGN,
        LEARNING,
        8,
        9,
        EXAM,
    ],
    ids=[
        "in the only reference",
        "in the design",
        "as it learns",
        "in the first exam",
        "in the second exam",
        "in the last exam",
    ],
)
def test_a_lamp_for_a_moment_costs_no_more_than_another_exam_or_two(at, served, opened, drive, trail):
    served.faults = Faults.parse([f"lamp@{at}"])
    with opened() as session:
        result = drive(session)
    assert trail()[at - 1]["verdict"].startswith("OK")  # nothing in the reply itself tells
    assert truly_verified(result, served.instrument)
    assert result["requests"] == served.requests <= 50


@pytest.mark.fault("I-18")
def test_a_lamp_that_stays_on_is_a_background_like_another(served, opened, drive):
    with opened() as session:
        session.execute(session.propose())  # the design, before somebody came in
        served.instrument.lamp = 800.0
        result = drive(session)
    assert truly_verified(result, served.instrument)


@pytest.mark.fault("I-18")
def test_a_lamp_that_outshines_the_target_leaves_it_out_of_reach(served, opened, drive):
    served.faults = Faults.parse([f"lamp@{DESIGN}-"])
    with opened() as session:
        result = drive(session)
    assert [each["verdict"] for each in result["targets"]] == ["NOT REACHABLE"]
    served.instrument.lamp = 4000.0
    assert served.instrument.ambient()[COLUMNS].max() > 16384 + 164


def test_faults_at_random_neither_lose_nor_double_a_measurement(served, opened, drive, trail):
    served.faults, served.seed = (
        Faults.parse([f"{word}@4%" for word in SEEN if word not in SLOW]),
        3,
    )
    result = None
    for _ in range(10):
        try:
            with opened() as session:
                result = drive(session)
            break
        except CampaignSuspended:
            continue
    rows = trail()
    assert truly_verified(result, served.instrument)
    assert (served.requests, served.most_in_flight) == (len(rows), 1)
    assert len({each["verdict"] for each in rows}) >= 3
    assert len(set(measurements(counted(rows)))) == len(counted(rows))


@pytest.mark.fault("I-03")
def test_a_stalled_instrument_is_left_in_silence_before_it_is_asked_again(served, opened, drive, trail):
    served.faults = Faults.parse([f"stall@{DESIGN}"])
    with opened(HASTY) as session:
        drive(session)
    lost, again = trail()[DESIGN - 1 : DESIGN + 1]
    assert measurements([lost]) == measurements([again])
    assert again["sent_at"] - lost["done_at"] >= HASTY["quiet_s"]


@pytest.mark.fault("O-19")
def test_a_second_session_is_told_who_holds_the_instrument_and_since_when(served, opened, drive):
    started = time.strftime("%Y-%m-%d %H:%M")
    with opened() as first:
        with (
            pytest.raises(LeaseHeld, match=rf"held by campaign 'paper' \(process \d+ on .*\) since {started}"),
            opened(),
        ):
            pytest.fail("two sessions hold one instrument")
        assert drive(first)["verified"]
    assert served.most_in_flight == 1
    with opened() as second:
        assert second.lease.token == first.lease.token + 1
