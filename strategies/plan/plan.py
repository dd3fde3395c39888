"""The loop itself, written once: from a campaign and what its ledger holds to the next step.

``next_step`` is a pure function. Whoever executes its steps - the Prefect flow on a real instrument, a rehearsal in
memory - asks again after each one, so a campaign that was killed goes on by asking.

Every random choice depends on the campaign's seed and on the number of the round, or of the readings that are known,
so an interrupted round is completed as it was proposed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from sdl.analysis.conditions import describe_conditions
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import ResolvedTarget, resolve_target
from sdl.history import Exam, Finding, History, Purpose, Request, Round, RoundFacts, RoundKind, Verdict
from sdl.space import Plate, Settings, Space, are_apart
from strategies.fitting.fitting import Fitted, fit_models
from strategies.fusion.source_rounds import SourceRounds, source_facts
from strategies.plan import multiple_answers as several
from strategies.plan import plates
from strategies.plan.design import design_settings, measured_design
from strategies.plan.exams import exam_finding, judged
from strategies.plan.free_channels import with_free_channels
from strategies.plan.knowledge.assessment import Assessment
from strategies.plan.knowledge.observed_rows import never_read
from strategies.plan.knowledge.outlook import Outlook, Outlooks
from strategies.plan.learning_batch import learning_batch
from strategies.plan.reference_schedule import ReferenceSchedule, sensor_is_doubted
from strategies.plan.round_context import RoundContext, is_spent, learned_before, requests_left, why_spent
from strategies.plan.round_facts import noise_limited_sentence, round_facts
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop, Together
from strategies.plan.target_order import next_target
from strategies.posterior import NextReading, forecast
from strategies.posterior.choice import HOPE
from strategies.posterior.rows import SAME
from strategies.posterior.verdict import Judgement


@dataclass(frozen=True, eq=False)
class Plan:
    """A campaign on an instrument's space, ready to be asked for steps."""

    campaign: Campaign
    space: Space
    led: bool = False
    """Whether somebody else says what to measure: then an exam is left only where it is hopeless in itself."""

    @cached_property
    def columns(self) -> list[int]:
        """Channels that some target fixes."""
        return self.space.columns(self.campaign.channels)

    @cached_property
    def targets(self) -> list[ResolvedTarget]:
        """The targets over those channels."""
        whole = [resolve_target(self.space, target) for target in self.campaign.targets]
        return [ResolvedTarget(each.name, each.window.at(self.columns)) for each in whole]

    def next_step(self, history: History, fitted: Fitted | None) -> Step:
        """What to do next.

        Args:
            history: What the ledger holds.
            fitted: The result of the last ``Fit``; None if it is lost, which costs a refit and nothing else.
        """
        if not history.rounds:
            return self._begin(history, fitted)
        current = history.rounds[-1]
        if current.facts.batch is not None:
            return self._go_on_with_plate(history, current, fitted)
        if current.kind is RoundKind.EXAM:
            if not self._judged(history, current):
                return self._go_on_with_exam(history, current, fitted)
        elif (pending := history.lacking) and not is_spent(self.campaign, history):
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
        seen, of = history.before(step.before), self.campaign
        return fit_models(
            of.models, self.space, self.columns, seen, step.round, left_out, tell, of.lessons, rivals=of.rivals
        )

    # ------------------------------------------------------------------ rounds

    def _begin(self, history: History, fitted: Fitted | None) -> Step:
        """The design; or with lessons the background alone, since they may do instead of it, and sources first."""
        if self.campaign.sources:
            return self._next_round(history, 0, fitted)
        if not self.campaign.lessons:
            return self._measure_design(history, 0)
        if references := self._interludes(history).due(0, 0):
            return Measure(Round(0, RoundKind.DESIGN), references)
        return self._next_round(history, 0, fitted)

    def _measure_design(self, history: History, number: int) -> Measure:
        requests = self.batch(history, number, measured_design(self.campaign, self.space), Purpose.DESIGN)
        return Measure(Round(number, RoundKind.DESIGN), requests)

    def _next_round(self, history: History, number: int, fitted: Fitted | None) -> Step:
        open_ = [
            target for target in self.targets if not several.is_settled(self.campaign.target(target.name), history)
        ]
        if not open_:
            return Stop("every target is settled")
        if number > self.campaign.rounds:
            return Stop(f"all {self.campaign.rounds} rounds are done")
        sources = SourceRounds(self.campaign, history, number, requests_left(self.campaign, history))
        if (first := sources.first(partial(design_settings, self.campaign, self.space))) is not None:
            return Measure(*first)
        if fitted is None or fitted.round != number:
            return Fit(number, learned_before(self.campaign, number))
        if not history.sent and is_spent(self.campaign, history):
            return Stop(why_spent(self.campaign, history))
        if useless := never_read(self.campaign, self.space, history):
            return Stop(f"{', '.join(useless)} had no usable reading at any setting, so it cannot be learned")
        known, spent = history.before(learned_before(self.campaign, number)), is_spent(self.campaign, history)
        if not self._outlooks.are_enough(known, fitted):
            return Stop(why_spent(self.campaign, history)) if spent else self._gather(history, number)
        insight = self.insight(known, fitted)
        turn = RoundContext(self.campaign, history, number, insight, open_[0], open_)
        if spent:
            turns = (replace(turn, target=target) for target in open_)
            return next(filter(None, map(self._without_reading, turns)), Stop(why_spent(self.campaign, history)))
        failed = Counter({target.name: several.failed_exams(target.name, history.findings) for target in open_})
        if self.space.plate is not None:
            return self._fill(self.space.plate, [replace(turn, target=target) for target in open_])
        outlook = self._outlooks.of(known, fitted)
        turn = replace(turn, target=next_target(outlook.insight, open_, failed))
        return self._pursue(turn) if outlook.fused is None else self._pursue_by_all(turn, outlook)

    def _gather(self, history: History, number: int) -> Measure:
        """Too few readings to begin with: the design, if lessons were to do instead of it, or one more setting."""
        if not any(observation.purpose is Purpose.DESIGN for observation in history.observations):
            return self._measure_design(history, number)
        facts = RoundFacts(why="too few readings to begin with")
        return self._learn(history, number, self.space.spread(self._rng(number).random((1, self.space.u))), facts)

    def _learn(self, history: History, number: int, batch: Settings, facts: RoundFacts) -> Measure:
        requests = self.batch(history, number, self.space.from_unit(batch), Purpose.LEARNING)
        return Measure(Round(number, RoundKind.LEARNING, facts=facts), requests)

    def _pursue(self, turn: RoundContext) -> Step:
        """Go on with the target of a turn: a verdict that takes no reading, a reading to learn from, or an exam."""
        if (conclusion := self._without_reading(turn)) is not None:
            return self._sensor_first(turn, conclusion) or conclusion
        return self._read_for(turn)

    def _pursue_by_all(self, turn: RoundContext, outlook: Outlook) -> Step:
        """The same where sources tell where to read: what is said without a reading is by the instrument alone.

        So it is where sources say that nothing gives the target.
        """
        assert outlook.fused is not None, "there are sources"
        known = turn.insight.history
        if self._outlooks.own_are_enough(known, turn.insight.fitted):
            if (conclusion := self._without_reading(turn)) is not None:
                return self._sensor_first(turn, conclusion) or conclusion
            if outlook.misleads(turn.target):
                return self._read_for(turn, outlook)
        seeing = replace(turn, insight=outlook.seeing(turn.target))
        reading, pursuit = _reading(seeing), seeing.insight.pursuit(turn.target)
        sources = SourceRounds(self.campaign, turn.history, turn.number, turn.left)
        asked = sources.next(outlook.fused, pursuit, reading, self.space, seeing.rng(3))
        return self._read_for(seeing, outlook) if asked is None else Measure(*asked)

    def _read_for(self, turn: RoundContext, outlook: Outlook | None = None) -> Step:
        """A reading of the instrument, to learn from or for an exam."""
        reading = _reading(turn)
        facts = round_facts(turn, reading)
        if outlook is not None and outlook.fused is not None:
            facts = replace(facts, sources=source_facts(self.campaign, outlook.fused))
        if len(batch := learning_batch(turn, reading)):
            chosen = replace(facts, acquisition=self.campaign.acquisition.plugin)
            return self._learn(turn.history, turn.number, batch, chosen)
        return self.begin_exam(turn, turn.insight.candidate(turn.target, reading), facts)

    def _sensor_first(self, turn: RoundContext, conclusion: Conclude) -> Measure | None:
        """A reading with every knob off before a target is called out of reach, where the sensor is in doubt.

        One that stands at its ceiling in the dark as well is broken, which the screening of the background finds.
        """
        if conclusion.finding.verdict is not Verdict.NOT_REACHABLE or not sensor_is_doubted(turn.history, self.columns):
            return None
        references = self._interludes(turn.history).due(turn.number, 0, always=True)[: turn.left]
        facts = RoundFacts(why="a reading stands at a ceiling: does the sensor, with every knob off?")
        return Measure(Round(turn.number, RoundKind.LEARNING, facts=facts), references) if references else None

    def _without_reading(self, turn: RoundContext) -> Conclude | None:
        """What is said of the target of a turn without another reading: it is out of reach, or given up."""
        insight, target, history, number = turn.insight, turn.target, turn.history, turn.number
        if (n := several.failed_exams(target.name, history.findings)) >= self.campaign.stop.exams:
            return self._give_up(history, number, target, f"none of {n} candidates passed its exam")
        if insight.lost_in_noise(target, self.campaign.most):
            return self._give_up(history, number, target, noise_limited_sentence(insight, target, self.campaign.most))
        if channels := insight.beyond_ceiling(target):
            why = f"the largest of {', '.join(channels)} is beyond the ceiling of the sensor, where none can be told"
            return self._give_up(history, number, target, why)
        passed = several.answers_passed(turn)
        if not passed and (finding := insight.unreachable(target)) is not None:
            return self._concluded(history, finding)
        if insight.reading(target) is None or (passed and several.no_other_left(turn)):
            return self._give_up(history, number, target, "no other settings are likely to give it")
        return None

    # ------------------------------------------------------------------ plates

    def _fill(self, plate: Plate, turns: Sequence[RoundContext]) -> Step:
        """Fill a plate for all open targets, or say what is found of one of them without a reading."""
        for turn in turns:
            if (conclusion := self._without_reading(turn)) is not None:
                return self._sensor_first(turn, conclusion) or conclusion
        turns = plates.at_one_value(turns)
        first = turns[0]
        references = self._references(first)
        wells = min(plate.capacity, first.left) - len(references)
        worth, examined = plates.plate_worth(self.campaign, plate), plates.served(turns)
        ways = [plates.candidates(turn, _reading(turn), worth) for turn in examined]
        exams = plates.within(plates.cheapest(ways, worth), wells)
        wells -= sum(each.replicates for found in exams for each in found)
        parts, number = list[Measure | Examine](), first.number
        for turn in turns:
            if len(batch := plates.learned_from(turn, _reading(turn))[:wells]):
                facts = replace(round_facts(turn, _reading(turn)), batch=first.number)
                parts.append(self._learn(turn.history, number, batch, facts))
                wells, number = wells - len(batch), number + 1
        if plate.parallel:
            exams = plates.with_idle_used(exams, wells)
        for turn, found in zip(examined, exams, strict=True):
            for each in found:
                here = replace(_reading(turn), settings=each.settings, chance=each.chance)
                facts = replace(round_facts(turn, here), batch=first.number)
                round_ = Round(number, RoundKind.EXAM, turn.target.name, facts)
                parts.append(self.examine(turn, round_, each.settings, each.replicates))
                number += 1
        if not parts:
            return Stop(why_spent(self.campaign, first.history))
        opened = parts[0].requests[0].settings
        moved = [replace(request, index=request.index + len(references)) for request in parts[0].requests]
        references = [replace(each, settings=self.space.beside(each.settings, opened)) for each in references]
        return Together([replace(parts[0], requests=[*references, *moved]), *parts[1:]])

    def _go_on_with_plate(self, history: History, current: Round, fitted: Fitted | None) -> Step:
        """Measure what a plate lacks; then judge its exams, each by what was read in the rounds up to it."""
        if history.lacking and not is_spent(self.campaign, history):
            return Measure(current, history.lacking)
        settled = {each.target for each in history.findings if each.round >= current.batch and each.settles}
        for round_ in (each for each in history.rounds if each.batch == current.batch and each.target is not None):
            taken = len(history.of_round(round_.number, Purpose.VERIFICATION))
            if self._judged(history, round_) or round_.target in settled or not taken:
                continue
            if fitted is None or fitted.round != current.batch:
                return Fit(current.batch, current.batch)
            return self._judge(history, round_, taken, fitted)
        return self._next_round(history, current.number + 1, fitted)

    def _judge(self, history: History, round_: Round, taken: int, fitted: Fitted) -> Conclude:
        """The finding of an exam of a plate, by the rows up to its last one."""
        exam = next(each for each in history.exams if each.round == round_.number)
        insight = self._outlooks.until(history, fitted, round_.number)
        return self._conclude(insight, round_, exam, self._judgement(insight, exam), taken)

    # ------------------------------------------------------------------ exams

    def begin_exam(self, turn: RoundContext, settings: Settings, facts: RoundFacts) -> Measure | Examine:
        """Open the round of an exam: read the background where it is due, or freeze the candidate."""
        references = self._references(turn)
        round_ = Round(turn.number, RoundKind.EXAM, turn.target.name, facts)
        if references or self.campaign.ahead:
            return Measure(round_, references)
        return self.examine(turn, round_, settings)

    def _references(self, turn: RoundContext) -> list[Request]:
        """What is read before an exam or a plate: where a source tells of the level, a reference only after a break."""
        always = self.campaign.background.every not in ("planned", 0) or sensor_is_doubted(turn.history, self.columns)
        told = turn.insight.posterior.rows.source.any() and self.campaign.suspend.patch is None
        if told and not (always or turn.history.stale):
            return []
        return self._interludes(turn.history).due(turn.number, 0, always=always)

    def _go_on_with_exam(self, history: History, current: Round, fitted: Fitted | None) -> Step:
        assert current.target is not None, "an exam is of a target"
        target = self._target(current.target)
        exam = next((each for each in history.exams if each.round == current.number), None)
        pending, spent = history.lacking, is_spent(self.campaign, history)
        taken = history.taken(Purpose.VERIFICATION)
        if spent and not taken:
            return Stop(why_spent(self.campaign, history))
        if exam is None:
            if pending:
                return Measure(current, pending)
            if fitted is None or fitted.round != current.number:
                return Fit(current.number, learned_before(self.campaign, current.number))
            # Only references were read in this round, so its fit is that of the next one too.
            following = replace(fitted, round=current.number + 1)
            if not self._outlooks.are_enough(history, fitted):  # some were distrusted since
                return self._next_round(history, following.round, following)
            insight = self._outlooks.of(history, fitted).seeing(target)
            turn = RoundContext(self.campaign, history, current.number, insight, target, [target])
            if (reading := turn.insight.reading(target)) is not None:
                return self.examine(turn, current, turn.insight.candidate(target, reading))
            return self._next_round(history, following.round, following)
        batch = self._replicates(len(taken), exam)
        # Not when nothing is lacking: a reference that a fault kept from being read may be lacking for ever.
        if batch and not spent and (not taken or not self._planned):
            return Measure(current, self._fresh(history, current) + pending[:batch])
        if not taken:
            return self._next_round(history, current.number + 1, fitted)
        if fitted is None or fitted.round != current.number:
            return Fit(current.number, learned_before(self.campaign, current.number))
        if not self._outlooks.are_enough(history, fitted):
            return self._next_round(history, current.number + 1, replace(fitted, round=current.number + 1))
        outlook, why = self._outlooks.of(history, fitted), ""
        insight = outlook.judging
        judgement = self._judgement(insight, exam)
        if judgement.verdict is Verdict.INCONCLUSIVE:
            why = "the budget is spent" if spent else self._why_leave(outlook.seeing(target), exam, target, batch)
            if not why:
                return Measure(current, self._fresh(history, current) + pending[:batch])
        return self._conclude(insight, current, exam, judgement, len(taken), why)

    def _judgement(self, insight: Assessment, exam: Exam) -> Judgement:
        """What is known by now of the settings of an exam."""
        pursuit = insight.pursuit(self._target(exam.target))
        return judged(insight.posterior, pursuit, self.space.to_unit(exam.settings))

    def _conclude(
        self, insight: Assessment, round_: Round, exam: Exam, judgement: Judgement, taken: int, why: str = ""
    ) -> Conclude:
        """The finding of an exam of which so many replicates are taken, and why it is left if it has no verdict."""
        target = self._target(exam.target)
        pursuit = insight.pursuit(target)
        finding = exam_finding(exam, target, judgement, pursuit, taken, self.space, self.columns, why)
        finding = several.with_family(round_, finding)
        return self._concluded(insight.history, finding)

    def _concluded(self, history: History, finding: Finding) -> Conclude:
        """A finding with what it says of the channels left free, and of the conditions that it holds for."""
        finding = with_free_channels(self.campaign, self.space, history, finding)
        said = describe_conditions(self.campaign, self.space, history.observations)
        return Conclude(replace(finding, sentence="; ".join((finding.sentence, *said))))

    def _target(self, name: str) -> ResolvedTarget:
        return next(target for target in self.targets if target.name == name)

    def _why_leave(self, insight: Assessment, exam: Exam, target: ResolvedTarget, batch: int) -> str:
        """Why an exam without a verdict is left, in words; empty while it goes on."""
        if not batch:
            return f"an exam may have no more replicates than {exam.replicates}"
        here = self.space.to_unit(exam.settings)
        if self.led:
            chance = float(forecast(insight.posterior, insight.pursuit(target), here[None]).chance[0])
            return "" if chance >= HOPE else "further readings are unlikely to bring it within"
        reading = insight.reading(target)
        if reading is not None and np.abs(insight.candidate(target, reading) - here).max() <= SAME:
            return ""
        return "by these readings other settings are likelier to give it"

    @property
    def _planned(self) -> bool:
        return self.campaign.verification.replicates == "planned"

    def _replicates(self, taken: int, exam: Exam) -> int:
        """How many replicates are taken before the target is judged again; 0 if there were as many as there may be."""
        return min(1, exam.replicates - taken) if self._planned else exam.replicates - taken

    def examine(self, turn: RoundContext, round_: Round, candidate: Settings, n: int | None = None) -> Examine:
        """Freeze a candidate in the unit box ``(d,)``, and how many replicates it has if that is not for the rule."""
        insight, number, rule = turn.insight, round_.number, self.campaign.verification
        settings = self.space.from_unit(candidate)
        background, uncertainty = np.full((2, self.space.p), np.nan)
        background[self.columns] = insight.background
        uncertainty[self.columns] = insight.posterior.at(candidate[None])[1][0]
        n = n or (rule.most if rule.replicates == "planned" else rule.replicates)
        index = sum(request.round == number for request in turn.history.under_way)
        exam = Exam(number, turn.target.name, settings, insight.model_name, n, background, uncertainty)
        return Examine(round_, exam, [Request(number, index, i, Purpose.VERIFICATION, settings) for i in range(n)])

    def _judged(self, history: History, round_: Round) -> bool:
        return any(finding.round == round_.number and finding.target == round_.target for finding in history.findings)

    # ------------------------------------------------------------------ small things

    def _give_up(self, history: History, number: int, target: ResolvedTarget, why: str) -> Conclude:
        sentence = several.answers_have_ended(self.campaign.target(target.name), history, why)
        return Conclude(Finding(number, target.name, Verdict.INCONCLUSIVE, sentence))

    def insight(self, history: History, fitted: Fitted | None) -> Assessment:
        """What the instrument has said, or the sources while it has said too little."""
        return self._outlooks.of(history, fitted).leading

    @cached_property
    def _outlooks(self) -> Outlooks:
        return Outlooks(self.campaign, self.space, self.columns)

    def batch(self, history: History, round_: int, settings: Settings, purpose: Purpose) -> list[Request]:
        """One request a row of settings, with references and patches by their cadence, and on each further plate."""
        interludes, requests = self._interludes(history), list[Request]()
        last: Settings | None = None
        for row in settings:
            begins = last is not None and are_apart(self.space, last, row)
            always = begins and self.campaign.background.every != 0
            due = interludes.due(round_, len(requests), always=always)
            requests += [replace(each, settings=self.space.beside(each.settings, row)) for each in due]
            requests.append(Request(round_, len(requests), 0, purpose, row))
            interludes.pass_by()
            last = row
        return requests

    def _fresh(self, history: History, current: Round) -> list[Request]:
        """A reference before going on, if the last reading is so old that the light may have changed."""
        if not history.stale or current.kind is RoundKind.SOURCE:
            return []
        return self._interludes(history).due(current.number, 1 + max(request.index for request in history.under_way))

    def _interludes(self, history: History) -> ReferenceSchedule:
        return ReferenceSchedule.after(self.campaign, self.space, history)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.campaign.seed, *key])


def _reading(turn: RoundContext) -> NextReading:
    """Where to read next for a target that is not given up."""
    reading = turn.insight.reading(turn.target)
    assert reading is not None, "where no settings are left the target is given up"
    return reading
