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
from strategies.contract import InverseModel
from strategies.exams import Outlook
from strategies.fitting import Fitted, rows
from strategies.offers import Offer, expected, offers, within_reach
from strategies.reachability import reach
from strategies.residuals import Rows

Found = TypeVar("Found")

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

    def offers(self, target: Wanted, rng: np.random.Generator) -> list[Offer]:
        """Distinct candidates, at least one, the one that the model stands for most first; the same at every time."""
        return self.once(("offers", target.name), lambda: self._offers(target, rng))

    def _offers(self, target: Wanted, rng: np.random.Generator) -> list[Offer]:
        found = offers(self.model, target.readings, self.background, self.rows, rng)
        if found:
            return found
        # Every draw lies outside the box: the nearest that the box allows, which reachability has approved of.
        sure, wanted = np.zeros(len(self.columns)), target.readings - self.background
        nearest = reach(self.model, wanted, target.tolerance, sure, self.space.d).settings
        return [replace(self.offer(nearest), refused=1.0)]

    def offer(self, settings: Settings) -> Offer:
        """Settings of anybody's in the unit box, ``(d,)``, as they are, with what is expected of them."""
        readings, uncertainty = expected(self.model, settings, self.background, self.rows)
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
        fresh = expected(self.model, offer.settings, self.background, self.rows, fresh=True)[1]
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
            self.model, target.readings, target.tolerance, self.background, self.rows
        )
        if best.reachable:
            return None
        sentence = "no setting of the knobs gives this: the nearest that can be reached is " + ", ".join(
            f"{name} {nearest[c]:.0f} for {target.readings[c]:.0f} ± {target.tolerance[c]:.0f}"
            for c, name in enumerate(names)
            if np.isfinite(target.readings[c])
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
