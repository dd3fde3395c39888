"""A campaign in memory whose verdicts are held against the truth, which only a simulated instrument knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sdl.campaign.validation import ResolvedTarget
from sdl.history import Finding, Observation, Purpose, Verdict
from sdl.instruments.protocol import KnowsTruth
from sdl.space import Interval, Readings, Window
from strategies.evaluation.scenarios import Scenario
from strategies.evaluation.simulation import Decides, Simulation
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.distinct_rows import distinct_rows
from strategies.plan.plan import Plan


@dataclass(eq=False)
class JudgedCampaign:
    """One campaign on an instrument of a scenario, or on any other.

    Args:
        plan: Of the campaign, for its targets and channels.
        instrument: The scenario's, or one like it.
        scenario: What befalls the instrument on the way; nothing if it is not given.
        leader: Who says what to do next; the plan itself if it is not given.
        bounds: By target and channel, where readings truly have to lie to be as large or as small as is wanted.
    """

    plan: Plan
    instrument: Any
    scenario: Scenario | None = None
    leader: Decides | None = None
    bounds: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    reached: int | None = None
    """Requests after which the settings that read best so far truly gave the first target; None if they never did."""
    truths: list[Readings] = field(default_factory=list)
    """Noise-free readings ``(c,)`` of the moment of each observation, over the channels of the plan; where the
    instrument does not know them, what was read."""

    @property
    def knows_truth(self) -> bool:
        """Whether the instrument knows its noise-free readings."""
        return isinstance(self.instrument, KnowsTruth)

    @cached_property
    def simulation(self) -> Simulation:
        """The campaign itself."""
        return Simulation(self.leader or self.plan, self.instrument, self.watch)

    def run(self) -> str:
        """Run it to its end and return why it ended."""
        with one_thread():
            return self.simulation.run()

    def watch(self, observation: Observation) -> None:
        """Keep the truth of this moment, then let happen what happens after so many requests."""
        readings = self.instrument.truth(observation.settings[None])[0] if self.knows_truth else observation.readings
        self.truths.append(np.asarray(readings)[self.plan.columns])
        if self.reached is None and self.knows_truth and self._gives_target():
            self.reached = len(self.truths)
        if self.scenario is not None:
            self.scenario.befall(self.instrument, len(self.truths))

    @property
    def judged(self) -> list[Finding]:
        """Findings of exams, VERIFIED or REFUTED."""
        return [each for each in self.simulation.findings if each.verdict in (Verdict.VERIFIED, Verdict.REFUTED)]

    @property
    def false(self) -> list[Finding]:
        """Those of them that the truth contradicts; none where nobody knows it."""
        return [finding for finding in self.judged if self.knows_truth and self.contradicts(finding)]

    @property
    def verified(self) -> bool:
        """Whether every target is VERIFIED."""
        passed = {each.target for each in self.judged if each.verdict is Verdict.VERIFIED}
        return passed == {each.name for each in self.plan.targets}

    @property
    def requests(self) -> int:
        """Requests to VERIFIED, everything counted; the whole budget for a campaign that did not get there."""
        return len(self.truths) if self.verified else self.plan.campaign.budget

    def contradicts(self, finding: Finding) -> bool:
        """Whether the mean of the truth over the replicates of an exam contradicts its verdict."""
        exam = (finding.round, Purpose.VERIFICATION)
        rows = [each.seq for each in self.simulation.observations if (each.round, each.purpose) == exam]
        target = next(each for each in self.plan.targets if each.name == finding.target)
        within, claimed = np.array(self.truths)[rows].mean(axis=0), finding.verdict is Verdict.VERIFIED
        if target.name in self.bounds and not claimed:
            return False  # that it lies beyond the bound of that moment is no word about the best settings
        return meets_target(ResolvedTarget(target.name, self._true_window(target)), within) != claimed

    def _true_window(self, target: ResolvedTarget) -> Window:
        """Where readings truly have to lie for a target, a maximum or minimum too."""
        known, names = self.bounds.get(target.name, {}), self.plan.campaign.channels
        return Window.of([known.get(name, target.window[place]) for place, name in enumerate(names)])

    def _gives_target(self) -> bool:
        """Whether the settings that read best so far, in the mean of their readings, truly give the first target."""
        rows = [place for place, each in enumerate(self.simulation.observations) if each.purpose.teaches]
        if not rows:
            return False
        observed = [self.simulation.observations[place] for place in rows]
        first, of = distinct_rows(np.array([each.settings for each in observed]))
        at = np.eye(len(first))[of] / np.bincount(of)
        means = at.T @ np.array([each.readings[self.plan.columns] for each in observed])
        target = self.plan.targets[0]
        last = {setting: place for place, setting in zip(rows, of.tolist(), strict=True)}
        return bool(self._true_window(target).holds(self.truths[last[best_row(target.window, means)]]))


def best_row(window: Window, readings: Readings) -> int:
    """Which of readings ``(n, c)`` is best by what is wanted: of those that keep all sides the nearest, or the most."""
    extreme = np.flatnonzero(np.isinf(window.wanted))
    others = Window(np.where(np.isinf(window.wanted), np.nan, window.wanted), window.below, window.above)
    spread = np.ptp(readings, axis=0)
    off = others.off(readings, np.where(window.one_sided, np.where(spread > 0, spread, 1.0), window.half))
    worst = np.nan_to_num(off[:, others.fixed], nan=np.inf).max(axis=1, initial=0.0)
    if not len(extreme):
        return int(worst.argmin())
    column = extreme[0]
    worth = readings[:, column] * np.sign(window.wanted[column])
    return int(np.where(worst <= 1, worth, -np.inf).argmax() if (worst <= 1).any() else worst.argmin())


def meets_target(target: ResolvedTarget, readings: Readings) -> bool:
    """Whether readings ``(c,)`` lie within the bounds in every channel that the target fixes."""
    return bool(target.window.holds(readings))
