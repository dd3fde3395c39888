"""What a file says of an instrument that needs no code; each protocol adds how its orders are written."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sdl.campaign.section import Section
from sdl.campaign.toml import validate_input
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import SECRET_PLACE, format_value
from sdl.instruments.configured.picks import Awaited, Expression, Pick
from sdl.instruments.configured.templates import SPEC, VALUE, NumberPlace, find_places, written_number
from sdl.instruments.configured.transport import Order
from sdl.instruments.protocol import Patience
from sdl.instruments.screening import ECHO_TOLERANCE
from sdl.plugins import fill_secrets
from sdl.space import UNCONSTRAINED, Channel, Condition, Constraints, Knob, Space, StatedChannel

Defined = TypeVar("Defined", bound="InstrumentDefinition[Any]")

SETTINGS_TRIED = 101
"""Settings of a knob at which its way of writing is tried."""


def _secret(value: Any) -> Any:
    if value is None or isinstance(value, SecretStr):
        return value
    if isinstance(value, str) and SECRET_PLACE.search(value):
        return SecretStr(fill_secrets(value))
    raise ValueError('must not stand in the file, got one: write { secret = "lab-token" }, set SDL_SECRET_LAB_TOKEN')


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
"""What a file names and the environment holds."""


def _short(value: Any) -> Any:
    """A bare order stands for a question whose answer is the number."""
    return {"query": value} if isinstance(value, str) else value


class ReadBack(Pick, Generic[Order]):
    """How to ask where a knob stands."""

    query: Order | None = None
    """The order; by default that of the whole instrument."""


class ErrorQueue(Section, Generic[Order]):
    """Where the instrument keeps what went wrong."""

    query: Order
    """Asks for the next entry."""
    none: Expression = r"\s*[+-]?0+(?![.\d])(.|\n)*"
    """A regular expression for the answer when there is none; by default one that begins with 0."""
    most: int = Field(default=20, ge=1, le=1000)
    """Entries that are read at once."""


class Readiness(Awaited, Generic[Order]):
    """How to ask whether the knobs have come where they were sent, or a measurement that was begun has ended."""

    query: Order
    every_s: float = Field(default=0.5, gt=0, le=3600)
    """Seconds between two questions."""
    longest_s: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds after which it is not waited for any longer; no part of the deadline."""


class ConfiguredKnob(Knob, Section, Generic[Order]):
    """A knob, with how it is set."""

    write: Order | None = None
    """Sets it: ``{value}`` is where the setting goes; by default the instrument's own ``write`` or ``query`` does."""
    readback: Annotated[ReadBack[Order] | None, BeforeValidator(_short)] = None
    """Asks where it stands, which is compared with what was sent; by default it is believed."""
    tolerance: float = Field(default=0.0, ge=0)
    """Largest difference between sent and read back that counts as none, in its unit."""
    settle_s: float = Field(default=0.0, ge=0, le=86_400)
    """Seconds to wait after it was moved."""
    safe: float | None = None
    """Where it is left at the end; by default it stays."""
    step_s: float = Field(default=0.0, ge=0, le=86_400)
    """Seconds to wait after each of these steps."""

    @field_validator("safe", mode="before")
    @classmethod
    def _place(cls, safe: Any, info: ValidationInfo) -> Any:
        names = info.data.get("values") or ()
        return float(names.index(safe)) if isinstance(safe, str) and safe in names else safe


class ConfiguredChannel(StatedChannel, Pick, Generic[Order]):
    """A channel, with how it is read."""

    query: Order | None = None
    """Asks for it; by default the instrument's own ``query`` does, once for all channels."""


class ConfiguredCondition(Condition, Pick, Generic[Order]):
    """A condition, with how it is read."""

    low: float
    high: float
    query: Order | None = None
    """Asks for it; by default the instrument's own ``query`` does, once for all channels."""


class InstrumentDefinition(Section, Generic[Order]):
    """An instrument as a file describes it, in the orders of its protocol."""

    one_value_each: ClassVar[str] = ""
    """What an order names, where it takes the one value of a knob and nothing else; empty where it is text."""

    knobs: tuple[ConfiguredKnob[Order], ...] = Field(min_length=1)
    channels: tuple[ConfiguredChannel[Order], ...] = Field(min_length=1)
    conditions: tuple[ConfiguredCondition[Order], ...] = ()
    """What nobody chooses and is read beside the channels, such as a temperature."""
    constraints: Constraints = UNCONSTRAINED
    """What all settings have to keep, ``always`` and ``never``, whoever asks for them."""
    prepare: tuple[Order, ...] = ()
    """Sent after each connecting, before anything else."""
    write: Order | None = None
    """Sets all knobs at once, with ``{NAME}`` where the setting of each goes."""
    query: Order | None = None
    """Asked for each channel that has none of its own, once a reading; it may set knobs too."""
    errors: Annotated[ErrorQueue[Order] | None, BeforeValidator(_short)] = None
    """Asked after writing and after reading; an entry makes the reading void."""
    safe: tuple[Order, ...] = ()
    """Sent at the end, after the knobs were left where their own ``safe`` says."""
    settle_s: float = Field(default=0.0, ge=0, le=86_400)
    """Seconds between writing and reading, each time; no part of the deadline."""
    ready: Readiness[Order] | None = None
    """Asked after that until it says so; by default nothing is waited for."""
    connect_s: float = Field(default=5.0, gt=0, le=3600)
    """Longest time for connecting, seconds."""
    deadline_s: float = Field(default=10.0, gt=0, le=86_400)
    """Longest time for all orders of one reading together, seconds."""
    quiet_s: float = Field(default=5.0, ge=0)
    """Seconds to leave the instrument alone after an answer that did not come."""
    attempts: int = Field(default=4, ge=1, le=1000)
    """Tries for one reading before the campaign is suspended, the first one included."""
    first_wait_s: float = Field(default=0.5, ge=0)
    """Wait before the second try, seconds; it doubles with each further one."""
    longest_wait_s: float = Field(default=60.0, ge=0, le=86_400)
    """Longest wait before a try, also if the instrument asks for more, seconds."""

    @model_validator(mode="after")
    def _waits(self) -> Self:
        longest = max(self.quiet_s, self.first_wait_s)
        if longest > self.longest_wait_s:
            raise ValueError(f"quiet_s and first_wait_s must not exceed longest_wait_s = {self.longest_wait_s:g}")
        return self

    @property
    def patience(self) -> Patience:
        """How to try again."""
        return Patience(self.attempts, self.first_wait_s, self.longest_wait_s)

    @property
    def space(self) -> Space:
        """Its knobs and channels, without how they are set and read; the driver itself keeps to ``max_step``.

        Raises:
            ValidationError: two have one name.
        """
        return Space(
            knobs=tuple(Knob(**knob.model_dump(include=set(Knob.model_fields) - {"max_step"})) for knob in self.knobs),
            channels=tuple(
                Channel(**channel.model_dump(include=set(Channel.model_fields))) for channel in self.channels
            ),
            conditions=tuple(
                Condition(**condition.model_dump(include=set(Condition.model_fields))) for condition in self.conditions
            ),
            constraints=self.constraints,
        )

    @property
    def has_safe_state(self) -> bool:
        """Whether anything is to be done at the end."""
        return bool(self.safe) or any(knob.safe is not None for knob in self.knobs)

    def faults(self) -> list[str]:
        """Return what of it does not go together, as sentences with the key; none if all is well."""
        faults = list[str]()
        try:
            self.space.with_constraints(self.constraints)
        except ValidationError as error:
            faults += [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
        except InvalidInput as error:
            faults += error.faults
        names = [knob.name for knob in self.knobs]
        in_shared = {place.name for order in (self.write, self.query) for place in find_places(order)}
        for i, knob in enumerate(self.knobs):
            key = f"knobs.{i}"
            if knob.write is None and knob.name not in in_shared:
                faults.append(f"{key}.write: is missing, and no write or query of the instrument has {{{knob.name}}}")
            if knob.readback is not None and knob.readback.query is None and self.query is None:
                faults.append(f"{key}.readback.query: is missing, and the instrument has no query of its own")
            if knob.tolerance and knob.readback is None:
                faults.append(f"{key}.tolerance: needs a readback, or else there is nothing to compare")
            faults += [f"{key}.max_step: {fault}" for fault in self._step_faults(knob)]
            faults += self._place_faults(f"{key}.write", knob.write, [*names, VALUE], knob)
        read = [*((f"channels.{i}.query", channel.query) for i, channel in enumerate(self.channels))]
        read += [(f"conditions.{i}.query", condition.query) for i, condition in enumerate(self.conditions)]
        for key, query in read:
            if query is None and self.query is None:
                faults.append(f"{key}: is missing, and the instrument has no query of its own")
            faults += self._place_faults(key, query, names)
        for key, order in (("write", self.write), ("query", self.query)):
            faults += self._place_faults(key, order, names)
        if self.one_value_each:
            orders_without = {"prepare": self.prepare, "safe": self.safe, "write": (self.write,)}
            faults += [
                f"{key}: {self.one_value_each} takes one value: write it as that of a knob"
                for key, orders in orders_without.items()
                if any(orders)
            ]
        if self.ready is not None:
            faults += self._place_faults("ready.query", self.ready.query, names)
        for key, orders in (("prepare", self.prepare), ("safe", self.safe)):
            faults += [
                f"{key}.{i}: has {{{place.name}}}, and there are no settings then"
                for i, order in enumerate(orders)
                for place in find_places(order)
            ]
        if not faults and all(knob.safe is not None for knob in self.knobs):
            try:
                self.space.refuse(np.array([knob.safe for knob in self.knobs], float))
            except InvalidInput as error:
                faults += [f"safe: {fault}" for fault in error.faults]
        left = [knob.name for knob in self.knobs if knob.safe is None and knob.name in in_shared]
        if left and len(left) < len(names) and any(knob.safe is not None for knob in self.knobs):
            faults.append(
                f"safe: one order sets several knobs, so each of them needs one; missing at {', '.join(left)}"
            )
        return faults

    def _step_faults(self, knob: ConfiguredKnob[Order]) -> Iterator[str]:
        if knob.max_step is None:
            return
        if knob.step_fault:
            yield knob.step_fault
        if knob.write is None and self.write is None:
            yield "needs an order that writes the knob and reads nothing"
        asked = None if knob.readback is None else knob.readback.query or self.query
        if asked is None or any(find_places(asked)):
            yield "needs a readback with a query that sets nothing, which says where the way begins"

    def _place_faults(self, key: str, order: Order | None, names: list[str], own: Knob | None = None) -> Iterator[str]:
        knobs = {knob.name: knob for knob in self.knobs} | ({VALUE: own} if own is not None else {})
        for place in find_places(order):
            if place.name not in names:
                yield f"{key}: {{{place.name}}} is no knob{suggest_nearest(place.name, names)}"
            elif place.spec and SPEC.fullmatch(place.spec) is None:
                yield f"{key}: {{{place.name}:{place.spec}}} needs a form such as .3f, .6g or d after the colon"
            elif fault := _rounding(knobs[place.name], place):
                yield f"{key}: {fault}"


def read_definition(model: type[Defined], options: Mapping[str, Any], kind: str) -> Defined:
    """Check what a file says of an instrument.

    Args:
        model: Of the protocol.
        options: As written, with secrets revealed.
        kind: Name of the protocol.

    Raises:
        InvalidInput: listing every fault with its key.
    """
    definition = validate_input(model, options, kind)
    if faults := definition.faults():
        raise InvalidInput(faults)
    return definition


def _rounding(knob: Knob, place: NumberPlace) -> str:
    """Why a knob needs a resolution: what is written is not what is meant."""
    if knob.names:
        return f"{knob.name} has names, which are written as they are: leave the form out" if place.spec else ""
    allowed = max(ECHO_TOLERANCE * (knob.high - knob.low), (knob.resolution or 0.0) / 2)
    choices = knob.choices if knob.values is not None else None
    tried = knob.at_share(np.linspace(0, 1, SETTINGS_TRIED)) if choices is None else choices
    for meant in tried.tolist():
        written = written_number(meant, place.spec)
        if abs(float(written) - meant) > allowed * (1 + 1e-9):
            return (
                f"{knob.name} = {format_value(meant)} is written as {written}: give the knob a resolution, the step in "
                "which it is set, or write more digits"
            )
    return ""


def missing_extra(key: str, module: str, extra: str) -> str:
    """Why a protocol cannot be spoken here: its library is not installed; empty if it is."""
    if find_spec(module) is not None:
        return ""
    return f"{key}: needs {module}, which is not installed: pip install 'inverse-sdl[{extra}]'"
