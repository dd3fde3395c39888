"""A person as the instrument: whatever becomes of sheets and processes, the campaign is that of an instrument."""

import multiprocessing
import signal
import threading

import numpy as np
import pytest
from chemist import WRITTEN, Answering, Chemist, asked, conversation, flow_cell, in_process, result, spilled
from openpyxl import Workbook

from flows.engine.ask_and_tell import AskAndTell
from flows.engine.handover import kept_instrument
from flows.engine.opening import open_session
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput, ReadingsWanted
from sdl.history import Control, NoticeKind, ReplyClass, State, Verdict
from sdl.interchange.bundle_reader import read_bundle
from sdl.interchange.bundle_writer import write_bundle
from sdl.interchange.evidence import parse_evidence
from sdl.interchange.rescreening import rescreen
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.samples import Samples
from sdl.measurement.sheets import read_sheet
from strategies.plan.steps import Stop

KILLS = ("after-intent", "after-reply", "after-commit", "lease-held", "in-training", "in-report", "")


def work(seed, home, written=WRITTEN, kills=0.0):
    """A campaign with two persons who take turns; return what they were told that could not be taken."""
    people = [Chemist(seed, home, name) for name in ("Ada", "Ben")]
    rng, sentences, days = np.random.default_rng([seed, 5]), [], 0
    while True:
        while rng.random() < kills:
            in_process(asked, written, home, kill=f"{rng.choice(KILLS)}@{rng.integers(1, 4)}")
        here = conversation(written, home)
        if not (samples := here.ask()):
            return sentences, days
        days += 1
        assert days < 400, "it does not end"
        for person in people[: rng.integers(1, 3)]:
            path, wrong = person.sheet(samples, here.entry().space)
            while rng.random() < kills:
                in_process(result, written, home, path, kill=f"{rng.choice(KILLS)}@{rng.integers(1, 4)}")
            for _ in range(rng.integers(1, 3)):  # whoever is not sure gives a sheet twice
                taken = conversation(written, home, person.name).tell(read_sheet(path, here.entry().space))
            sentences += taken.faults
            known = {sample.name: sample for sample in Samples(Ledger(here.where), here.entry().id).read()}
            for name, readings in wrong.items():  # noticed before the campaign goes on
                if known[name].readings.keys() & readings.keys():
                    entry = {"sample": name, "readings": readings}
                    assert not conversation(written, home, person.name).tell([entry], correct=True).faults


def same_as_an_instrument(seed, home, written=WRITTEN):
    """Every reading is in the ledger once, as it was, and an instrument that gives them leads to the same campaign."""
    here = conversation(written, home)
    with Ledger(here.where) as book:
        entry = book.entry("dyes")
        rows, history, samples = book.trail(entry.id), book.history(entry.id), Samples(book, entry.id).read()
    entered = [sample for sample in samples if sample.entered]
    assert len(rows) == len(entered) == len(samples) == history.sent
    by_attempt = {sample.entered: sample for sample in samples}
    for row in rows:
        sample = by_attempt[row["seq"]]
        if spilled(seed, sample):
            assert row["state"] == "FAILED"
        else:
            assert row["out"] == flow_cell(seed, sample, sample.request.settings)
    campaign, instrument = Campaign.parse(written), Answering(entry.space, rows)
    with (
        kept_instrument(campaign.instrument, instrument),
        open_session(campaign, home / "direct", str(home / "d")) as session,
    ):
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        session.execute(step)
        direct, direct_entry = session.history, session.ledger.entry("dyes")
    assert [o.settings.tolist() for o in direct.observations] == [o.settings.tolist() for o in history.observations]
    assert [(f.verdict, f.sentence, f.settings.tolist()) for f in direct.findings if f.settings is not None] == [
        (f.verdict, f.sentence, f.settings.tolist()) for f in history.findings if f.settings is not None
    ]
    assert direct.sent == history.sent
    assert direct_entry.reason == entry.reason
    return history.findings[-1].verdict


@pytest.fixture(scope="module", autouse=True)
def warm():
    multiprocessing.get_context("forkserver").set_forkserver_preload(["flows.engine.ask_and_tell", "chemist"])


@pytest.fixture
def here(tmp_path):
    """The campaign, begun, with what it asks for."""
    begun = conversation(WRITTEN, tmp_path)
    return begun, begun.ask()


def read(samples, **changes):
    return [{"sample": s.name, "readings": flow_cell(0, s, s.request.settings) | changes} for s in samples]


class TestCampaign:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_two_persons_with_typos_and_gaps_come_to_the_verdict_of_an_instrument(self, seed, tmp_path):
        sentences, days = work(seed, tmp_path)
        assert same_as_an_instrument(seed, tmp_path) is Verdict.VERIFIED
        assert days > 3
        assert sentences

    @pytest.mark.slow
    @pytest.mark.fault("O-01", "O-03", "O-04", "O-05", "O-09")
    @pytest.mark.parametrize("seed", [4, 5])
    def test_so_they_do_where_every_process_may_be_killed(self, seed, tmp_path):
        work(seed, tmp_path, kills=0.4)
        assert same_as_an_instrument(seed, tmp_path) is Verdict.VERIFIED

    @pytest.mark.parametrize("place", ["after-intent", "after-reply", "after-commit"])
    def test_a_process_dies_where_it_is_told_to(self, place, here, tmp_path):
        begun, samples = here
        path, _ = Chemist(0, tmp_path, typos=0, missing=0).sheet(samples, begun.entry().space)
        dying = (asked, WRITTEN, tmp_path / "other") if place == "after-intent" else (result, WRITTEN, tmp_path, path)
        assert in_process(*dying, kill=place) == -signal.SIGKILL
        assert in_process(*dying) == 0

    def test_persons_who_tell_at_once_lose_nothing_and_double_nothing(self, here, tmp_path):
        _, samples = here
        halves = [read(samples[:3]), read(samples[2:])]
        results, barrier = [], threading.Barrier(4)

        def tell(half):
            barrier.wait()
            results.append(conversation(WRITTEN, tmp_path, "Ada").tell(half))

        threads = [threading.Thread(target=tell, args=(half,)) for half in halves * 2]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert sorted(name for taken in results for name in taken.kept) == sorted(s.name for s in samples)
        assert [taken.faults for taken in results] == [[]] * 4

    def test_persons_who_ask_at_once_are_asked_for_the_same(self, here, tmp_path):
        begun, samples = here
        begun.tell(read(samples))
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append([s.name for s in conversation(WRITTEN, tmp_path).ask()]))
            for _ in range(3)
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert len(answers) == 3
        assert answers[0] == answers[1] == answers[2] != []

    def test_nothing_is_held_between_two_commands(self, here, tmp_path):
        begun, _ = here
        with Ledger(begun.where) as book:
            entry = book.entry("dyes")
            assert book.holder(entry.instrument) is None
            assert (entry.state, book.sent(entry.id)) == (State.PAUSED, 0)
        assert "round 0 waits for the readings of 5 samples" in entry.reason

    def test_the_name_of_a_campaign_is_enough_once_it_has_begun(self, here, tmp_path):
        _, samples = here
        assert [s.name for s in AskAndTell("dyes", tmp_path).ask()] == [s.name for s in samples]

    def test_an_instrument_that_measures_by_itself_is_left_to_do_so(self, paper, tmp_path):
        with pytest.raises(InvalidInput, match="measures by itself: 'sdl run'"):
            conversation(paper | {"instrument": "twin"}, tmp_path)

    def test_a_session_says_what_it_waits_for(self, here, tmp_path):
        with (
            open_session(WRITTEN, tmp_path, str(tmp_path / "ledger.sqlite")) as session,
            pytest.raises(ReadingsWanted, match="5 samples, from r0-0-0 on"),
        ):
            session.execute(session.propose())

    def test_a_failed_sample_is_asked_for_again_and_counts_against_the_budget(self, tmp_path):
        written = WRITTEN | {"budget": 6, "design": {"n": 5}}
        begun = conversation(written, tmp_path)
        first, *others = begun.ask()
        begun.tell([{"sample": first.name, "failed": True, "note": "spilt"}, *read(others)])
        (again,) = begun.ask()
        assert again.name == f"{first.name}-2"
        assert again.request.settings.tolist() == first.request.settings.tolist()
        begun.tell([{"sample": again.name, "failed": True}])
        assert begun.ask() == []  # 4 readings and 2 failures are the budget
        assert begun.outcome()["requests"] == 6

    def test_a_pause_is_obeyed(self, here, tmp_path):
        begun, samples = here
        with Ledger(begun.where) as book:
            Controls(book, "Eve").ask("dyes", Control.PAUSE)
        begun.tell(read(samples))  # what was read is kept all the same
        with pytest.raises(Exception, match="paused by a person"):
            begun.ask()


class TestCorrections:
    def test_before_the_campaign_goes_on_a_typo_never_was_for_it(self, here):
        begun, samples = here
        begun.tell(read(samples, **{"450nm": 1.0}))
        refused = begun.tell(read(samples))
        assert len(refused.faults) == 5
        assert refused.faults[0].startswith(f"entry 1: {samples[0].name} is known already: Ada said 450nm 1, now ")
        assert begun.tell(read(samples), correct=True).faults == []
        begun.ask()
        with Ledger(begun.where) as book:
            rows = book.trail(book.entry("dyes").id)
        assert [row["out"] for row in rows] == [entry["readings"] for entry in read(samples)]
        assert '"450nm": 1.0' in rows[0]["raw"]  # what was said first stays on record

    def test_afterwards_the_first_reading_counts_no_more_and_stays_on_record(self, here, tmp_path):
        begun, samples = here
        begun.tell(read(samples[:1], **{"450nm": 1.0}) + read(samples[1:]))
        begun.ask()
        begun.tell(read(samples[:1]), correct=True)
        begun.ask()
        with Ledger(begun.where) as book:
            entry = book.entry("dyes")
            rows, history = book.trail(entry.id), book.history(entry.id)
            notices, bundle = Controls(book).notices(entry.id), write_bundle(book, "dyes", tmp_path / "dyes.zip")
        first, last = rows[0], rows[-1]
        assert (first["verdict"], first["reason"]) == (ReplyClass.SUSPECT, "corrected by Ada")
        assert first["out"]["450nm"] == 1.0
        assert last["settings"] == first["settings"]
        assert last["out"] == read(samples[:1])[0]["readings"]
        assert len(history.observations) == 5
        assert [(n.kind, n.by) for n in notices] == [(NoticeKind.CORRECTED, "Ada")]
        assert rescreen(parse_evidence(read_bundle(bundle)), begun.campaign.channels).differences(0) == []

    def test_a_verdict_that_was_given_before_is_named(self, tmp_path):
        begun, last = conversation(WRITTEN, tmp_path), []
        while samples := begun.ask():
            last = samples
            begun.tell(read(samples))
        (note,) = begun.tell(read(last[:1], **{"650nm": 1.0}), correct=True).notes
        assert note.startswith("the verdict on 'mix' (VERIFIED, round ")
        assert begun.ask() == []

    def test_a_channel_that_is_read_later_is_no_correction(self, here):
        begun, samples = here
        whole = read(samples[:1])[0]
        part = {"sample": whole["sample"], "readings": {"450nm": whole["readings"]["450nm"]}}
        assert begun.tell([part]).notes == [f"{samples[0].name} waits for 650nm"]
        taken = begun.tell([{"sample": whole["sample"], "readings": {"650nm": whole["readings"]["650nm"]}}])
        assert (taken.kept, taken.faults) == ([samples[0].name], [])
        assert len(taken.wanted) == 4


def test_a_note_alone_is_kept_and_corrects_nothing(here):
    begun, (first, *others) = here
    note = {"sample": first.name, "note": "the vial has a crack"}
    assert [begun.tell([note]).kept for _ in range(2)] == [[first.name], []]
    begun.tell(read([first, *others]))
    begun.ask()
    late = {**read([first])[0], "note": "and leaks"}
    assert (begun.tell([late]).kept, begun.tell([late]).kept) == ([first.name], [])
    begun.ask()
    with Ledger(begun.where) as book:
        entry = book.entry("dyes")
        rows, notes = book.trail(entry.id), [each.note for each in Samples(book, entry.id).read()[0].editions]
    assert notes == ["the vial has a crack", "", "and leaks"]
    assert (len(rows), {row["verdict"] for row in rows}) == (5, {ReplyClass.OK})


def test_readings_are_kept_in_the_unit_of_their_channel_whatever_the_heading_says(here, tmp_path):
    begun, samples = here
    for number, (name, rows) in enumerate({"V.csv": "450nm [V]", "kV.xlsx": "450nm (kV)"}.items()):
        readings = flow_cell(0, samples[number], samples[number].request.settings)
        shown = readings["450nm"] / (1e6 if "kV" in rows else 1e3)
        table = [["sample", rows, "650nm"], [samples[number].name, shown, readings["650nm"]]]
        if name.endswith(".csv"):
            (tmp_path / name).write_text("\n".join(",".join(map(str, row)) for row in table))
        else:
            book = Workbook()
            [book.active.append(row) for row in table]
            book.save(tmp_path / name)
        assert begun.tell(read_sheet(tmp_path / name, begun.entry().space)).faults == []
        kept = Samples(Ledger(begun.where), begun.entry().id).read()[number].readings
        assert kept == pytest.approx(readings, rel=1e-12)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"sample": "r0-0-9"}, "entry 1: no sample 'r0-0-9'; did you mean 'r0-0-0'?"),
        ({"readings": {"450nm": 9999}}, "entry 1, r0-0-0: 450nm is above its ceiling 5000: 9999.0"),
        ({"readings": {"450nm": "12 K"}}, "entry 1, r0-0-0: 450nm is expected in mV, got 'K'"),
        ({"readings": {"450nm": "l2"}}, "entry 1, r0-0-0: 450nm needs a number in mV, got 'l2'"),
        ({"readings": {"455nm": 1}}, "entry 1, r0-0-0: unknown channel '455nm'; did you mean '450nm'?"),
        ({"readings": {"450nm": 1}, "failed": "yes"}, "entry 1, r0-0-0: it cannot have failed and have readings"),
        ({"failed": "perhaps"}, "entry 1, r0-0-0: failed needs yes or nothing, got 'perhaps'"),
        ({"readings": {"450nm": 1, "red": 4}}, "entry 1, r0-0-0: red sent 0.5, applied 4.0"),
        ({"readings": {"450nm": True}}, "entry 1, r0-0-0: 450nm needs a number, got True"),
        ({"readings": {"450nm": 10**400}}, "entry 1, r0-0-0: 450nm needs a number, got 1000"),
    ],
)
def test_what_cannot_be_believed_is_a_sentence_and_the_rest_is_kept(here, entry, sentence):
    begun, samples = here
    taken = begun.tell([{"sample": "r0-0-0"} | entry, *read(samples[1:2])])
    (fault,) = taken.faults
    assert fault.startswith(sentence)
    assert taken.kept == [samples[1].name]


def test_knobs_and_channels_are_checked_before_anything_is_asked(tmp_path):
    part = WRITTEN["instrument"]
    wrong = {"knobs": [{"name": "red", "low": 5, "high": 1}], "channels": [{"name": "a", "flor": 1}]}
    with pytest.raises(InvalidInput) as refused:
        conversation(WRITTEN | {"instrument": part | wrong}, tmp_path)
    assert "knobs.0: " in str(refused.value)
    assert "channels.0.flor: " in str(refused.value)
    with pytest.raises(InvalidInput, match=r"^knobs\.0: knob 'red' needs off within 0\.0 to 5\.0, got 7\.0$"):
        conversation(WRITTEN | {"instrument": part | {"knobs": [{"name": "red", "high": 5, "off": 7}]}}, tmp_path)
    with pytest.raises(InvalidInput, match="the blanks of 'red ' would be lost in a sheet"):
        conversation(WRITTEN | {"instrument": part | {"knobs": [{"name": "red "}]}}, tmp_path)
    with pytest.raises(InvalidInput, match="found twice: note"):
        conversation(WRITTEN | {"instrument": part | {"knobs": [{"name": "note"}]}}, tmp_path)
