"""Killed at any place of the fault matrix, a campaign is finished by one more command, as if nothing had been."""

import contextlib
import multiprocessing
import os
import signal
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from places import PAPER

from flows.engine.opening import open_session
from flows.engine.outcome import recorded_end, summarize_outcome
from sdl.campaign.definition import Campaign
from sdl.errors import CampaignPaused
from sdl.history import Control
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.protocol import Patience, Reply
from sdl.interchange import export_import as exchange
from sdl.ledger import database
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.system import failpoints as killpoints
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan
from strategies.plan.steps import Stop

SEEDS = (1, 2, 3)
PASSAGES = {
    "after-intent": (8, 2, 10),
    "after-send": (8, 3, 11),
    "after-reply": (8, 1, 12),
    "after-commit": (8, 4, 11),
    "in-training": (2, 1, 1),
    "draft-written": (1, 2, 1),
    "file-renamed": (1, 2, 1),
    "in-report": (1, 1, 1),
    "lease-held": (1, 1, 1),
    "when-paused": (1, 1, 1),
    "in-export": (1, 5, 12),
    "in-schema": (1, 1, 1),
}
"""Which passage of each place is the last one, for each seed: in learning, design and exam where there are so many."""
IN_FLIGHT = {"after-intent", "after-send", "after-reply"}
OF_FILES = {"draft-written", "file-renamed", "in-report"}
AGAIN = "in-schema lease-held after-reply@3 in-training after-send@2 after-commit@3 in-report"
PAUSE_AT = 5


class Recorded:
    """Answers with the replies of a ledger in their order, each to the settings that it was a reply to."""

    identity, patience = "recorded", Patience()

    def __init__(self, space, rows):
        self.space, self.left = space, iter(rows)

    def measure(self, settings):
        row = next(self.left)
        assert list(settings.values()) == row["settings"]
        return Reply(row["applied"], row["out"], row["raw"], row["seconds"])


class Watched(Twin):
    """A twin that keeps what it answered, and calls somebody at one of its measurements."""

    def __init__(self, seed):
        super().__init__(seed=seed, daylight=1500.0, memory_h=1.0)
        self.answered, self.at, self.call = [], 0, None

    def measure(self, settings):
        reply = super().measure(settings)
        self.answered.append(reply.readings)
        if len(self.answered) == self.at:
            self.call()
        return reply


def one_command(written, directory, kill="", reported=True, busy_s=database.BUSY_S):
    """The campaign to its end, its report if it is asked for, and an export; dies on the way where it is told to."""
    killpoints.arm_failpoint(kill)
    database.BUSY_S = busy_s
    with open_session(written, directory, str(directory / "ledger.sqlite")) as session:
        with recorded_end(session):
            while not isinstance(step := session.propose(), Stop):
                session.execute(step)
            session.execute(step)
        if reported:
            session.report()
        exchange.export_campaign(session.ledger, "paper", directory / "paper.jsonl", force=True)
        return summarize_outcome(session.ledger, "paper")


@dataclass
class Laboratory:
    """A twin over HTTP, and the campaign on it in this process and in others."""

    written: dict
    directory: Path
    server: InstrumentServer
    reported: bool = True
    processes: object = field(default_factory=lambda: multiprocessing.get_context("forkserver"))

    def process(self, at, **options):
        options = {"kill": at, "reported": self.reported} | options
        process = self.processes.Process(target=one_command, args=(self.written, self.directory), kwargs=options)
        process.start()
        process.join(60)
        return process

    def killed(self, at):
        assert self.process(at).exitcode == -signal.SIGKILL

    def go_on(self):
        return one_command(self.written, self.directory, reported=self.reported)

    def book(self):
        return Ledger(self.directory / "ledger.sqlite")


@pytest.fixture(scope="module", autouse=True)
def warm():
    """Children are forked from a process that has its imports behind it and no threads."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["flows.engine.session", "strategies.models.mixtures.mixture"]
    )


@pytest.fixture
def laboratory(paper, tmp_path, request):
    with InstrumentServer(Watched(request.param)) as server:
        options = {"plugin": "claude-light", "url": server.url, "first_wait_s": 0.01, "allow_private": True}
        yield Laboratory(paper | {"instrument": options}, tmp_path, server)


def holds(laboratory, result):
    """Invariants I1 to I9 of a finished campaign; its attempts."""
    server, campaign = laboratory.server, Campaign.parse(laboratory.written)
    with laboratory.book() as book:
        entry = book.entry("paper")
        rows, history, findings = book.trail(entry.id), book.history(entry.id), book.history(entry.id).findings
        again = laboratory.directory / "again.jsonl"
        exchange.import_campaign(book, laboratory.directory / "paper.jsonl", "again", Twin().space)
        exchange.export_campaign(book, "again", again)
        assert book.holder(entry.instrument) is None  # I8
    assert result["state"] == "FINISHED"
    assert result["verified"]
    done = [row for row in rows if row["state"] == "DONE"]
    assert server.most_in_flight == 1  # I1
    kept = [row["out"] for row in done]
    assert all(row["raw"] for row in done)
    assert [each for each in server.instrument.answered if each in kept] == kept  # I2
    assert len(server.instrument.answered) <= len(rows)
    counted = [(row["round"], row["index"], row["replicate"]) for row in done]
    assert len(set(counted)) == len(counted) == len(history.observations)  # I3
    assert server.requests <= len(rows) <= campaign.budget  # I4
    for each in history.observations:  # I5
        assert np.all(np.isnan(each.readings) | ((each.readings >= 0) & (each.readings < 65535)))
    rehearsal = Simulation(Plan(campaign, Twin().space), Recorded(Twin().space, done))
    rehearsal.run()
    assert [each.key for each in rehearsal.observations] == counted  # I6
    assert [each.sentence for each in rehearsal.findings] == [each.sentence for each in findings]
    assert again.read_bytes() == (laboratory.directory / "paper.jsonl").read_bytes()  # I9
    return rows


def whole_or_absent(path, end):
    return not path.exists() or path.read_text().rstrip().endswith(end)


def test_every_place_is_died_at_here():
    assert PASSAGES.keys() | {"in-import"} == set(get_args(killpoints.Place))  # which test_import_in_batches.py takes


@pytest.mark.fault("O-01", "O-02", "O-03", "O-04", "O-05", "O-06", "O-07", "O-08", "O-09", "O-10", "O-11", "O-12")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "laboratory", "passage"),
    [(place, seed, n) for place, each in PASSAGES.items() for seed, n in zip(SEEDS, each, strict=True)],
    indirect=["laboratory"],
)
def test_one_more_command_finishes_it(place, laboratory, passage):
    server, laboratory.reported = laboratory.server, place in OF_FILES  # its figures take longer than all else
    if place == "when-paused":
        server.instrument.at, server.instrument.call = PAUSE_AT, lambda: control(laboratory, Control.PAUSE)
    laboratory.killed(f"{place}@{passage}")
    assert whole_or_absent(laboratory.directory / "reports" / "paper.html", "</html>")
    assert whole_or_absent(laboratory.directory / "paper.jsonl", "}")
    if place == "when-paused":
        with pytest.raises(CampaignPaused):
            laboratory.go_on()
        assert server.requests == PAUSE_AT  # I7
        control(laboratory, Control.RUN)
    rows = holds(laboratory, laboratory.go_on())
    lost = [row["seq"] for row in rows if row["verdict"] == "UNKNOWN"]
    assert lost == ([passage] if place in IN_FLIGHT else [])
    assert len(rows) - server.requests == (place == "after-intent")
    assert (laboratory.directory / "reports" / "paper.html").exists() == laboratory.reported
    assert whole_or_absent(laboratory.directory / "reports" / "paper.html", "</html>")
    assert list(laboratory.directory.rglob(".sdl-*")) == []  # drafts of the dead are cleared away


@pytest.mark.fault("O-12")
@pytest.mark.slow
@pytest.mark.parametrize("laboratory", [1], indirect=True)
def test_killed_while_an_older_ledger_is_brought_up_to_date(laboratory):
    laboratory.reported = False
    laboratory.killed("after-commit@8")
    with contextlib.closing(sqlite3.connect(laboratory.directory / "ledger.sqlite")) as connection:
        connection.executescript("DROP TABLE changes; UPDATE about SET version = 1")
    laboratory.killed("in-schema")
    with contextlib.closing(sqlite3.connect(laboratory.directory / "ledger.sqlite")) as connection:
        assert connection.execute("SELECT version FROM about").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM attempts").fetchall() == [(8,)]
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'changes'").fetchall() == []
    rows = holds(laboratory, laboratory.go_on())
    assert not any(row["verdict"] == "UNKNOWN" for row in rows)


@pytest.mark.fault("O-15")
@pytest.mark.parametrize("laboratory", [2], indirect=True)
def test_locked_out_of_its_ledger_a_campaign_loses_nothing_either(laboratory):
    """Not even the one reply that a kill would cost."""
    laboratory.reported = False
    other = sqlite3.connect(laboratory.directory / "ledger.sqlite", isolation_level=None, check_same_thread=False)
    laboratory.server.instrument.at = 8
    laboratory.server.instrument.call = lambda: other.execute("BEGIN EXCLUSIVE")
    with contextlib.closing(other):
        process = laboratory.process("", busy_s=0.05)
        assert process.exitcode == 1
        assert len((laboratory.directory / "ledger.sqlite.spill.jsonl").read_text().splitlines()) == 1
        other.execute("ROLLBACK")
    rows = holds(laboratory, laboratory.go_on())
    assert [row["state"] for row in rows] == ["DONE"] * laboratory.server.requests


def control(laboratory, asked):
    with laboratory.book() as book:
        Controls(book).ask("paper", asked)


@pytest.mark.slow
@pytest.mark.parametrize("laboratory", [1], indirect=True)
def test_killed_again_and_again_it_gets_there_all_the_same(laboratory):
    for at in AGAIN.split():
        laboratory.killed(at)
    rows = holds(laboratory, laboratory.go_on())
    assert sum(row["verdict"] == "UNKNOWN" for row in rows) == 2


@pytest.mark.fault("O-03", "O-05")
@pytest.mark.slow
@pytest.mark.parametrize(("at", "lost"), [("after-reply@8", 1), ("in-training@2", 0)], ids=["reply", "training"])
@pytest.mark.parametrize("laboratory", [1], indirect=True)
def test_so_it_is_with_the_real_command(at, lost, laboratory, prefect, home, spawn, ended, monkeypatch):
    words = ["run", PAPER]
    for key in ("plugin", "url", "first_wait_s"):
        words += ["--set", f"instrument.{key}={laboratory.written['instrument'][key]}"]
    monkeypatch.setenv(killpoints.VARIABLE, at)
    assert ended(spawn(*words)).code == -signal.SIGKILL
    monkeypatch.delenv(killpoints.VARIABLE)
    assert ended(spawn(*words)).code == 0
    laboratory.directory = home
    with laboratory.book() as book:
        result = summarize_outcome(book, "paper")
        exchange.export_campaign(book, "paper", home / "paper.jsonl")
    rows = holds(laboratory, result)
    assert sum(row["verdict"] == "UNKNOWN" for row in rows) == lost


def test_where_nothing_is_said_nobody_dies(monkeypatch):
    said = []
    monkeypatch.setattr(os, "kill", lambda *words: said.append(words))
    killpoints.arm_failpoint("")
    killpoints.pass_failpoint("after-send")
    killpoints.arm_failpoint("after-send@2")
    killpoints.pass_failpoint("after-reply")
    killpoints.pass_failpoint("after-send")
    assert said == []
    assert list(killpoints.pass_failpoint_each("after-send", [1, 2])) == [1, 2]
    assert said == [(os.getpid(), signal.SIGKILL)]
    killpoints.arm_failpoint("")
