"""A reading through anybody's driver: whatever it returns or raises becomes plain types, or an error with its name."""

import inspect
import logging
import os
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from sdl.errors import BadReply, InstrumentError, InstrumentRefused, InstrumentUnavailable, LeaseLost
from sdl.formatting import format_value, hide_secrets, make_jsonable
from sdl.instruments.protocol import HasSafeState, Instrument, MeasuresMany, Reply
from sdl.ledger.lease import Lease
from sdl.space import plain_well

log = logging.getLogger(__name__)
COPIES_END = 70
"""With this a copy of the process that a driver made ends where the driver returns: one process measures."""


def ask_driver(instrument: Instrument, settings: Mapping[str, float]) -> Reply:
    """Take one reading, in the types that JSON has: numbers of NumPy become Python's, bytes become text.

    Raises:
        InstrumentError: as the driver does; where it fails with what it does not promise, one that names it.
    """
    with _as_promised(instrument):
        return _plain_reply(instrument, _guarded(instrument, lambda: instrument.measure(settings)))


def ask_for_plate(
    instrument: Instrument, many: MeasuresMany, settings: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, Reply]]:
    """Take a reading in each of some wells, and yield each as it comes; types and errors as those of ``ask_driver``.

    Args:
        instrument: Whom to name.
        many: The same.
        settings: By well; a reply for another one, or one more for a well, is passed over with a warning.
    """
    left = {*settings}

    def no_pairs(came: Any) -> InstrumentRefused:
        words = f"the driver of {instrument.identity} returned {hide_secrets(format_value(came))} instead of pairs"
        return InstrumentRefused(f"{words} of a well and its Reply; that has to be mended in the driver")

    with _as_promised(instrument):
        returned = _guarded(instrument, lambda: many.measure_many(settings))
        if inspect.iscoroutine(returned):
            returned.close()
        if not isinstance(returned, Iterable):
            raise no_pairs(returned)
        answers = iter(returned.items() if isinstance(returned, Mapping) else returned)
    while True:
        with _as_promised(instrument):
            answer = _guarded(instrument, lambda: next(answers, None))
            if answer is None:
                return
            if not isinstance(answer, tuple | list) or len(answer) != 2 or not isinstance(answer[0], str):
                raise no_pairs(answer)
            well = answer[0] if answer[0] in settings else plain_well(answer[0])
            reply = _plain_reply(instrument, answer[1])
        if well in left:
            left.remove(well)
            yield well, reply
        else:
            log.warning("%s answers for well %s, which was not asked for or has answered", instrument.identity, well)


@contextmanager
def _as_promised(instrument: Instrument) -> Iterator[None]:
    """Make an error of the instrument's branch of whatever a driver raises."""
    try:
        yield
    except InstrumentError as error:
        words = hide_secrets(str(error))
        nothing = f"the driver of {instrument.identity} says no more than {type(error).__name__}"
        error.args = (words if words.split() else nothing,)
        error.raw = _text(error.raw)
        raise
    except OSError as error:  # a port or a line, which may come back
        raise InstrumentUnavailable(_failed(instrument, error)) from error
    except BaseException as error:  # a driver is anybody's code, and so is what it returns
        _let_end(error)
        raise InstrumentRefused(f"{_failed(instrument, error)}; that has to be mended in the driver") from error


def _guarded(instrument: Instrument, call: Callable[[], Any]) -> Any:
    """What a driver returns; what it changes of the process is as before, and a copy of the process goes no further."""
    process = os.getpid()
    try:
        with np.errstate():
            return call()
    finally:
        if os.getpid() != process:
            print(f"the driver of {instrument.identity} forked, and its copy ends here", file=sys.stderr, flush=True)
            os._exit(COPIES_END)


def _let_end(error: BaseException) -> None:
    """Raise what asks this process to end, such as Ctrl-C; ``sys.exit`` in a driver asks for nothing of ours."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _let_end(inner)
    elif not isinstance(error, Exception | SystemExit | GeneratorExit | CancelledError):
        raise error


def _plain_reply(instrument: Instrument, reply: Any) -> Reply:
    if inspect.iscoroutine(reply):
        reply.close()
        wait = "'measure' is an async function, for which nothing waits: it needs 'def measure', with asyncio.run in it"
        raise InstrumentRefused(f"the driver of {instrument.identity} cannot be asked: {wait}")
    applied, readings = (getattr(reply, name, None) for name in ("applied", "readings"))
    if not isinstance(applied, Mapping) or not isinstance(readings, Mapping):
        came = hide_secrets(format_value(reply))
        words = f"the driver of {instrument.identity} returned {came} instead of a Reply with 'applied' and 'readings'"
        raise BadReply(f"{words} by name", raw=came)
    seconds, conditions = _plain(getattr(reply, "seconds", 0.0)), getattr(reply, "conditions", None)
    return Reply(
        applied={str(name): _plain(value) for name, value in applied.items()},
        readings={str(name): _plain(value) for name, value in readings.items()},
        raw=_text(getattr(reply, "raw", "")),
        seconds=float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < np.inf else 0.0,
        conditions={str(name): _plain(value) for name, value in conditions.items()}
        if isinstance(conditions, Mapping)
        else {},
    )


@contextmanager
def kept_safe(instrument: Instrument, lease: Lease) -> Iterator[None]:
    """Make an instrument safe before a block, if whoever held it died, and after the block, while it is still held."""
    if not isinstance(instrument, HasSafeState):
        yield
        return
    if lease.abandoned:
        log.info("%s was left by a process that died: it is made safe first", instrument.identity)
        _make_safe(instrument)
    try:
        yield
    except LeaseLost:
        instrument.let_go()
        raise
    finally:
        if instrument.moved:
            _make_safe(instrument)


def _make_safe(instrument: Any) -> None:
    try:
        instrument.make_safe()
    except BaseException as error:  # a driver is anybody's code
        _let_end(error)
        log.warning("%s when it was to be made safe; see to it that it is", _failed(instrument, error))


def close_driver(instrument: Instrument) -> None:
    """Let go of an instrument; a driver that fails at that is named in the log, and keeps nothing else from its end."""
    try:
        instrument.close()
    except BaseException as error:  # a driver is anybody's code
        _let_end(error)
        log.warning("%s when it was closed; see whether the instrument is safe", _failed(instrument, error))


def _failed(instrument: Instrument, error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    try:
        words = " ".join(str(error).split()) or "no words"
    except Exception:  # it fails at saying what it is, too
        words = "no words"
    return hide_secrets(f"the driver of {instrument.identity} failed with {type(error).__name__}: {words}{place}")


def _plain(value: Any) -> Any:
    """One number or whatever else a driver says was read, as Python's own type."""
    if isinstance(value, np.floating | Fraction) or (isinstance(value, Decimal) and not value.is_snan()):
        return float(value)
    return make_jsonable(value) if not isinstance(value, float) else value


def _text(raw: Any) -> str:
    if isinstance(raw, bytes | bytearray | memoryview):
        return hide_secrets(bytes(raw).decode(errors="replace"))
    return hide_secrets(raw if isinstance(raw, str) else format_value(raw))
