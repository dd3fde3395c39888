"""BENCHMARKS.md: its tables that compare methods are what the runs beside them give, its Python prints what it says."""

import csv
import re
import subprocess
import sys

import numpy as np
import pytest
from places import DEPLOYMENTS, ROOT

PAGE = (ROOT / "BENCHMARKS.md").read_text(encoding="utf-8")
BUDGET = 60
PROBLEMS = {
    "the paper's target, 1 %, at night": "dark",
    "the same by day": "daylight",
    "a lamp is switched on": "lamp",
    "LEDs that age": "ageing",
    "light and noise of real runs": "recorded",
    "robotic arm, four joints, noise": "robotic-arm",
    "sinewave, noise": "sinewave",
}
STRATEGIES = {
    "sdl": "sdl",
    "BoFire": "bofire",
    "BoTorch": "botorch",
    "BayBE": "baybe",
    "Ax": "ax",
    "Latin hypercube and PLS": "hypercube-pls",
    "random": "random",
}
NOT_RUN = "not run"


def read_runs():
    """Requests of each run, by problem and strategy, in the order of the seeds."""
    with (DEPLOYMENTS / "backtest.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return {(problem, strategy): np.array(requests.split(), float) for problem, strategy, requests in rows}


RUNS = read_runs()


def cells(heading):
    """The cells of the first table below a heading, by problem and strategy."""
    after = PAGE[PAGE.index(f"### {heading}") :]
    lines = [line for line in re.split(r"\n##+ ", after)[0].splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip().replace("**", "") for cell in line.strip("|").split("|")] for line in lines)
    for problem, *values in rows:
        for strategy, value in zip(header[1:], values, strict=True):
            yield PROBLEMS[problem], STRATEGIES[strategy], value


def table(heading):
    """The cells with the runs that they stand on; what was not run has none."""
    found = list(cells(heading))
    assert len(found) >= 42
    for problem, strategy, value in found:
        assert ((problem, strategy) in RUNS) == (value != NOT_RUN), (problem, strategy)
    return [
        (problem, strategy, value, RUNS[problem, strategy]) for problem, strategy, value in found if value != NOT_RUN
    ]


def interval(statistics):
    return np.percentile(statistics, [2.5, 97.5])


def medians(runs):
    """Bootstrapped medians, ``(4000,)``."""
    return np.median(np.random.default_rng(0).choice(runs, (4000, runs.size)), axis=1)


def numbers(value):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", value)]


def test_medians_and_their_intervals_are_those_of_the_runs():
    for problem, strategy, value, runs in table("How many requests until a target is verified?"):
        median, *bounds = numbers(value)
        assert median == np.median(runs), (problem, strategy)
        low, high = interval(medians(runs))
        assert bounds == pytest.approx([low, high], abs=1.5) if bounds else low == high == BUDGET, (problem, strategy)


def test_acceleration_factors_are_those_of_the_runs():
    for problem, strategy, value, runs in table("What is that as an acceleration factor?"):
        ours = RUNS[problem, "sdl"]
        factor, *bounds = numbers(value)
        assert factor == pytest.approx(np.median(runs) / np.median(ours), abs=0.051), (problem, strategy)
        assert value.startswith("at least") == (np.median(runs) >= BUDGET), (problem, strategy)
        if bounds:
            rng = np.random.default_rng(1)
            ratios = medians(runs) / np.median(rng.choice(ours, (4000, ours.size)), axis=1)
            assert bounds == pytest.approx(interval(ratios), abs=0.16), (problem, strategy)


def test_shares_verified_are_those_of_the_runs():
    for problem, strategy, value, runs in table("How many runs are verified at all within 60 requests?"):
        assert numbers(value) == [round(100 * np.mean(runs < BUDGET))], (problem, strategy)


def test_seed_by_seed_bofire_needs_more_by_what_is_said():
    for problem in ("dark", "ageing"):
        theirs = RUNS[problem, "bofire"]
        assert np.mean(theirs - RUNS[problem, "sdl"][: theirs.size]) == 7.5
    assert "takes 7.5 requests more on both" in PAGE


@pytest.mark.slow
def test_python_prints_what_stands_below_it():
    ((program, printed),) = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", PAGE, flags=re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_every_command_that_is_named_exists():
    """Each benchmark takes minutes to hours, so that only its name is tried here."""
    from flows.benchmarks import suite

    named = re.findall(r"^    sdl benchmark (\S+)", PAGE, flags=re.MULTILINE)
    assert len(named) > 8
    assert [name for name in named if name not in suite.BENCHMARKS] == []
