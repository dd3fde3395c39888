"""What everything that was read says about each target at this moment: where to read next, and whether it is there."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from sdl.analysis.answer_count import passed_findings
from sdl.analysis.background import Background
from sdl.analysis.verification import MANY, compare_channels
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Finding, FindingFacts, History, Verdict, window_facts
from sdl.space import SAME, Readings, Settings, Space
from strategies.fitting.fitting import Fitted
from strategies.numerics.unit_box import in_unit_box
from strategies.plan.knowledge.observed_rows import pursuit_number
from strategies.posterior import NearestSettings, NextReading, Posterior, Pursuit, choose, lost_in_noise, nearest
from strategies.posterior.choice import Moving, searched
from strategies.posterior.extreme import within_reach
from strategies.posterior.reach import nearness
from strategies.posterior.rows import NEAR, PACE, TOGETHER

Found = TypeVar("Found")

OFFERS = 64
"""Draws of the inverse model that the search for settings begins with."""


@dataclass(frozen=True, eq=False)
class Assessment:
    """The posterior of a campaign and the inverse model fitted beside it; arrays are over the channels that matter."""

    campaign: Campaign
    space: Space
    columns: Sequence[int]
    """Channels that matter."""
    history: History
    fitted: Fitted | None
    posterior: Posterior
    reach: float = NEAR
    """Distance in the unit box within which the verdict can move readings to the settings."""
    _found: dict[Hashable, Any] = field(default_factory=dict, init=False)

    def once(self, key: Hashable, find: Callable[[], Found]) -> Found:
        """What was found out before under a key, or else is now."""
        if key not in self._found:
            self._found[key] = find()
        found: Found = self._found[key]
        return found

    def held(self, settings: Settings, targets: Sequence[ResolvedTarget]) -> "Assessment":
        """The same with the knobs that are constant within a batch held where settings ``(d,)`` have them.

        What is out of reach there may be within elsewhere: that stays as it is for some targets.
        """
        instrument = replace(self.posterior.instrument, held=(self.space.shared_axes, settings))
        there = replace(self, posterior=replace(self.posterior, instrument=instrument))
        there._found.update({("nearest", target.name): self.nearest(target) for target in targets})
        return there

    @cached_property
    def background(self) -> Readings:
        """The background by the last reference, ``(p,)``."""
        return Background.of(self.history.observations, self.space.p).latest[list(self.columns)]

    @cached_property
    def ceiling(self) -> Readings:
        """What may come on top of the background before a channel stands at its ceiling, ``(p,)``; infinite if none."""
        return self.space.ceiling[list(self.columns)] - self.background

    @cached_property
    def noise(self) -> Readings:
        """Noise of one reading in the middle of the range, ``(p,)``."""
        return np.array([channel.noise(channel.middle)[0] for channel in self.posterior.channels])

    def pursuit(self, target: ResolvedTarget) -> Pursuit:
        """The pursuit of a target, or of its next answer."""
        return self.once(("pursuit", target.name), lambda: self._pursuit(target))

    def _pursuit(self, target: ResolvedTarget) -> Pursuit:
        names = [written.name for written in self.campaign.targets]
        passed = passed_findings(self.campaign.target(target.name), self.history.findings)
        number = pursuit_number(names.index(target.name), len(passed))
        error, plate = 1 - self.campaign.verification.confidence, self.space.plate
        pace = PACE if plate is None or plate.parallel else TOGETHER
        pursuit = Pursuit(number, target.window, error, reach=self.reach, pace=pace)
        if not np.isinf(target.window.wanted).any():
            return pursuit
        return replace(pursuit, target=within_reach(self.posterior, pursuit, self.rng(4)))

    def beyond_ceiling(self, target: ResolvedTarget) -> list[str]:
        """Channels of a maximum that lies where they have been seen at their ceiling, so that none can be told."""
        bound, extreme = self.pursuit(target).target.wanted, np.isposinf(target.window.wanted)
        seen = (self.posterior.rows.censored > 0).any(axis=0)
        stuck = extreme & seen & (bound >= self.posterior.instrument.ceiling)
        return [self.campaign.channels[c] for c in np.flatnonzero(stuck)]

    def reading(self, target: ResolvedTarget) -> NextReading | None:
        """Where to read next for a target; None if all settings are near to answers that are verified."""
        return self.once(("reading", target.name), lambda: self._reading(target))

    def _reading(self, target: ResolvedTarget) -> NextReading | None:
        answers, offers = self.answers(target), self.offers(target)
        return choose(self.posterior, self.pursuit(target), self.rng(1), answers, offers, self._moving)

    @property
    def _moving(self) -> Moving | None:
        """What it costs, in requests, to move knobs from where they are; None where that costs nothing."""
        price = self.campaign.price
        if price is None or not any(price.knobs.values()) or not self.history.observations:
            return None
        costs = np.array([price.knobs.get(name, 0.0) for name in self.space.knob_names])
        last, dear = self.history.observations[-1].settings, costs > 0
        same = SAME * (self.space.high - self.space.low)

        def cost(places: Settings) -> Readings:
            moved = np.abs(self.space.from_unit(places) - last) > same
            return np.asarray(moved @ costs / (price.request or costs.max()))

        def kept(places: Settings) -> Settings:
            return self.space.to_unit(self.space.reachable(np.where(dear, last, self.space.from_unit(places))))

        return Moving(cost, kept)

    def candidate(self, target: ResolvedTarget, reading: NextReading) -> Settings:
        """What is examined, ``(d,)``: where to read next; of a target that nothing seems to give the nearest settings.

        Readings there have to refute what comes nearest, and go on at one place until they do.
        """
        place = self.nearest(target)
        if not place.out_of_reach:
            return reading.settings
        last = self.posterior.rows.settings[self.posterior.rows.pursuit == self.pursuit(target).number][-1:]
        return last[0] if len(last) and np.abs(last - place.settings).max() <= NEAR else place.settings

    def answers(self, target: ResolvedTarget) -> Settings:
        """Settings of a target that are verified, in the unit box, ``(k, d)``."""
        passed = passed_findings(self.campaign.target(target.name), self.history.findings)
        settings = [finding.settings for finding in passed if finding.settings is not None]
        return self.space.to_unit(np.array(settings).reshape(-1, self.space.d))

    def offers(self, target: ResolvedTarget) -> Settings | None:
        """Settings that a search for a target begins with, ``(m, d)``; None where nobody knows any.

        They are draws of the fitted model. By sources slopes are known before the instrument has read anything nearby:
        then what gives a target is a needle in the box, which chances do not lead to, so those expected nearest, too.
        """
        return self.once(("offers", target.name), lambda: self._offers(target))

    def _offers(self, target: ResolvedTarget) -> Settings | None:
        drawn = self._drawn(target)
        if not self.posterior.rows.source.any():
            return drawn
        found = searched(self.posterior, self.pursuit(target), self.rng(5), offers=drawn, score=nearness)
        return found if drawn is None else np.vstack((drawn, found))

    def _drawn(self, target: ResolvedTarget) -> Settings | None:
        if self.fitted is None or self.fitted.model is None:
            return None
        draws = self.fitted.model.sample(self.aim(target) - self.background, OFFERS, self.rng(2))
        if not self.space.plain:  # of a draw between two names, or beside what is allowed, the nearest is meant
            return self.space.applied(np.clip(draws, 0.0, 1.0))
        inside = draws[in_unit_box(draws)]
        return inside if len(inside) else None

    def unit(self, target: ResolvedTarget) -> Readings:
        """What counts as one of each channel of a target, ``(p,)``: its tolerance, or the noise; 1 where it is free."""
        unit, pursuit = np.ones(len(self.columns)), self.pursuit(target)
        unit[pursuit.fixed] = self.posterior.unit_of(pursuit)
        return unit

    def aim(self, target: ResolvedTarget) -> Readings:
        """The readings ``(p,)`` that whoever needs single ones is asked for; NaN where a channel is free."""
        return self.pursuit(target).target.aim(self.posterior.rows.readings, self.unit(target))

    def nearest(self, target: ResolvedTarget) -> NearestSettings:
        """The settings that come nearest to a target, those that are to be read next among them."""
        return self.once(("nearest", target.name), lambda: self._nearest(target))

    def _nearest(self, target: ResolvedTarget) -> NearestSettings:
        places = [draws for draws in (self.offers(target),) if draws is not None]
        places += [reading.settings[None] for reading in (self.reading(target),) if reading is not None]
        offers = np.vstack(places) if places else None
        return nearest(self.posterior, self.pursuit(target), self.rng(3), offers)

    def lost_in_noise(self, target: ResolvedTarget, readings: int) -> bool:
        """Whether so many readings could not verify a target even at perfect settings."""
        return lost_in_noise(self.posterior, self.pursuit(target), readings)

    def unreachable(self, target: ResolvedTarget) -> Finding | None:
        """The finding that no settings give a target: the posterior says so, and readings refute the likeliest ones."""
        refuted = any(
            finding.target == target.name and finding.verdict is Verdict.REFUTED for finding in self.history.findings
        )
        if self.fitted is None or not refuted or not self.nearest(target).out_of_reach:
            return None
        place, names, window = self.nearest(target), self.campaign.channels, self.pursuit(target).target
        off = window.off(place.readings, self.unit(target))
        shown = window.fixed if len(window.fixed) <= MANY else np.flatnonzero(off > 1).tolist()
        sentence = "no setting of the knobs gives this: the nearest that can be reached is " + compare_channels(
            names, window, place.readings, np.full(len(names), np.nan), shown
        )
        facts = FindingFacts(
            channels=tuple(names),
            model=self.model_name,
            **window_facts(window),
            readings=place.readings,
            uncertainty=self.posterior.at(place.settings[None])[1][0],
            excess=np.maximum(off - 1, 0.0),
        )
        settings = self.space.from_unit(place.settings)
        return Finding(self.fitted.round, target.name, Verdict.NOT_REACHABLE, sentence, settings, facts)

    @property
    def model_name(self) -> str:
        """Of the inverse model whose draws the search began with."""
        return "posterior" if self.fitted is None or not self.fitted.name else self.fitted.name

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose, the same whenever as much is known."""
        return np.random.default_rng([self.campaign.seed, len(self.history.observations), purpose])
