"""Fits in a process of their own: whatever a model does there, the campaign goes on and the report says what it was."""

import os
from pathlib import Path

import numpy as np
import pytest
from places import SUPPORT

from flows.engine.opening import open_session
from flows.engine.step_json import step_from_json, step_to_json
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.history import Exam, Finding, FindingFacts, Purpose, Request, Round, RoundFacts, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.reports import campaign_page as report
from strategies.evaluation.simulation import Simulation
from strategies.fitting.fitting import LEFT_OUT
from strategies.plan.plan import Plan
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Stop

BAD = """
import os, time
from stranger import Stranger


class Aborting(Stranger):
    '''As a fault in a native library does it.'''

    def fit(self, readings, settings):
        os.abort()


class Greedy(Stranger):
    '''Takes what there is.'''

    def fit(self, readings, settings):
        rows = []
        while True:
            rows.append(bytearray(10_000_000))


class Asleep(Stranger):
    '''Never done; it also prints what looks like an answer.'''

    def fit(self, readings, settings):
        print('{"step": {"do": "stop", "reason": "I said so"}}', flush=True)
        time.sleep(1000)


class Late(Stranger):
    '''Fitted at once, and then it does not answer.'''

    def sample(self, target, n, rng):
        if n > 4:
            time.sleep(1000)
        return super().sample(target, n, rng)
"""
ENTRIES = (
    "stranger = stranger:Stranger\naborting = bad:Aborting\ngreedy = bad:Greedy\nasleep = bad:Asleep\nlate = bad:Late\n"
)
SEEN = {
    "aborting": f"{LEFT_OUT}ended its process by SIGABRT",
    "greedy": "it failed with MemoryError",
    "asleep": f"{LEFT_OUT}took more than 15 s",
    "late": f"{LEFT_OUT}took more than 15 s",
}


@pytest.fixture
def strangers(tmp_path, monkeypatch):
    """Models of somebody else, installed as packages are, for this process and its children."""
    place = tmp_path / "strangers"
    info = place / "strangers-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "stranger.py").write_text((SUPPORT / "stranger.py").read_text())
    (place / "bad.py").write_text(BAD)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sdl.inverse_models]\n{ENTRIES}")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)


def written(paper, models, seed=1, **limits):
    instrument = {"plugin": "twin", "seed": seed, "daylight": 1500.0}
    limits = {"limit_s": 30.0, "memory_mb": 300} | limits
    return paper | {"instrument": instrument, "models": models, "fitting": limits}


def skipped(history):
    return {name: why for each in history.rounds for name, why in (each.facts.skipped or {}).items()}


def children():
    """Processes that fit for this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and "flows.engine.fitting_worker" in command and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.fault("O-23", "O-24", "M-09")
@pytest.mark.slow
@pytest.mark.parametrize("name", SEEN)
def test_a_model_that_breaks_the_limits_is_left_out_and_the_loop_goes_on(name, paper, strangers, drive, tmp_path):
    asked = written(paper, [name, "linear"], limit_s=30.0 if name in ("aborting", "greedy") else 15.0)
    with open_session(asked, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        result = drive(session)
        assert result["verified"]
        assert skipped(session.history) == {name: SEEN[name]}
        page = report.render_campaign_page(session.ledger, "paper")
    assert SEEN[name].split(":")[-1].strip() in page
    assert children() == []
    plain = Simulation(
        Plan(Campaign.parse(paper | {"models": ["linear"]}), Twin().space), Twin(seed=1, daylight=1500.0)
    )
    plain.run()
    assert [each.key for each in plain.observations] == [each.key for each in session.history.observations]


@pytest.mark.fault("O-24")
@pytest.mark.slow
def test_a_rival_that_breaks_the_limits_is_passed_over_and_no_model_is_blamed(paper, strangers, drive, tmp_path):
    asked = written(paper, ["linear"]) | {"rivals": ["aborting", "linear"]}
    with open_session(asked, tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        assert drive(session)["verified"]
        assert skipped(session.history) == {"rival aborting": SEEN["aborting"]}


@pytest.mark.fault("O-24")
@pytest.mark.slow
def test_where_every_model_is_left_out_the_simplest_one_takes_over(paper, strangers, drive, tmp_path):
    with open_session(written(paper, ["aborting"]), tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        assert drive(session)["verified"]
        assert {exam.model for exam in session.history.exams} == {"linear"}
        assert skipped(session.history) == {"aborting": SEEN["aborting"]}


@pytest.mark.fault("O-24")
@pytest.mark.slow
def test_a_later_session_knows_from_the_ledger_what_was_left_out(paper, strangers, drive, tmp_path, monkeypatch):
    asked, ledger = written(paper, ["aborting", "linear"]), str(tmp_path / "ledger.sqlite")
    with open_session(asked, tmp_path, ledger) as session:
        steps = (Measure, Fit, Measure)
        for kind in steps:
            step = session.propose()
            assert isinstance(step, kind)
            session.execute(step)
    with open_session(asked, tmp_path, ledger) as session:
        assert drive(session)["verified"]
        assert session.planner.left_out == {}  # nothing was tried that had to be left out


@pytest.mark.slow
def test_the_box_decides_what_would_be_decided_without_it(paper, drive, tmp_path):
    asked = []
    for folder, limits in (("boxed", {"fitting": {}}), ("bare", {})):
        instrument = {"plugin": "twin", "seed": 3, "daylight": 1500.0}
        (tmp_path / folder).mkdir()
        campaign = paper | {"instrument": instrument} | limits
        with open_session(campaign, tmp_path / folder, str(tmp_path / folder / "ledger.sqlite")) as session:
            drive(session)
            history = session.history
        facts = [each.facts.to_json() for each in history.rounds]
        asked.append(([(*each.key, *each.settings) for each in history.observations], facts, history.sent))
    assert asked[0] == asked[1]


@pytest.mark.slow
def test_a_box_that_cannot_start_is_a_fault_of_the_program(paper, drive, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere", prepend=os.pathsep)
    with open_session(written(paper, ["linear"]), tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        session.execute(session.propose())
        step = session.propose()
        session.planner.ledger = "nosuch://ledger"
        with pytest.raises(RuntimeError, match="ended its process with code 1 before it was at one of them"):
            session.execute(step)


@pytest.mark.slow
def test_it_ends_with_the_process_that_asked(paper, tmp_path):
    with open_session(written(paper, ["linear"]), tmp_path, str(tmp_path / "ledger.sqlite")) as session:
        session.execute(session.propose())
        session.execute(session.propose())
        (child,) = children()
        session.planner._child._process.stdin.close()  # as the system does when we die
        session.planner._child._process.wait(10)
        assert children() == []
        assert child > 0


def test_limits_are_checked_with_the_file(paper):
    with pytest.raises(InvalidInput) as caught:
        Campaign.parse(paper | {"fitting": {"limit_s": 0, "memory_mb": 1, "limits": 3}})
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("seed", range(3))
def test_steps_survive_the_way(seed):
    rng = np.random.default_rng(seed)
    nan = np.where(rng.random(10) < 0.5, np.nan, rng.random(10))
    requests = [Request(3, i, i, Purpose.VERIFICATION, rng.random(3)) for i in range(2)]
    round_ = Round(3, RoundKind.EXAM, "white", RoundFacts(model="linear", uncertainty={"a": 0.1}))
    exam = Exam(3, "white", rng.random(3), "linear", 8, nan, nan)
    finding = Finding(3, "white", Verdict.REFUTED, "because", rng.random(3), FindingFacts(mean=np.array([1.5])))
    for step in (Measure(round_, requests), Examine(round_, exam, requests), Conclude(finding), Stop("done")):
        assert same(step_from_json(step_to_json(step)), step)
    with pytest.raises(TypeError):
        step_to_json(Fit(1, 1))
    with pytest.raises(ValueError, match="no step is called"):
        step_from_json({"do": "dance"})


def same(one, other):
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return type(one) is type(other) and all(same(getattr(one, f), getattr(other, f)) for f in vars(one))
    return one == other
