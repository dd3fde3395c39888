"""What the instrument and its other sources have said, kept while nothing new is read."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from sdl.analysis.verification import known_noise
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import ResolvedTarget
from sdl.history import History
from sdl.space import Space
from strategies.fitting.fitting import Fitted
from strategies.fusion.fused import Fused, fuse
from strategies.fusion.source_rows import source_rows
from strategies.plan.knowledge.assessment import Assessment
from strategies.plan.knowledge.observed_rows import earlier_rows, observed_rows, thinned
from strategies.posterior import Posterior
from strategies.posterior.growing import GrowingPosterior, are_enough
from strategies.posterior.rows import NEAR, Rows, Statement

ALONE = 0.002
"""Distance within which the instrument's own readings are moved where the slopes are known from other sources."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is known by the instrument and by all its sources."""

    insight: Assessment
    """By all."""
    own: Assessment | None
    """By the instrument alone: what is concluded without a reading is by this. None while it has said too little."""
    judging: Assessment
    """What exams are judged by: the instrument, and slopes of sources that are known to be like it."""
    fused: Fused | None = None
    """None where no source was asked."""

    def seeing(self, target: ResolvedTarget) -> Assessment:
        """By what it is chosen where to read next for a target.

        That is all that is known; for a maximum or minimum what exams are judged by, since that has to be read
        wherever, by it, something might be better: else one place is examined over and over, short of proof.
        """
        return self.judging if np.isinf(target.window.wanted).any() else self.insight

    def misleads(self, target: ResolvedTarget) -> bool:
        """Whether sources leave no settings for a target, of which the instrument has not said so."""
        return self.seeing(target).reading(target) is None or self.seeing(target).nearest(target).out_of_reach

    @property
    def leading(self) -> Assessment:
        """That of the instrument alone, or of all while it has said too little."""
        return self.insight if self.own is None else self.own


@dataclass(frozen=True, eq=False)
class Outlooks:
    """What is known at each moment of a campaign."""

    campaign: Campaign
    space: Space
    columns: list[int]
    """Channels that some target fixes."""
    _last: dict[tuple[Fitted | None, int, int, int], Outlook] = field(default_factory=dict, init=False)

    def of(self, history: History, fitted: Fitted | None) -> Outlook:
        """What is known; that of the last question, with all that was found out then, if this one is about the same."""
        about = (fitted, len(history.observations), len(history.of_sources), len(history.findings))
        if about not in self._last:
            self._last.clear()
            self._last[about] = self._outlook(history, fitted)
        return self._last[about]

    def until(self, history: History, fitted: Fitted | None, round_: int) -> Assessment:
        """What the instrument had said up to the last reading of a round."""
        return self._assessment(history, fitted, self._posteriors.of(*self._rows(history, fitted, round_)))

    def are_enough(self, history: History, fitted: Fitted | None) -> bool:
        """Whether there are readings enough to decide by."""
        return bool(history.of_sources) or self.own_are_enough(history, fitted)

    def own_are_enough(self, history: History, fitted: Fitted | None) -> bool:
        """Whether those of the instrument are, by themselves."""
        return are_enough(*self._rows(history, fitted))

    def _outlook(self, history: History, fitted: Fitted | None) -> Outlook:
        rows, earlier = self._rows(history, fitted)
        own = self._posteriors.of(rows, earlier) if are_enough(rows, earlier) else None
        elsewhere = source_rows(self.campaign, self.space, self.columns, history)
        if elsewhere is None:
            assert own is not None, "there are readings enough"
            found = self._assessment(history, fitted, own)
            return Outlook(found, found, found)
        whole = rows if earlier is None else earlier.followed_by(rows)
        names = [source.name for source in self.campaign.sources]
        fused = fuse(own, whole, elsewhere, self._posteriors.statement, names)
        cautious = fused.cautious
        insight = self._assessment(history, fitted, fused.posterior, ALONE if cautious is None else NEAR)
        alone = None if own is None else self._assessment(history, fitted, own)
        judging = alone or insight if cautious is None else self._assessment(history, fitted, cautious)
        return Outlook(insight, alone, judging, fused)

    def _assessment(
        self, history: History, fitted: Fitted | None, posterior: Posterior, reach: float = NEAR
    ) -> Assessment:
        return Assessment(self.campaign, self.space, self.columns, history, fitted, posterior, reach)

    def _rows(self, history: History, fitted: Fitted | None, until: int | None = None) -> tuple[Rows, Rows | None]:
        """What was seen, up to the last reading of a round if one is given, and of an earlier campaign."""
        rows = observed_rows(self.campaign, self.space, self.columns, history, until)
        return thinned(rows), earlier_rows(None if fitted is None else fitted.transfer)

    @cached_property
    def _posteriors(self) -> GrowingPosterior:
        noise = known_noise(self.campaign.verification, self.space)[self.columns]
        return GrowingPosterior(replace(Statement.of(self.space, self.columns), noise=noise))
