"""What an instrument promises."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sdl.space import Readings, Settings, Space, is_number


@dataclass(frozen=True)
class Reply:
    """What came back from the instrument, not judged yet (see ``sdl.instruments.screening``)."""

    applied: Mapping[str, Any]
    """The settings that the instrument says it applied, by knob name."""
    readings: Mapping[str, Any]
    """What it says it read, by channel name; any JSON value may stand here."""
    raw: str
    """The answer as text, as it came."""
    seconds: float = 0.0
    """How long the answer took."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """What nobody chose and held meanwhile, such as a temperature, by the names of the space's ``conditions``."""

    @property
    def known_conditions(self) -> dict[str, float]:
        """The conditions that are finite numbers; the others are not known."""
        return {name: float(value) for name, value in self.conditions.items() if is_number(value)}


@dataclass(frozen=True)
class Patience:
    """How to try again with one instrument."""

    attempts: int = 4
    """Requests for one measurement before the campaign is suspended, the first one included."""
    first_wait: float = 0.5
    """Seconds before the second attempt; doubles with each further one, with jitter."""
    longest_wait: float = 30.0
    """Upper bound of the wait before an attempt, seconds, also for a time that the instrument asks for."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 <= self.first_wait <= self.longest_wait:
            raise ValueError(f"patience needs attempts >= 1 and 0 <= first_wait <= longest_wait, got {self}")

    def wait(self, attempt: int, jitter: float) -> float:
        """Return the seconds before attempt number ``attempt`` (the first is 1), with ``jitter`` drawn from 0 to 1."""
        doubled = self.first_wait * 2.0 ** max(attempt - 2, 0)
        return min(doubled, self.longest_wait) * (0.5 + jitter)


@runtime_checkable
class Instrument(Protocol):
    """One apparatus that takes settings and returns readings, one request at a time.

    A driver is whatever has these members; it does not inherit from anything. It translates its own failures
    into the ``InstrumentError`` branch of ``sdl.errors``, sends one request a call, and leaves retrying,
    recording and judging to ``sdl.measurement.bench``.
    """

    @property
    def identity(self) -> str:
        """Which apparatus this is; equal for two drivers of the same one. No secrets: it is shown and stored."""

    @property
    def space(self) -> Space:
        """Its knobs, its channels, and the conditions that its replies say."""

    @property
    def patience(self) -> Patience:
        """How to try again."""

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading at named settings.

        Raises:
            InstrumentError: one of its branches, saying whether to try again.
        """

    def close(self) -> None:
        """Leave the apparatus safe and let go of it."""


@runtime_checkable
class MeasuresMany(Protocol):
    """An instrument that measures many settings at once, on the plate that its space states."""

    def measure_many(self, settings: Mapping[str, Mapping[str, float]]) -> Iterable[tuple[str, Reply]]:
        """Take one reading in each of some wells, at most as many as the plate has.

        Args:
            settings: Named settings by the name of the well.

        Returns:
            Wells and their replies, in any order and as soon as each is there. A well without a result is left out:
            it is asked for again.

        Raises:
            InstrumentError: one of its branches, at any place, for all wells that are not answered yet.
        """


@runtime_checkable
class KnowsTruth(Protocol):
    """An instrument that can say what it would read without noise: what simulated ones have, and no apparatus."""

    def truth(self, settings: Settings) -> Readings:
        """Return the noise-free readings ``(n, p)`` at settings ``(n, d)``, in the units of the knobs."""


@runtime_checkable
class ReadByPersons(Protocol):
    """An instrument that does not answer by itself: persons bring its readings, by way of the ledger."""

    read_by_persons: bool


@runtime_checkable
class HasLamp(Protocol):
    """An instrument in whose room an office lamp can be switched on, for rehearsing faults."""

    lamp: float
    """What the lamp adds to the background, in the unit of the channels; 0 while it is off."""


@runtime_checkable
class HasMembers(Protocol):
    """Several instruments that are used as one: whoever holds it holds each of them."""

    @property
    def members(self) -> Sequence["Instrument"]:
        """The instruments."""


_SEVERAL, _AND = "several: ", " + "


def join_identities(members: Iterable[str]) -> str:
    """Return the identity of several instruments that are used as one."""
    return _SEVERAL + _AND.join(members)


def is_member(instrument: str, of: str) -> bool:
    """Return whether an instrument is one of several that are known by one identity."""
    return of.startswith(_SEVERAL) and instrument in of.removeprefix(_SEVERAL).split(_AND)


def member_identities(instrument: Instrument) -> list[str]:
    """Return the identities of the instruments that one is made of; none as a rule."""
    return [member.identity for member in instrument.members] if isinstance(instrument, HasMembers) else []


@runtime_checkable
class HasSafeState(Protocol):
    """An instrument that must not be left as a process left it that died, or that no longer holds it."""

    @property
    def moved(self) -> bool:
        """Whether this process may have left it elsewhere than safe."""

    def make_safe(self) -> None:
        """Bring the apparatus into the state in which nobody has to watch it.

        Raises:
            InstrumentError: it could not be done.
        """

    def let_go(self) -> None:
        """Leave the apparatus as it is, since somebody else holds it by now."""
