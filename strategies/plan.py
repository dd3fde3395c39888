"""The loop itself, written once: from a campaign and what its ledger holds to the next step.

``next_step`` is a pure function. Whoever executes its steps - the Prefect flow on a real instrument, a rehearsal in
memory - asks again after each one, so a campaign that was killed goes on by asking.

Every random choice depends on the campaign's seed and the number of the round alone, so an interrupted round is
completed as it was proposed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from sdl import plugins
from sdl.campaign import Campaign
from sdl.conditions import Conditions
from sdl.errors import InvalidInput
from sdl.history import Exam, Finding, History, Observation, Purpose, Request, Round, RoundKind, Verdict
from sdl.preparing import Wanted, wanted
from sdl.space import Settings, Space
from sdl.verification import judge
from strategies.acquisition import SpaceFilling
from strategies.contract import Acquisition, Design
from strategies.ensemble import refitted
from strategies.exams import BEGUN, Outlook
from strategies.fitting import MEMBERS, Fitted, undecided
from strategies.insight import Insight
from strategies.interludes import Interludes
from strategies.kinship import remaining
from strategies.offers import Offer

FIRST = 5
"""Settings before the first fit, of a design that has no number of its own."""
HARDLY = 0.1
"""Chance of passing below which readings around the candidate teach more than an exam would."""
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
        settled = {finding.target for finding in history.findings if finding.settles}
        open_ = [target for target in self.targets if target.name not in settled]
        left = self.campaign.most - history.sent
        if not open_:
            return Stop("every target is settled")
        if left <= 0:
            return Stop(f"all {self.campaign.most} requests of the budget are sent")
        if number > self.campaign.stop.rounds:
            return Stop(f"all {self.campaign.stop.rounds} rounds are done")
        if fitted is None or fitted.round != number:
            return Fit(number, self._known(number))
        if fitted.model is None:
            return self._gather(history, number, fitted, left)
        return self._pursue(history, number, fitted, open_[0], left)

    def _gather(self, history: History, number: int, fitted: Fitted, left: int) -> Step:
        """No model can be fitted yet: fill the space, by the design if lessons were to do instead of it."""
        if self.campaign.lessons and not any(each.purpose is Purpose.DESIGN for each in history.observations):
            settings = self.space.from_unit(remaining(self.space.to_unit(self._design()), fitted.settings))
            requests = self.batch(history, number, settings, Purpose.DESIGN)
            return Measure(Round(number, RoundKind.DESIGN, facts=self._likeness(fitted)), requests)
        useless = [name for name in self.campaign.channels if self._never_read(history, name)]
        if useless:
            return Stop(f"{', '.join(useless)} had no usable reading at any setting, so it cannot be learned")
        n = min(self.campaign.acquisition.n, left)
        batch = SpaceFilling().propose([], [], fitted.settings, np.zeros(0), n, self._rng(number))
        facts = {"why": "too few readings for any model", "skipped": fitted.skipped}
        return self._learn(history, number, batch, facts)

    def _pursue(self, history: History, number: int, fitted: Fitted, target: Wanted, left: int) -> Step:
        """Is the target reachable, is the model good enough for an exam, and if not, can it learn?"""
        failed = [f for f in history.findings if f.target == target.name and f.verdict is not Verdict.NOT_REACHABLE]
        if len(failed) >= self.campaign.stop.exams:
            return self._give_up(number, target, f"none of {len(failed)} candidates passed its exam")
        insight = self.insight(history.before(self._known(number)), fitted)
        untried = fitted.translated > 0 and not any(each.purpose.teaches for each in history.observations)
        if (unreachable := insight.unreachable(target, self.campaign.channels)) is not None:
            if untried and unreachable.settings is not None:  # nothing is told by what was read elsewhere alone
                return self._learn(
                    history, number, self.space.to_unit(unreachable.settings)[None], self._likeness(fitted)
                )
            return Conclude(unreachable)
        found = insight.offers(target, self._rng(number, 3))
        outlook = insight.outlook(target, found[0].uncertainty)
        looks, ideal = insight.looks(outlook), insight.ideal(target)
        if ideal.chance(longest := insight.longest) < POINTLESS:
            return self._give_up(number, target, self._noise_limited(ideal, longest[-1].replicates))
        chance = outlook.chance(looks)
        facts = self._facts(fitted, target, found, chance)
        if chance < HARDLY:
            # The first reading tells how far the lesson holds, and nowhere better than where the answer should be.
            batch = found[0].settings[None] if untried else self._acquire(history, insight, number, target, left)
            if len(batch):
                return self._learn(history, number, batch, facts)
        return self.begin_exam(history, number, insight, target, found[0], facts)

    def _acquire(self, history: History, insight: Insight, number: int, target: Wanted, left: int) -> Settings:
        """What to learn from next, ``(m, d)``; empty if there is nothing left to learn, or it is not its turn."""
        part, in_a_row = self.campaign.acquisition, 0
        for round_ in reversed(history.rounds):
            if round_.kind is not RoundKind.LEARNING:
                break
            in_a_row += 1
        n = min(part.n, left - 2)
        if in_a_row >= part.rounds or n < 1:
            return np.empty((0, self.space.d))
        return insight.once((target.name, n), lambda: self._acquired(history, insight, number, target, n))

    def _acquired(self, history: History, insight: Insight, number: int, target: Wanted, n: int) -> Settings:
        part, fitted = self.campaign.acquisition, insight.fitted
        members = refitted(fitted.refit, fitted.readings, fitted.settings, MEMBERS, self._rng(number, 1), insight.model)
        if len(members) < 2:
            return np.empty((0, self.space.d))
        acquisition: Acquisition = plugins.build("sdl.acquisitions", part.plugin, part.options)
        now = target.readings - insight.background
        measured = np.concatenate((fitted.settings, self._unlearned(history, number)))
        return acquisition.propose(members, [now], measured, insight.noise, n, self._rng(number, 2))

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
            return Stop(f"all {self.campaign.most} requests of the budget are sent")
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
            offer = insight.offers(target, self._rng(current.number, 3))[0]
            return self.examine(history, current, insight, target, offer)
        replicates = history.taken(Purpose.VERIFICATION)
        # Not when nothing is lacking: a reference that a fault kept from being read may be lacking for ever.
        if spent or len(replicates) >= exam.replicates or self._ends(history, exam, target, replicates):
            return Conclude(self._judge(exam, target, replicates))
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

    def _whole(self, name: str) -> Wanted:
        """A target over all channels."""
        return next(wanted(self.space, target) for target in self.campaign.targets if target.name == name)

    def _judged(self, history: History, round_: Round) -> bool:
        return any(finding.round == round_.number and finding.target == round_.target for finding in history.findings)

    # ------------------------------------------------------------------ small things

    def _give_up(self, number: int, target: Wanted, why: str) -> Conclude:
        return Conclude(Finding(number, target.name, Verdict.INCONCLUSIVE, f"given up: {why}"))

    def _noise_limited(self, outlook: Outlook, n: int) -> str:
        worst = int(np.argmax(outlook.noise / outlook.tolerance))
        return (
            f"even perfect settings could not pass an exam of {n} replicates: one reading scatters by "
            f"{outlook.noise[worst]:.3g} and the tolerance is {outlook.tolerance[worst]:.3g}; allow more replicates or "
            "a wider tolerance"
        )

    def _facts(self, fitted: Fitted, target: Wanted, found: list[Offer], chance: float) -> dict[str, Any]:
        """What the report says of a round."""
        names = self.campaign.channels
        return {
            "model": fitted.name,
            "chosen": fitted.choice.reason,
            "scores": fitted.choice.scores,
            "held out": fitted.choice.held_out,
            "skipped": fitted.skipped,
            "rows": len(fitted.settings) - fitted.translated,
            "target": target.name,
            "chance of passing": chance,
            "uncertainty": dict(zip(names, found[0].uncertainty.tolist(), strict=True)),
            "refused draws": found[0].refused,
            "candidates": [{"settings": self._shown(each.settings), "share": each.share} for each in found],
            "parity": {"channels": names, **fitted.parity()},
            **self._likeness(fitted),
        }

    def _likeness(self, fitted: Fitted) -> dict[str, Any]:
        """What the report says of earlier campaigns."""
        return {"history": fitted.kinship.facts} if fitted.kinship else {}

    def _shown(self, unit: Settings) -> dict[str, float]:
        return self.space.named_settings(self.space.from_unit(unit).round(5))

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
