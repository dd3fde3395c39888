"""One cell of the back-test: one strategy on one problem with one seed, run to its verdict and judged by the truth.

Strategies are our own loop (``sdl``), our own loop with another acquisition (``sdl:random``), and the peers by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl import plugins
from sdl.campaign.validation import ResolvedTarget
from sdl.errors import InvalidInput, UnknownPlugin, nearest
from sdl.history import Finding, Observation, Purpose, Verdict
from sdl.space import Readings
from strategies.evaluation.backtest_problems import Problem
from strategies.evaluation.peer_campaign import Guided
from strategies.evaluation.simulation import Decides, Rehearsal
from strategies.numerics.blas_threads import one_thread
from strategies.plan.plan import Plan

OURS = "sdl"
VARIANTS = ("random", "latin-hypercube")
"""Acquisitions that our own loop is tried with as well, to see what its own one gains."""


@dataclass(frozen=True)
class Run:
    """What became of one campaign."""

    requests: int
    """To VERIFIED, everything counted; the whole budget for a campaign that did not get there."""
    verified: bool
    ended: str
    """Why it ended, in words."""
    true: bool | None
    """Whether the truth bears VERIFIED out; None without that verdict, or where nobody knows the truth."""
    exams: int
    judged: int
    """Exams that ended VERIFIED or REFUTED."""
    false: int
    """Those that the truth contradicts."""
    curve: list[float | None]
    """After each request, how far the setting that read nearest to the target so far truly is from it: the error of
    its worst channel in tolerances; None before the first."""


def strategies() -> list[str]:
    """Every strategy that there is."""
    variants = [f"{OURS}:{each}" for each in VARIANTS if each in plugins.names("sdl.acquisitions")]
    return [OURS, *variants, *plugins.names("sdl.peers")]


def lacking(strategy: str) -> str:
    """Why a strategy cannot be run here, in a sentence; empty if it can.

    Raises:
        UnknownPlugin: if there is no such strategy at all.
    """
    kind, _, acquisition = strategy.partition(":")
    try:
        if kind != OURS:
            plugins.build("sdl.peers", strategy)
        elif acquisition:
            plugins.build("sdl.acquisitions", acquisition)
    except UnknownPlugin as error:
        raise UnknownPlugin(f"unknown strategy {strategy!r}{nearest(strategy, strategies())}") from error
    except InvalidInput as error:
        return f"{strategy} is left out: {error}"
    return ""


def run(problem: Problem, strategy: str, seed: int, budget: int, tolerance: float | str | None = None) -> Run:
    """Run one campaign to its end.

    Args:
        problem: What is to be solved.
        strategy: Who solves it, see ``strategies``.
        seed: Of the instrument and of the campaign: the same twin in the same light for every strategy.
        budget: Requests that may be sent.
        tolerance: Instead of the problem's own.

    Raises:
        InvalidInput: if problem or strategy are not installed.
    """
    instrument = problem.build(1000 + seed)
    plan = Plan(problem.campaign(seed, budget, tolerance), instrument.space)
    truth = list[Readings]()

    def watch(observation: Observation) -> None:
        truth.append(_truth(instrument, observation)[plan.columns])
        problem.befall(instrument, len(truth))

    campaign = Rehearsal(_decides(plan, strategy), instrument, watch)
    with one_thread():
        ended = campaign.run()
    return _judged(campaign, plan, np.array(truth), ended, known=hasattr(instrument, "truth"))


def contradicted(finding: Finding, plan: Plan, truth: Readings, observations: Sequence[Observation]) -> bool:
    """Whether the mean of the truth ``(n, c)`` over the replicates of an exam contradicts its verdict."""
    rows = [each.seq for each in observations if (each.round, each.purpose) == (finding.round, Purpose.VERIFICATION)]
    target = next(each for each in plan.targets if each.name == finding.target)
    return meets(target, truth[rows].mean(axis=0)) != (finding.verdict is Verdict.VERIFIED)


def meets(target: ResolvedTarget, readings: Readings) -> bool:
    """Whether readings ``(p,)`` lie within the tolerance in every channel that the target fixes."""
    fixed = np.isfinite(target.readings)
    return bool((np.abs(readings - target.readings) <= target.tolerance)[fixed].all())


def _decides(plan: Plan, strategy: str) -> Decides:
    kind, _, acquisition = strategy.partition(":")
    if kind != OURS:
        return Guided(plan, strategy, plugins.build("sdl.peers", strategy))
    if not acquisition:
        return plan
    part = plan.campaign.acquisition.model_copy(update={"plugin": acquisition})
    return Plan(plan.campaign.model_copy(update={"acquisition": part}), plan.space)


def _truth(instrument: Any, observation: Observation) -> Readings:
    """Noise-free readings of this moment ``(p,)``, or what was read where nobody knows them."""
    told = getattr(instrument, "truth", None)
    return observation.readings if told is None else np.asarray(told(observation.settings[None])[0])


def _judged(campaign: Rehearsal, plan: Plan, truth: Readings, ended: str, *, known: bool) -> Run:
    judged = [each for each in campaign.findings if each.verdict in (Verdict.VERIFIED, Verdict.REFUTED)]
    false = [each for each in judged if known and contradicted(each, plan, truth, campaign.observations)]
    verified = {each.target for each in judged if each.verdict is Verdict.VERIFIED} == {w.name for w in plan.targets}
    requests = len(campaign.observations) if verified else plan.campaign.budget
    true = not any(each.verdict is Verdict.VERIFIED for each in false) if verified and known else None
    curve = _curve(plan.targets[0], campaign.observations, plan.columns, truth)
    return Run(requests, verified, ended, true, len(campaign.exams), len(judged), len(false), curve)


def _curve(
    target: ResolvedTarget, observations: Sequence[Observation], columns: Sequence[int], truth: Readings
) -> list[float | None]:
    curve, nearest_, best = list[float | None](), np.inf, None
    for each, true in zip(observations, truth, strict=True):
        read = _distance(target, each.readings[columns])
        if each.purpose.teaches and read < nearest_:
            nearest_, best = read, float(_distance(target, true))
        curve.append(best)
    return curve


def _distance(target: ResolvedTarget, readings: NDArray[np.float64]) -> float:
    off = np.abs(readings - target.readings) / target.tolerance
    return float(off[np.isfinite(target.readings)].max())
