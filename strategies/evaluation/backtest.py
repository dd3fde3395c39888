"""One cell of the back-test: one strategy on one scenario with one seed, run to its verdict and judged by the truth.

Strategies are our own loop (``sdl``), our own loop with another acquisition (``sdl:random``), and the peers by name.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sdl import plugins
from sdl.campaign.validation import ResolvedTarget
from sdl.errors import InvalidInput, UnknownPlugin, suggest_nearest
from sdl.history import Purpose, Verdict
from strategies.evaluation.judged_campaign import JudgedCampaign
from strategies.evaluation.peer_campaign import PeerCampaign
from strategies.evaluation.scenarios import Scenario
from strategies.evaluation.simulation import Decides
from strategies.plan.plan import Plan

OURS = "sdl"
VARIANTS = ("uncertainty", "random", "latin-hypercube")
"""Acquisitions that our own loop is tried with as well, to see what its own one gains."""


@dataclass(frozen=True)
class BacktestRun:
    """What became of one campaign."""

    requests: int
    """To VERIFIED, everything counted; the whole budget for a campaign that did not get there."""
    verified: bool
    ended: str
    """Why it ended, in words."""
    true: bool | None
    """Whether the truth supports VERIFIED; None without that verdict, or where nobody knows the truth."""
    exams: int
    judged: int
    """Exams that ended VERIFIED or REFUTED."""
    false: int
    """Those that the truth contradicts."""
    curve: list[float | None]
    """After each request, how far the setting that read nearest to the target so far truly is from it: the error of
    its worst channel in tolerances; None before the first."""
    learned: int = 0
    """Readings that an acquisition, or a peer, chose for the sake of learning."""


def list_strategies() -> list[str]:
    """Names of all strategies that there are."""
    variants = [f"{OURS}:{each}" for each in VARIANTS if each in plugins.names("sdl.acquisitions")]
    return [OURS, *variants, *plugins.names("sdl.peers")]


def why_lacking(strategy: str) -> str:
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
        raise UnknownPlugin(f"unknown strategy {strategy!r}{suggest_nearest(strategy, list_strategies())}") from error
    except InvalidInput as error:
        return f"{strategy} is left out: {error}"
    return ""


def run_backtest(
    scenario: Scenario, strategy: str, seed: int, budget: int, tolerance: float | str | None = None
) -> BacktestRun:
    """Run one campaign to its end.

    Args:
        scenario: What is to be solved.
        strategy: Who solves it, see ``list_strategies``.
        seed: Of the instrument and of the campaign: the same twin in the same light for every strategy.
        budget: Requests that may be sent.
        tolerance: Instead of the scenario's own.

    Raises:
        InvalidInput: if scenario or strategy are not installed.
    """
    instrument = scenario.build(1000 + seed)
    plan = Plan(scenario.campaign(seed, budget, tolerance), instrument.space)
    campaign = JudgedCampaign(plan, instrument, scenario, choose_leader(plan, strategy))
    ended, false = campaign.run(), campaign.false
    known = campaign.verified and campaign.knows_truth
    return BacktestRun(
        requests=campaign.requests,
        verified=campaign.verified,
        ended=ended,
        true=not any(each.verdict is Verdict.VERIFIED for each in false) if known else None,
        exams=len(campaign.simulation.exams),
        judged=len(campaign.judged),
        false=len(false),
        curve=_curve(campaign),
        learned=sum(observation.purpose is Purpose.LEARNING for observation in campaign.simulation.observations),
    )


def choose_leader(plan: Plan, strategy: str) -> Decides:
    """Who leads a campaign: the plan itself, the plan with another acquisition, or a peer under its rules.

    Raises:
        InvalidInput: if the strategy is not installed.
    """
    kind, _, acquisition = strategy.partition(":")
    if kind != OURS:
        return PeerCampaign(replace(plan, led=True), strategy, plugins.build("sdl.peers", strategy))
    if not acquisition:
        return plan
    part = plan.campaign.acquisition.model_copy(update={"plugin": acquisition})
    return Plan(plan.campaign.model_copy(update={"acquisition": part}), plan.space)


def _curve(campaign: JudgedCampaign) -> list[float | None]:
    target, columns = campaign.plan.targets[0], campaign.plan.columns
    curve, nearest_, best = list[float | None](), np.inf, None
    for observation, truth in zip(campaign.simulation.observations, campaign.truths, strict=True):
        distance = _distance(target, observation.readings[columns])
        if observation.purpose.teaches and distance < nearest_:
            nearest_, best = distance, _distance(target, truth)
        curve.append(best)
    return curve


def _distance(target: ResolvedTarget, readings: NDArray[np.float64]) -> float:
    """Error of the worst fixed channel, in tolerances."""
    off = target.window.off(readings, target.window.half)
    return float(off[target.window.fixed].max())
