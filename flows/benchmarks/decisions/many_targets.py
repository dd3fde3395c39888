"""Many targets in one campaign: what they cost together, and whether each gets a verdict that is true.

The targets are readings at 445, 515 and 630 nm - blue, green and red - that the LEDs give at random settings in the
dark, uniform over the box, and a few that no settings give. Of a small reading 2 % are less than its noise, and no
exam of reasonable length can show it, so only those are posed whose tolerance is a stated number of times the noise of
one reading, or more, in every channel. A twin knows whether a target can be had in the light of a moment.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from flows.terminal import figure_table
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import Wanted
from sdl.history import Finding, Observation, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.space import Readings, Settings
from strategies.answers.reachability import reach
from strategies.evaluation.backtest import contradicted
from strategies.evaluation.simulation import Rehearsal
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.projection import project
from strategies.plan.exams import Outlook
from strategies.plan.plan import Plan

CHANNELS = ("445nm", "515nm", "630nm")
TARGETS = 50
BEYOND = 3
"""Of them that no settings give."""
APART = 4.0
"""Tolerances by which those are off, in the dark, at least in the root mean square over their channels."""
TOLERANCE = 0.02
A_TARGET = 4
"""Requests of the budget for each target, and the most that is accepted on average."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Condition:
    """What the twin is like, and how dim a target may be."""

    twin: Mapping[str, Any]
    bright: float
    """Tolerance of a target in units of the noise of one reading, at least, in each channel."""
    bars: Mapping[str, float]


DARK: dict[str, Any] = {"daylight": "dark"}
DAYLIGHT: dict[str, Any] = {"daylight": 1500.0, "memory_h": 1.0}
BARS = {"requests": float(A_TARGET), "settled": 1.0, "false": 0.01}
CONDITIONS = {
    "dark": Condition(DARK, 1.5, BARS),
    "daylight": Condition(DAYLIGHT, 1.5, BARS),
    "dark, dim too": Condition(DARK, 1.0, {"false": 0.01}),
    "daylight, dim too": Condition(DAYLIGHT, 1.0, {"false": 0.01}),
}
SHOWN = {
    "requests": "requests a target",
    "settled": "VERIFIED, or truly NOT REACHABLE",
    "verified": "VERIFIED",
    "not reachable": "truly NOT REACHABLE",
    "false": "false verdicts",
    "exams": "exams a target",
    "references": "references a target",
    "perfect": "for comparison: requests a target of settings known beforehand",
    "work": "our own work between two requests, most, CPU seconds",
}
SHARES = ("settled", "verified", "not reachable", "false")

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Fate:
    """What became of one campaign."""

    condition: str
    targets: int
    requests: int
    verified: int
    beyond: int
    """Targets found NOT REACHABLE that truly were, in the light of that moment."""
    verdicts: int
    """VERIFIED, REFUTED or NOT REACHABLE."""
    false: int
    """Verdicts that the truth contradicts."""
    exams: int
    references: int
    perfect: float
    """Replicates that exams of perfect settings in a steady light would take together, those that fail included."""
    work: float
    """Longest time of our own between two requests, seconds of the processor."""


def run(
    seeds: int = 10, processes: int | None = None, progress: Progress = lambda done, of: None, n: int = TARGETS
) -> dict[str, Any]:
    """Run the benchmark, about a minute of a processor for each seed.

    Args:
        seeds: Campaigns in each condition, each with targets and on a twin of its own.
        processes: As many as there are processors unless told; 1 stays in this one.
        progress: Called with the number of campaigns done, and of all.
        n: Targets of a campaign.

    Returns:
        Plain data: ``seeds``, ``targets``, ``beyond``, ``conditions`` (each figure with its 95 % interval, by
        bootstrap over seeds) and ``bars``.
    """
    jobs = [(condition, seed) for seed in range(seeds) for condition in CONDITIONS]
    fates = list[Fate]()
    for fate in _each(partial(rehearse, n), jobs, processes or os.cpu_count() or 1):
        fates.append(fate)
        progress(len(fates), len(jobs))
    conditions = [_figures(name, [fate for fate in fates if fate.condition == name]) for name in CONDITIONS]
    bars = [_bar(each, name) for each in conditions for name in CONDITIONS[each["condition"]].bars]
    return {"seeds": seeds, "targets": n, "beyond": beyond(n), "conditions": conditions, "bars": bars}


def rehearse(n: int, job: tuple[str, int]) -> Fate:
    """Run one campaign of ``n`` targets, given its condition and seed, and judge its verdicts by the truth."""
    condition, seed = job
    twin = Twin(seed=1000 + seed, **CONDITIONS[condition].twin)
    plan = Plan(campaign(n, seed, CONDITIONS[condition].bright), twin.space)
    truth, light, spent = list[Readings](), list[Readings](), list[float]([time.process_time()])

    def watch(each: Observation) -> None:
        truth.append(twin.truth(each.settings)[plan.columns])
        light.append(twin.ambient()[plan.columns])
        spent.append(time.process_time())

    rehearsal = Rehearsal(plan, twin, watch)
    with one_thread():
        rehearsal.run()
    seen, rule = rehearsal.observations, plan.campaign.verification
    found = Counter[tuple[Verdict, bool]]()
    for each in rehearsal.findings:
        if each.verdict is Verdict.NOT_REACHABLE:
            wanted = next(target for target in plan.targets if target.name == each.target)
            found[each.verdict, _out_of_reach(_Truth(twin, plan.columns, light[_before(each, seen)]), wanted)] += 1
        elif each.verdict in (Verdict.VERIFIED, Verdict.REFUTED):
            found[each.verdict, not contradicted(each, plan, np.array(truth), seen)] += 1
    lost = {each.target for each in rehearsal.findings if each.verdict is Verdict.NOT_REACHABLE}
    noise, nothing = twin.space.noise[plan.columns], np.zeros(len(plan.columns))
    exams = [
        Outlook(noise, each.tolerance, nothing, nothing, rule.confidence)
        for each in plan.targets
        if each.name not in lost
    ]
    return Fate(
        condition=condition,
        targets=n,
        requests=len(seen),
        verified=sum(of for (verdict, _), of in found.items() if verdict is Verdict.VERIFIED),
        beyond=found[Verdict.NOT_REACHABLE, True],
        verdicts=found.total(),
        false=sum(of for (_, true), of in found.items() if not true),
        exams=len(rehearsal.exams),
        references=sum(not each.purpose.teaches for each in seen),
        perfect=sum(each.price(rule.most) for each in exams),
        work=float(np.diff(spent).max()),
    )


def campaign(n: int, seed: int, bright: float) -> Campaign:
    """The campaign of a seed: ``n`` targets, none of them dimmer than told, in any order."""
    rng, twin = np.random.default_rng([n, seed]), Twin(session_gain=False)
    columns = twin.space.columns(CHANNELS)
    noise, ceiling = twin.space.noise[columns], twin.space.ceiling[columns]

    def posed(readings: Readings) -> Readings:
        """Those of readings ``(m, 3)`` that may be targets, in whole counts."""
        whole = readings.round()
        allowed = (whole * TOLERANCE >= bright * noise) & (whole * (1 + TOLERANCE) < ceiling)
        return np.asarray(whole[allowed.all(axis=1)])

    some = posed(twin.truth(rng.random((20 * n, 3)))[:, columns])
    far = posed(twin.truth(rng.random((20 * n, 3)))[:, columns] * np.exp(rng.uniform(-0.7, 0.7, (20 * n, 3))))
    near = project(_Truth(twin, columns, twin.ambient()[columns]).predict, far, TOLERANCE * far, len(CHANNELS))
    far = far[near.distance > APART * np.sqrt(len(CHANNELS))]
    readings = rng.permutation(np.concatenate((some[: n - beyond(n)], far[: beyond(n)])))
    targets = [
        {
            "name": f"colour {place + 1}",
            "readings": dict(zip(CHANNELS, row.tolist(), strict=True)),
            "tolerance": f"{100 * TOLERANCE:g} %",
        }
        for place, row in enumerate(readings)
    ]
    written = {"name": "sweep", "seed": seed, "budget": A_TARGET * n, "instrument": "twin", "targets": targets}
    return Campaign.parse(written)


def beyond(n: int) -> int:
    """How many of ``n`` targets no settings give."""
    return max(1, round(n * BEYOND / TARGETS))


def table(result: dict[str, Any]) -> Table:
    """What ``run`` returned, for people."""
    title = f"{result['targets']} targets in one campaign, of which no settings give {result['beyond']}, "
    title += f"{100 * TOLERANCE:g} %, {result['seeds']} campaigns a condition"
    names = [condition["condition"] for condition in result["conditions"]]
    shown = figure_table(title, [""], names, caption="95 % intervals in brackets")
    bars = {(bar["condition"], bar["figure"]): bar for bar in result["bars"]}
    for name, label in SHOWN.items():
        cells = [_cell(name, each[name], bars.get((each["condition"], name))) for each in result["conditions"]]
        shown.add_row(label, *cells)
    return shown


# ---------------------------------------------------------------------- the truth


@dataclass(frozen=True, eq=False)
class _Truth:
    """What a twin truly gives in the light ``(p,)`` of a moment, over some columns."""

    twin: Twin
    columns: Sequence[int]
    light: Readings

    def predict(self, settings: Settings) -> Readings:
        counts = self.twin.truth(settings)[:, self.columns]
        return np.asarray(counts - self.twin.ambient()[self.columns] + self.light)


def _out_of_reach(truth: _Truth, wanted: Wanted) -> bool:
    """Whether truly no settings give a target."""
    return not reach(truth, wanted.readings, wanted.tolerance, np.zeros(len(CHANNELS)), len(CHANNELS)).reachable


def _before(finding: Finding, seen: Sequence[Observation]) -> int:
    """The last request before a verdict that needed none."""
    return max(each.seq for each in seen if each.round < finding.round)


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
    rows = np.array([list(vars(fate).values())[1:] for fate in fates], float).T
    values, drawn = _summary(rows), _summary(rows[:, again])
    figures = {}
    for name, value in values.items():
        low, high = np.percentile(drawn[name], (2.5, 97.5)).tolist()
        figures[name] = {"value": float(value), "low": low, "high": high}
    counts = {"verdicts": int(rows[4].sum()), "false verdicts": int(rows[5].sum())}
    return {"condition": condition, "campaigns": len(fates), **counts, **figures}


def _summary(rows: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Figures ``(...)`` over the last axis of the numbers of fates ``(10, ..., n)``."""
    targets, requests, verified, lost, verdicts, false, exams, references, perfect, work = rows
    n = targets.sum(axis=-1)
    return {
        "requests": requests.sum(axis=-1) / n,
        "settled": (verified + lost).sum(axis=-1) / n,
        "verified": verified.sum(axis=-1) / n,
        "not reachable": lost.sum(axis=-1) / n,
        "false": false.sum(axis=-1) / np.maximum(verdicts.sum(axis=-1), 1),
        "exams": exams.sum(axis=-1) / n,
        "references": references.sum(axis=-1) / n,
        "perfect": perfect.sum(axis=-1) / n,
        "work": work.max(axis=-1),
    }


def _bar(condition: dict[str, Any], name: str) -> dict[str, Any]:
    value, bar = condition[name]["value"], CONDITIONS[condition["condition"]].bars[name]
    met = value >= bar if name == "settled" else value <= bar
    return {"condition": condition["condition"], "figure": name, "value": value, "bar": bar, "met": met}


def _cell(name: str, figure: dict[str, float], bar: Mapping[str, Any] | None) -> str:
    value, low, high = (_number(name, figure[key]) for key in ("value", "low", "high"))
    cell = f"{value} ({low} to {high})"
    if bar is None:
        return cell
    wanted = f"{'>=' if name == 'settled' else '<='} {_number(name, bar['bar'])}"
    return f"{cell}\n{wanted}: {'met' if bar['met'] else 'not met'}"


def _number(name: str, value: float) -> str:
    return f"{value:.1%}" if name in SHARES else f"{value:.3g}"
