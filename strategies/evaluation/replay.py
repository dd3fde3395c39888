"""A recorded campaign, decided once more: is what the record says what the plan would have done?

Each recorded round is held against the plan's own next step on all that was recorded before it, so that a difference
in one round is not carried into the next. What the plan saw is the record's order of attempts, with three things that
it does not say and that may be either way: whether the last reading was too old for its background to be trusted,
whether a configuration that was changed between two requests was changed before or after a step, and whether a fit was
lost with its process. The record agrees if it does for one of these.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product, takewhile
from typing import Any

import numpy as np

from sdl import plugins
from sdl.analysis.spending import with_allowance
from sdl.campaign.definition import Campaign
from sdl.formatting import array_from_json
from sdl.history import Exam, Finding, History, Observation, Purpose, Request, Round, State, by_source
from sdl.instruments.screening import Screened
from sdl.interchange.evidence import Evidence, ExamLine, RoundLine, VerdictLine
from sdl.interchange.rescreening import rescreen
from strategies.evaluation import replay_diff as agreement
from strategies.evaluation.replay_diff import Deviation
from strategies.fitting.fitting import Fitted, models_left_out
from strategies.fitting.guard import failure_sentence
from strategies.plan.plan import Plan
from strategies.plan.steps import Examine, Fit, Measure, Step, Stop

TOLERANCE = 1e-6
"""Largest deviation of a number that another version of a library is granted."""


@dataclass(frozen=True)
class Check:
    """One thing that was recomputed."""

    round: int
    what: str
    """``screening``, ``proposal``, ``requests``, ``exam``, ``verdict`` or ``end``."""
    differences: Sequence[str] = ()
    largest: float = 0.0
    """Largest deviation of a number."""

    @property
    def agrees(self) -> bool:
        """Whether the record says the same."""
        return not self.differences


@dataclass(eq=False)
class Replay:
    """A campaign that is asked again, round by round.

    Args:
        evidence: As it was recorded.
    """

    evidence: Evidence
    checks: list[Check] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    planned: dict[tuple[int, int, int], Request] = field(default_factory=dict)
    exams: list[Exam] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    """Places of the attempts that were made so far."""
    fitted: Fitted | None = None

    def run(self, tell: Callable[[int, int], object] = lambda *_: None) -> list[Check]:
        """Recompute everything that was recorded.

        Args:
            tell: Called with how many rounds are done, and how many there are.

        Raises:
            InvalidInput: if a plug-in that the campaign names is not installed.
        """
        evidence, self.plans = self.evidence, _plans(self.evidence)
        needed = self.plans[-1][1].campaign.channels if self.plans else []
        self.requests = {each.value.key: each.value for each in evidence.planned}
        self.rescreened = rescreen(evidence, needed)
        for number in sorted({each.round for each in evidence.replies}):
            self.checks.append(Check(number, "screening", self.rescreened.differences(number)))
        if not self.plans:
            return self.checks
        examined = {(exam.round, exam.target) for exam in evidence.exams}
        begun = {each.number: each.value.batch for each in evidence.rounds}
        numbers = sorted({*begun.values(), *(each.round for each in evidence.verdicts if each.round not in begun)})
        for done, number in enumerate(numbers):
            tell(done, len(numbers))
            lines = [each for each in evidence.rounds if begun[each.number] == number]
            verdicts = [each for each in evidence.verdicts if begun.get(each.round, each.round) == number]
            for verdict in verdicts:
                if (verdict.round, verdict.target) not in examined:  # it needed no exam, so it came before the round
                    self._verdict(verdict)
            if any(each.value.facts.batch is not None for each in lines):
                self._plate(lines)
            elif lines:
                self._round(lines[0])
            for verdict in verdicts:
                if (verdict.round, verdict.target) in examined:
                    self._verdict(verdict)
        if evidence.campaign.state is State.FINISHED:
            self._hold("end", number if begun else 0, lambda step: agreement.other(step, Stop, "came to its end"))
        return self.checks

    # ------------------------------------------------------------------ one round

    def _round(self, line: RoundLine) -> None:
        number = line.number
        mine = [each.value for each in self.evidence.planned if each.round == number]
        of_exam = _from_exam_on(mine)
        first = [each for each in mine if each.key not in of_exam]
        exam = next((each for each in self.evidence.exams if each.round == number), None)
        proposed = self._hold("proposal", number, lambda step: agreement.proposal(step, line, first, self.evidence))
        if isinstance(proposed, Measure | Examine):  # what was planned later has its turn when it is first sent
            first = first[: len(proposed.requests)] if isinstance(proposed, Measure) else []
        self.rounds.append(line.value)
        self.planned |= {each.key: each for each in first}
        left = [place for place, each in enumerate(self.evidence.replies) if each.round == number]
        while left or exam is not None:
            if exam is not None and (not left or self.evidence.replies[left[0]].key in of_exam):
                self._exam(exam, mine)
                exam = None
            else:
                left = left[self._batch(number, left, mine) :]

    def _plate(self, lines: Sequence[RoundLine]) -> None:
        """Rounds that were begun together, and measured on one plate."""
        number, numbers = lines[0].number, {each.number for each in lines}
        self._hold("proposal", number, lambda step: agreement.plate(step, lines, self.evidence))
        mine = [each.value for each in self.evidence.planned if each.round in numbers]
        self.rounds += [each.value for each in lines]
        self.planned |= {each.key: each for each in mine}
        self.exams += [each.value for each in self.evidence.exams if each.round in numbers]
        left = [place for place, each in enumerate(self.evidence.replies) if each.round in numbers]
        while left:
            left = left[self._batch(number, left, mine) :]

    def _batch(self, number: int, left: Sequence[int], mine: Sequence[Request]) -> int:
        """Hold the next attempts against the batch that the plan asks for; return how many belong to it."""
        key = self.evidence.replies[left[0]].key
        if key not in self.planned:  # planned on the way: what was so before it is there already
            for each in mine[: [each.key for each in mine].index(key)]:
                if each.purpose is not Purpose.VERIFICATION:
                    self.planned.setdefault(each.key, each)
        step = self._hold("requests", number, lambda step: agreement.batch(step, self._request(left[0]), self.evidence))
        self.planned.setdefault(key, self.requests[key])
        keys = [each.key for each in step.requests] if isinstance(step, Measure) else []
        belong, at = 1, 0
        if self.evidence.replies[left[0]].plate:  # what brought nothing is asked for again, after all the others
            belong = max(sum(1 for _ in takewhile(lambda place: self._request(place).key in keys, left)), 1)
        while belong < len(left) and (then := self.evidence.replies[left[belong]].key) in keys[at : at + 2]:
            belong, at = belong + 1, keys.index(then)
        self.taken += left[:belong]
        return belong

    def _exam(self, line: ExamLine, mine: Sequence[Request]) -> None:
        replicates = [each for each in mine if each.purpose is Purpose.VERIFICATION]
        self._hold("exam", line.round, lambda step: agreement.exam(step, line, replicates, self.evidence))
        self.exams.append(line.value)
        self.planned |= {each.key: each for each in replicates}

    def _verdict(self, line: VerdictLine) -> None:
        self._hold("verdict", line.round, lambda step: agreement.verdict(step, line, self.evidence))
        self.findings.append(line.value)

    def _request(self, place: int) -> Request:
        return self.requests[self.evidence.replies[place].key]

    # ------------------------------------------------------------------ what the plan says

    def _hold(self, what: str, number: int, compare: Callable[[Step], list[Deviation]]) -> Step:
        """Hold the record against what the plan says now, under each circumstance until they agree."""
        first: tuple[Step, list[Deviation]] | None = None
        for plan, stale, fitted in product(self._in_force(), (False, True), dict.fromkeys([self.fitted, None])):
            try:
                step, used = self._ask(plan, stale, fitted)
                found = compare(step)
            except Exception as error:  # the record is anybody's, and may make no sense to a plan
                step, used = Stop(""), None
                found = [(f"the plan cannot go on from this record: {failure_sentence(error)}", np.inf)]
            if all(size <= TOLERANCE for _, size in found):
                self.fitted, first = used, (step, found)
                break
            first = first or (step, found)
        assert first is not None
        step, found = first
        far = [(where, size) for where, size in found if not size <= TOLERANCE]
        differences = [where if np.isinf(size) else f"{where}: differs by {size:.3g}" for where, size in far]
        largest = max((size for _, size in found if np.isfinite(size)), default=0.0)
        self.checks.append(Check(number, what, differences, largest))
        return step

    def _in_force(self) -> list[Plan]:
        """Plans by the configurations that may have been in force now, the likeliest first."""
        sent = len(self.taken)
        later = [plan for until, plan in self.plans if until > sent]
        return [*later[:1], *(plan for until, plan in self.plans if until == sent)]

    def _ask(self, plan: Plan, stale: bool, fitted: Fitted | None) -> tuple[Step, Fitted | None]:
        history = with_allowance(self._history(stale), plan.campaign, plan.space, *self._clock)
        while isinstance(step := plan.next_step(history, fitted), Fit):
            gone = models_left_out(each.value for each in self.evidence.rounds if each.number <= step.round)
            fitted = plan.fit(step, history, gone)
        return step, fitted

    @property
    def _clock(self) -> tuple[float, float]:
        """When the last answer came, as far as the record says, and when the campaign began."""
        begun = self.evidence.campaign.created
        last = self.evidence.replies[self.taken[-1]] if self.taken else None
        return (last and (last.done_at or last.sent_at)) or begun, begun

    def _history(self, stale: bool) -> History:
        observations = dict[tuple[int, int, int], Observation]()
        last = self.taken[-1] if self.taken else -1
        for place in self.taken:
            reply = self.evidence.replies[place]
            if reply.key in observations or (found := self._counted(place, last)) is None:
                continue
            values: dict[str, Any] = vars(self._request(place)) | {
                "verdict": found.verdict,
                "readings": found.readings,
                "censored": found.censored,
                "conditions": reply.conditions or {},
            }
            observations[reply.key] = Observation(**values, seq=len(observations), sample=reply.sample or "")
        own, others = by_source(observations.values())
        return History(
            rounds=list(self.rounds),
            planned=list(self.planned.values()),
            observations=own,
            of_sources=others,
            exams=list(self.exams),
            findings=list(self.findings),
            sent=len(self.taken),
            asked=[self._request(place) for place in self.taken],
            plates=self.evidence.replies[last].plate if self.taken else 0,
            stale=stale,
        )

    def _counted(self, place: int, last: int) -> Screened | None:
        """What was believed of a reply when the last one had come; as recorded, unless it was distrusted later."""
        reply = self.evidence.replies[place]
        if reply.counts and reply.verdict is not None and reply.readings is not None:
            return Screened(
                reply.verdict, reply.reason, array_from_json(reply.readings), np.array(reply.censored, bool)
            )
        found = self.rescreened.alone.get(place)
        return found if found is not None and last < self.rescreened.masked.get(place, -1) else None


def _from_exam_on(planned: Sequence[Request]) -> set[tuple[int, int, int]]:
    """What was planned in a round when its candidate was frozen and later."""
    first = next((i for i, each in enumerate(planned) if each.purpose is Purpose.VERIFICATION), len(planned))
    return {each.key for each in planned[first:]}


def _plans(evidence: Evidence) -> list[tuple[float, Plan]]:
    """Each configuration as a plan, with the number of requests until which it was in force; none without targets."""
    campaign = evidence.campaign
    if "targets" not in campaign.config:
        return []
    configs = [(float(each.sent), each.before) for each in campaign.changes] + [(np.inf, campaign.config)]
    plans = [(until, Plan(Campaign.parse(config), evidence.space)) for until, config in configs]
    for _, plan in plans:  # a plug-in that is not here is a matter of this installation, not of the record
        plugins.load("sdl.designs", plan.campaign.design.plugin)
        plugins.load("sdl.acquisitions", plan.campaign.acquisition.plugin)
        for model in plan.campaign.models:
            plugins.load("sdl.inverse_models", model.plugin)
        plan.space.columns(plan.campaign.channels)
    return plans
