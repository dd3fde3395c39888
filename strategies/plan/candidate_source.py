"""What candidates are made with: a fitted model and what it misses nearby, or in its place the rows alone.

A plane through a response that bends misses by a good part of its range, and neither its draws nor the disagreement of
its refits say where to look. Then the mean of all readings stands for the model, and kriging has all the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from sdl.campaign.validation import ResolvedTarget
from sdl.space import Readings, Settings
from strategies.answers.answers import FamilyCandidate, family_candidates
from strategies.answers.candidates import DRAWS, Candidate, corrected_candidates, expected_readings
from strategies.answers.distinct import KnownAnswers
from strategies.answers.probable_settings import probable_settings
from strategies.answers.reachability import reach
from strategies.contract import InverseModel, Predicts
from strategies.correction.constant_model import ConstantModel
from strategies.correction.length_scales import length_scales
from strategies.correction.rows import TrainingRows
from strategies.fitting.fitting import Fitted
from strategies.numerics.distinct_rows import distinct_rows
from strategies.numerics.unit_box import spread_points

FOLLOWED = 24
"""Answers at most that are weighed against each other."""
ASTRAY = 0.1
"""Share of what readings span that a model may miss and still be a guide."""
ENOUGH = 2
"""Times the settings that a plane needs, from which on a model is judged by rows that it has not seen."""


def astray(fitted: Fitted) -> bool:
    """Whether a model is no guide: it misses a good part of what readings span.

    In rows that it has seen; or that it has not, if these are so many that each knob moved in the others too.
    """
    few = ENOUGH * (fitted.settings.shape[1] + 1)
    unseen = np.zeros_like(fitted.scatter) if len(distinct_rows(fitted.settings)[0]) < few else fitted.missed
    return bool((np.fmax(fitted.scatter, unseen) > ASTRAY * np.ptp(fitted.readings, axis=0)).any())


def proven(fitted: Fitted, tolerance: Readings) -> bool:
    """Whether a model's word counts on settings far from all that was measured: it misses little of rows unseen.

    However few these are: a plane through five rows is no witness of what a bent response does at a corner. And
    readings that differ by less than the tolerance ``(p,)``, NaN where free, have shown nothing of a response yet.
    """
    spans = np.ptp(fitted.readings, axis=0)
    flat = (spans <= tolerance).any()
    return bool((np.fmax(fitted.scatter, fitted.missed) < ASTRAY * spans).all() and not flat)


@dataclass(frozen=True, eq=False)
class CandidateSource:
    """What expects readings at settings, and the rows that correct it; all over the channels that matter."""

    model: Predicts
    rows: TrainingRows
    background: Readings
    """By the last reference, ``(p,)``."""
    draws: InverseModel | None
    """Where draws come from; None if the rows alone guide."""

    @classmethod
    def of(cls, model: InverseModel, rows: TrainingRows, background: Readings, *, trusted: bool) -> Self:
        """A fitted model if it can be trusted, else the rows of this campaign."""
        if trusted:
            return cls(model, rows, background, model)
        own = replace(rows, earlier=None)
        return cls(ConstantModel(own.readings.mean(axis=0)), replace(own, stretch=length_scales(own)), background, None)

    def expected(self, settings: Settings, *, fresh: bool = False) -> tuple[Readings, Readings]:
        """Readings at settings ``(d,)`` and their standard deviation, as ``strategies.offers.expected`` says."""
        return expected_readings(self.model, settings, self.background, self.rows, fresh=fresh)

    def offer(self, settings: Settings) -> Candidate:
        """Settings of anybody's in the unit box, ``(d,)``, as they are, with what is expected of them."""
        return Candidate(settings, np.zeros(len(settings)), *self.expected(settings), share=1.0, refused=0.0)

    def offers(self, target: ResolvedTarget, rng: np.random.Generator) -> list[Candidate]:
        """Distinct candidates of the model, at least one, the one that it stands for most first."""
        assert self.draws is not None
        if found := corrected_candidates(self.draws, target.readings, self.background, self.rows, rng):
            return found
        # Every draw lies outside the box: the nearest that the box allows, which reachability has approved of.
        sure, wanted = np.zeros(len(self.background)), target.readings - self.background
        nearest = reach(self.model, wanted, target.tolerance, sure, self.rows.settings.shape[1]).settings
        return [replace(self.offer(nearest), refused=1.0)]

    def answers(
        self, target: ResolvedTarget, known: KnownAnswers, rng: np.random.Generator
    ) -> Sequence[FamilyCandidate]:
        """Distinct answers beside those that are known; none if no other is left."""
        return family_candidates(
            self.model,
            target=target.readings,
            tolerance=target.tolerance,
            background=self.background,
            rows=self.rows,
            starts=self._starts(target, rng),
            known=known,
            most=FOLLOWED,
        ).found

    def likeliest(self, target: ResolvedTarget, known: KnownAnswers, n: int, rng: np.random.Generator) -> Settings:
        """Settings where a reading is likeliest to be the target, away from answers that are known: ``(m, d)``."""
        wanted, starts = target.readings - self.background, self._starts(target, rng)
        return probable_settings(self.model, wanted, target.tolerance, self.rows, starts, known.settings, n)

    def _starts(self, target: ResolvedTarget, rng: np.random.Generator) -> Settings:
        """Points all over the box, and draws of a model that is a guide, though it may know one answer of many."""
        d = self.rows.settings.shape[1]
        if self.draws is None:
            return spread_points(DRAWS, d, rng)
        draws = self.draws.sample(target.readings - self.background, DRAWS, rng)
        return np.concatenate((np.clip(draws, 0.0, 1.0), spread_points(DRAWS, d, rng)))
