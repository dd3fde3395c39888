"""What a frozen model and all that was seen say about a target in the light of this moment."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sdl.campaign import VerificationPart
from sdl.conditions import Conditions
from sdl.history import Finding, History, Purpose, Verdict
from sdl.looks import Looks, looks, single
from sdl.preparing import Wanted
from sdl.space import Readings, Settings, Space
from sdl.text import decimals
from strategies.answers import Answer, answers
from strategies.contract import InverseModel, Predicts
from strategies.distinct import Known
from strategies.everywhere import everywhere
from strategies.exams import Outlook
from strategies.fitting import Fitted, rows
from strategies.heldout import distinct
from strategies.level import Level
from strategies.likeliest import likeliest
from strategies.offers import DRAWS, MOST, Offer, expected, offers, within_reach
from strategies.reachability import reach
from strategies.residuals import Rows
from strategies.stretch import stretches

Found = TypeVar("Found")

FOLLOWED = 24
"""Answers at most that are weighed against each other."""
HARDLY = 0.1
"""Chance of passing below which readings around the candidate teach more than an exam would."""
ASTRAY = 0.1
"""Share of what readings span that a model may miss and still be a guide."""
ENOUGH = 2
"""Times the settings that a plane needs, from which on a model is judged by rows that it has not seen."""
STARTLING = 4.0
"""Standard deviations that an exam must be off for a doubt in its background."""


@dataclass(frozen=True, eq=False)
class Insight:
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
    def noise(self) -> Readings:
        """Noise of one reading, ``(p,)``: what is known of it, else what the model leaves over."""
        return np.where(np.isnan(self._known_noise), np.nan_to_num(self.fitted.scatter), self._known_noise)

    @cached_property
    def rows(self) -> Rows:
        """Everything seen, for the local correction."""
        return rows(self.space, self.columns, self.history, self.noise, self.fitted.earlier)

    @cached_property
    def astray(self) -> bool:
        """Whether the model is no guide: it misses a good part of what readings span.

        In rows that it has seen; or that it has not, if these are so many that each knob moved in the others too.
        """
        fitted, few = self.fitted, ENOUGH * (self.space.d + 1)
        unseen = np.zeros_like(fitted.scatter) if len(distinct(fitted.settings)[0]) < few else fitted.missed
        return bool((np.fmax(fitted.scatter, unseen) > ASTRAY * np.ptp(fitted.readings, axis=0)).any())

    @cached_property
    def guide(self) -> tuple[Predicts, Rows]:
        """What candidates are made with: the model, or in its place the rows alone, and the rows that correct it."""
        if not self.astray:
            return self.model, self.rows
        own = replace(self.rows, earlier=None)
        return Level(own.readings.mean(axis=0)), replace(own, stretch=stretches(own))

    def offers(self, target: Wanted, rng: np.random.Generator) -> list[Offer]:
        """Distinct candidates, at least one, the same at every time; the one that the model stands for most first.

        Of a model that is no guide they are what the rows alone say, the one first that is likeliest to pass.
        """
        return self.once(("offers", target.name), lambda: self._offers(target, rng))

    def _offers(self, target: Wanted, rng: np.random.Generator) -> list[Offer]:
        if self.astray:
            nothing = Known(np.empty((0, self.space.d)), ())
            every = self.others(target, nothing, rng)[:MOST]
            return [*every] or [self.offer(each) for each in self.likeliest(target, nothing, 1, rng)]
        found = offers(self.model, target.readings, self.background, self.rows, rng)
        if found:
            return found
        # Every draw lies outside the box: the nearest that the box allows, which reachability has approved of.
        sure, wanted = np.zeros(len(self.columns)), target.readings - self.background
        nearest = reach(self.model, wanted, target.tolerance, sure, self.space.d).settings
        return [replace(self.offer(nearest), refused=1.0)]

    def others(self, target: Wanted, known: Known, rng: np.random.Generator) -> Sequence[Answer]:
        """Distinct answers beside those that are known, by the model and what it misses; none if no other is left.

        Those that an exam is worth come first, of them those of new families, of these the surest.
        """
        return self.once(("others", target.name, len(known.families)), lambda: self._others(target, known, rng))

    def _others(self, target: Wanted, known: Known, rng: np.random.Generator) -> Sequence[Answer]:
        (model, rows), starts = self.guide, self._starts(target, rng)
        about = model, target.readings, target.tolerance, self.background, rows, starts
        found = answers(*about, known=known, most=FOLLOWED).found

        def worth(answer: Answer) -> tuple[bool, bool, float]:
            chance = self.chance(target, answer)
            return chance < HARDLY, answer.family in known.families, -chance

        return sorted(found, key=worth)

    def chance(self, target: Wanted, offer: Offer) -> float:
        """Probability that an offer passes its exam."""
        outlook = self.outlook(target, offer.uncertainty)
        off = (offer.readings - target.readings)[np.isfinite(target.readings)]
        return replace(outlook, off=off).chance(self.looks(outlook))

    def likeliest(self, target: Wanted, known: Known, n: int, rng: np.random.Generator) -> Settings:
        """Settings where a reading is likeliest to be the target, away from answers that are known: ``(m, d)``."""
        wanted, starts = target.readings - self.background, self._starts(target, rng)
        model, rows = self.guide
        return likeliest(model, wanted, target.tolerance, rows, starts, known.settings, n)

    def _starts(self, target: Wanted, rng: np.random.Generator) -> Settings:
        """Points all over the box, and draws of a model that is a guide, though it may know one answer of many."""
        draws = self.model.sample(target.readings - self.background, DRAWS, rng)
        around = everywhere(DRAWS, self.space.d, rng)
        return around if self.astray else np.concatenate((np.clip(draws, 0.0, 1.0), around))

    def offer(self, settings: Settings) -> Offer:
        """Settings of anybody's in the unit box, ``(d,)``, as they are, with what is expected of them."""
        model, rows = self.guide
        readings, uncertainty = expected(model, settings, self.background, rows)
        return Offer(settings, np.zeros(self.space.d), readings, uncertainty, share=1.0, refused=0.0)

    def outlook(self, target: Wanted, uncertainty: Readings) -> Outlook:
        """What an exam for this target can expect, over the channels that the target fixes."""
        fixed = np.isfinite(target.readings)
        drift = self._conditions.drift[list(self.columns)]
        noise, tolerance, estimated = self.noise[fixed], target.tolerance[fixed], ~self._stated[fixed]
        return Outlook(noise, tolerance, uncertainty[fixed], drift[fixed], self.rule.confidence, estimated)

    def ideal(self, target: Wanted) -> Outlook:
        """What the best of candidates could expect, with no more noise than is known."""
        known = np.nan_to_num(self._known_noise)[np.isfinite(target.readings)]
        return replace(self.outlook(target, np.zeros(len(self.columns))).ideal(), noise=known)

    def looks(self, outlook: Outlook, left: int | None = None) -> Looks:
        """How an exam should be looked at, of no more replicates than are ``left`` of the budget."""
        most = min(self.longest[-1].replicates, self.longest[-1].replicates if left is None else left)
        if self.rule.replicates == "planned":
            return outlook.planned(most)
        return single(most, self.rule.confidence)

    @property
    def longest(self) -> Looks:
        """The longest exam that the campaign allows."""
        if self.rule.replicates == "planned":
            return looks(self.rule.most, self.rule.confidence)
        return single(self.rule.replicates, self.rule.confidence)

    def wants_reference(self, target: Wanted, offer: Offer, targets: Sequence[Wanted]) -> bool:
        """Whether a reading of the background before an exam saves more than the request that it costs."""
        if self._startled(targets):
            return True
        model, rows = self.guide
        fresh = expected(model, offer.settings, self.background, rows, fresh=True)[1]
        prices = (self.outlook(target, each).price(self.longest[-1].replicates) for each in (offer.uncertainty, fresh))
        return next(prices) - next(prices) > 1

    def _startled(self, targets: Sequence[Wanted]) -> bool:
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

    def unreachable(self, target: Wanted, names: Sequence[str]) -> Finding | None:
        """The finding that no setting gives the target, if the model is certain of that.

        Args:
            target: Over the channels that matter.
            names: Of those channels.
        """
        return self.once(("unreachable", target.name), lambda: self._unreachable(target, names))

    def _unreachable(self, target: Wanted, names: Sequence[str]) -> Finding | None:
        best, nearest, uncertainty = within_reach(
            self.model, target.readings, target.tolerance, self.background, self.rows, self.fitted.missed
        )
        if best.reachable:
            return None
        sentence = "no setting of the knobs gives this: the nearest that can be reached is " + ", ".join(
            f"{name} {nearest[c]:.{digits}f} for {target.readings[c]:.{digits}f} ± {target.tolerance[c]:.{digits}f}"
            for c, name in enumerate(names)
            if np.isfinite(target.readings[c])
            for digits in [decimals(target.tolerance[c])]
        )
        facts = {"channels": list(names), "model": self.fitted.name, "readings": nearest, "excess": best.excess}
        facts |= {"target": target.readings, "tolerance": target.tolerance, "uncertainty": uncertainty}
        settings = self.space.from_unit(best.settings)
        return Finding(self.fitted.round, target.name, Verdict.NOT_REACHABLE, sentence, settings, facts)

    @cached_property
    def _known_noise(self) -> Readings:
        """Noise of one reading, ``(p,)``: what the instrument states, else what repeats show, else NaN."""
        return np.where(self._stated, self.space.noise[list(self.columns)], self.fitted.repeated)

    @cached_property
    def _stated(self) -> NDArray[np.bool_]:
        """Whether an exam goes by the noise that the instrument states, ``(p,)``."""
        return np.isfinite(self.space.noise[list(self.columns)]) & (self.rule.noise == "known")

    @cached_property
    def _conditions(self) -> Conditions:
        return Conditions.of(self.history.observations, self.space.p)
