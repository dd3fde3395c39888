"""Several instruments of one kind on one campaign: at work at the same time, and each in one hand."""

import threading
from collections import Counter

import pytest
from sqlalchemy import update

from flows.engine.direct_run import run_directly
from flows.engine.opening import open_session
from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InstrumentUnavailable, InvalidInput, LeaseHeld, LeaseLost
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.several import Several, several
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import leases
from sdl.measurement.orphaned_requests import remaining_silence

TWINS = [{"plugin": "twin", "seed": seed, "session_gain": False, "apparatus": f"lamp {seed}"} for seed in range(4)]
SETTINGS = {"R": 0.2, "G": 0.4, "B": 0.6}


def campaign(**parts):
    written = {"name": "four", "budget": 60, "instrument": {"plugin": "several", "instruments": TWINS}}
    targets = [{"name": "white", "readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}]
    return Campaign.parse(written | {"targets": targets} | parts)


def ledger(home):
    return str(home / "ledger.sqlite")


def test_four_verify_a_target_together_and_each_reading_says_whose_it_is(tmp_path):
    outcome = run_directly(campaign(), tmp_path, ledger(tmp_path))
    assert outcome["verified"] == 1
    with Ledger(ledger(tmp_path)) as book:
        entry = book.entry("four")
        history = book.history(entry.id)
    assert entry.instrument == "several: lamp 0 + lamp 1 + lamp 2 + lamp 3"
    whose = Counter(observation.well for observation in history.observations)
    assert set(whose) == {"A1", "A2", "A3", "A4"}
    assert f"sent in {history.plates} batches" in (tmp_path / "reports" / "four.html").read_text()
    assert len(history.observations) >= 3.6 * history.plates, "batches keep all of them at work"


def test_a_batch_is_measured_by_all_at_the_same_time():
    met = threading.Barrier(4, timeout=20)

    class Meeting(Twin):
        def measure(self, settings):
            met.wait()  # breaks unless all four are asked at once
            return super().measure(settings)

    together = Several([Meeting(seed=seed) for seed in range(4)])
    replies = dict(together.measure_many(dict.fromkeys(("A1", "A2", "A3", "A4"), SETTINGS)))
    assert set(replies) == {"A1", "A2", "A3", "A4"}
    assert len({reply.raw for reply in replies.values()}) == 4


def test_what_the_others_read_is_kept_where_one_does_not_answer():
    class Silent(Twin):
        def measure(self, settings):
            raise InstrumentUnavailable("no answer")

    answers = Several([Twin(seed=0), Silent(seed=1), Twin(seed=2)]).measure_many(
        dict.fromkeys(("A1", "A2", "A3"), SETTINGS)
    )
    found = {next(answers)[0], next(answers)[0]}
    assert found == {"A1", "A3"}
    with pytest.raises(InstrumentUnavailable, match="no answer"):
        next(answers)


def test_while_they_are_at_work_nobody_else_has_one_of_them(tmp_path):
    with open_session(campaign(), tmp_path, ledger(tmp_path)), Ledger(ledger(tmp_path)) as book:
        for name in ("lamp 0", "lamp 3"):
            with pytest.raises(LeaseHeld, match=f"{name} is held by campaign 'four'"), book.hold(name, "somebody"):
                pass
        alone = campaign(name="alone", instrument=TWINS[2])
        with pytest.raises(LeaseHeld), open_session(alone, tmp_path, ledger(tmp_path)):
            pass
    with Ledger(ledger(tmp_path)) as book, book.hold("lamp 0", "somebody"):
        refused = pytest.raises(LeaseHeld, match="lamp 0 is held by somebody")
        with refused, open_session(campaign(), tmp_path, ledger(tmp_path)):
            pass
        assert book.holder("lamp 1") is None, "what was taken before that is let go of"


def test_whoever_lost_one_of_them_sends_nothing_more(tmp_path):
    with open_session(campaign(), tmp_path, ledger(tmp_path)) as session:
        with session.ledger.engine.begin() as connection:
            taken = leases.c.instrument == "lamp 1"
            connection.execute(update(leases).where(taken).values(token=leases.c.token + 1))
        step = session.propose()
        with pytest.raises(LeaseLost, match="lamp 1 was taken over"):
            session.execute(step)
        assert session.ledger.trail(session.entry.id) == []


def test_what_died_with_several_is_waited_for_by_whoever_has_one_of_them_next(tmp_path):
    with open_session(campaign(), tmp_path, ledger(tmp_path)) as session:
        session.execute(session.propose())
        with session.ledger.writing(session.lease) as connection:
            connection.exec_driver_sql("UPDATE attempts SET state = 'SENT' WHERE id = (SELECT max(id) FROM attempts)")
        assert remaining_silence(session.ledger, "lamp 2") > 0
        assert remaining_silence(session.ledger, "lamp 7") == 0


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        (TWINS[:1], ["needs 2 to 48, got 1"]),
        ([TWINS[0], TWINS[0]], ["instruments.1: is the same instrument as instruments.0, lamp 0"]),
        (
            [TWINS[0], {"plugin": "sinewave"}],
            ["instruments.1: sinewave-0 has other knobs or channels than the first one"],
        ),
        ([TWINS[0], {"plugin": "plate-reader"}], ["instruments.1: plate-reader-0 takes no reading by itself"]),
        (
            [{"plugin": "twinn"}, {"seed": 1}, {"plugin": "twin", "sed": 1}],
            [
                "instruments.0: unknown",
                "instruments.1: needs the name",
                "instruments.2: sed: 'twin' has no such option",
            ],
        ),
    ],
)
def test_what_cannot_measure_together_is_refused_every_fault_at_once(members, faults):
    with pytest.raises(InvalidInput) as refusal:
        several(members)
    assert len(refusal.value.faults) == len(faults)
    for fault, words in zip(refusal.value.faults, faults, strict=True):
        assert words in fault


def test_a_campaign_file_is_told_where_its_member_is_wrong(tmp_path):
    wrong = {"plugin": "several", "instruments": [TWINS[0], {"plugin": "twin", "daylight": "bright"}]}
    with pytest.raises(InvalidInput, match=r"instrument.instruments.1: daylight"):
        run_directly(campaign(instrument=wrong), tmp_path, ledger(tmp_path))


def test_it_is_a_plug_in():
    assert isinstance(plugins.build("sdl.instruments", "several", {"instruments": TWINS}), Several)
