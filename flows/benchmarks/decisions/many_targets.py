"""Many targets in one campaign: what they cost together, and whether each gets a verdict that is true.

The targets are readings at 445, 515 and 630 nm - blue, green and red - that the LEDs give at random settings in the
dark, uniform over the box, and a few that no settings give. Of a small reading 2 % are less than its noise, and no
exam of reasonable length can show it, so only those are posed whose tolerance is a stated number of times the noise of
one reading, or more, in every channel. A twin knows whether a target can be had in the light of a moment.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.cells import Progress, work_out_all
from flows.benchmarks.decisions.scenario_figures import Array, scenario_table, summarise_scenarios
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Finding, Observation, Verdict
from sdl.instruments.claude_light.twin import Twin
from sdl.space import Readings, Settings
from strategies.answers.reachability import reach
from strategies.evaluation.judged_campaign import JudgedCampaign
from strategies.evaluation.scenarios import SCENARIOS
from strategies.numerics.projection import project
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


@dataclass(frozen=True)
class ManyTargetsCase:
    """In which scenario the campaigns run, how dim a target may be, and what is asked of them."""

    scenario: str
    bright: float
    """Tolerance of a target in units of the noise of one reading, at least, in each channel."""
    bars: Mapping[str, float]


BARS = {"requests": float(A_TARGET), "settled": 1.0, "false": 0.01}
CASES = {
    "dark": ManyTargetsCase("dark", 1.5, BARS),
    "daylight": ManyTargetsCase("daylight", 1.5, BARS),
    "dark, dim too": ManyTargetsCase("dark", 1.0, {"false": 0.01}),
    "daylight, dim too": ManyTargetsCase("daylight", 1.0, {"false": 0.01}),
}
SHOWN = {
    "requests": "requests a target",
    "settled": "VERIFIED, or truly NOT REACHABLE",
    "verified": "VERIFIED",
    "not reachable": "truly NOT REACHABLE",
    "false": "false verdicts",
    "exams": "exams a target",
    "references": "references a target",
    "work": "our own work between two requests, most, CPU seconds",
}
SHARES = ("settled", "verified", "not reachable", "false")


def run_many_targets_benchmark(
    seeds: int = 10, processes: int | None = None, progress: Progress = lambda done, of: None, n: int = TARGETS
) -> dict[str, Any]:
    """Run the benchmark, about a minute of a processor for each seed.

    Args:
        seeds: Campaigns in each case, each with targets and on a twin of its own.
        processes: As many as there are processors if it is None; 0 to stay in this one.
        progress: Called with the number of campaigns done, and of all.
        n: Targets of a campaign.

    Returns:
        Plain data: ``seeds``, ``targets``, ``beyond``, ``conditions`` (each figure with its 95 % interval, by
        bootstrap over seeds) and ``bars``.
    """
    cells = [{"targets": n, "condition": name, "seed": seed} for seed in range(seeds) for name in CASES]
    outcomes = work_out_all(run_many_targets_cell, cells, processes, progress)
    bars = {name: case.bars for name, case in CASES.items()}
    figures = summarise_scenarios(outcomes, bars, _summarise, at_least="settled")
    return {"seeds": seeds, "targets": n, "beyond": count_beyond(n), **figures}


@dataclass(eq=False)
class _TimedCampaign(JudgedCampaign):
    """A campaign that keeps the light of every moment and our own time between two requests."""

    light: list[Readings] = field(default_factory=list)
    """Counts that the light adds, ``(c,)``, at each observation."""
    clock: list[float] = field(default_factory=lambda: [time.process_time()])
    """Seconds of the processor at the start and at each observation."""

    def watch(self, observation: Observation) -> None:
        super().watch(observation)
        self.light.append(self.instrument.ambient()[self.plan.columns])
        self.clock.append(time.process_time())

    def truly_unreachable(self, finding: Finding) -> bool:
        """Whether no settings gave a target in the light of the last request before the verdict, which needed none."""
        target = next(each for each in self.plan.targets if each.name == finding.target)
        last = max(each.seq for each in self.simulation.observations if each.round < finding.round)
        return is_out_of_reach(TwinTruth(self.instrument, self.plan.columns, self.light[last]), target)


def run_many_targets_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Run one campaign of many targets and judge its verdicts by the truth.

    Args:
        cell: The number of ``targets``, the name of its case (``condition``), and the ``seed``.

    Returns:
        ``condition``, ``targets``, ``requests``, ``verified``, ``beyond`` (targets called NOT REACHABLE that truly
        were, in the light of that moment), ``verdicts`` (VERIFIED, REFUTED or NOT REACHABLE), ``false`` (those that
        the truth contradicts), ``exams``, ``references`` and ``work`` (longest time of our own between two requests,
        seconds of the processor).
    """
    case, n = CASES[cell["condition"]], cell["targets"]
    scenario = SCENARIOS[case.scenario]
    twin = scenario.build(1000 + cell["seed"])
    plan = Plan(many_targets_campaign(n, cell["seed"], case.bright), twin.space)
    campaign = _TimedCampaign(plan, twin, scenario)
    campaign.run()
    given_up = [each for each in campaign.simulation.findings if each.verdict is Verdict.NOT_REACHABLE]
    beyond = sum(campaign.truly_unreachable(each) for each in given_up)
    return {
        "condition": cell["condition"],
        "targets": n,
        "requests": len(campaign.truths),
        "verified": sum(each.verdict is Verdict.VERIFIED for each in campaign.judged),
        "beyond": beyond,
        "verdicts": len(campaign.judged) + len(given_up),
        "false": len(campaign.false) + len(given_up) - beyond,
        "exams": len(campaign.simulation.exams),
        "references": sum(not each.purpose.teaches for each in campaign.simulation.observations),
        "work": float(np.diff(campaign.clock).max()),
    }


def many_targets_campaign(n: int, seed: int, bright: float) -> Campaign:
    """The campaign of a seed: ``n`` targets in any order, none dimmer than ``bright`` allows."""
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
    near = project(TwinTruth(twin, columns, twin.ambient()[columns]).predict, far, TOLERANCE * far, len(CHANNELS))
    far = far[near.distance > APART * np.sqrt(len(CHANNELS))]
    readings = rng.permutation(np.concatenate((some[: n - count_beyond(n)], far[: count_beyond(n)])))
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


def count_beyond(n: int) -> int:
    """How many of ``n`` targets no settings give."""
    return max(1, round(n * BEYOND / TARGETS))


def many_targets_table(result: Mapping[str, Any]) -> Table:
    """The benchmark's result for people."""
    title = f"{result['targets']} targets in one campaign, of which no settings give {result['beyond']}, "
    title += f"{100 * TOLERANCE:g} %, {result['seeds']} campaigns a condition"
    caption = "95 % intervals in brackets"
    return scenario_table(title, caption, result["conditions"], result["bars"], SHOWN, SHARES, "settled")


# ---------------------------------------------------------------------- the truth


@dataclass(frozen=True, eq=False)
class TwinTruth:
    """What a twin truly gives in the light ``(p,)`` of a moment, over some columns."""

    twin: Twin
    columns: Sequence[int]
    light: Readings

    def predict(self, settings: Settings) -> Readings:
        counts = self.twin.truth(settings)[:, self.columns]
        return np.asarray(counts - self.twin.ambient()[self.columns] + self.light)


def is_out_of_reach(truth: TwinTruth, target: ResolvedTarget) -> bool:
    """Whether truly no settings give a target."""
    return not reach(truth, target.window, target.window.half, np.zeros(len(CHANNELS)), len(CHANNELS)).reachable


def _summarise(campaigns: dict[str, Array]) -> dict[str, Array]:
    """Figures ``(...)`` over the last axis of what became of campaigns."""
    total = {name: numbers.sum(axis=-1) for name, numbers in campaigns.items()}
    n = total["targets"]
    return {
        "requests": total["requests"] / n,
        "settled": (total["verified"] + total["beyond"]) / n,
        "verified": total["verified"] / n,
        "not reachable": total["beyond"] / n,
        "false": total["false"] / np.maximum(total["verdicts"], 1),
        "exams": total["exams"] / n,
        "references": total["references"] / n,
        "work": campaigns["work"].max(axis=-1),
    }
