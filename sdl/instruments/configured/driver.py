"""The driver of every instrument that a file describes: write, settle, read back, query, see what went wrong.

It knows no protocol; what a line raises becomes here the same classes of errors as those of the lamp's driver.
"""

import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic

from sdl.errors import BadReply, InstrumentError, InstrumentRefused, InstrumentSilent, InstrumentUnavailable
from sdl.formatting import format_value
from sdl.instruments.configured.definition import ConfiguredKnob, InstrumentDefinition
from sdl.instruments.configured.picks import MissingPart, Pick
from sdl.instruments.configured.templates import VALUE, fill_places, find_places
from sdl.instruments.configured.transport import Deadline, Order, Transport
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import ECHO_TOLERANCE
from sdl.space import is_number
from sdl.system import failpoints

COMMAND_ERROR = re.compile(r"\s*-1\d\d\b")
"""SCPI's errors of what was asked, which will be wrong the next time too (SCPI 1999, volume 2, 21.8)."""
NUMBERED = re.compile(r"\s*[-+]?\d")
LONGEST = 65_536
"""Characters of one answer that are taken."""


class ConfiguredInstrument(Generic[Order]):
    """An instrument by configuration.

    Args:
        kind: Name of the protocol.
        definition: What the file says.
        transport: The line to it, which is not open yet.
    """

    def __init__(self, kind: str, definition: InstrumentDefinition[Order], transport: Transport[Order]) -> None:
        self.definition, self.transport = definition, transport
        self.space, self.patience = definition.space, definition.patience
        self.identity = f"{kind} {transport.place}"
        self._stands = dict[str, float]()
        """Where the knobs are, as far as this process set them."""
        self.moved = False
        """Whether this process may have left it elsewhere than safe."""

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading at named settings; each order is sent once.

        Raises:
            InvalidInput: settings that must not be sent.
            InstrumentUnavailable: not reached, or broken off.
            InstrumentSilent: sent, and no answer in time.
            InstrumentRefused: what would be refused again.
            BadReply: an answer that is not what the file expects, or an entry in the queue of errors.
        """
        values = self.space.named_settings(self.space.settings(settings))
        started = time.monotonic()
        with self._exchange() as exchange:
            self._approach(exchange, values)
            for order, value in self._writes(values):
                exchange.send(order, value)
            failpoints.pass_failpoint("after-send")
            self._settle(exchange, values)
            exchange.see_errors()
            if self.definition.query is not None and any(find_places(self.definition.query)):
                # It sets knobs, which are read back after it.
                exchange.ask(fill_places(self.definition.query, self._shown(values)))
            exchange.await_ready(self._shown(values))
            applied = {knob.name: self._read_back(exchange, values, knob) for knob in self.definition.knobs}
            readings, conditions = dict[str, Any](), dict[str, Any]()
            for named, quantities in ((readings, self.definition.channels), (conditions, self.definition.conditions)):
                for quantity in quantities:
                    found = exchange.read(quantity, quantity.query, self._shown(values))
                    if found is not None:
                        named[quantity.name] = found[0]
            exchange.see_errors()
        return Reply(applied, readings, exchange.raw, time.monotonic() - started, conditions)

    def make_safe(self) -> None:
        """Leave each knob where its ``safe`` says, send what the list ``safe`` says, and see whether that was done.

        Raises:
            InstrumentError: it could not be done, or not be seen.
        """
        if self.definition.has_safe_state:
            try:
                self._leave_safe()
            except InstrumentUnavailable:  # by a line of its own, if the one that was open is dead
                self._leave_safe()
        self.moved = False

    def let_go(self) -> None:
        """Leave the apparatus as it is, since somebody else holds it by now."""
        self.moved = False
        self._drop()

    def close(self) -> None:
        """Leave the apparatus safe, if it was moved, and let go of it."""
        try:
            if self.moved:
                self.make_safe()
        finally:
            self._drop()

    def _leave_safe(self) -> None:
        """Send every order that makes it safe, whatever becomes of the others, and tell all that went wrong."""
        values = {knob.name: knob.safe for knob in self.definition.knobs if knob.safe is not None}
        query, wrong = self.definition.query, list[str]()

        def give(order: Callable[..., object], *given: object) -> None:
            try:
                order(*given)
            except (InstrumentRefused, BadReply) as error:
                wrong.append(str(error))

        with self._exchange(strict=False) as exchange:
            give(self._approach, exchange, values)
            for order, value in self._writes(values):
                give(exchange.send, order, value)
            if values and query is not None and any(find_places(query)):
                give(exchange.ask, fill_places(query, self._shown(values)))
            for order in self.definition.safe:
                give(exchange.send, order, None)
            give(exchange.see_errors)
            for knob in self.definition.knobs:
                if knob.name in values and knob.readback is not None and knob.readback.query is not None:
                    got = self._read_back(exchange, values, knob)
                    near = max(ECHO_TOLERANCE * (knob.high - knob.low), (knob.resolution or 0.0) / 2)
                    if not is_number(got) or abs(got - values[knob.name]) > near:
                        wrong.append(f"{knob.name} reads back {format_value(got)}")
        self._stands.clear()
        if wrong:
            raise InstrumentRefused(f"{self.transport.place} was told to be safe, and {'; '.join(wrong)}")

    @contextmanager
    def _exchange(self, strict: bool = True) -> Iterator["_Exchange[Order]"]:
        """The orders of one reading on an open line; what goes wrong is told in classes, and ends the line."""
        exchange = _Exchange(self.definition, self.transport)
        try:
            self._open(exchange, strict)
            yield exchange
            self.moved = True
        except InstrumentError as error:
            self._drop()
            self.moved |= error.sent
            error.raw = error.raw or exchange.raw
            raise
        except OSError as error:
            self._drop()
            place, raw = self.transport.place, exchange.raw
            reason = " ".join(str(error).split()) or type(error).__name__
            if not exchange.doing:
                message = f"no connection to {place}: {reason}"
                raise InstrumentUnavailable(message, sent=False) from error
            self.moved = True
            if isinstance(error, TimeoutError):
                message = f"{place} did not finish its answer to {exchange.doing} in time: {reason}"
                raise InstrumentSilent(message, raw=raw, wait=self.definition.quiet_s) from error
            raise InstrumentUnavailable(f"{place} broke off at {exchange.doing}: {reason}", raw=raw) from error
        except BaseException:  # a library's own fault, or an interruption: nobody knows what is on the line
            self.moved = True
            self._drop()
            raise

    def _open(self, exchange: "_Exchange[Order]", strict: bool) -> None:
        """Open the line and prepare the apparatus; unless strict, without a look at what it says of that."""
        fresh = self.transport.open(Deadline(self.definition.connect_s))
        exchange.deadline = Deadline(self.definition.deadline_s)
        if fresh:
            self._stands.clear()
            for order in self.definition.prepare:
                exchange.send(order, None)
            if self.definition.prepare and strict:
                exchange.see_errors()

    def _drop(self) -> None:
        self._stands.clear()
        self.transport.drop()

    def _shown(self, values: Mapping[str, float]) -> Mapping[str, float | str]:
        """Settings as they are written: of a category the name, and whole numbers without a point."""
        knobs = {knob.name: knob for knob in self.definition.knobs}
        return {name: round(value) if knobs[name].whole else knobs[name].shown(value) for name, value in values.items()}

    def _writes(self, values: Mapping[str, float]) -> Iterator[tuple[Order, float | str | None]]:
        """The orders that set knobs, each with the value if it sets a single one."""
        shown = self._shown(values)
        if values and self.definition.write is not None:
            yield fill_places(self.definition.write, shown), None
        for knob in self.definition.knobs:
            if knob.write is not None and knob.name in values:
                yield fill_places(knob.write, {**shown, VALUE: shown[knob.name]}), shown[knob.name]

    def _approach(self, exchange: "_Exchange[Order]", values: Mapping[str, float]) -> None:
        """Go most of the way to settings in steps, where a knob must not go it at once; the last step is left."""
        slow = [knob for knob in self.definition.knobs if knob.max_step is not None and knob.name in values]
        begun = {knob.name: self._stands_at(exchange, values, knob) for knob in slow}
        ways = [abs(values[knob.name] - begun[knob.name]) / (knob.max_step or 1.0) for knob in slow]
        steps = math.ceil(max(ways, default=0.0) * (1 - 1e-9))
        for step in range(1, steps):
            at = {name: here + (values[name] - here) * step / steps for name, here in begun.items()}
            for order, value in self._writes({**values, **at}):
                exchange.send(order, value)
            seconds = max(knob.step_s for knob in slow)
            exchange.deadline.extend(seconds)
            time.sleep(seconds)

    def _stands_at(
        self, exchange: "_Exchange[Order]", values: Mapping[str, float], knob: ConfiguredKnob[Order]
    ) -> float:
        """Where a knob is: as this process left it, or else as it reads back."""
        if knob.name in self._stands:
            return self._stands[knob.name]
        assert knob.readback is not None, "a definition without one is refused"
        got = exchange.read(knob.readback, knob.readback.query, values)
        exchange.forget()  # it is asked again when the knob was moved
        if got is None or not is_number(got[0]):
            raise BadReply(f"{self.transport.place} does not say where {knob.name} stands", raw=exchange.raw)
        return float(got[0])

    def _settle(self, exchange: "_Exchange[Order]", values: Mapping[str, float]) -> None:
        moved = [knob.settle_s for knob in self.definition.knobs if self._stands.get(knob.name) != values[knob.name]]
        seconds = self.definition.settle_s + max(moved, default=0.0)
        if seconds:
            exchange.deadline.extend(seconds)
            time.sleep(seconds)
        self._stands = dict(values)

    def _read_back(self, exchange: "_Exchange[Order]", values: Mapping[str, float], knob: ConfiguredKnob[Order]) -> Any:
        sent = values[knob.name]
        if knob.readback is None:
            return sent
        got = exchange.read(knob.readback, knob.readback.query, self._shown(values), knob.names)
        if got is None:
            return None
        return sent if is_number(got[0]) and abs(got[0] - sent) <= knob.tolerance else got[0]


class _Exchange(Generic[Order]):
    """The orders of one reading, each answered once, within one deadline."""

    def __init__(self, definition: InstrumentDefinition[Order], transport: Transport[Order]) -> None:
        self._definition, self._transport = definition, transport
        self.deadline = Deadline(definition.deadline_s)
        self.doing = ""
        """What is under way; empty as long as nothing was sent."""
        self._answers = dict[str, str]()

    @property
    def raw(self) -> str:
        """The answers as they came, as JSON by what was asked; empty if there are none."""
        return json.dumps(self._answers, ensure_ascii=False) if self._answers else ""

    def send(self, order: Order, value: float | str | None) -> None:
        self.doing = _written(order)
        self._transport.send(order, value, self.deadline)

    def ask(self, order: Order) -> str:
        """Return the answer to an order, which is asked once."""
        written = _written(order)
        if written not in self._answers:
            self.doing = written
            answer = self._transport.ask(order, self.deadline)
            self._answers[written] = answer[:LONGEST]
            if len(answer) > LONGEST:
                raise BadReply(f"{self._transport.place} answered {written} with more than {LONGEST} characters")
        return self._answers[written]

    def forget(self) -> None:
        """Ask anew from here on."""
        self._answers.clear()

    def read(
        self, pick: Pick, order: Order | None, values: Mapping[str, float | str], names: Sequence[str] = ()
    ) -> tuple[Any] | None:
        """Return what stands in the answer to an order, or to the instrument's own; None if nothing does."""
        asked = order if order is not None else self._definition.query
        assert asked is not None, "a definition without a question is refused"
        filled = fill_places(asked, values)
        answer = self.ask(filled)
        try:
            return (pick.read(answer, names),)
        except MissingPart:
            return None
        except (ValueError, RecursionError) as error:
            message = f"{self._transport.place} did not answer {_written(filled)} as the file expects: {error}"
            raise BadReply(message, raw=self.raw) from error

    def await_ready(self, values: Mapping[str, float | str]) -> None:
        """Ask whether it is ready until it says so; the time that this takes is no part of the deadline.

        Raises:
            BadReply: it did not say so in time.
        """
        ready, begun = self._definition.ready, time.monotonic()
        if ready is None:
            return
        query = fill_places(ready.query, values)
        self.doing = _written(query)
        while True:
            asked = time.monotonic()
            answer = self._answers[self.doing] = self._transport.ask(query, self.deadline)[:LONGEST]
            try:
                if ready.is_said(answer):
                    return
            except (ValueError, RecursionError) as error:
                message = f"{self._transport.place} did not answer {self.doing} as the file expects: {error}"
                raise BadReply(message, raw=self.raw) from error
            if time.monotonic() - begun + ready.every_s > ready.longest_s:
                raise BadReply(
                    f"{self._transport.place} was not ready within {ready.longest_s:g} s: {self.doing} is still "
                    f"answered {format_value(answer)}, where {ready.answer!r} is awaited",
                    raw=self.raw,
                )
            time.sleep(ready.every_s)
            self.deadline.extend(time.monotonic() - asked)

    def see_errors(self) -> None:
        """Read the queue of errors until it is empty.

        Raises:
            InstrumentRefused: an entry says that what was sent is no command of the instrument.
            BadReply: any other entry.
        """
        queue, entries = self._definition.errors, list[str]()
        if queue is None:
            return
        while len(entries) < queue.most:
            self.doing = _written(queue.query)
            entry = self._transport.ask(queue.query, self.deadline)[:LONGEST]
            if re.fullmatch(queue.none, entry):
                break
            entries.append(entry.strip())
        if entries:
            self._answers[_written(queue.query)] = "; ".join(entries)
            kind = InstrumentRefused if any(map(COMMAND_ERROR.match, entries)) else BadReply
            words = [
                f"{format_value(entry)}{f' ({times} times)' if times > 1 else ''}"
                for entry, times in Counter(entries).items()
            ]
            if len(words) == 1 and len(entries) == queue.most > 1 and not NUMBERED.match(entries[0]):
                words.append("if that is its word for no error, 'errors' needs 'none', a regular expression for it")
            raise kind(f"{self._transport.place} reports {'; '.join(words)}", raw=self.raw)


def _written(order: Any) -> str:
    """An order for people to read, and by which its answer is known."""
    return order if isinstance(order, str) else str(order)
