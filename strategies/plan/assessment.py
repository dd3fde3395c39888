"""What a frozen model and all that was seen say about a target in the light of this moment."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.background import Background
from sdl.analysis.group_sequential import plan_looks, single_look
from sdl.analysis.verification import known_noise
from sdl.campaign.definition import VerificationPart
from sdl.campaign.validation import ResolvedTarget
from sdl.formatting import against
from sdl.history import Finding, FindingFacts, History, Looks, Purpose, Verdict
from sdl.space import Readings, Space
from strategies.answers.answers import FamilyCandidate
from strategies.answers.candidates import MOST, Candidate
from strategies.answers.corrected_reachability import corrected_reachability, patience, stuck
from strategies.answers.distinct import KnownAnswers
from strategies.answers.reachability import Reach
from strategies.contract import InverseModel, Predicts
from strategies.correction.rows import TrainingRows
from strategies.fitting.fitting import Fitted
from strategies.fitting.training_rows import correction_rows
from strategies.plan.candidate_source import CandidateSource, astray, proven
from strategies.plan.exams import ExamForecast

Found = TypeVar("Found")

HARDLY = 0.1
"""Chance of passing below which readings around the candidate teach more than an exam would."""
STARTLING = 4.0
"""Standard deviations that an exam must be off for a doubt in its background."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """A fitted model, the rows and the background that it answers for; all arrays over the channels that matter."""

    space: Space
    columns: Sequence[int]
    """Channels that matter."""
    rule: VerificationPart
    history: History
    fitted: Fitted
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False)

    def once(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """What was found out before under a key, or else is now."""
        if key not in self._found:
            self._found[key] = find()
        found: Found = self._found[key]
        return found

    @cached_property
    def model(self) -> InverseModel:
        """The model, which has been fitted."""
        assert self.fitted.model is not None
        return self.fitted.model

    @cached_property
    def background(self) -> Readings:
        """The background by the last reference, ``(p,)``."""
        return self._conditions.latest[list(self.columns)]

    @cached_property
    def ceiling(self) -> Readings:
        """What may come on top of the background before a channel stands at its ceiling, ``(p,)``; infinite if none."""
        return self.space.ceiling[list(self.columns)] - self.background

    @cached_property
    def noise(self) -> Readings:
        """Noise of one reading, ``(p,)``: what is known of it, else what the model leaves over."""
        return np.where(np.isnan(self._known_noise), np.nan_to_num(self.fitted.scatter), self._known_noise)

    @cached_property
    def rows(self) -> TrainingRows:
        """Everything seen, for the local correction."""
        return correction_rows(self.space, self.columns, self.history, self.noise, self.fitted.earlier)

    @cached_property
    def astray(self) -> bool:
        """Whether the model is no guide."""
        return astray(self.fitted)

    @cached_property
    def guide(self) -> CandidateSource:
        """What candidates are made with."""
        return CandidateSource.of(self.model, self.rows, self.background, trusted=not self.astray)

    def offers(self, target: ResolvedTarget, rng: np.random.Generator) -> Sequence[Candidate]:
        """Distinct candidates, at least one, the same at every time; the one that the model stands for most first.

        Of a model that is no guide they are what the rows alone say, the one first that is likeliest to pass.
        """
        return self.once(("offers", target.name), lambda: self._offers(target, rng))

    def _offers(self, target: ResolvedTarget, rng: np.random.Generator) -> Sequence[Candidate]:
        if not self.astray:
            return self.guide.offers(target, rng)
        nothing = KnownAnswers(np.empty((0, self.space.d)), ())
        if others := self.others(target, nothing, rng)[:MOST]:
            return others
        return [self.guide.offer(each) for each in self.guide.likeliest(target, nothing, 1, rng)]

    def others(
        self, target: ResolvedTarget, known: KnownAnswers, rng: np.random.Generator
    ) -> Sequence[FamilyCandidate]:
        """Distinct answers beside those that are known, by the guide; none if no other is left.

        Those that an exam is worth come first, of them those of new families, of these the surest.
        """
        return self.once(("others", target.name, len(known.families)), lambda: self._others(target, known, rng))

    def _others(
        self, target: ResolvedTarget, known: KnownAnswers, rng: np.random.Generator
    ) -> Sequence[FamilyCandidate]:
        def worth(answer: FamilyCandidate) -> tuple[bool, bool, float]:
            chance = self.chance(target, answer)
            return chance < HARDLY, answer.family in known.families, -chance

        return sorted(self.guide.answers(target, known, rng), key=worth)

    def chance(self, target: ResolvedTarget, offer: Candidate) -> float:
        """Probability that an offer passes its exam."""
        outlook = self.outlook(target, offer.uncertainty)
        off = (offer.readings - target.readings)[np.isfinite(target.readings)]
        return replace(outlook, off=off).chance(self.looks(outlook))

    def outlook(self, target: ResolvedTarget, uncertainty: Readings) -> ExamForecast:
        """What an exam for this target can expect, over the channels that the target fixes."""
        fixed = np.isfinite(target.readings)
        drift = self._conditions.drift[list(self.columns)]
        noise, tolerance, estimated = self.noise[fixed], target.tolerance[fixed], self._estimated[fixed]
        return ExamForecast(noise, tolerance, uncertainty[fixed], drift[fixed], self.rule.confidence, estimated)

    def ideal(self, target: ResolvedTarget) -> ExamForecast:
        """What the best of candidates could expect, with no more noise than is known."""
        known = np.nan_to_num(self._known_noise)[np.isfinite(target.readings)]
        return replace(self.outlook(target, np.zeros(len(self.columns))).ideal(), noise=known)

    def looks(self, outlook: ExamForecast, left: int | None = None) -> Looks:
        """How an exam should be looked at, of no more replicates than are ``left`` of the budget."""
        most = min(self.longest[-1].replicates, self.longest[-1].replicates if left is None else left)
        if self.rule.replicates == "planned":
            return outlook.planned(most)
        return single_look(most, self.rule.confidence)

    @property
    def longest(self) -> Looks:
        """The longest exam that the campaign allows."""
        if self.rule.replicates == "planned":
            return plan_looks(self.rule.most, self.rule.confidence)
        return single_look(self.rule.replicates, self.rule.confidence)

    def wants_reference(self, target: ResolvedTarget, offer: Candidate, targets: Sequence[ResolvedTarget]) -> bool:
        """Whether a reading of the background before an exam saves more than the request that it costs."""
        if self._startled(targets):
            return True
        fresh = self.guide.expected(offer.settings, fresh=True)[1]
        prices = (self.outlook(target, each).price(self.longest[-1].replicates) for each in (offer.uncertainty, fresh))
        return next(prices) - next(prices) > 1

    def _startled(self, targets: Sequence[ResolvedTarget]) -> bool:
        """Whether an exam since the last reference was off as if a lamp had been switched."""
        exam = self.history.exams[-1] if self.history.exams else None
        last = self._conditions.seq[-1] if self._conditions.seq.size else -1
        taken = [] if exam is None else self.history.of_round(exam.round, Purpose.VERIFICATION)
        if exam is None or not taken or taken[-1].seq < last:
            return False
        wanted = next(each.readings for each in targets if each.name == exam.target)
        mean = np.array([each.readings for each in taken]).mean(axis=0)[list(self.columns)]
        expected_ = exam.uncertainty[list(self.columns)] ** 2 + self.noise**2 / len(taken)
        near = np.abs(mean - wanted) <= STARTLING * np.sqrt(expected_)  # not so at the ceiling, where nothing is read
        return not near[np.isfinite(wanted)].all()

    def unreachable(self, target: ResolvedTarget, names: Sequence[str]) -> Finding | None:
        """The finding that no setting gives the target, if the model is certain of that.

        Args:
            target: Over the channels that matter.
            names: Of those channels.
        """
        return self.once(("unreachable", target.name), lambda: self._unreachable(target, names))

    def _unreachable(self, target: ResolvedTarget, names: Sequence[str]) -> Finding | None:
        said = "no setting of the knobs gives this: the nearest that can be reached is "
        if proven(self.fitted, target.tolerance):
            best, nearest, uncertainty = self._nearest(self.model, target, self.rows, self.fitted.missed)
        elif stuck(target.readings, target.tolerance, self.background, self.rows):
            alone = CandidateSource.of(self.model, self.rows, self.background, trusted=False)
            best, nearest, uncertainty = self._nearest(alone.model, target, alone.rows, 0.0)
            said = (
                "no setting of the knobs seems to give this: "
                f"the last {patience(self.space.d)} readings came no nearer, and the nearest that is known is "
            )
        else:
            return None
        if best.reachable:
            return None
        sentence = said + ", ".join(
            against(name, nearest[c], target.readings[c], target.tolerance[c])
            for c, name in enumerate(names)
            if np.isfinite(target.readings[c])
        )
        facts = FindingFacts(
            channels=tuple(names),
            model=self.fitted.name,
            target=target.readings,
            tolerance=target.tolerance,
            readings=nearest,
            uncertainty=uncertainty,
            excess=best.excess,
        )
        settings = self.space.from_unit(best.settings)
        return Finding(self.fitted.round, target.name, Verdict.NOT_REACHABLE, sentence, settings, facts)

    def _nearest(
        self, model: Predicts, target: ResolvedTarget, rows: TrainingRows, missed: Readings | float
    ) -> tuple[Reach, Readings, Readings]:
        """How near the instrument comes to a target in the light of this moment; see ``corrected_reachability``."""
        return corrected_reachability(
            model,
            target=target.readings,
            tolerance=target.tolerance,
            background=self.background,
            rows=rows,
            missed=missed,
        )

    @cached_property
    def _known_noise(self) -> Readings:
        """Noise of one reading, ``(p,)``: what the instrument states, else what repeats show, else NaN."""
        return np.where(self._estimated, self.fitted.repeated, self.space.noise[list(self.columns)])

    @cached_property
    def _estimated(self) -> NDArray[np.bool_]:
        """Whether an exam has to estimate the noise, ``(p,)``."""
        return np.isnan(known_noise(self.rule, self.space)[list(self.columns)])

    @cached_property
    def _conditions(self) -> Background:
        return Background.of(self.history.observations, self.space.p)
