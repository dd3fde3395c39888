"""The ledger: the truth about a campaign, over SQLite and PostgreSQL, whatever happens to the process."""

import contextlib
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine, text
from sqlalchemy.exc import NoResultFound

from sdl.errors import (
    BudgetSpent,
    CampaignPaused,
    CampaignStopped,
    InvalidInput,
    LeaseLost,
    LedgerError,
    SchemaMismatch,
)
from sdl.history import Control, Exam, Finding, Purpose, Request, Round, RoundKind, State, Verdict
from sdl.instruments.claude_light_space import SPACE
from sdl.instruments.protocol import Reply
from sdl.lease import Lease
from sdl.ledger import Ledger
from sdl.schema import VERSION
from sdl.screening import Class, Screened
from sdl.space import Space

DESIGN = Round(0, RoundKind.DESIGN)
BUDGET = 100
COUNTS = np.arange(1000.0, 1010.0)
NONE = np.zeros(10, bool)


def request(index=0, round_=0, replicate=0, purpose=Purpose.DESIGN):
    return Request(round_, index, replicate, purpose, np.array([0.1, 0.2, 0.3]) + index / 100)


def reply(raw="{}", readings=None):
    return Reply({"R": 0.1}, SPACE.named_readings(COUNTS) if readings is None else readings, raw, 0.5)


def screened(verdict=Class.OK, readings=COUNTS, censored=NONE):
    return Screened(verdict, "because", readings, censored)


def unbelievable():
    return screened(Class.SUSPECT, np.full(10, np.nan))


class Desk:
    """A ledger with one campaign on an instrument that is held."""

    def __init__(self, where):
        self.where = where
        self._open()

    def _open(self):
        self.stack = contextlib.ExitStack()
        self.ledger = self.stack.enter_context(Ledger(self.where))
        self.campaign = self.ledger.register("white", "light", SPACE, {"seed": 1}, {"sdl": "0"}).id
        self.lease = self.stack.enter_context(self.ledger.hold("light", "me"))

    def reopen(self):
        """End as a killed process does, and begin again; return how many requests were lost."""
        self.close()
        self._open()
        return self.ledger.reconcile(self.lease, self.campaign)

    def close(self):
        self.stack.close()

    def plan(self, *requests, round_=DESIGN, exam=None):
        self.ledger.plan(self.lease, self.campaign, round_, requests, exam)

    def send(self, asked, budget=BUDGET):
        return self.ledger.send(self.lease, self.campaign, asked, budget)

    def measured(self, asked, judged=None, raw="{}"):
        attempt = self.send(asked)
        self.ledger.receive(self.lease, attempt, reply(raw), judged or screened())
        return attempt

    @property
    def history(self):
        return self.ledger.history(self.campaign)

    @property
    def trail(self):
        return self.ledger.trail(self.campaign)


@pytest.fixture
def desk(where):
    made = Desk(where)
    yield made
    made.close()


# ---------------------------------------------------------------------- campaigns


def test_a_campaign_is_entered_once_and_found_again(desk):
    again = desk.ledger.register("white", "light", SPACE, {"seed": 2}, {}, title="other")
    assert again.id == desk.campaign
    assert (again.title, again.config, again.space) == ("white", {"seed": 1}, SPACE)
    assert (again.state, again.control) == (State.RUNNING, Control.RUN)
    assert [entry.name for entry in desk.ledger.entries()] == ["white"]


def test_a_campaign_does_not_change_its_instrument(desk):
    with pytest.raises(InvalidInput, match="'white' was begun on light with other knobs or channels than lamp has"):
        desk.ledger.register("white", "lamp", Space.unit("x"), {}, {})


def test_an_unknown_campaign_is_answered_with_the_nearest(desk):
    with pytest.raises(InvalidInput, match="no campaign 'wite' in this ledger; did you mean 'white'"):
        desk.ledger.entry("wite")


def test_state_and_configuration_change_under_the_lease(desk):
    desk.ledger.set_state(desk.lease, desk.campaign, State.SUSPENDED, "no answer")
    desk.ledger.reconfigure(desk.lease, desk.campaign, {"seed": 1, "budget": 7})
    entry = desk.ledger.entry("white")
    assert (entry.state, entry.reason, entry.config) == (State.SUSPENDED, "no answer", {"seed": 1, "budget": 7})


# ---------------------------------------------------------------------- one measurement


def test_the_intent_stands_before_the_reply(desk):
    desk.plan(request())
    desk.send(request())
    (row,) = desk.trail
    assert (row["state"], row["verdict"], row["raw"], row["readings"]) == ("SENT", None, "", None)
    assert row["sent_at"] == pytest.approx(time.time(), abs=30)
    assert desk.history.sent == 1
    assert desk.history.observations == []


def test_a_reply_is_kept_whole(desk):
    desk.plan(request())
    readings = np.where(np.arange(10) == 3, np.nan, COUNTS)
    at_ceiling = np.arange(10) == 3
    out = {**SPACE.named_readings(COUNTS), "515nm": 65535, "uv": float("nan"), "odd": ["a", {"b": None}]}
    attempt = desk.send(request())
    judged = screened(Class.OK_CENSORED, readings, at_ceiling)
    desk.ledger.receive(desk.lease, attempt, reply('{"in": "ü\u2028"}', out), judged)
    (row,) = desk.trail
    assert (row["state"], row["verdict"], row["reason"], row["raw"]) == (
        "DONE",
        "OK_CENSORED",
        "because",
        '{"in": "ü\u2028"}',
    )
    assert row["out"] == {**out, "uv": "nan"}
    assert (row["applied"], row["seconds"]) == ({"R": 0.1}, 0.5)
    (seen,) = desk.history.observations
    np.testing.assert_array_equal(seen.readings, readings)
    np.testing.assert_array_equal(seen.censored, at_ceiling)
    np.testing.assert_array_equal(seen.settings, request().settings)
    assert (seen.key, seen.seq, seen.verdict, seen.purpose) == ((0, 0, 0), 0, Class.OK_CENSORED, Purpose.DESIGN)


@pytest.mark.parametrize(
    "raw", ["\0", "a\0b\0", "\ud800", "\u2400", "x" * 10**6, "'; DROP TABLE attempts; --", "", "\x7f\x1b[0m"]
)
def test_any_raw_text_is_kept_and_nul_becomes_its_picture(desk, raw):
    desk.plan(request(), request(1))
    desk.measured(request(), raw=raw)
    desk.ledger.fail(desk.lease, desk.send(request(1)), Class.RETRY, f"why {raw}", raw)
    kept = raw.replace("\0", "␀").replace("\ud800", "?")
    assert [row["raw"] for row in desk.trail] == [kept, kept]
    assert desk.trail[1]["reason"] == f"why {kept}"


def test_a_title_and_a_sentence_may_hold_nul_too(desk):
    assert desk.ledger.register("nul", "light\0", SPACE, {"note": "a\0b"}, {}, title="a\0b").title == "a␀b"
    desk.plan()
    desk.ledger.find(desk.lease, desk.campaign, Finding(0, "t", Verdict.REFUTED, "a\0b", facts={"x": "a\0b"}))
    desk.ledger.set_state(desk.lease, desk.campaign, State.SUSPENDED, "a\0b")
    assert desk.history.findings[0].sentence == "a␀b"
    assert desk.ledger.entry("white").reason == "a␀b"


def test_an_answer_too_deep_to_unfold_is_kept_as_raw_text(desk):
    deep = []
    for _ in range(900):
        deep = [deep]
    desk.plan(request())
    attempt = desk.send(request())
    desk.ledger.receive(desk.lease, attempt, reply("deep", {"515nm": deep}), unbelievable())
    assert desk.trail[0]["raw"] == "deep"


def test_attempts_at_one_measurement_are_numbered(desk):
    desk.plan(request(0), request(1))
    desk.ledger.fail(desk.lease, desk.send(request(0)), Class.RETRY, "503")
    desk.ledger.fail(desk.lease, desk.send(request(0)), Class.UNKNOWN, "silent")
    desk.measured(request(0))
    desk.measured(request(1))
    assert [(row["index"], row["attempt"], row["state"]) for row in desk.trail] == [
        (0, 1, "FAILED"),
        (0, 2, "UNKNOWN"),
        (0, 3, "DONE"),
        (1, 1, "DONE"),
    ]
    assert desk.ledger.attempted(desk.campaign, request(0)) == [Class.RETRY, Class.UNKNOWN, Class.OK]
    assert desk.history.sent == 4


@pytest.mark.fault("I-15")
def test_the_first_usable_reply_counts_and_the_others_are_kept(desk):
    desk.plan(request(0), request(1), request(2))
    desk.measured(request(2), unbelievable(), raw="first")
    desk.measured(request(1), raw="second")
    desk.measured(request(2), screened(readings=COUNTS + 1), raw="third")
    desk.measured(request(2), screened(readings=COUNTS + 2), raw="again")
    seen = desk.history.observations
    assert [(each.key, each.seq) for each in seen] == [((0, 1, 0), 0), ((0, 2, 0), 1)]
    assert seen[1].readings.tolist() == (COUNTS + 1).tolist()
    assert [row["raw"] for row in desk.trail] == ["first", "second", "third", "again"]
    assert [each.key for each in desk.history.pending] == [(0, 0, 0)]


def test_a_round_that_is_planned_stays_as_it_was_planned(desk):
    desk.plan(request(0), request(1))
    moved = Request(0, 1, 0, Purpose.LEARNING, np.ones(3))
    desk.plan(moved, request(2), round_=Round(0, RoundKind.LEARNING, facts={"late": True}))
    assert [(each.key, each.purpose) for each in desk.history.planned] == [
        ((0, i, 0), Purpose.DESIGN) for i in range(3)
    ]
    np.testing.assert_array_equal(desk.history.planned[1].settings, request(1).settings)
    assert desk.history.rounds == [DESIGN]


def test_what_was_not_planned_is_not_sent(desk):
    desk.plan(request(0))
    with pytest.raises(NoResultFound):
        desk.send(request(1))
    assert desk.trail == []


def test_the_budget_counts_every_request_sent(desk):
    desk.plan(request(0))
    desk.ledger.fail(desk.lease, desk.send(request(0), budget=3), Class.RETRY, "")
    desk.ledger.fail(desk.lease, desk.send(request(0), budget=3), Class.RETRY, "")
    desk.send(request(0), budget=3)
    with pytest.raises(BudgetSpent, match="all 3 requests of the budget are sent; raise 'budget'"):
        desk.send(request(0), budget=3)
    assert len(desk.trail) == 3
    desk.send(request(0), budget=4)


@pytest.mark.parametrize(("control", "error"), [(Control.PAUSE, CampaignPaused), (Control.STOP, CampaignStopped)])
def test_a_flag_of_a_person_holds_before_the_next_request(desk, control, error):
    desk.plan(request(0), request(1))
    attempt = desk.send(request(0))
    desk.ledger.set_control(desk.campaign, control)
    desk.ledger.receive(desk.lease, attempt, reply(), screened())
    with pytest.raises(error, match="'sdl resume white'"):
        desk.send(request(1))
    assert [row["state"] for row in desk.trail] == ["DONE"]
    desk.ledger.set_control(desk.campaign, Control.RUN)
    desk.send(request(1))


def test_requests_of_another_campaign_are_its_own(desk):
    other = desk.ledger.register("other", "light", SPACE, {}, {}).id
    desk.plan(request(0))
    desk.ledger.plan(desk.lease, other, DESIGN, [request(0)])
    desk.measured(request(0))
    assert desk.ledger.history(other).sent == 0
    assert len(desk.ledger.history(other).pending) == 1
    assert desk.ledger.last_reply(other) is None
    desk.ledger.send(desk.lease, other, request(0), budget=1)
    desk.ledger.set_control(other, Control.STOP)
    desk.send(request(0))


# ---------------------------------------------------------------------- what cannot be believed, and what got lost


def test_the_last_reply_is_distrusted_and_measured_again(desk):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    desk.measured(request(1))
    desk.ledger.distrust(desk.lease, desk.campaign, "stuck")
    assert [each.key for each in desk.history.observations] == [(0, 0, 0)]
    assert [each.key for each in desk.history.pending] == [(0, 1, 0)]
    row = desk.trail[1]
    assert (row["verdict"], row["reason"], row["readings"], row["state"]) == ("SUSPECT", "stuck", None, "DONE")
    assert row["out"] == SPACE.named_readings(COUNTS)


def test_only_the_last_reply_is_distrusted_however_often_that_is_said(desk):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    desk.measured(request(1), unbelievable())
    desk.send(request(1))
    desk.ledger.distrust(desk.lease, desk.campaign, "stuck")
    assert [each.key for each in desk.history.observations] == [(0, 0, 0)]


def test_distrust_of_nothing_is_nothing(desk):
    desk.ledger.distrust(desk.lease, desk.campaign, "stuck")
    assert desk.trail == []


def test_the_last_reply_is_known_whatever_it_was_worth(desk):
    assert desk.ledger.last_reply(desk.campaign) is None
    desk.plan(request(0), request(1))
    desk.measured(request(0), unbelievable())
    desk.ledger.fail(desk.lease, desk.send(request(1)), Class.RETRY, "")
    last = desk.ledger.last_reply(desk.campaign)
    np.testing.assert_array_equal(last.settings, request(0).settings)
    assert last.readings == SPACE.named_readings(COUNTS)


@pytest.mark.fault("O-18")
def test_what_a_dead_process_sent_is_unknown_and_measured_again(desk):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    desk.send(request(1))
    assert desk.reopen() == 1
    assert desk.reopen() == 0
    assert [row["state"] for row in desk.trail] == ["DONE", "UNKNOWN"]
    assert desk.trail[1]["reason"] == "the process ended before the answer came"
    desk.measured(request(1))
    assert [(row["index"], row["attempt"]) for row in desk.trail] == [(0, 1), (1, 1), (1, 2)]
    assert len(desk.history.observations) == 2


DIES = """
import os, sys
from sdl.ledger import Ledger
from test_ledger import Desk, request
desk = Desk(sys.argv[1])
desk.plan(request(0), request(1))
desk.measured(request(0))
desk.send(request(1))
os.kill(os.getpid(), 9)
"""


def test_a_process_that_is_killed_after_sending_leaves_the_rest_intact(where):
    child = subprocess.run([sys.executable, "-c", DIES, where], cwd=Path(__file__).parent, check=False)
    assert child.returncode == -9
    desk = Desk(where)  # at once: the dead hold nothing
    assert [row["state"] for row in desk.trail] == ["DONE", "SENT"]
    assert desk.ledger.reconcile(desk.lease, desk.campaign) == 1
    assert [each.key for each in desk.history.pending] == [(0, 1, 0)]
    desk.close()


@pytest.mark.fault("O-20")
def test_nobody_writes_without_the_lease(desk):
    desk.plan(request(0))
    attempt = desk.send(request(0))
    old = Lease("light", desk.lease.token - 1)
    ledger, campaign = desk.ledger, desk.campaign
    for write in (
        lambda: ledger.plan(old, campaign, Round(1, RoundKind.LEARNING), [request(0, 1)]),
        lambda: ledger.send(old, campaign, request(0), BUDGET),
        lambda: ledger.receive(old, attempt, reply(), screened()),
        lambda: ledger.fail(old, attempt, Class.RETRY, ""),
        lambda: ledger.distrust(old, campaign, ""),
        lambda: ledger.reconcile(old, campaign),
        lambda: ledger.find(old, campaign, Finding(0, "t", Verdict.REFUTED, "")),
        lambda: ledger.set_state(old, campaign, State.FINISHED),
        lambda: ledger.reconfigure(old, campaign, {}),
    ):
        with pytest.raises(LeaseLost, match="light was taken over by me since"):
            write()
    assert [row["state"] for row in desk.trail] == ["SENT"]
    assert len(desk.history.rounds) == 1
    assert desk.ledger.entry("white").state is State.RUNNING


# ---------------------------------------------------------------------- decisions


def test_rounds_exams_and_findings_come_back_as_they_were(desk):
    facts = {"scores": np.array([1.0, np.nan]), "model": "linear", "deep": {"n": np.int64(3)}}
    asked = [request(0, 1, i, Purpose.VERIFICATION) for i in range(3)]
    background, uncertainty = np.where(NONE, 0, np.nan), np.arange(10.0)
    exam = Exam(1, "white", asked[0].settings, "linear", 3, background, uncertainty)
    desk.plan(*asked, round_=Round(1, RoundKind.EXAM, "white", facts), exam=exam)
    desk.plan(*asked, round_=Round(1, RoundKind.EXAM, "white"), exam=exam)
    finding = Finding(1, "white", Verdict.VERIFIED, "within", asked[0].settings, {"margin": np.array([2.0])})
    desk.ledger.find(desk.lease, desk.campaign, finding)
    desk.ledger.find(desk.lease, desk.campaign, Finding(1, "white", Verdict.REFUTED, "a second verdict"))
    history = desk.history
    (round_,), (kept,), (found,) = history.rounds, history.exams, history.findings
    assert (round_.kind, round_.target) == (RoundKind.EXAM, "white")
    assert round_.facts == {"scores": [1.0, "nan"], "model": "linear", "deep": {"n": 3}}
    assert (kept.model, kept.replicates, kept.target) == ("linear", 3, "white")
    np.testing.assert_array_equal(kept.background, background)
    np.testing.assert_array_equal(kept.uncertainty, uncertainty)
    assert (found.verdict, found.sentence, found.facts) == (Verdict.VERIFIED, "within", {"margin": [2.0]})
    assert history.concluded("white") is found
    assert history.open_exam is None


def test_a_campaign_is_stale_some_time_after_its_last_request(desk):
    assert not desk.ledger.history(desk.campaign, fresh_for_s=0.0).stale
    desk.plan(request(0))
    desk.measured(request(0))
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale
    time.sleep(0.02)
    assert desk.ledger.history(desk.campaign, fresh_for_s=0.01).stale


@pytest.mark.fault("O-21")
def test_time_that_moves_backwards_changes_no_order(desk, monkeypatch):
    desk.plan(request(0), request(1))
    desk.measured(request(0))
    monkeypatch.setattr("sdl.ledger.now", lambda: time.time() - 3600)
    desk.measured(request(1))
    assert [each.key for each in desk.history.observations] == [(0, 0, 0), (0, 1, 0)]
    assert not desk.ledger.history(desk.campaign, fresh_for_s=60.0).stale


# ---------------------------------------------------------------------- the database


def test_a_new_ledger_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "lab" / "ledger.db"
    with Ledger(path) as ledger:
        ledger.register("white", "light", SPACE, {}, {})
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


@pytest.mark.fault("O-16")
def test_a_newer_ledger_is_not_touched(where):
    Ledger(where).engine.dispose()
    in_sql(where, f"UPDATE about SET version = {VERSION + 1}")
    message = f"has schema {VERSION + 1}, this program writes schema {VERSION}: install that version of sdl"
    with pytest.raises(SchemaMismatch, match=message):
        Ledger(where)


@pytest.mark.fault("O-16")
def test_an_older_ledger_says_what_to_do(where):
    Ledger(where).engine.dispose()
    in_sql(where, "UPDATE about SET version = 0")
    with pytest.raises(SchemaMismatch, match=r"has schema 0, .*: export it with the sdl that wrote it"):
        Ledger(where)


@pytest.mark.fault("O-16")
def test_a_ledger_of_the_first_schema_is_brought_up_to_date_and_its_copy_kept(where):
    with Ledger(where) as ledger:
        ledger.register("white", "light", SPACE, {"budget": 1}, {})
    in_sql(where, "DROP TABLE changes")
    in_sql(where, "UPDATE about SET version = 1")
    for _ in range(2):
        with Ledger(where) as ledger, ledger.hold("light", "me") as lease:
            ledger.reconfigure(lease, ledger.entry("white").id, {"budget": 2})
            assert [row["before"] for row in ledger.account(ledger.entry("white").id)["changes"]] == [{"budget": 1}]
    if "://" not in where:
        copy = Path(f"{where}.schema-1")
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT version FROM about").fetchall() == [(1,)]
            assert connection.execute("SELECT name FROM campaigns").fetchall() == [("white",)]


def test_a_configuration_that_did_not_change_leaves_no_trace(where):
    with Ledger(where) as ledger, ledger.hold("light", "me") as lease:
        campaign = ledger.register("white", "light", SPACE, {"budget": 1}, {}).id
        ledger.reconfigure(lease, campaign, {"budget": 1})
        assert ledger.account(campaign)["changes"] == []


def test_a_ledger_without_a_version_is_refused(where):
    Ledger(where).engine.dispose()
    in_sql(where, "DELETE FROM about")
    with pytest.raises(SchemaMismatch, match="has schema 0"):
        Ledger(where)


def test_a_database_of_somebody_else_is_left_alone(where):
    Path(where).parent.mkdir(parents=True, exist_ok=True) if "://" not in where else None
    in_sql(where, "CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(LedgerError, match=r"holds other tables \(recipes, \.\.\.\) and is no ledger"):
        Ledger(where)


@pytest.mark.fault("O-16")
@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused(tmp_path, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"cannot open the ledger at .*check that it is a ledger"):
        Ledger(path)
    assert path.read_bytes() == content


@pytest.mark.fault("O-16")
def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.register("white", "light", SPACE, {}, {})
    for extra in tmp_path.glob("*-*"):
        extra.unlink()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(LedgerError, match="cannot open the ledger"):
        Ledger(path)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mysql://u@h/d", "give a file or a URL such as postgresql"),
        ("nonsense://", "give a file or a URL such as postgresql"),
        ("/dev/null/ledger.db", "File exists.*give a file or a URL such as postgresql"),
        (
            "postgresql+psycopg://me:secret@127.0.0.1:1/lab",
            "cannot open the ledger at postgresql.*that the database server runs",
        ),
    ],
)
def test_a_place_that_cannot_be_says_what_to_give_instead(where, message):
    with pytest.raises((InvalidInput, LedgerError), match=message) as caught:
        Ledger(where)
    assert "secret" not in str(caught.value)


@pytest.mark.fault("O-15")
def test_a_writer_waits_for_another_one(tmp_path):
    path = tmp_path / "ledger.db"
    desk = Desk(path)
    desk.plan(request(0))
    attempt = desk.send(request(0))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.3, other.execute, ["COMMIT"]).start()
    desk.ledger.receive(desk.lease, attempt, reply("kept"), screened())
    assert desk.trail[0]["raw"] == "kept"
    desk.close()
    other.close()


def test_many_may_open_a_new_ledger_at_once(where):
    code = "import sys; from sdl.ledger import Ledger; print(flush=True); sys.stdin.read(); Ledger(sys.argv[1])"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    children = [subprocess.Popen([sys.executable, "-c", code, where], **pipes) for _ in range(4)]
    for child in children:
        child.stdout.readline()  # it has its imports behind it
    for child in children:
        child.stdin.close()
    assert [(child.wait(), child.stderr.read()) for child in children] == [(0, b"")] * 4
    for child in children:
        child.stdout.close()
        child.stderr.close()


def in_sql(where, sentence):
    engine = create_engine(where if "://" in where else f"sqlite:///{where}")
    with engine.begin() as connection:
        connection.execute(text(sentence))
    engine.dispose()


# ---------------------------------------------------------------------- whatever happens


class Life(RuleBasedStateMachine):
    """A campaign in any order of planning, sending, answering, failing, dying and coming back."""

    @initialize(budget=st.integers(1, 12))
    def begin(self, budget):
        self.folder = tempfile.TemporaryDirectory()
        self.desk = Desk(f"{self.folder.name}/ledger.db")
        self.budget, self.planned, self.rows, self.flying = budget, [], [], None

    def teardown(self):
        self.desk.close()
        self.folder.cleanup()

    @rule(n=st.integers(1, 3))
    def plan(self, n):
        number = len({key[0] for key in self.planned})
        new = [request(i, number) for i in range(n)]
        self.desk.plan(*new, round_=Round(number, RoundKind.LEARNING))
        self.planned += [each.key for each in new]

    @precondition(lambda self: self.planned and self.flying is None)
    @rule(data=st.data())
    def send(self, data):
        key = data.draw(st.sampled_from(self.planned))
        asked = request(key[1], key[0])
        if len(self.rows) >= self.budget:
            with pytest.raises(BudgetSpent):
                self.desk.send(asked, self.budget)
            return
        self.flying = self.desk.send(asked, self.budget)
        self.rows.append({"key": key, "raw": "", "state": "SENT", "verdict": None, "value": None})

    @precondition(lambda self: self.flying is not None)
    @rule(verdict=st.sampled_from([Class.OK, Class.OK_CENSORED, Class.SUSPECT]), raw=st.text(max_size=5))
    def receive(self, verdict, raw):
        value = float(len(self.rows))
        readings = np.full(10, value if verdict.usable else np.nan)
        self.desk.ledger.receive(self.desk.lease, self.flying, reply(raw), screened(verdict, readings))
        self.rows[-1] |= {"raw": raw.replace("\0", "␀"), "state": "DONE", "verdict": verdict, "value": value}
        self.flying = None

    @precondition(lambda self: self.flying is not None)
    @rule(verdict=st.sampled_from([Class.RETRY, Class.UNKNOWN, Class.REJECT]), raw=st.text(max_size=5))
    def fail(self, verdict, raw):
        self.desk.ledger.fail(self.desk.lease, self.flying, verdict, "why", raw)
        state = "UNKNOWN" if verdict is Class.UNKNOWN else "FAILED"
        self.rows[-1] |= {"raw": raw.replace("\0", "␀"), "state": state, "verdict": verdict}
        self.flying = None

    @rule()
    def distrust(self):
        self.desk.ledger.distrust(self.desk.lease, self.desk.campaign, "stuck")
        if (done := [row for row in self.rows if row["state"] == "DONE"]) and done[-1]["verdict"].usable:
            done[-1]["verdict"] = Class.SUSPECT

    @rule()
    def die_and_come_back(self):
        assert self.desk.reopen() == (self.flying is not None)
        if self.flying is not None:
            self.rows[-1] |= {"state": "UNKNOWN", "verdict": Class.UNKNOWN}
        self.flying = None

    @precondition(lambda self: self.planned and self.flying is None)
    @rule(control=st.sampled_from([Control.PAUSE, Control.STOP]))
    def pause_or_stop(self, control):
        self.desk.ledger.set_control(self.desk.campaign, control)
        with pytest.raises((CampaignPaused, CampaignStopped)):
            self.desk.send(request(*reversed(self.planned[0][:2])), self.budget)
        self.desk.ledger.set_control(self.desk.campaign, Control.RUN)

    @invariant()
    def every_request_and_reply_is_kept(self):  # I2
        kept = [((row["round"], row["index"], 0), row["state"], row["verdict"], row["raw"]) for row in self.desk.trail]
        assert kept == [(row["key"], row["state"], row["verdict"], row["raw"]) for row in self.rows]
        numbers = {}
        for row in self.desk.trail:
            key = (row["round"], row["index"])
            numbers[key] = numbers.get(key, 0) + 1
            assert row["attempt"] == numbers[key]

    @invariant()
    def each_measurement_counts_once_and_as_it_first_came(self):  # I3, I6
        first = {}
        for row in self.rows:
            if row["verdict"] in (Class.OK, Class.OK_CENSORED):
                first.setdefault(row["key"], row["value"])
        history = self.desk.history
        assert {each.key: each.readings[0] for each in history.observations} == first
        assert [each.key for each in history.observations] == list(first)
        assert [each.seq for each in history.observations] == list(range(len(first)))
        assert [each.key for each in history.planned] == self.planned
        assert [each.key for each in history.pending] == [key for key in self.planned if key not in first]

    @invariant()
    def no_more_is_sent_than_the_budget_allows(self):  # I4
        assert self.desk.history.sent == len(self.rows) <= self.budget


TestLife = pytest.mark.slow(Life.TestCase)
TestLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
