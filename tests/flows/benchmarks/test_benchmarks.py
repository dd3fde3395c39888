"""The benchmarks on tiny problems: what they count, what they hold against their bars, what they show."""

import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from sqlalchemy import event
from sqlalchemy.engine import Engine

from flows.benchmarks.decisions import acquisitions, loop
from flows.benchmarks.decisions import many_targets as sweep
from flows.benchmarks.operation import ledger, speed
from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.history import Finding, Observation, Purpose, ReplyClass, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from strategies.evaluation.judged_campaign import JudgedCampaign
from strategies.evaluation.scenarios import SCENARIOS
from strategies.models.mixtures.mixture import Mixture
from strategies.plan.plan import Plan


def shown(table):
    console = Console(width=200)
    with console.capture() as text:
        console.print(table)
    return text.get()


# ---------------------------------------------------------------------- loop


@pytest.fixture(scope="module")
def looped():
    calls = []
    result = loop.run_loop_benchmark(1, processes=0, progress=lambda done, of: calls.append((done, of)))
    return result, calls


def test_loop_counts_every_campaign(looped):
    result, calls = looped
    assert calls == [(done, len(loop.CASES)) for done in range(1, 1 + len(loop.CASES))]
    assert [(each["condition"], each["campaigns"]) for each in result["conditions"]] == [
        (name, 1) for name in loop.CASES
    ]
    for condition in result["conditions"]:
        assert condition["verified"]["value"] == 1
        assert condition["false"]["value"] == condition["false verdicts"] == 0
        assert condition["verdicts"] >= 1
        assert condition["exams"]["value"] >= 1
        assert 4 <= condition["median"]["value"] <= condition["p95"]["value"] <= condition["max"]["value"] <= 100
        for name in loop.SHOWN:
            assert condition[name]["low"] <= condition[name]["value"] <= condition[name]["high"]


def test_loop_gives_plain_data_with_bars(looped):
    result, _ = looped
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert len(result["bars"]) == sum(len(each.bars) for each in loop.CASES.values())
    for bar in result["bars"]:
        met = bar["value"] >= bar["bar"] if bar["figure"] == "verified" else bar["value"] <= bar["bar"]
        assert bar["met"] is met


def test_loop_shows_its_figures(looped):
    text = "".join(map(shown, loop.loop_tables(looped[0])))
    assert "VERIFIED" in text
    assert "100.0% (100.0% to 100.0%)" in text
    assert "PLS on 100 points" in text
    assert ">= 98.0%: met" in text


def test_loop_is_the_same_in_other_processes(looped):
    again = loop.run_loop_benchmark(1, processes=2)
    assert again == looped[0]


def test_loop_takes_models(monkeypatch):
    monkeypatch.setattr(loop, "CASES", {"dark": loop.CASES["dark"]})
    result = loop.run_loop_benchmark(1, processes=0, models=["pls"])
    assert result["campaign"]["models"] == ["pls"]
    with pytest.raises(InvalidInput, match="unknown inverse model 'plz'; did you mean 'pls'"):
        loop.run_loop_benchmark(1, processes=0, models=["plz"])


def test_campaign_without_a_verdict_costs_its_whole_budget():
    outcome = loop.run_loop_cell({"campaign": loop.PAPER | {"budget": 6}, "condition": "dark", "seed": 0})
    assert [outcome[name] for name in ("verified", "requests", "exams", "verdicts")] == [False, 6, 0, 0]


@pytest.mark.parametrize(
    ("verdict", "off", "false"),
    [
        (Verdict.VERIFIED, [0, 160, -160], False),
        (Verdict.VERIFIED, [0, 0, 170], True),
        (Verdict.REFUTED, [0, 0, 170], False),
        (Verdict.REFUTED, [0, 160, -160], True),
    ],
)
def test_verdict_against_the_truth_of_its_exam(verdict, off, false):
    plan = Plan(Campaign.parse(loop.PAPER), Twin().space)
    nothing = {"settings": np.zeros(3), "readings": np.zeros(10), "censored": np.zeros(10, bool)}
    campaign = JudgedCampaign(plan, Twin(), SCENARIOS["dark"])
    campaign.simulation.observations += [
        Observation(round=round_, index=0, replicate=i, purpose=purpose, seq=i, verdict=ReplyClass.OK, **nothing)
        for i, (round_, purpose) in enumerate(
            [(0, Purpose.DESIGN), (1, Purpose.REFERENCE), (1, Purpose.VERIFICATION), (1, Purpose.VERIFICATION)]
        )
    ]
    campaign.truths += list(
        16384 + np.array([np.full(3, 9e3), np.full(3, -16384), np.array(off) - 5.0, np.array(off) + 5.0])
    )
    finding = Finding(1, plan.targets[0].name, verdict, "", np.zeros(3))
    assert campaign.contradicts(finding) is false


# ---------------------------------------------------------------------- speed


@pytest.fixture(scope="module")
def quick():
    return speed.run_speed_benchmark(repeats=2, batches=3, prefect=False)


def test_speed_gives_plain_data_with_bars(quick):
    assert json.loads(json.dumps(quick, allow_nan=False)) == quick
    assert {bar["figure"] for bar in quick["bars"]} == {"solve", "ledger", "import"}
    for figure in quick["figures"].values():
        assert 0 < figure["best"] <= figure["median"]


def test_a_measurement_takes_as_many_statements_late_as_early(tmp_path, monkeypatch):
    """What a measurement costs does not grow with those before it."""
    counts, taken = [], []
    monkeypatch.setattr(speed.TimedTwin, "measure", _counting(speed.TimedTwin.measure, counts, taken))
    mine = threading.get_ident()  # and not the heart that beats beside it
    event.listen(
        Engine, "before_cursor_execute", count := lambda *_: threading.get_ident() == mine and counts.append(0)
    )
    speed.time_measuring(tmp_path, 9)
    event.remove(Engine, "before_cursor_execute", count)
    between = np.diff(taken)  # statements from one reading to the next
    first, last = between[: speed.BATCH - 1], between[-speed.BATCH + 1 :]
    assert sorted(first) == sorted(last)
    assert max(last) < 20


def _counting(measure, counts, taken):
    def counted(self, settings):
        taken.append(len(counts))
        return measure(self, settings)

    return counted


def test_solving_fits_a_model_once_for_the_answer_and_once_for_its_scores_and_draws_once(tmp_path, monkeypatch):
    fits, fit, draws, sample = [], Mixture.fit, [], Mixture.sample
    monkeypatch.setattr(Mixture, "fit", lambda self, *rows: (fits.append(len(rows[0])), fit(self, *rows))[1])
    monkeypatch.setattr(Mixture, "sample", lambda self, *how: (draws.append(how[1]), sample(self, *how))[1])
    speed.time_solving(tmp_path, 1)
    assert fits == [100, 80]
    assert draws == [speed.DRAWS]


def test_the_import_of_sdl_loads_nothing_that_is_heavy():
    code = "import sys, sdl; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"numpy", "scipy", "pandas", "matplotlib", "sqlalchemy", "pydantic", "requests", "prefect", "torch"}
    assert not heavy & set(loaded)


def test_speed_shows_its_figures(quick):
    text = shown(speed.speed_table(quick))
    assert "mixture on 100 rows: fit and 1000 draws" in text
    assert "Prefect" not in text


def test_own_work_does_not_count_the_twin(tmp_path, monkeypatch):
    """By a clock that nothing moves but the twin, or but the ledger."""
    clock = {"now": 0.0}
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock["now"]))
    for number, (place, name, expected) in enumerate(
        [(speed.Twin, "measure", {"twin": 5000.0, "ledger": 0.0}), (Ledger, "send", {"twin": 0.0, "ledger": 5000.0})]
    ):
        (tmp_path / str(number)).mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(place, name, _taking_five_seconds(getattr(place, name), clock))
            figures = speed.time_measuring(tmp_path / str(number), 2)
        assert {name: figures[name]["median"] for name in figures} == pytest.approx(expected)


def _taking_five_seconds(step, clock):
    def slow(*words, **options):
        clock["now"] += 5.0
        return step(*words, **options)

    return slow


# ---------------------------------------------------------------------- ledger


def test_ledger_fills_two_ledgers_and_measures_each():
    result = ledger.run_ledger_benchmark(observations=3000, large=2000, small=500, repeats=1)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert [(each["of"], each["campaigns"]) for each in result["ledgers"].values()] == [(3000, 3), (3000, 1)]
    assert [(bar["ledger"], bar["figure"]) for bar in result["bars"]] == [
        *(("many", what) for what in ledger.BARS),
        *(("one", what) for what in ledger.HELD["one"]),
    ]
    text = shown(ledger.ledger_table(result))
    assert "3000 observations in 3 campaigns, the largest 2000" in text
    assert "3000 observations in one campaign" in text


def test_a_filled_ledger_is_one_like_any_other(tmp_path):
    ledger.fill_ledger(tmp_path / "ledger", [550, 110])
    with Ledger(tmp_path / "ledger") as book:
        seen = book.history(book.entry("large").id)
        assert len(seen.observations) == len(seen.planned) == seen.sent == 550
        assert [each.seq for each in seen.observations] == list(range(550))
        assert {each.readings.shape for each in seen.observations} == {(10,)}
        assert sum(each.purpose is Purpose.REFERENCE for each in seen.observations) == 50
        row = book.trail(book.entry("small-1").id)[5]
        assert json.loads(row["raw"])["out"] == row["out"]
        assert list(row["out"].values()) == row["readings"]


# ---------------------------------------------------------------------- acquisitions


def test_acquisitions_are_all_timed_with_a_bar_each():
    result = acquisitions.run_acquisitions_benchmark(rows=40, repeats=1)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    named = {each["acquisition"] for each in result["figures"]}
    assert named == set(plugins.names("sdl.acquisitions")) - {"likeliest"}, "which needs no ensemble"
    assert len(result["bars"]) == len(result["figures"]) == 2 * len(named)
    assert all(1 <= each["proposed"] <= 8 for each in result["figures"])
    for bar in result["bars"]:
        assert bar["met"] is (bar["value"] <= 1.0)
    assert "solution-set" in shown(acquisitions.acquisitions_table(result))


# ---------------------------------------------------------------------- sweep


@pytest.fixture(scope="module")
def swept():
    calls = []
    result = sweep.run_many_targets_benchmark(1, processes=0, progress=lambda done, of: calls.append((done, of)), n=5)
    return result, calls


def test_sweep_counts_every_target(swept):
    result, calls = swept
    assert calls == [(done, len(sweep.CASES)) for done in range(1, 1 + len(sweep.CASES))]
    assert (result["targets"], result["beyond"]) == (5, 1)
    for each in result["conditions"]:
        settled = each["verified"]["value"] + each["not reachable"]["value"]
        assert each["settled"]["value"] == pytest.approx(settled)
        assert 0.6 <= settled <= 1
        assert each["false"]["value"] == each["false verdicts"] == 0
        assert 3 * each["verified"]["value"] <= each["requests"]["value"] <= sweep.A_TARGET, "the budget is kept"
        for name in sweep.SHOWN:
            assert each[name]["low"] <= each[name]["value"] <= each[name]["high"]


def test_sweep_gives_plain_data_with_bars_and_shows_them(swept):
    result, _ = swept
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert len(result["bars"]) == sum(len(each.bars) for each in sweep.CASES.values())
    for bar in result["bars"]:
        met = bar["value"] >= bar["bar"] if bar["figure"] == "settled" else bar["value"] <= bar["bar"]
        assert bar["met"] is met
    text = shown(sweep.many_targets_table(result))
    assert "5 targets in one campaign, of which no settings give 1" in text
    assert "requests a target" in text
    assert "<= 1.0%: met" in text


@pytest.mark.parametrize("bright", [1.0, 1.5])
def test_sweep_poses_targets_that_can_be_had_and_some_that_cannot(bright):
    posed = sweep.many_targets_campaign(50, 3, bright)
    assert posed.budget == 200
    twin = Twin(session_gain=False)
    columns = twin.space.columns(sweep.CHANNELS)
    readings = np.array([list(each.readings.values()) for each in posed.targets])
    assert (0.02 * readings >= bright * twin.space.noise[columns]).all()
    assert (1.02 * readings < 65535).all()
    plan = Plan(posed, twin.space)
    truth = sweep.TwinTruth(twin, columns, twin.ambient()[columns])
    assert sum(sweep.is_out_of_reach(truth, each) for each in plan.targets) == sweep.BEYOND
