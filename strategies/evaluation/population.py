"""One campaign on an instrument of a family, and every verdict held against the truth.

A verdict of an exam is false where the noise-free readings, in the mean over its replicates, say otherwise; NOT
REACHABLE is false where some settings give the target.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.history import Finding, History, Purpose, Verdict
from strategies.evaluation.backtest import OURS, choose_leader
from strategies.evaluation.families.case import Case, Goal
from strategies.evaluation.families.drawing import Split, draw
from strategies.evaluation.judged_campaign import JudgedCampaign
from strategies.evaluation.simulation import Decides, Simulation
from strategies.fitting.fitting import Fitted
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Step, Stop


@dataclass(frozen=True)
class TargetOutcome:
    """What became of one target."""

    name: str
    reachable: bool
    """Whether some settings give it within its tolerance."""
    verified: bool = False
    falsely_verified: bool = False
    not_reachable: bool = False
    """Whether it was called NOT REACHABLE."""
    given_up: str = ""
    """Why it was given up, in words; empty where it was not."""
    exams: int = 0
    refuted: int = 0
    """Exams that ended REFUTED."""
    falsely_refuted: int = 0

    @property
    def falsely_not_reachable(self) -> bool:
        """Whether it was called NOT REACHABLE though settings give it."""
        return self.not_reachable and self.reachable

    @property
    def right(self) -> bool:
        """Whether it was truly VERIFIED, or ended without that and with a reason where no settings give it."""
        if self.reachable:
            return self.verified and not self.falsely_verified
        return not self.verified and (self.not_reachable or bool(self.given_up))

    @property
    def silent(self) -> bool:
        """Whether the campaign ended without an exam of it, and without a word about why."""
        return not (self.exams or self.verified or self.not_reachable or self.given_up)


@dataclass(frozen=True)
class PopulationRun:
    """What became of one campaign."""

    requests: int
    """Sent in all."""
    references: int
    """Readings of the background among them."""
    ended: str
    """Why it ended, in words."""
    decision_s: float
    """Spent on decisions in all, seconds; a decision is what happens between two measurements."""
    slowest_s: float
    """The longest decision."""
    targets: list[TargetOutcome]
    reached: int | None = None
    """Requests after which the settings that read best so far truly gave the first target; None if they never did."""

    @property
    def right(self) -> bool:
        """Whether every target ended as it should."""
        return all(target.right for target in self.targets)


@dataclass(eq=False)
class TimedLeader:
    """Whoever leads a campaign, with the time that decisions take."""

    leader: Decides
    clock: Callable[[], float]
    """Seconds."""
    enough: Callable[[], bool] = lambda: False
    """Whether to stop at once, for whoever has no verdict to stop at."""
    seconds: list[float] = field(default_factory=lambda: [0.0])
    """Of each decision; the last one is under way."""

    @property
    def campaign(self) -> Campaign:
        return self.leader.campaign

    def next_step(self, history: History, fitted: Fitted | None) -> Step:
        """What to do next; with a measurement a decision is complete."""
        if self.enough():
            return Stop("the settings that read best are truly as good as is wanted")
        started = self.clock()
        step = self.leader.next_step(history, fitted)
        self.seconds[-1] += self.clock() - started
        if not isinstance(step, Fit):
            self.seconds.append(0.0)
        return step

    def fit(self, step: Fit, history: History) -> Fitted:
        """Retrain."""
        started = self.clock()
        fitted = self.leader.fit(step, history)
        self.seconds[-1] += self.clock() - started
        return fitted


def run_on_family(
    family: str, strategy: str, seed: int, budget: int, split: Split = Split.TUNING, *, clock: Callable[[], float]
) -> PopulationRun:
    """Run one campaign to its end.

    Args:
        family: Which kind of instrument, see ``families.drawing``.
        strategy: Who solves it, see ``backtest.list_strategies``; peers take one target.
        seed: Of the instrument and of the campaign: the same instrument for every strategy.
        budget: Requests that may be sent.
        split: Whether it is an instrument for tuning or one for a release.
        clock: Seconds, for the time that decisions take.

    Raises:
        InvalidInput: if family or strategy are not installed.
    """
    case = draw(family, seed, split)
    return run_on_case(case, case.campaign(family, seed, budget), strategy, clock)


def why_beyond(strategy: str, case: Case) -> str:
    """What a strategy takes where a case asks for more, in words; empty where it takes all of it, as our own loop."""
    if strategy.partition(":")[0] == OURS:
        return ""
    if len(case.goals) > 1:
        return "one target"
    plan = Plan(case.campaign("peer", 0), case.instrument.space)
    takes: str = plugins.build("sdl.peers", strategy).lacks(plan.space, plan.targets[0].window)
    return takes


def run_on_case(case: Case, campaign: Campaign, strategy: str, clock: Callable[[], float]) -> PopulationRun:
    """The same on an instrument that is drawn already; its targets are those of the campaign."""
    plan = Plan(campaign, case.instrument.space)
    leader = TimedLeader(choose_leader(plan, strategy), clock)
    bounds = {goal.target.name: goal.bounds for goal in case.goals}
    judged = JudgedCampaign(plan, case.instrument, leader=leader, bounds=bounds)
    if any(bounds.values()) and strategy.partition(":")[0] != OURS:  # a peer has no statement of its own
        leader.enough = lambda: judged.reached is not None
    ended = judged.run()
    observations = judged.simulation.observations
    return PopulationRun(
        requests=len(observations),
        references=sum(observation.purpose is Purpose.REFERENCE for observation in observations),
        ended=ended,
        decision_s=sum(leader.seconds),
        slowest_s=max(leader.seconds),
        targets=[_outcome(goal, judged.simulation, judged.false) for goal in case.goals],
        reached=judged.reached,
    )


def _outcome(goal: Goal, simulation: Simulation, false: list[Finding]) -> TargetOutcome:
    """What became of a target, given the findings that the truth contradicts."""
    name = goal.target.name
    findings = [finding for finding in simulation.findings if finding.target == name]
    verdicts = [finding.verdict for finding in findings]
    false_verdicts = [finding.verdict for finding in false if finding.target == name]
    # Settings are missing where a target is given up, whatever was found out about its candidates.
    reasons = [finding.sentence for finding in findings if finding.settings is None]
    return TargetOutcome(
        name,
        goal.reachable,
        verified=Verdict.VERIFIED in verdicts,
        falsely_verified=Verdict.VERIFIED in false_verdicts,
        not_reachable=Verdict.NOT_REACHABLE in verdicts,
        given_up=reasons[-1] if reasons else "",
        exams=sum(exam.target == name for exam in simulation.exams),
        refuted=verdicts.count(Verdict.REFUTED),
        falsely_refuted=false_verdicts.count(Verdict.REFUTED),
    )
