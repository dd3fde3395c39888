"""The closed loop on twins: requests until VERIFIED for the paper's target, and whether its verdicts are true.

A twin knows its noise-free readings, so each verdict can be held against the truth at the time of its exam: in the
dark, in daylight, at a wider tolerance, with a lamp that somebody switches on on the way, and with the ledger of an
earlier campaign: of another day, of another instrument of the kind, of something else. Beside it what the paper does:
one regression on 100 points, which knows nothing of the background and examines nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.table import Table
from sklearn.cross_decomposition import PLSRegression

from flows.benchmarks.cells import Progress, work_out_all
from flows.benchmarks.decisions.scenario_figures import Array, scenario_table, summarise_scenarios
from sdl.analysis.lesson_learning import learn_lesson
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Reply
from strategies.designs import LatinHypercube
from strategies.evaluation.judged_campaign import JudgedCampaign, meets_target
from strategies.evaluation.scenarios import SCENARIOS, Scenario
from strategies.evaluation.simulation import Simulation
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

PAPER: dict[str, Any] = {
    "name": "paper",
    "budget": 100,
    "instrument": "twin",
    "targets": [{"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}],
}
"""The campaign of ``deployments/paper.toml``, on the twin."""


@dataclass(frozen=True)
class LoopCase:
    """In which scenario the campaigns run, how near the target has to be met, and what is asked of them."""

    scenario: str
    tolerance: str
    bars: Mapping[str, float]
    """The least share of campaigns that end VERIFIED, else the most that is accepted."""
    lamp: bool = False
    """Whether a lamp is switched on on the way."""
    earlier: str | None = None
    """Scenario of an earlier campaign, cold and in its own light, that this one starts from; None for a cold start."""
    unit: bool = False
    """Whether the twin is another instrument than that one, made of other parts: another one for each seed."""
    swapped: bool = False
    """Whether the knobs of the earlier one moved other lamps."""

    def scenario_of(self, seed: int) -> Scenario:
        """The scenario, with the lamp of a seed where there is one."""
        scenario = SCENARIOS[self.scenario]
        if not self.lamp:
            return scenario
        return replace(scenario, lamp=(int(np.random.default_rng(seed).integers(*SWITCHED_AFTER)), LAMP))

    def build(self, seed: int) -> Twin:
        """The twin of a seed."""
        twin: Twin = self.scenario_of(seed).build(1000 + seed, **({"unit": 1 + seed} if self.unit else {}))
        return twin


NARROW = {"verified": 0.98, "false": 0.01, "median": 13.0, "p95": 26.0}
WIDE = {"verified": 0.98, "false": 0.01, "median": 9.0}
WITH_HISTORY = {"verified": 0.98, "false": 0.01}
CASES = {
    "dark": LoopCase("dark", "1 %", NARROW),
    "daylight": LoopCase("daylight", "1 %", NARROW),
    "dark, 2 %": LoopCase("dark", "2 %", WIDE),
    "daylight, 2 %": LoopCase("daylight", "2 %", WIDE),
    "lamp": LoopCase("daylight", "1 %", {"verified": 0.95, "false": 0.01}, lamp=True),
} | {
    f"{light}, {name}": LoopCase(light, "1 %", WITH_HISTORY | {"median": median}, earlier="daylight", **options)
    for light in ("dark", "daylight")
    for name, median, options in (
        ("an earlier day", 10.0, {}),
        ("a second instrument", 12.0, {"unit": True}),
        ("history of something else", 14.0, {"swapped": True}),
    )
}
EARLIER = 5000
"""Seed of the first earlier campaign's twin."""
LAMP = 1000.0
"""Counts at 515nm of that lamp."""
SWITCHED_AFTER = (2, 9)
"""Requests after which it is switched on: from the first number on, fewer than the second."""
BLIND = 100
"""Points of the regression that knows nothing of the background."""
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


def run_loop_benchmark(
    seeds: int = 100,
    processes: int | None = None,
    models: Sequence[str] = (),
    progress: Progress = lambda done, of: None,
) -> dict[str, Any]:
    """Run the benchmark, about five minutes on two processors.

    Args:
        seeds: Campaigns in each case, each on a twin of its own.
        processes: As many as there are processors if it is None; 0 to stay in this one.
        models: Inverse models instead of those of the campaign.
        progress: Called with the number of campaigns done, and of all.

    Returns:
        Plain data: ``campaign``, ``seeds``, ``conditions`` (each figure with its 95 % interval, by bootstrap over
        seeds) and ``bars``.

    Raises:
        InvalidInput: for a model that is not installed.
    """
    config = PAPER | ({"models": list(models)} if models else {})
    prepare(config)
    cells = [{"campaign": config, "condition": name, "seed": seed} for seed in range(seeds) for name in CASES]
    outcomes = work_out_all(run_loop_cell, cells, processes, progress)
    bars = {name: case.bars for name, case in CASES.items()}
    figures = summarise_scenarios(outcomes, bars, _summarise, at_least="verified")
    return {"campaign": config, "seeds": seeds, **figures}


def run_loop_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Run one campaign and judge its verdicts by the truth.

    Args:
        cell: ``campaign`` as it is written down, the name of its case (``condition``), and the ``seed``.

    Returns:
        ``condition``, ``requests`` (to VERIFIED; else the whole budget), ``verified``, ``exams``, ``verdicts``
        (VERIFIED or REFUTED), ``false`` (those that the truth contradicts), and ``blind`` (whether the regression that
        knows nothing of the background meets the target in the same light).
    """
    case, seed = CASES[cell["condition"]], cell["seed"]
    targets = [{**target, "tolerance": case.tolerance} for target in cell["campaign"]["targets"]]
    config = {**cell["campaign"], "seed": seed, "targets": targets}
    twin = case.build(seed)
    plan = Plan(Campaign.parse(config | _history(config, case, seed)), twin.space)
    campaign = JudgedCampaign(plan, twin, case.scenario_of(seed))
    campaign.run()
    with one_thread():
        blind = _meets_blindly(plan, case, seed)
    return {
        "condition": cell["condition"],
        "requests": campaign.requests,
        "verified": campaign.verified,
        "exams": len(campaign.simulation.exams),
        "verdicts": len(campaign.judged),
        "false": len(campaign.false),
        "blind": blind,
    }


def loop_tables(result: Mapping[str, Any]) -> list[Table]:
    """The benchmark's result for people: a table of cold starts, and one of those with history."""
    seeds, bars = result["seeds"], result["bars"]
    title = f"The closed loop, {seeds} campaigns a condition"
    frequent = f"{min(3 / seeds, 1):.0%}"
    caption = f"95 % intervals in brackets; what never happened in {seeds} may yet be as frequent as {frequent}"
    cold = [each for each in result["conditions"] if CASES[each["condition"]].earlier is None]
    helped = [each for each in result["conditions"] if each not in cold]
    return [scenario_table(title, caption, some, bars, SHOWN, SHARES, "verified") for some in (cold, helped)]


class _Swapped(Twin):
    """A twin whose knobs move the lamps of their neighbours."""

    def measure(self, settings: Mapping[str, float]) -> Reply:
        names = list(settings)
        reply = super().measure(dict(zip(names, (settings[name] for name in names[1:] + names[:1]), strict=True)))
        return replace(reply, applied=dict(settings))


def _history(config: dict[str, Any], case: LoopCase, seed: int) -> dict[str, Any]:
    """What the campaign file says of an earlier campaign, which is run for that."""
    if case.earlier is None:
        return {}
    twin = (_Swapped if case.swapped else Twin)(seed=EARLIER + seed, **SCENARIOS[case.earlier].options)
    earlier = Simulation(Plan(Campaign.parse(config), twin.space), twin)
    with one_thread():
        earlier.run()
    same = not (case.unit or case.swapped)
    lesson = learn_lesson("an earlier day", twin.identity, twin.space, earlier.observations, same=same)
    return {"history": {"lessons": [lesson]}}


def _meets_blindly(plan: Plan, case: LoopCase, seed: int) -> bool:
    """Whether settings by partial least squares on a Latin hypercube meet the first target."""
    twin, scenario, rows = case.build(seed), case.scenario_of(seed), list[list[float]]()
    settings = LatinHypercube().propose(twin.space, BLIND, np.random.default_rng(seed))
    for row in settings:
        rows.append(list(twin.measure(twin.space.named_settings(row)).readings.values()))
        scenario.befall(twin, len(rows))
    readings = np.array(rows, float)[:, plan.columns]
    kept = (readings < twin.space.ceiling[plan.columns]).all(axis=1)
    target = plan.targets[0]
    wanted = target.window.wanted
    fixed = np.isfinite(wanted)
    regression = PLSRegression(min(3, int(fixed.sum()))).fit(readings[kept][:, fixed], settings[kept])
    answer = np.clip(regression.predict(wanted[None, fixed])[0], 0, 1)
    return meets_target(target, twin.truth(answer)[plan.columns])


def _summarise(campaigns: dict[str, Array]) -> dict[str, Array]:
    """Figures ``(...)`` over the last axis of what became of campaigns."""
    requests, verdicts = campaigns["requests"], campaigns["verdicts"]
    return {
        "verified": campaigns["verified"].mean(axis=-1),
        "false": campaigns["false"].sum(axis=-1) / np.maximum(verdicts.sum(axis=-1), 1),
        "median": np.median(requests, axis=-1),
        "p95": np.percentile(requests, 95, axis=-1),
        "max": requests.max(axis=-1),
        "exams": campaigns["exams"].mean(axis=-1),
        "blind": campaigns["blind"].mean(axis=-1),
    }
