"""A campaign in memory: the plan's own steps on an instrument in this process, with no ledger and no flow.

For back-tests and for tests of the plan: hundreds of campaigns a minute, the same requests as the real thing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sdl.analysis.spending import with_allowance
from sdl.campaign.definition import Campaign
from sdl.history import Exam, Finding, History, Observation, Purpose, Request, Round, by_source
from sdl.instruments.protocol import Instrument, MeasuresMany, Reply
from sdl.instruments.screening import PreviousReply, screen_reply
from sdl.space import Plate, refuse_batch, split_into_batches
from strategies.fitting.fitting import Fitted
from strategies.plan.round_context import requests_left
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop, Together


class Decides(Protocol):
    """Who says what to do next: our own plan, or a peer under its rules."""

    @property
    def campaign(self) -> Campaign: ...

    def next_step(self, history: History, fitted: Fitted | None) -> Step: ...

    def fit(self, step: Fit, history: History) -> Fitted: ...


@dataclass(eq=False)
class Simulation:
    """One campaign, run in memory.

    Args:
        plan: The campaign on its space.
        instrument: One that does not fail: nothing is tried twice here.
        watch: Called after each measurement, before the instrument's time moves on.
    """

    plan: Decides
    instrument: Instrument
    watch: Callable[[Observation], object] = lambda _: None
    sources: Mapping[str, Instrument] = field(default_factory=dict)
    """By the names that the campaign has for them, in the space of the instrument."""
    rounds: list[Round] = field(default_factory=list)
    planned: dict[tuple[int, int, int], Request] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    exams: list[Exam] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    before: PreviousReply | None = None
    asked: list[Request] = field(default_factory=list)
    """What was sent so far, in the order of sending."""
    plates: int = 0
    """Sent so far."""

    @property
    def history(self) -> History:
        """What has been done so far."""
        own, others = by_source(self.observations)
        history = History(
            rounds=self.rounds,
            planned=list(self.planned.values()),
            observations=own,
            of_sources=others,
            exams=self.exams,
            findings=self.findings,
            sent=len(self.asked),
            asked=self.asked,
            plates=self.plates,
        )
        return with_allowance(history, self.plan.campaign, self.instrument.space)

    def run(self) -> str:
        """Go through the campaign and return why it ended."""
        fitted: Fitted | None = None
        while not isinstance(step := self.plan.next_step(self.history, fitted), Stop):
            if isinstance(step, Fit):
                fitted = self.plan.fit(step, self.history)
            elif isinstance(step, Conclude):
                self.findings.append(step.finding)
            else:
                self._begin(step)
        return step.reason

    def _begin(self, step: Measure | Examine | Together) -> None:
        if isinstance(step, Together):
            for part in step.parts:
                self._write_down(part)
            return
        self._write_down(step)
        if isinstance(step, Examine):
            return
        many = self.instrument
        if step.round.facts.source is None and many.space.plate is not None and isinstance(many, MeasuresMany):
            self._fill_plates(many.space.plate, many, list(step.requests))
            return
        source = self.instrument if step.round.facts.source is None else self.sources[step.round.facts.source]
        for request in step.requests:
            if self._left() <= 0:  # what was sent before may have moved more knobs, or fewer
                return
            self.asked.append(request)
            self._keep(request, source.measure(source.space.named_settings(request.settings)))

    def _left(self) -> int:
        """Requests that may still be sent."""
        history = self.history if self.plan.campaign.price is not None else History(sent=len(self.asked))
        return requests_left(self.plan.campaign, history)

    def _write_down(self, step: Measure | Examine) -> None:
        if not self.rounds or self.rounds[-1].number != step.round.number:
            self.rounds.append(step.round)
        for request in step.requests:
            self.planned.setdefault(request.key, request)
        if isinstance(step, Examine):
            self.exams.append(step.exam)

    def _fill_plates(self, plate: Plate, many: MeasuresMany, requests: list[Request]) -> None:
        """Take measurements on plates; what one does not answer is asked for again."""
        space = self.instrument.space
        while requests and (left := self._left()) > 0:
            batch = split_into_batches(space, np.array([request.settings for request in requests]))[0]
            part = [requests[place] for place in batch][:left]
            refuse_batch(space, np.array([request.settings for request in part]))
            wells = plate.fill([request.purpose is Purpose.VERIFICATION for request in part])
            settings = [space.named_settings(request.settings) for request in part]
            self.plates += 1
            self.asked += part
            replies = dict(many.measure_many(dict(zip(wells, settings, strict=True))))
            for well, request in zip(wells, part, strict=True):
                if well in replies:
                    self._keep(request, replies[well], f"{self.plates}/{well}")
            taken = {observation.key for observation in self.observations[-len(part) :]}
            requests = [request for request in requests if request.key not in taken]

    def _keep(self, request: Request, reply: Reply, sample: str = "") -> None:
        space = self.instrument.space
        screened = screen_reply(
            space,
            request.settings,
            reply,
            needed=self.plan.campaign.channels,
            before=None if sample or request.purpose is Purpose.SOURCE else self.before,
            reference=request.purpose is Purpose.REFERENCE,
        )
        if not screened.verdict.usable:
            raise ValueError(f"a rehearsal needs an instrument that does not fail, got {screened.reason}")
        if request.purpose is not Purpose.SOURCE:
            self.before = PreviousReply(request.settings, reply.readings)
        values = vars(request) | {"verdict": screened.verdict, "readings": screened.readings}
        values |= {"conditions": reply.known_conditions}
        observation = Observation(**values, censored=screened.censored, seq=len(self.observations), sample=sample)
        self.observations.append(observation)
        self.watch(observation)
