"""The loop itself, written once: from a campaign and what its ledger holds to the next step.

``next_step`` is a pure function. Whoever executes its steps - the Prefect flow on a real instrument, a rehearsal in
memory - asks again after each one, so a campaign that was killed goes on by asking.

Every random choice depends on the campaign's seed and the number of the round alone, so an interrupted round is
completed as it was proposed.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sdl import plugins
from sdl.analysis.answer_count import passed_findings
from sdl.analysis.background import Background
from sdl.analysis.verification import judge_exam
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import ResolvedTarget, resolve_target
from sdl.errors import InvalidInput
from sdl.history import Exam, Finding, History, Purpose, Request, Round, RoundFacts, RoundKind, Verdict
from sdl.space import Settings, Space
from strategies.acquisitions.space_filling import SpaceFilling
from strategies.answers.candidates import Candidate
from strategies.contract import Design
from strategies.fitting.fitting import Fitted, fit_models
from strategies.fitting.transfer import remaining
from strategies.plan import multiple_answers as several
from strategies.plan.assessment import HARDLY, Assessment
from strategies.plan.exams import exam_batch_size, exam_has_ended
from strategies.plan.learning_batch import learning_batch
from strategies.plan.reference_schedule import ReferenceSchedule
from strategies.plan.round_context import RoundContext, learned_before
from strategies.plan.round_facts import lesson_facts, noise_limited_sentence, round_facts
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop
from strategies.plan.target_order import next_target

FIRST = 5
"""Settings before the first fit, of a design that has no number of its own."""
POINTLESS = 0.02
"""Chance of passing below which an exam is not worth a request."""


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
    def targets(self) -> list[ResolvedTarget]:
        """The targets over those channels."""
        whole = [resolve_target(self.space, target) for target in self.campaign.targets]
        return [ResolvedTarget(w.name, w.readings[self.columns], w.tolerance[self.columns]) for w in whole]

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

    def fit(
        self,
        step: Fit,
        history: History,
        left_out: Mapping[str, str] | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> Fitted:
        """Do what a step to retrain asks for.

        Args:
            step: The step.
            history: What the ledger holds.
            left_out: Models by name that are not to be tried, and why.
            tell: Called with the name of each model before it is fitted.
        """
        seen, (models, lessons) = history.before(step.before), (self.campaign.models, self.campaign.lessons)
        return fit_models(models, self.space, self.columns, seen, step.round, left_out, tell, lessons)

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
        open_ = [
            target for target in self.targets if not several.is_settled(self.campaign.target(target.name), history)
        ]
        if not open_:
            return Stop("every target is settled")
        if history.sent >= self.campaign.most and len(self.targets) == 1:  # of several, some may need none
            return Stop(self._spent)
        if number > self.campaign.rounds:
            return Stop(f"all {self.campaign.rounds} rounds are done")
        if fitted is None or fitted.round != number:
            return Fit(number, learned_before(self.campaign, number))
        if fitted.model is None:
            return self._gather(history, number, fitted)
        insight = self.insight(history.before(learned_before(self.campaign, number)), fitted)
        failed = Counter({each.name: len(several.failed_exams(each.name, history.findings)) for each in open_})
        target = next_target(insight, open_, failed)
        if (n := failed[target.name]) >= self.campaign.stop.exams:
            return self._give_up(history, number, target, f"none of {n} candidates passed its exam")
        return self._pursue(RoundContext(self.campaign, history, number, insight, target, open_))

    def _gather(self, history: History, number: int, fitted: Fitted) -> Step:
        """No model can be fitted yet: fill the space, by the design if lessons were to do instead of it."""
        if (left := self.campaign.most - history.sent) <= 0:
            return Stop(self._spent)
        if self.campaign.lessons and not any(each.purpose is Purpose.DESIGN for each in history.observations):
            settings = self.space.from_unit(remaining(self.space.to_unit(self._design()), fitted.settings))
            requests = self.batch(history, number, settings, Purpose.DESIGN)
            return Measure(Round(number, RoundKind.DESIGN, facts=RoundFacts(history=lesson_facts(fitted))), requests)
        useless = [name for name in self.campaign.channels if self._never_read(history, name)]
        if useless:
            return Stop(f"{', '.join(useless)} had no usable reading at any setting, so it cannot be learned")
        n = min(self.campaign.acquisition.n, left)
        batch = SpaceFilling().fill(fitted.settings, n, self._rng(number))
        facts = RoundFacts(why="too few readings for any model", skipped=fitted.skipped)
        return self._learn(history, number, batch, facts)

    def _learn(self, history: History, number: int, batch: Settings, facts: RoundFacts) -> Measure:
        requests = self.batch(history, number, self.space.from_unit(batch), Purpose.LEARNING)
        return Measure(Round(number, RoundKind.LEARNING, facts=facts), requests)

    def _pursue(self, turn: RoundContext) -> Step:
        """Go on with the target of a turn."""
        step = self._unexamined(turn, turn.target) or self._towards(turn)
        if isinstance(step, Stop):  # the budget is spent, and what takes no request is said all the same
            for each in turn.open:
                if each is not turn.target and (said := self._unexamined(turn, each)) is not None:
                    return said
        return step

    def _unexamined(self, turn: RoundContext, target: ResolvedTarget) -> Conclude | Measure | None:
        """The verdict on an open target that no exam could settle: out of reach, or lost in the noise.

        Out of reach in a light that one reading alone has shown, as of a lamp, is not said before another one.
        """
        insight, reached = turn.insight, passed_findings(self.campaign.target(target.name), turn.history.findings)
        if not reached and (unreachable := insight.unreachable(target, self.campaign.channels)) is not None:
            return None if turn.untried else self._light_again(turn) or Conclude(unreachable)
        ideal, longest = insight.ideal(target), insight.longest
        if ideal.chance(longest) < POINTLESS:
            return self._give_up(
                turn.history, turn.number, target, noise_limited_sentence(ideal, longest[-1].replicates)
            )
        return None

    def _light_again(self, turn: RoundContext) -> Measure | None:
        """A reading of the background, if the last one changed as if a lamp had been switched."""
        if not Background.of(turn.history.observations, self.space.p).switched[-1:].any():
            return None
        references = self._interludes(turn.history).due(turn.number, 0, always=True)[: max(turn.left, 0)]
        why = "a lamp seems to have been switched, by one reading alone"
        facts = RoundFacts(why=why, model=turn.insight.fitted.name)
        return Measure(Round(turn.number, RoundKind.LEARNING, facts=facts), references) if references else None

    def _towards(self, turn: RoundContext) -> Step:
        """Is the model good enough for an exam, and if not, can it learn?"""
        history, number, found = turn.history, turn.number, several.answer_candidates(turn)
        if not found:
            if len(batch := learning_batch(turn, found)):
                why = "every candidate is near to an answer that was verified"
                return self._learn(history, number, batch, RoundFacts(why=why, model=turn.insight.fitted.name))
            return self._give_up(history, number, turn.target, "every other candidate is near to one of these")
        chance = turn.insight.chance(turn.target, found[0])
        facts = round_facts(turn, found, chance)
        if chance < HARDLY:
            # The first reading tells how far the lesson holds, and nowhere better than where the answer should be.
            batch = found[0].settings[None] if turn.untried else learning_batch(turn, found)
            if len(batch):
                return self._learn(history, number, batch, facts)
        return self.begin_exam(turn, found[0], facts)

    # ------------------------------------------------------------------ exams

    def begin_exam(self, turn: RoundContext, offer: Candidate, facts: RoundFacts) -> Measure | Examine | Stop:
        """Open the round of an exam: read the background where that saves more than it costs, or freeze the offer."""
        insight, target = turn.insight, turn.target
        # Ahead of the readings before it nobody can tell whether to read the background.
        planned = self.campaign.background.every == "planned" and not self.campaign.ahead
        wanted_ = not planned or insight.wants_reference(target, offer, self.targets)
        references = self._interludes(turn.history).due(turn.number, 0, always=wanted_)
        fewest = insight.looks(insight.outlook(target, offer.uncertainty))[0].replicates
        if turn.left < len(references) + fewest:
            return Stop(
                f"{turn.left} of {self.campaign.most} requests are left, too few for an exam of {fewest} "
                "replicates or more and its reference"
            )
        round_ = Round(turn.number, RoundKind.EXAM, target.name, facts)
        if references or self.campaign.ahead:
            return Measure(round_, references)
        return self.examine(turn, round_, offer)

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
                return Fit(current.number, learned_before(self.campaign, current.number))
            if fitted.model is None:
                # A row that the candidate stood on was distrusted since. Only a reference was read in this round, so
                # its fit is that of the next one too.
                return self._next_round(history, current.number + 1, replace(fitted, round=current.number + 1))
            turn = RoundContext(self.campaign, history, current.number, self.insight(history, fitted), target, [target])
            if offers := several.answer_candidates(turn):
                return self.examine(turn, current, several.meant_candidate(current, offers, self.space))
            return self._next_round(history, current.number + 1, fitted)
        taken, rule, whole = history.taken(Purpose.VERIFICATION), self.campaign.verification, self._whole(target.name)
        # Not when nothing is lacking: a reference that a fault kept from being read may be lacking for ever.
        if (
            spent
            or len(taken) >= exam.replicates
            or exam_has_ended(exam, whole, history, rule, self.space, self.columns)
        ):
            return Conclude(several.with_family(current, judge_exam(exam, whole, taken, rule, self.space)))
        return Measure(current, self._fresh(history, current) + pending[: exam_batch_size(exam, rule, len(taken))])

    def lamp_found(self, history: History) -> bool:
        """Whether the reference of an exam shows that a lamp was switched, so that its candidate stands on nothing."""
        switched = Background.of(history.observations, self.space.p).switched
        return bool(history.taken(Purpose.REFERENCE)) and bool(switched[-1:].any())

    def examine(self, turn: RoundContext, round_: Round, offer: Candidate) -> Examine:
        """Freeze an offer, and how its replicates are judged."""
        insight, number = turn.insight, round_.number
        looks = insight.looks(insight.outlook(turn.target, offer.uncertainty), turn.left)
        settings = self.space.from_unit(offer.settings)
        background, uncertainty = np.full((2, self.space.p), np.nan)
        background[self.columns], uncertainty[self.columns] = insight.background, offer.uncertainty
        n, name = looks[-1].replicates, insight.fitted.name
        index = sum(each.round == number for each in turn.history.under_way)
        exam = Exam(number, turn.target.name, settings, name, n, background, uncertainty, looks)
        return Examine(round_, exam, [Request(number, index, i, Purpose.VERIFICATION, settings) for i in range(n)])

    def _whole(self, name: str) -> ResolvedTarget:
        """A target over all channels."""
        return resolve_target(self.space, self.campaign.target(name))

    def _judged(self, history: History, round_: Round) -> bool:
        return any(finding.round == round_.number and finding.target == round_.target for finding in history.findings)

    # ------------------------------------------------------------------ small things

    def _give_up(self, history: History, number: int, target: ResolvedTarget, why: str) -> Conclude:
        sentence = several.answers_have_ended(self.campaign.target(target.name), history, why)
        return Conclude(Finding(number, target.name, Verdict.INCONCLUSIVE, sentence))

    @property
    def _spent(self) -> str:
        return f"all {self.campaign.most} requests of the budget are sent"

    def insight(self, history: History, fitted: Fitted) -> Assessment:
        """That of the last question, with all that was found out then, if this one is about the same."""
        about = (fitted, len(history.observations))
        if about not in self._last:
            self._last.clear()
            self._last[about] = Assessment(self.space, self.columns, self.campaign.verification, history, fitted)
        return self._last[about]

    @cached_property
    def _last(self) -> dict[tuple[Fitted, int], Assessment]:
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

    def _interludes(self, history: History) -> ReferenceSchedule:
        return ReferenceSchedule.after(self.campaign, self.space, history)

    def _never_read(self, history: History, channel: str) -> bool:
        column = self.space.columns([channel])[0]
        return not any(np.isfinite(each.readings[column]) for each in history.observations)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.campaign.seed, *key])
