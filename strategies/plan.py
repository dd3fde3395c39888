"""The loop itself, written once: from a campaign and what its ledger holds to the next step.

``next_step`` is a pure function. Whoever executes its steps - the Prefect flow on a real instrument, a rehearsal in
memory - asks again after each one, so a campaign that was killed goes on by asking.

Every random choice depends on the campaign's seed and the number of the round alone, so an interrupted round is
completed as it was proposed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from sdl import plugins
from sdl.campaign import Campaign, Target
from sdl.conditions import Conditions
from sdl.errors import InvalidInput
from sdl.history import Exam, Finding, History, Observation, Purpose, Request, Round, RoundKind, Verdict
from sdl.preparing import Wanted, wanted
from sdl.several import passed
from sdl.space import Settings, Space
from sdl.verification import judge
from strategies import several
from strategies.acquisitions.space_filling import SpaceFilling
from strategies.agenda import first
from strategies.contract import Acquisition, Design
from strategies.ensemble import refitted
from strategies.exams import BEGUN, Outlook
from strategies.fitting import MEMBERS, Fitted, undecided
from strategies.insight import HARDLY, Insight
from strategies.interludes import Interludes
from strategies.kinship import remaining
from strategies.offers import Offer

FIRST = 5
"""Settings before the first fit, of a design that has no number of its own."""
POINTLESS = 0.02
"""Chance of passing below which an exam is not worth a request."""


@dataclass(frozen=True)
class Fit:
    """Retrain for a round."""

    round: int
    before: int
    """Rounds before this one are learned from."""


@dataclass(frozen=True, eq=False)
class Measure:
    """Write down the round and its measurements, then take them in this order."""

    round: Round
    requests: Sequence[Request]

    def begun(self, history: History) -> bool:
        """Whether all of it is written down already."""
        if not history.rounds or history.rounds[-1].number != self.round.number:
            return False
        return {each.key for each in self.requests} <= {each.key for each in history.under_way}


@dataclass(frozen=True, eq=False)
class Examine:
    """Freeze a candidate, and how its replicates are judged; they are measured after this."""

    round: Round
    exam: Exam
    requests: Sequence[Request]


@dataclass(frozen=True, eq=False)
class Conclude:
    """Write down a verdict."""

    finding: Finding


@dataclass(frozen=True)
class Stop:
    """There is nothing more to do, and why."""

    reason: str


Step: TypeAlias = Fit | Measure | Examine | Conclude | Stop


@dataclass(frozen=True, eq=False)
class Plan:
    """A campaign on an instrument's space, ready to be asked for steps."""

    campaign: Campaign
    space: Space

    @cached_property
    def columns(self) -> list[int]:
        """Channels that some target fixes."""
        return self.space.columns(self.campaign.channels)

    @cached_property
    def targets(self) -> list[Wanted]:
        """The targets over those channels."""
        whole = [wanted(self.space, target) for target in self.campaign.targets]
        return [Wanted(w.name, w.readings[self.columns], w.tolerance[self.columns]) for w in whole]

    def next_step(self, history: History, fitted: Fitted | None) -> Step:
        """What to do next.

        Args:
            history: What the ledger holds.
            fitted: The result of the last ``Fit``; None if it is lost, which costs a refit and nothing else.
        """
        if not history.rounds:
            return self._begin(history, fitted)
        current = history.rounds[-1]
        if current.kind is RoundKind.EXAM:
            if not self._judged(history, current):
                return self._go_on_with_exam(history, current, fitted)
        elif (pending := history.lacking) and history.sent < self.campaign.most:
            return Measure(current, self._fresh(history, current) + pending)
        return self._next_round(history, current.number + 1, fitted)

    # ------------------------------------------------------------------ rounds

    def _begin(self, history: History, fitted: Fitted | None) -> Step:
        """The design; or with lessons the background alone, since they may do instead of it."""
        if not self.campaign.lessons:
            return Measure(Round(0, RoundKind.DESIGN), self.batch(history, 0, self._design(), Purpose.DESIGN))
        if references := self._interludes(history).due(0, 0):
            return Measure(Round(0, RoundKind.DESIGN), references)
        return self._next_round(history, 0, fitted)

    def _design(self) -> Settings:
        """Settings of the design, ``(n, d)``."""
        part = self.campaign.design
        design: Design = plugins.build("sdl.designs", part.plugin, part.options)
        try:
            return design.propose(self.space, part.n, self._rng(0))
        except InvalidInput:
            if part.n is not None:
                raise
            return design.propose(self.space, FIRST, self._rng(0))

    def _next_round(self, history: History, number: int, fitted: Fitted | None) -> Step:
        open_ = [target for target in self.targets if not several.settled(self._written(target), history)]
        left = self.campaign.most - history.sent
        if not open_:
            return Stop("every target is settled")
        if left <= 0 and len(self.targets) == 1:  # of several, some may need none
            return Stop(self._spent)
        if number > self.campaign.rounds:
            return Stop(f"all {self.campaign.rounds} rounds are done")
        if fitted is None or fitted.round != number:
            return Fit(number, self._known(number))
        if fitted.model is None:
            return self._gather(history, number, fitted, left)
        return self._pursue(history, number, fitted, open_, left)

    def _gather(self, history: History, number: int, fitted: Fitted, left: int) -> Step:
        """No model can be fitted yet: fill the space, by the design if lessons were to do instead of it."""
        if left <= 0:
            return Stop(self._spent)
        if self.campaign.lessons and not any(each.purpose is Purpose.DESIGN for each in history.observations):
            settings = self.space.from_unit(remaining(self.space.to_unit(self._design()), fitted.settings))
            requests = self.batch(history, number, settings, Purpose.DESIGN)
            return Measure(Round(number, RoundKind.DESIGN, facts=self._likeness(fitted)), requests)
        useless = [name for name in self.campaign.channels if self._never_read(history, name)]
        if useless:
            return Stop(f"{', '.join(useless)} had no usable reading at any setting, so it cannot be learned")
        n = min(self.campaign.acquisition.n, left)
        batch = SpaceFilling().fill(fitted.settings, n, self._rng(number))
        facts = {"why": "too few readings for any model", "skipped": fitted.skipped}
        return self._learn(history, number, batch, facts)

    def _pursue(self, history: History, number: int, fitted: Fitted, open_: Sequence[Wanted], left: int) -> Step:
        """Go on with one of the open targets."""
        insight = self.insight(history.before(self._known(number)), fitted)
        failed = Counter({each.name: len(several.failed(each.name, history.findings)) for each in open_})
        target = first(insight, open_, failed)
        if failed[target.name] >= self.campaign.stop.exams:
            return self._give_up(history, number, target, f"none of {failed[target.name]} candidates passed its exam")
        step: Step = self._unexamined(history, number, insight, target) or self._towards(
            history, number, insight, target, open_, left
        )
        if isinstance(step, Stop):  # the budget is spent, and what takes no request is said all the same
            told = (self._unexamined(history, number, insight, each) for each in open_ if each is not target)
            return next(filter(None, told), step)
        return step

    def _unexamined(self, history: History, number: int, insight: Insight, target: Wanted) -> Conclude | None:
        """The verdict on a target that no exam could settle: out of reach, or lost in the noise."""
        reached = passed(self._written(target), history.findings)
        if not reached and (unreachable := insight.unreachable(target, self.campaign.channels)) is not None:
            if self._untried(history, insight.fitted) and unreachable.settings is not None:
                return None  # nothing is told by what was read elsewhere alone
            return Conclude(unreachable)
        ideal, longest = insight.ideal(target), insight.longest
        if ideal.chance(longest) < POINTLESS:
            return self._give_up(history, number, target, self._noise_limited(ideal, longest[-1].replicates))
        return None

    def _towards(
        self, history: History, number: int, insight: Insight, target: Wanted, open_: Sequence[Wanted], left: int
    ) -> Step:
        """Is the model good enough for an exam, and if not, can it learn?"""
        found = self._offers(history, number, insight, target)
        if not found:
            batch = self._acquire(history, insight, number, target, open_, left, found)
            if len(batch):
                why = {"why": "every candidate is near to an answer that was verified", "model": insight.fitted.name}
                return self._learn(history, number, batch, why)
            return self._give_up(history, number, target, "every other candidate is near to one of these")
        chance = insight.chance(target, found[0])
        facts = self._facts(insight.fitted, target, found, chance)
        if (written := self._written(target)).answers != 1:
            facts |= several.family(found[0], several.known(written, history, self.space))
        if chance < HARDLY:
            # The first reading tells how far the lesson holds, and nowhere better than where the answer should be.
            untried = self._untried(history, insight.fitted)
            at_it = found[0].settings[None]
            batch = at_it if untried else self._acquire(history, insight, number, target, open_, left, found)
            if len(batch):
                return self._learn(history, number, batch, facts)
        return self.begin_exam(history, number, insight, target, found[0], facts)

    def _untried(self, history: History, fitted: Fitted) -> bool:
        """Whether all that is known of the response was read elsewhere."""
        return fitted.translated > 0 and not any(each.purpose.teaches for each in history.observations)

    def _offers(self, history: History, number: int, insight: Insight, target: Wanted) -> Sequence[Offer]:
        """Candidates, the next one to be examined first; of several answers none if no other one is left."""
        rng, written = self._rng(number, 3), self._written(target)
        if written.answers == 1:
            return insight.offers(target, rng)
        known = several.known(written, history, self.space)
        others = insight.others(target, known, rng)
        return others or ([] if known.families else insight.offers(target, rng))

    def _meant(self, current: Round, offers: Sequence[Offer]) -> Offer:
        """The candidate that an exam was begun for, as a reference has moved it."""
        if "family" not in current.facts:
            return offers[0]
        first = self.space.to_unit(self.space.settings(current.facts["candidates"][0]["settings"]))
        return min(offers, key=lambda each: float(np.linalg.norm(each.settings - first)))

    def _acquire(
        self,
        history: History,
        insight: Insight,
        number: int,
        target: Wanted,
        open_: Sequence[Wanted],
        left: int,
        found: Sequence[Offer],
    ) -> Settings:
        """What to learn from next, ``(m, d)``; empty if there is nothing left to learn, or it is not its turn."""
        part, in_a_row = self.campaign.acquisition, 0
        for round_ in reversed(history.rounds):
            if round_.kind is not RoundKind.LEARNING:
                break
            in_a_row += 1
        n, endless = min(part.n, left - 2), insight.astray and bool(found)
        if (in_a_row >= part.rounds and not endless) or n < 1:
            return np.empty((0, self.space.d))
        if endless:  # what a model that is no guide offers is not even worth an exam in between
            known, rng = several.known(self._written(target), history, self.space), self._rng(number, 2)
            key = "likeliest", target.name, n, len(known.families)
            return insight.once(key, lambda: insight.likeliest(target, known, n, rng))
        about = (*(each.name for each in open_), n)
        return insight.once(about, lambda: self._acquired(history, insight, number, open_, n))

    def _acquired(self, history: History, insight: Insight, number: int, open_: Sequence[Wanted], n: int) -> Settings:
        part, fitted = self.campaign.acquisition, insight.fitted
        members = refitted(fitted.refit, fitted.readings, fitted.settings, MEMBERS, self._rng(number, 1), insight.model)
        if len(members) < 2:
            return np.empty((0, self.space.d))
        acquisition: Acquisition = plugins.build("sdl.acquisitions", part.plugin, part.options)
        now = [each.readings - insight.background for each in open_]
        measured = np.concatenate((fitted.settings, self._unlearned(history, number)))
        return acquisition.propose(members, now, measured, insight.noise, n, self._rng(number, 2))

    def _unlearned(self, history: History, number: int) -> Settings:
        """Settings asked for since the rounds that a round learns from, in the unit box, ``(m, d)``."""
        since = self._known(number)
        asked = [each.settings for each in history.under_way if each.round >= since and each.purpose.teaches]
        return self.space.to_unit(np.array(asked).reshape(-1, self.space.d))

    def _learn(self, history: History, number: int, batch: Settings, facts: dict[str, Any]) -> Measure:
        settings = self.space.from_unit(batch)
        requests = self.batch(history, number, settings, Purpose.LEARNING)
        return Measure(Round(number, RoundKind.LEARNING, facts=facts), requests)

    # ------------------------------------------------------------------ exams

    def begin_exam(
        self, history: History, number: int, insight: Insight, target: Wanted, offer: Offer, facts: dict[str, Any]
    ) -> Measure | Examine | Stop:
        """Open the round of an exam: read the background where that saves more than it costs, or freeze the offer."""
        references = self._interludes(history).due(number, 0, always=self._wants_reference(insight, target, offer))
        left = self.campaign.most - history.sent
        fewest = insight.looks(insight.outlook(target, offer.uncertainty))[0].replicates
        if left < len(references) + fewest:
            return Stop(
                f"{left} of {self.campaign.most} requests are left, too few for an exam of {fewest} "
                "replicates or more and its reference"
            )
        round_ = Round(number, RoundKind.EXAM, target.name, facts)
        if references or self._ahead:
            return Measure(round_, references)
        return self.examine(history, round_, insight, target, offer)

    def _wants_reference(self, insight: Insight, target: Wanted, offer: Offer) -> bool:
        """Whether to read the background before an exam; ahead of the readings before it nobody can tell."""
        planned = self.campaign.background.every == "planned" and not self._ahead
        return not planned or insight.wants_reference(target, offer, self.targets)

    def _go_on_with_exam(self, history: History, current: Round, fitted: Fitted | None) -> Step:
        target = next(each for each in self.targets if each.name == current.target)
        exam = next((each for each in history.exams if each.round == current.number), None)
        pending, spent = history.lacking, history.sent >= self.campaign.most
        if spent and not history.taken(Purpose.VERIFICATION):
            return Stop(self._spent)
        if exam is None:
            if pending:
                return Measure(current, pending)
            if self.lamp_found(history):
                return self._next_round(history, current.number + 1, fitted)
            if fitted is None or fitted.round != current.number:
                return Fit(current.number, self._known(current.number))
            if fitted.model is None:
                # A row that the candidate stood on was distrusted since. Only a reference was read in this round, so
                # its fit is that of the next one too.
                return self._next_round(history, current.number + 1, replace(fitted, round=current.number + 1))
            insight = self.insight(history, fitted)
            offers = self._offers(history, current.number, insight, target)
            if not offers:
                return self._next_round(history, current.number + 1, fitted)
            return self.examine(history, current, insight, target, self._meant(current, offers))
        replicates = history.taken(Purpose.VERIFICATION)
        # Not when nothing is lacking: a reference that a fault kept from being read may be lacking for ever.
        if spent or len(replicates) >= exam.replicates or self._ends(history, exam, target, replicates):
            return Conclude(self._named(current, self._judge(exam, target, replicates)))
        return Measure(current, self._fresh(history, current) + pending[: self._step(exam, len(replicates))])

    def lamp_found(self, history: History) -> bool:
        """Whether the reference of an exam shows that a lamp was switched, so that its candidate stands on nothing."""
        switched = Conditions.of(history.observations, self.space.p).switched
        return bool(history.taken(Purpose.REFERENCE)) and bool(switched[-1:].any())

    def examine(self, history: History, current: Round, insight: Insight, target: Wanted, offer: Offer) -> Examine:
        """Freeze an offer, and how its replicates are judged."""
        left = self.campaign.most - history.sent
        looks = insight.looks(insight.outlook(target, offer.uncertainty), left)
        settings = self.space.from_unit(offer.settings)
        background, uncertainty = np.full((2, self.space.p), np.nan)
        background[self.columns], uncertainty[self.columns] = insight.background, offer.uncertainty
        n, name = looks[-1].replicates, insight.fitted.name
        index = sum(each.round == current.number for each in history.under_way)
        exam = Exam(current.number, target.name, settings, name, n, background, uncertainty, looks)
        requests = [Request(current.number, index, i, Purpose.VERIFICATION, settings) for i in range(n)]
        return Examine(current, exam, requests)

    def _step(self, exam: Exam, k: int) -> int:
        """How many replicates to take until the next look, of which ``k`` are there."""
        if self.campaign.verification.replicates == "planned":
            return BEGUN - k if k < BEGUN else 1
        return exam.replicates - k

    def _ends(self, history: History, exam: Exam, target: Wanted, replicates: Sequence[Observation]) -> bool:
        """Whether a verdict is due, or the rest of the exam is worth less than a new one."""
        k, fixed = len(replicates), np.isfinite(target.readings)
        if self.campaign.verification.replicates != "planned" or k < BEGUN:
            return False
        if undecided(self.space, replicates, self.columns):
            return False  # a lamp for a moment: with another replicate it teaches nothing, but as it is it would
        if self._judge(exam, target, replicates).verdict is not Verdict.INCONCLUSIVE:
            return True
        readings = np.array([each.readings[self.columns] for each in replicates])[:, fixed]
        if not np.isfinite(readings).all():
            return True  # at the ceiling, which no target can be near
        stated = np.isfinite(self.space.noise) & (self.campaign.verification.noise == "known")
        noise = np.where(stated, self.space.noise, np.nan)[self.columns][fixed]
        noise = np.where(np.isnan(noise), readings.std(axis=0, ddof=1), noise)
        uncertainty, confidence = exam.uncertainty[self.columns][fixed], self.campaign.verification.confidence
        drift = Conditions.of(history.observations, self.space.p).drift[self.columns][fixed]
        estimated = ~stated[self.columns][fixed]
        outlook = Outlook(noise, target.tolerance[fixed], uncertainty, drift, confidence, estimated)
        return outlook.hopeless(readings.mean(axis=0) - target.readings[fixed], k, exam.looks)

    def _judge(self, exam: Exam, target: Wanted, replicates: Sequence[Observation]) -> Finding:
        return judge(exam, self._whole(target.name), replicates, self.campaign.verification, self.space)

    def _written(self, target: Wanted) -> Target:
        """A target as the campaign writes it."""
        return next(each for each in self.campaign.targets if each.name == target.name)

    def _named(self, round_: Round, finding: Finding) -> Finding:
        """A finding that says of which family its candidate is, where several answers are wanted."""
        if (family := round_.facts.get("family")) is None:
            return finding
        sentence = f"{finding.sentence}; of family {family + 1}"
        return replace(finding, sentence=sentence, facts={**finding.facts, "family": family})

    def _whole(self, name: str) -> Wanted:
        """A target over all channels."""
        return next(wanted(self.space, target) for target in self.campaign.targets if target.name == name)

    def _judged(self, history: History, round_: Round) -> bool:
        return any(finding.round == round_.number and finding.target == round_.target for finding in history.findings)

    # ------------------------------------------------------------------ small things

    def _give_up(self, history: History, number: int, target: Wanted, why: str) -> Conclude:
        sentence = several.ended(self._written(target), history, why)
        return Conclude(Finding(number, target.name, Verdict.INCONCLUSIVE, sentence))

    def _noise_limited(self, outlook: Outlook, n: int) -> str:
        worst = int(np.argmax(outlook.noise / outlook.tolerance))
        return (
            f"even perfect settings could not pass an exam of {n} replicates: one reading scatters by "
            f"{outlook.noise[worst]:.3g} and the tolerance is {outlook.tolerance[worst]:.3g}; allow more replicates or "
            "a wider tolerance"
        )

    def _facts(self, fitted: Fitted, target: Wanted, found: Sequence[Offer], chance: float) -> dict[str, Any]:
        """What the report says of a round."""
        names, parity = self.campaign.channels, fitted.parity()
        return {
            "model": fitted.name,
            "chosen": fitted.choice.reason,
            "scores": fitted.choice.scores,
            "held out": fitted.choice.held_out,
            "asked": fitted.asked,
            "missed": [each if np.isfinite(each) else None for each in fitted.missed.tolist()],
            "skipped": fitted.skipped,
            "rows": len(fitted.settings) - fitted.translated,
            "target": target.name,
            "chance of passing": chance,
            "uncertainty": dict(zip(names, found[0].uncertainty.tolist(), strict=True)),
            "refused draws": found[0].refused,
            "candidates": [{"settings": self._shown(each.settings), "share": each.share} for each in found],
            **self._likeness(fitted),
        } | ({"parity": {"channels": names, **parity}} if parity else {})

    def _likeness(self, fitted: Fitted) -> dict[str, Any]:
        """What the report says of earlier campaigns."""
        return {"history": fitted.kinship.facts} if fitted.kinship else {}

    def _shown(self, unit: Settings) -> dict[str, float]:
        return self.space.named_settings(self.space.from_unit(unit).round(5))

    @property
    def _spent(self) -> str:
        return f"all {self.campaign.most} requests of the budget are sent"

    @property
    def _ahead(self) -> bool:
        return self.campaign.fitting is not None and self.campaign.fitting.ahead

    def _known(self, number: int) -> int:
        """The round before which everything is known when a round is proposed; ahead, the one before is under way."""
        return number - 1 if self._ahead and number > 1 else number

    def insight(self, history: History, fitted: Fitted) -> Insight:
        """That of the last question, with all that was found out then, if this one is about the same."""
        about = (fitted, len(history.observations))
        if about not in self._last:
            self._last.clear()
            self._last[about] = Insight(self.space, self.columns, self.campaign.verification, history, fitted)
        return self._last[about]

    @cached_property
    def _last(self) -> dict[tuple[Fitted, int], Insight]:
        return {}

    def batch(self, history: History, round_: int, settings: Settings, purpose: Purpose) -> list[Request]:
        """One request a row of settings, with references and patches by their cadence."""
        interludes, requests = self._interludes(history), list[Request]()
        for row in settings:
            requests += interludes.due(round_, len(requests))
            requests.append(Request(round_, len(requests), 0, purpose, row))
            interludes.pass_by()
        return requests

    def _fresh(self, history: History, current: Round) -> list[Request]:
        """A reference before going on, if the last reading is so old that the light may have changed."""
        if not history.stale:
            return []
        return self._interludes(history).due(current.number, 1 + max(each.index for each in history.under_way))

    def _interludes(self, history: History) -> Interludes:
        return Interludes.after(self.campaign, self.space, history)

    def _never_read(self, history: History, channel: str) -> bool:
        column = self.space.columns([channel])[0]
        return not any(np.isfinite(each.readings[column]) for each in history.observations)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.campaign.seed, *key])
