"""The one place where a measurement happens: control, intent, request, classify, record; and again if need be."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from sdl.campaign.safety import SuspendPart
from sdl.errors import BudgetSpent, CampaignSuspended, InstrumentError, InstrumentUnavailable, Interrupted
from sdl.history import Purpose, ReplyClass, Request
from sdl.instruments.protocol import Instrument, MeasuresMany, Reply
from sdl.instruments.screening import PreviousReply, Screened, classify_error, screen_reply
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import AttemptOutcome, outcomes_for_suspenders
from sdl.measurement.approach import Approach
from sdl.measurement.driver_call import ask_driver, ask_for_plate
from sdl.measurement.suspenders import Suspenders
from sdl.space import Plate, Settings, Space, refuse_batch, split_into_batches
from sdl.system import failpoints

SUSPECTS = 2
"""Replies in a row that cannot be believed before a person is asked."""

log = logging.getLogger(__name__)

watching: ContextVar[Callable[[Request], object]] = ContextVar("watching", default=lambda _: None)
"""Called after each measurement, for a terminal or a notebook to show."""


@dataclass(eq=False)
class Bench:
    """An instrument at work for a campaign: who asks, on whose lease, within which budget."""

    ledger: Ledger
    lease: Lease
    campaign: int
    instrument: Instrument
    budget: int
    needed: Collection[str] = ()
    """Channels without which a reading is of no use."""
    interrupted: threading.Event = field(default_factory=threading.Event)
    """Set to end before the next request."""
    sleep: Callable[[float], object] | None = None
    """Waits some seconds; by default ``interrupted.wait``, so that a wait ends at once when it is set."""
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    """For the jitter of waits alone."""
    suspend: SuspendPart = field(default_factory=SuspendPart)
    """What suspends the campaign between two measurements."""
    allowance: Callable[[], int] | None = None
    """Asked before each request how many may be sent in all, where that is more than ``budget`` says; it raises
    BudgetSpent with the reason where there are no more."""

    def __post_init__(self) -> None:
        space, file = self.instrument.space, self.ledger.file
        folder = file.parent if file else None
        self.suspenders = Suspenders(self.suspend, space, space.columns(self.needed), folder)
        with self.ledger.reading() as connection:
            for outcome in outcomes_for_suspenders(connection, self.campaign, self.suspend.window):
                self.suspenders.observe(outcome)
        # Nobody else measures with it for this campaign.
        self._before = self.ledger.last_reply(self.campaign, self.lease.instrument)
        self._approach = Approach(self.ledger, self.instrument)

    def measure(self, requests: Iterable[Request], progress: Callable[[Request], object] | None = None) -> None:
        """Take the measurements in this order, or plate by plate, each until it has a usable reply.

        Args:
            requests: What to measure.
            progress: Called after each; by default whoever is ``watching``.

        Raises:
            InvalidInput: one of them must not be sent, by what the space allows; none is then.
            CampaignSuspended: if one cannot be had, with the reason; all that came is kept.
            CampaignPaused, CampaignStopped, Interrupted, BudgetSpent, LeaseLost: before a request is sent.
        """
        planned, progress = list(requests), progress or watching.get()
        self.interlock(request.settings for request in planned)
        if (plate := self.instrument.space.plate) is not None and isinstance(self.instrument, MeasuresMany):
            self._measure_plates(plate, self.instrument, planned, progress)
            return
        for request in planned:
            self._measure(request)
            progress(request)

    def interlock(self, settings: Iterable[Settings]) -> None:
        """Refuse settings ``(d,)`` that must not be sent, whoever chose them.

        Raises:
            InvalidInput: saying what they break.
        """
        for row in settings:
            self.instrument.space.refuse(row)

    def _measure(self, request: Request) -> None:
        patience, suspects, wait = self.instrument.patience, 0, 0.0
        for attempt in range(1, patience.attempts + 1):
            if attempt > 1:
                self._wait(max(wait, patience.wait(attempt, self.rng.random())))
            verdict, reason, wait = self._attempt(request)
            if verdict.usable:
                return
            log.warning("%s: %s", verdict.value, reason)
            suspects = suspects + 1 if verdict is ReplyClass.SUSPECT else 0
            if verdict is ReplyClass.REJECT or suspects >= SUSPECTS:
                break
        raise self._suspended(request, attempt, verdict, reason)

    def _suspended(self, request: Request, attempt: int, verdict: ReplyClass, reason: str) -> CampaignSuspended:
        """Why no further attempt at a measurement is made, for a person."""
        return CampaignSuspended(
            f"{self.instrument.identity} gave no usable reading at "
            f"{self.instrument.space.compact_settings(request.settings)} in {attempt} "
            f"{'attempt' if attempt == 1 else 'attempts'}: {reason}. "
            "Nothing is lost; mend this and run the campaign again to go on from here",
            transient=verdict in (ReplyClass.RETRY, ReplyClass.UNKNOWN),
            hold_off_s=self.suspend.hold_off_s if verdict in (ReplyClass.RETRY, ReplyClass.UNKNOWN) else None,
        )

    def _measure_plates(
        self, plate: Plate, many: MeasuresMany, requests: list[Request], progress: Callable[[Request], object]
    ) -> None:
        """Take measurements plate by plate; those that brought nothing are taken again, on one more plate."""
        patience, suspects, left, wait = self.instrument.patience, Counter[tuple[int, int, int]](), requests, 0.0
        for attempt in range(1, patience.attempts + 1):
            if attempt > 1:
                self._wait(max(wait, patience.wait(attempt, self.rng.random())))
            failed = list[_Failed]()
            for batch in split_into_batches(self.instrument.space, np.array([request.settings for request in left])):
                failed += self._attempt_plate(plate, many, [left[place] for place in batch], progress)
            if not failed:
                return
            suspects += Counter(each.request.key for each in failed if each.verdict is ReplyClass.SUSPECT)
            hopeless = [each for each in failed if each.hopeless or suspects[each.request.key] >= SUSPECTS]
            if hopeless or attempt == patience.attempts:
                worst = (hopeless or failed)[0]
                raise self._suspended(worst.request, attempt, worst.verdict, worst.reason)
            log.warning("%d of %d wells brought no usable reading: %s", len(failed), len(left), failed[0].reason)
            left, wait = [each.request for each in failed], max(each.wait for each in failed)

    def _attempt_plate(
        self, plate: Plate, many: MeasuresMany, requests: list[Request], progress: Callable[[Request], object]
    ) -> list["_Failed"]:
        """Send one plate, and return what brought no usable reading, in the order of asking.

        Raises:
            InvalidInput: a knob that is constant within a batch is not; nothing is sent then.
        """
        budget = self._may_go_on()
        space, failed = self.instrument.space, list[_Failed]()
        refuse_batch(space, np.array([request.settings for request in requests]))
        spread = plate.fill([request.purpose is Purpose.VERIFICATION for request in requests])
        wells = dict(zip(spread, requests, strict=True))
        numbers = self.ledger.send_plate(self.lease, self.campaign, wells, budget)
        failpoints.pass_failpoint("after-intent")
        waiting = {well: wells[well] for well in numbers}
        error: InstrumentError = InstrumentUnavailable("no result came for this well")
        try:
            settings = {well: space.named_settings(request.settings) for well, request in waiting.items()}
            for well, reply in ask_for_plate(self.instrument, many, settings):
                request = waiting.pop(well)
                screened = judge_reply(space, request, reply, self.needed, None)
                failpoints.pass_failpoint("after-reply")
                self.ledger.receive(self.lease, numbers[well], reply, screened)
                failpoints.pass_failpoint("after-commit")
                self.suspenders.observe(AttemptOutcome(request.purpose, screened.verdict, screened.readings))
                if screened.verdict.usable:
                    progress(request)
                else:
                    failed.append(_Failed(request, screened.verdict, screened.reason))
        except InstrumentError as why:
            error = why
        for well, request in waiting.items():
            verdict = classify_error(error)
            self.ledger.fail(self.lease, numbers[well], verdict, str(error), error.raw)
            self.suspenders.observe(AttemptOutcome(request.purpose, verdict, np.full(space.p, np.nan)))
            least = error.wait if isinstance(error, InstrumentUnavailable) else 0.0
            failed.append(_Failed(request, verdict, str(error), least))
        if len(numbers) < len(requests):
            raise BudgetSpent(f"all {budget} requests that may be sent are sent; raise 'budget', or 'price', to go on")
        return failed

    def _attempt(self, request: Request) -> tuple[ReplyClass, str, float]:
        """One request: its class, the reason, and the least wait before another, in seconds."""
        budget = self._may_go_on()
        settings = self.instrument.space.named_settings(request.settings)
        self._approach.stations(request.settings)  # before anything is sent
        number = self.ledger.send(self.lease, self.campaign, request, budget)
        failpoints.pass_failpoint("after-intent")
        try:
            self._approach.go(request.settings)
            reply = ask_driver(self.instrument, settings)
        except InstrumentError as error:
            verdict = classify_error(error)
            self.ledger.fail(self.lease, number, verdict, str(error), error.raw)
            self.suspenders.observe(AttemptOutcome(request.purpose, verdict, np.full(self.instrument.space.p, np.nan)))
            return verdict, str(error), error.wait if isinstance(error, InstrumentUnavailable) else 0.0
        self._approach.arrive(request.settings)
        screened = judge_reply(self.instrument.space, request, reply, self.needed, self._before)
        failpoints.pass_failpoint("after-reply")
        self.ledger.receive(self.lease, number, reply, screened)
        failpoints.pass_failpoint("after-commit")
        self.suspenders.observe(AttemptOutcome(request.purpose, screened.verdict, screened.readings))
        self._before = PreviousReply(request.settings, reply.readings)
        return screened.verdict, screened.reason, 0.0

    def _may_go_on(self) -> int:
        """Requests that may be sent in all, by now."""
        if self.interrupted.is_set():
            raise Interrupted("interrupted; everything measured is kept, run the campaign again to go on")
        if (suspension := self.suspenders.hold()) is not None:
            raise CampaignSuspended(suspension.reason, hold_off_s=suspension.seconds, drift=suspension.drift)
        return self.budget if self.allowance is None else self.allowance()

    def _wait(self, seconds: float) -> None:
        if seconds > 1:
            log.info("waiting %.0f s before the next attempt", seconds)
        (self.sleep or self.interrupted.wait)(seconds)


@dataclass(frozen=True, eq=False)
class _Failed:
    """A measurement that brought no usable reading."""

    request: Request
    verdict: ReplyClass
    reason: str
    wait: float = 0.0
    """Least wait before another attempt, in seconds."""

    @property
    def hopeless(self) -> bool:
        """Whether the same request would fail again."""
        return self.verdict is ReplyClass.REJECT


def judge_reply(
    space: Space, request: Request, reply: Reply, needed: Collection[str], before: PreviousReply | None
) -> Screened:
    """Judge what a reply to a request is worth.

    Args:
        space: Of the instrument.
        request: What was asked, and why.
        reply: What came back.
        needed: Channels without which a reading is of no use.
        before: The reply before this one.
    """
    reference = request.purpose is Purpose.REFERENCE
    screened = screen_reply(space, request.settings, reply, needed=needed, before=before, reference=reference)
    if not reference or not screened.censored[space.columns(space.sources(needed))].any():
        return screened
    # A background at the ceiling tells nothing, and no reading on top of it would.
    reason = f"the background alone reaches the ceiling: {screened.reason}"
    nothing = np.full_like(screened.readings, np.nan)
    return Screened(ReplyClass.SUSPECT, reason, nothing, np.zeros_like(screened.censored))
