"""The closed loop on twins: requests until VERIFIED for the paper's target, and whether its verdicts are true.

A twin knows its noise-free readings, so each verdict can be held against the truth at the time of its exam: in the
dark, in daylight, at a wider tolerance, with a lamp that somebody switches on on the way, and with the ledger of an
earlier campaign: of another day, of another instrument of the kind, of something else. Beside it what the paper does:
one regression on 100 points, which knows nothing of the background and examines nothing.
"""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from sklearn.cross_decomposition import PLSRegression

from flows.terminal import figure_table
from sdl.analysis.lesson_learning import learned
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.history import Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from sdl.space import Readings
from strategies.designs import LatinHypercube
from strategies.evaluation.backtest import contradicted, meets
from strategies.evaluation.simulation import Rehearsal
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

FILE = Path(__file__).parents[2] / "deployments" / "paper.toml"
PAPER: dict[str, Any] = {
    "name": "paper",
    "budget": 100,
    "instrument": "twin",
    "targets": [{"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}],
}
"""The campaign if that file is not there."""


@dataclass(frozen=True)
class Condition:
    """What the twin is like, how near the target has to be met, and what is asked of the campaigns."""

    twin: Mapping[str, Any]
    tolerance: str
    bars: Mapping[str, float]
    """The least share of campaigns that end VERIFIED, else the most that is accepted."""
    lamp: bool = False
    """Whether a lamp is switched on on the way."""
    earlier: Mapping[str, Any] | None = None
    """The twin of an earlier campaign, cold and in its own light, that this one starts from; None for a cold start."""
    unit: bool = False
    """Whether the twin is another instrument than that one, made of other parts: another one for each seed."""
    swapped: bool = False
    """Whether the knobs of the earlier one moved other lamps."""


DARK: dict[str, Any] = {"daylight": "dark"}
DAYLIGHT: dict[str, Any] = {"daylight": 1500.0, "memory_h": 1.0}
NARROW = {"verified": 0.98, "false": 0.01, "median": 13.0, "p95": 26.0}
WIDE = {"verified": 0.98, "false": 0.01, "median": 9.0}
CONDITIONS = {
    "dark": Condition(DARK, "1 %", NARROW),
    "daylight": Condition(DAYLIGHT, "1 %", NARROW),
    "dark, 2 %": Condition(DARK, "2 %", WIDE),
    "daylight, 2 %": Condition(DAYLIGHT, "2 %", WIDE),
    "lamp": Condition(DAYLIGHT, "1 %", {"verified": 0.95, "false": 0.01}, lamp=True),
}
HELPED = {"verified": 0.98, "false": 0.01}
CONDITIONS |= {
    f"{light}, {name}": Condition(twin, "1 %", HELPED | {"median": median}, earlier=before, **options)
    for light, twin, before in (("dark", DARK, DAYLIGHT), ("daylight", DAYLIGHT, DAYLIGHT))
    for name, median, options in (
        ("an earlier day", 10.0, {}),
        ("a second instrument", 12.0, {"unit": True}),
        ("history of something else", 14.0, {"swapped": True}),
    )
}
EARLIER = 5000
"""Seed of the first earlier campaign's twin."""
LAMP = 1000.0
"""Counts at 515nm of that lamp; it adds 4,400 at 630nm."""
SWITCHED_AFTER = (2, 9)
"""Requests after which it is switched on: from the first number on, fewer than the second."""
BLIND = 100
"""Points of the regression that knows nothing of the background."""
RESAMPLES = 2000
SHOWN = {
    "verified": "VERIFIED",
    "false": "false verdicts",
    "median": "requests, median",
    "p95": "requests, 95 %",
    "max": "requests, most",
    "exams": "exams a campaign",
    "blind": f"PLS on {BLIND} points, within tolerance",
}
SHARES = ("verified", "false", "blind")

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Fate:
    """What became of one campaign."""

    condition: str
    requests: int
    """To VERIFIED, everything counted; the whole budget for a campaign that did not get there."""
    verified: bool
    exams: int
    verdicts: int
    """VERIFIED or REFUTED."""
    false: int
    """Verdicts that the truth contradicts."""
    blind: bool
    """Whether the regression that knows nothing of the background meets the target in the same light."""


def run(
    seeds: int = 100,
    processes: int | None = None,
    models: Sequence[str] = (),
    progress: Progress = lambda done, of: None,
) -> dict[str, Any]:
    """Run the benchmark, about five minutes on two processors.

    Args:
        seeds: Campaigns in each condition, each on a twin of its own.
        processes: As many as there are processors unless told; 1 stays in this one.
        models: Inverse models instead of those of the campaign.
        progress: Called with the number of campaigns done, and of all.

    Returns:
        Plain data: ``campaign``, ``seeds``, ``conditions`` (each figure with its 95 % interval, by bootstrap over
        seeds) and ``bars``.

    Raises:
        InvalidInput: for a model that is not installed.
    """
    written = (tomllib.loads(FILE.read_text("utf-8")) if FILE.is_file() else PAPER) | {"instrument": "twin"}
    written |= {"models": list(models)} if models else {}
    prepare(written)
    jobs = [(condition, seed) for seed in range(seeds) for condition in CONDITIONS]
    fates = []
    for fate in _each(partial(rehearse, written), jobs, processes or os.cpu_count() or 1):
        fates.append(fate)
        progress(len(fates), len(jobs))
    conditions = [_figures(name, [fate for fate in fates if fate.condition == name]) for name in CONDITIONS]
    bars = [_bar(each, name) for each in conditions for name in CONDITIONS[each["condition"]].bars]
    return {"campaign": written, "seeds": seeds, "conditions": conditions, "bars": bars}


def rehearse(written: dict[str, Any], job: tuple[str, int]) -> Fate:
    """Run one campaign, given its condition and seed, and judge its verdicts by the truth."""
    condition, seed = job
    twin = _twin(condition, seed)
    targets = [dict(each) | {"tolerance": CONDITIONS[condition].tolerance} for each in written["targets"]]
    written = written | {"seed": seed, "targets": targets}
    plan = Plan(Campaign.parse(written | _history(written, CONDITIONS[condition], seed)), twin.space)
    truth = list[Readings]()
    campaign = Rehearsal(plan, twin, watch=lambda each: truth.append(twin.truth(each.settings)[plan.columns]))
    with one_thread():
        campaign.run()
        blind = _blind(plan, _twin(condition, seed), seed)
    judged = [each for each in campaign.findings if each.verdict in (Verdict.VERIFIED, Verdict.REFUTED)]
    false = sum(contradicted(each, plan, np.array(truth), campaign.observations) for each in judged)
    passed = {each.target for each in judged if each.verdict is Verdict.VERIFIED}
    verified = passed == {each.name for each in plan.targets}
    requests = len(campaign.observations) if verified else plan.campaign.budget
    return Fate(condition, requests, verified, len(campaign.exams), len(judged), false, blind)


def tables(result: dict[str, Any]) -> list[Table]:
    """What ``run`` returned, for people: a table of cold starts, and one of those with history."""
    cold = [each for each in result["conditions"] if CONDITIONS[each["condition"]].earlier is None]
    return [_table(result, each) for each in (cold, [each for each in result["conditions"] if each not in cold])]


def _table(result: dict[str, Any], conditions: Sequence[dict[str, Any]]) -> Table:
    seeds = result["seeds"]
    caption = (
        f"95 % intervals in brackets; what never happened in {seeds} may yet be as frequent as {min(3 / seeds, 1):.0%}"
    )
    names = [condition["condition"] for condition in conditions]
    shown = figure_table(f"The closed loop, {seeds} campaigns a condition", [""], names, caption=caption)
    bars = {(bar["condition"], bar["figure"]): bar for bar in result["bars"]}
    for name, label in SHOWN.items():
        cells = [_cell(name, each[name]) + _judged(name, bars.get((each["condition"], name))) for each in conditions]
        shown.add_row(label, *cells)
    return shown


# ---------------------------------------------------------------------- one campaign


class _Lamp(Twin):
    """A twin in whose room somebody switches a lamp on."""

    def __init__(self, after: int, **options: Any) -> None:
        super().__init__(**options)
        self.left = after

    def measure(self, settings: Mapping[str, float]) -> Reply:
        self.lamp = 0.0 if self.left > 0 else LAMP
        self.left -= 1
        return super().measure(settings)


def _twin(condition: str, seed: int) -> Twin:
    options: dict[str, Any] = {"seed": 1000 + seed, **CONDITIONS[condition].twin}
    options |= {"unit": 1 + seed} if CONDITIONS[condition].unit else {}
    if not CONDITIONS[condition].lamp:
        return Twin(**options)
    return _Lamp(int(np.random.default_rng(seed).integers(*SWITCHED_AFTER)), **options)


class _Swapped(Twin):
    """A twin whose knobs move the lamps of their neighbours."""

    def measure(self, settings: Mapping[str, float]) -> Reply:
        names = list(settings)
        reply = super().measure(dict(zip(names, (settings[name] for name in names[1:] + names[:1]), strict=True)))
        return replace(reply, applied=dict(settings))


def _history(written: dict[str, Any], condition: Condition, seed: int) -> dict[str, Any]:
    """What the campaign file says of an earlier campaign, which is run for that."""
    if condition.earlier is None:
        return {}
    before = (_Swapped if condition.swapped else Twin)(seed=EARLIER + seed, **condition.earlier)
    earlier = Rehearsal(Plan(Campaign.parse(written), before.space), before)
    with one_thread():
        earlier.run()
    same = not (condition.unit or condition.swapped)
    lesson = learned("an earlier day", before.identity, before.space, earlier.observations, same=same)
    return {"history": {"lessons": [lesson]}}


def _blind(plan: Plan, twin: Twin, seed: int) -> bool:
    """Whether settings by partial least squares on a Latin hypercube meet the first target."""
    settings = LatinHypercube().propose(twin.space, BLIND, np.random.default_rng(seed))
    replies = [twin.measure(twin.space.named_settings(row)).readings for row in settings]
    readings = np.array([list(reply.values()) for reply in replies], float)[:, plan.columns]
    kept = (readings < twin.space.ceiling[plan.columns]).all(axis=1)
    target = plan.targets[0]
    fixed = np.isfinite(target.readings)
    fitted = PLSRegression(min(3, int(fixed.sum()))).fit(readings[kept][:, fixed], settings[kept])
    found = np.clip(fitted.predict(target.readings[None, fixed])[0], 0, 1)
    return meets(target, twin.truth(found)[plan.columns])


# ---------------------------------------------------------------------- all of them


def _each(step: Callable[[tuple[str, int]], Fate], jobs: Sequence[tuple[str, int]], processes: int) -> Iterable[Fate]:
    if processes == 1:
        yield from map(step, jobs)
        return
    # Spawned, not forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn")) as pool:
        yield from pool.map(step, jobs)


def _figures(condition: str, fates: Sequence[Fate]) -> dict[str, Any]:
    """The figures of one condition, each with its value and a 95 % interval."""
    again = np.random.default_rng(0).integers(len(fates), size=(RESAMPLES, len(fates)))
    rows = np.array([(f.requests, f.verified, f.exams, f.verdicts, f.false, f.blind) for f in fates], float).T
    values, drawn = _summary(rows), _summary(rows[:, again])
    figures = {}
    for name, value in values.items():
        low, high = np.percentile(drawn[name], (2.5, 97.5)).tolist()
        figures[name] = {"value": float(value), "low": low, "high": high}
    counts = {"verdicts": int(rows[3].sum()), "false verdicts": int(rows[4].sum())}
    return {"condition": condition, "campaigns": len(fates), **counts, **figures}


def _summary(rows: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Figures ``(...)`` over the last axis of rows ``(6, ..., n)`` of fates."""
    requests, verified, exams, verdicts, false, blind = rows
    return {
        "verified": verified.mean(axis=-1),
        "false": false.sum(axis=-1) / np.maximum(verdicts.sum(axis=-1), 1),
        "median": np.median(requests, axis=-1),
        "p95": np.percentile(requests, 95, axis=-1),
        "max": requests.max(axis=-1),
        "exams": exams.mean(axis=-1),
        "blind": blind.mean(axis=-1),
    }


def _bar(condition: dict[str, Any], name: str) -> dict[str, Any]:
    value, bar = condition[name]["value"], CONDITIONS[condition["condition"]].bars[name]
    met = value >= bar if name == "verified" else value <= bar
    return {"condition": condition["condition"], "figure": name, "value": value, "bar": bar, "met": met}


def _cell(name: str, figure: dict[str, float]) -> str:
    value, low, high = (_number(name, figure[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _judged(name: str, bar: Mapping[str, Any] | None) -> str:
    if bar is None:
        return ""
    wanted = f"{'>=' if name == 'verified' else '<='} {_number(name, bar['bar'])}"
    return f"\n{wanted}: {'met' if bar['met'] else 'not met'}"


def _number(name: str, value: float) -> str:
    return f"{value:.1%}" if name in SHARES else f"{value:.3g}"
