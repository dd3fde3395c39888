"""What a person writes down: the readings wanted, and how hard to try. Read from TOML."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sdl.campaign.colour import ColourPart, LabColour, with_wishes
from sdl.campaign.lesson import Lesson
from sdl.campaign.price import PricePart
from sdl.campaign.safety import ApprovalPart, SuspendPart
from sdl.campaign.section import Section
from sdl.campaign.sections import (
    AcquisitionPart,
    BackgroundPart,
    DesignPart,
    FittingPart,
    HistoryPart,
    Plugin,
    QuantityPart,
    StopPart,
    VerificationPart,
    _or,
)
from sdl.campaign.source import SourcePart
from sdl.campaign.toml import read_toml, validate_input
from sdl.campaign.wishes import is_tolerance, needs_tolerance, plain_wish, read_interval
from sdl.errors import InvalidInput
from sdl.formatting import format_value, found_twice, shows_whole
from sdl.space import UNCONSTRAINED, Constraints, Interval, is_number

MOST_ANSWERS = 100
AS_MEASURED = "as measured"
MANY_TARGETS = 6
"""Targets that are shown one by one; more are a table first."""
ROUNDS = 50
"""For each target, by default."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}


def _named(value: Any) -> Any:
    """A bare string names a plug-in without options."""
    return {"plugin": value} if isinstance(value, str) else value


def _formula(value: Any) -> Any:
    """A bare string is a formula without a unit."""
    return {"formula": value} if isinstance(value, str) else value


def _tolerance(value: Any) -> Any:
    tolerances = value.values() if isinstance(value, dict) else [value]
    if wrong := [format_value(tolerance) for tolerance in tolerances if not is_tolerance(tolerance)]:
        raise ValueError(f"needs a number above 0 or a percentage such as '1 %', got {', '.join(wrong)}")
    return value


def _wish(value: Any) -> Any:
    try:
        return plain_wish(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _condition(value: Any) -> Any:
    if value == AS_MEASURED:
        return value
    if not is_number(value):
        raise ValueError(f"needs a number or {AS_MEASURED!r}, got {format_value(value)}")
    return float(value)


def _printable(name: str) -> str:
    if not shows_whole(name):
        raise ValueError(f"needs a name without line ends and control characters, got {format_value(name)}")
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_printable)]


class Target(Section):
    """Readings that somebody wants; channels that are not named are free."""

    name: Name = Field(default="target", min_length=1, max_length=100)
    readings: dict[str, Annotated[float | str, BeforeValidator(_wish)]] = Field(min_length=1)
    """By channel: a number, or ``">= 12000"``, ``"<= 9000"``, ``"3000 .. 4000"``, ``"16384 ± 150"``;
    or ``"maximum ± 150"``: settings that no others are expected to surpass by more than that, and ``minimum``."""
    tolerance: Annotated[float | str | dict[str, float | str], BeforeValidator(_tolerance)] = "1 %"
    """Largest allowed error of what is a number, in its unit (``150``) or as a share of it (``"1 %"``)."""
    colour: LabColour | None = Field(default=None, exclude_if=lambda colour: colour is None)
    """A colour that is wanted, ``{ L = 60, a = 20, b = -30, delta_e = 1 }``, of which the section ``colour`` tells."""
    answers: Annotated[int | Literal["all"], _or("all", 1, MOST_ANSWERS)] = Field(
        default=1, exclude_if=lambda n: n == 1
    )
    """Distinct settings that are wanted, each verified by an exam of its own; ``all`` as many as can be found."""

    @model_validator(mode="before")
    @classmethod
    def _with_wishes_of_colour(cls, given: Any) -> Any:
        return with_wishes(given)

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        if isinstance(self.tolerance, dict):
            plain = {channel for channel, wish in self.readings.items() if needs_tolerance(wish)}
            if sided := self.tolerance.keys() & (self.readings.keys() - plain):
                raise ValueError(
                    f"tolerance of {', '.join(sorted(sided))} is said by the reading wanted there already: leave it out"
                )
            if unmatched := self.tolerance.keys() ^ plain:
                named = ", ".join(sorted(unmatched))
                raise ValueError(f"tolerance and readings must name the same channels, check {named}")
        extremes = [channel for channel in self.readings if self.interval(channel).extreme]
        if len(extremes) > 1:
            raise ValueError(
                f"one reading may be as large or as small as possible, got {', '.join(extremes)}: "
                "give bounds to the others, or each a target of its own"
            )
        for channel in self.readings:
            interval = self.interval(channel)
            if not interval.below + interval.above > 0:
                raise ValueError(f"tolerance at {channel} must be above 0; give it in counts, not as a share of 0")
        return self

    def interval(self, channel: str) -> Interval:
        """Return where the true reading of a channel that it names is to lie, in its unit."""
        by_channel = self.tolerance if isinstance(self.tolerance, dict) else {channel: self.tolerance}
        return read_interval(self.readings[channel], by_channel.get(channel, "1 %"))

    def met_by(self, verified: int) -> bool:
        """Return whether so many verified settings satisfy the target; one is enough where ``all`` are wanted."""
        return verified >= (1 if self.answers == "all" else self.answers)


class Campaign(Section):
    """All rounds towards some targets, on one instrument."""

    name: Name = Field(min_length=1, max_length=100)
    seed: int = Field(default=0, ge=0)
    budget: int = Field(default=100, ge=1, le=1_000_000)
    """Requests that may be sent, everything counted."""
    instrument: Annotated[Plugin, BeforeValidator(_named)]
    targets: tuple[Target, ...] = Field(min_length=1)
    quantities: dict[Name, Annotated[QuantityPart, BeforeValidator(_formula)]] = Field(
        default_factory=dict, exclude_if=lambda quantities: not quantities
    )
    """Computed from channels, by name, as in ``ratio = "445nm / 630nm"``: targets may want them like channels."""
    colour: ColourPart | None = Field(default=None, exclude_if=lambda colour: colour is None)
    """The colour that channels read, for targets that want one."""
    conditions: dict[Name, Annotated[float | str, BeforeValidator(_condition)]] = Field(
        default_factory=dict, exclude_if=lambda conditions: not conditions
    )
    """In which the targets are wanted, as ``temperature = 25``; by default, and for ``"as measured"``, whatever it was
    when the last reading was taken."""
    constraints: Constraints = Field(default=UNCONSTRAINED, exclude_if=lambda constraints: not constraints)
    """What all settings have to keep, beside what the instrument states: ``always = ["A + B + C = 1"]``, and
    ``never = ["T >= 80 and flow <= 0.2"]``."""
    max_step: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict, exclude_if=lambda steps: not steps)
    """By knob the farthest that it may be moved at once: a longer way is gone in steps, of which nothing is kept."""
    design: Annotated[DesignPart, BeforeValidator(_named)] = DesignPart()
    models: tuple[Annotated[Plugin, BeforeValidator(_named)], ...] = Field(
        default=(Plugin(plugin="linear"), Plugin(plugin="mixture")), min_length=1
    )
    """Inverse models in the order of preference; one that needs more rows than there are waits, and another takes over
    when it predicts rows that it has not seen clearly better."""
    rivals: tuple[Annotated[Plugin, BeforeValidator(_named)], ...] = Field(
        default=(), exclude_if=lambda rivals: not rivals
    )
    """Models of which one may be right: the acquisition gets them in place of refits of one, and the report says which
    one fell and by which reading."""
    acquisition: Annotated[AcquisitionPart, BeforeValidator(_named)] = AcquisitionPart()
    background: BackgroundPart = BackgroundPart()
    verification: VerificationPart = VerificationPart()
    stop: StopPart = StopPart()
    approval: ApprovalPart | None = None
    """When a person has to see settings before they are sent; never by default."""
    suspend: SuspendPart = SuspendPart()
    """What suspends the campaign between two measurements."""
    price: PricePart | None = Field(default=None, exclude_if=lambda price: price is None)
    """What measuring costs in money or time, what may be spent, and by when; nothing by default."""
    sources: tuple[SourcePart, ...] = Field(default=(), exclude_if=lambda sources: not sources)
    """Other instruments, twins and simulations that read nearly what the instrument would, each at a price."""
    extra: int = Field(default=0, ge=0, le=100_000_000)
    """Requests that were allowed beyond the budget since it began; ``sdl extend`` writes it."""
    history: HistoryPart | None = None
    """Earlier campaigns to start from; none by default."""
    fitting: FittingPart | None = None
    """Limits of the fits; without them models are fitted in the process of the campaign, which is quickest."""

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str) -> str:
        slugify(name)
        return name

    @field_validator("rivals")
    @classmethod
    def _several(cls, rivals: tuple[Plugin, ...]) -> tuple[Plugin, ...]:
        if len(rivals) == 1:
            raise ValueError(f"rivals are two models or more, got {rivals[0].plugin!r} alone")
        if twice := [each.plugin for at, each in enumerate(rivals) if each in rivals[:at]]:
            raise ValueError(f"rivals that are the same never part: {', '.join(twice)} is there twice, leave one out")
        return rivals

    @field_validator("targets", "sources")
    @classmethod
    def _distinct(cls, parts: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if twice := found_twice([part.name for part in parts]):
            kind = str(info.field_name).removesuffix("s")
            raise ValueError(f"every {kind} needs a name of its own, found twice: {', '.join(twice)}")
        return parts

    @model_validator(mode="after")
    def _tells_colour(self) -> Self:
        if self.colour is None and (wanting := [target.name for target in self.targets if target.colour]):
            raise ValueError(f"{', '.join(wanting)} wants a colour: a section [colour] has to tell what channels read")
        return self

    @property
    def computed(self) -> dict[str, QuantityPart]:
        """Every quantity that is computed from channels, by name: its own, and those of colour."""
        return {**(self.colour.quantities if self.colour else {}), **self.quantities}

    @property
    def slug(self) -> str:
        """The name, made safe for files and links."""
        return slugify(self.name)

    @property
    def most(self) -> int:
        """Requests that may be sent: the budget and what was allowed beyond it."""
        return self.budget + self.extra

    @property
    def ahead(self) -> bool:
        """Whether a round is proposed while the one before is under way."""
        return self.fitting is not None and self.fitting.ahead

    def target(self, name: str) -> Target:
        """Return the target of that name, which one of them has to have."""
        return next(target for target in self.targets if target.name == name)

    @property
    def rounds(self) -> int:
        """Rounds after which it gives up."""
        return self.stop.rounds or max(ROUNDS * len(self.targets), self.most)

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """What earlier campaigns taught, the latest first."""
        return self.history.lessons if self.history else ()

    @property
    def channels(self) -> list[str]:
        """Every channel that some target fixes, in the order of first mention."""
        return list(dict.fromkeys(channel for target in self.targets for channel in target.readings))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a campaign file.

        Raises:
            InvalidInput: listing every fault of the file with its key.
        """
        return cls.parse(read_toml(Path(path)))

    @classmethod
    def parse(cls, written: Mapping[str, Any]) -> Self:
        """Check what was written.

        Raises:
            InvalidInput: listing every fault with its key.
        """
        return validate_input(cls, written, "campaign")


def slugify(name: str) -> str:
    """Make a name safe for files and links: lower-case letters, digits and hyphens, at most 64.

    >>> slugify("Weißes Licht, 1 %")
    'weies-licht-1'

    Raises:
        InvalidInput: if nothing is left of it, or it is a name that some systems reserve.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    safe = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-")
    if not safe or safe in RESERVED:
        raise InvalidInput(f"a name needs letters or digits and must not be a reserved word, got {format_value(name)}")
    return safe
