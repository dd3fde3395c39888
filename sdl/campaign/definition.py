"""What a person writes down: the readings wanted, and how hard to try. Read from TOML."""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from sdl.campaign.lesson import Lesson
from sdl.campaign.safety import ApprovalPart, SuspendPart
from sdl.campaign.section import Section
from sdl.campaign.toml import read_toml, validate
from sdl.errors import InvalidInput
from sdl.formatting import shown
from sdl.space import is_number

MOST_REPLICATES = 10_000
MOST_ANSWERS = 100
MANY_TARGETS = 6
"""Targets that are shown one by one; more are a table first."""
ROUNDS = 50
"""For each target, unless told."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}


class Plugin(BaseModel):
    """A plug-in by name; every other key is one of its options."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    plugin: str

    @property
    def options(self) -> dict[str, Any]:
        """The options as written."""
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    """A bare string names a plug-in without options."""
    return {"plugin": value} if isinstance(value, str) else value


class DesignPart(Plugin):
    """Settings measured before the first fit."""

    plugin: str = "maximin-latin-hypercube"
    n: int | None = Field(default=None, ge=1, le=100_000)
    """How many; the design's own number unless told, or 5 where it has none."""


class AcquisitionPart(Plugin):
    """How learning rounds choose what to measure."""

    plugin: str = "uncertainty"
    n: int = Field(default=4, ge=1, le=10_000)
    """Settings a batch."""
    rounds: int = Field(default=1, ge=0, le=10_000)
    """Learning rounds in a row before the best candidate is examined all the same."""


def _or(word: str, least: int, most: int) -> BeforeValidator:
    """A whole number within bounds, or one word."""

    def check(value: Any) -> Any:
        if value == word or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
            return value
        raise ValueError(f"needs {word!r} or a whole number from {least} to {most}, got {value!r}")

    return BeforeValidator(check)


class BackgroundPart(Section):
    """Reference readings, all knobs off."""

    every: Annotated[int | Literal["planned"], _or("planned", 0, 100_000)] = "planned"
    """Requests between two references, of which one then comes before each exam as well; ``planned`` takes one where it
    saves more than the request that it costs; 0 takes none at all and assumes no background."""
    max_age_s: float = Field(default=120.0, gt=0)
    """A campaign that goes on after a longer break takes a reference first."""


class VerificationPart(Section):
    """The exam of a candidate."""

    replicates: Annotated[int | Literal["planned"], _or("planned", 1, MOST_REPLICATES)] = "planned"
    """Fresh replicates, all of which are taken; ``planned`` chooses before each exam how many there may be, from noise,
    tolerance and drift, looks at them as they come, and ends the exam as soon as its verdict is certain."""
    most: int = Field(default=16, ge=2, le=MOST_REPLICATES)
    """Upper bound of a planned number."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of each of the two one-sided tests, all looks together."""
    noise: Literal["known", "estimated"] = "known"
    """Whether the noise that the instrument states may be used; replicates that contradict it win in any case."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.replicates == 1 and self.noise == "estimated":
            raise ValueError("replicates needs at least 2 to estimate the noise from, got 1")
        if self.replicates != "planned" and "most" in self.model_fields_set:
            raise ValueError(
                f"most bounds a planned number, and replicates = {self.replicates} is fixed: leave one out"
            )
        return self


class StopPart(Section):
    """When to give up."""

    rounds: int | None = Field(default=None, ge=1, le=100_000)
    """Rounds in all; 50 for each target unless told."""
    exams: int = Field(default=20, ge=1, le=10_000)
    """Failed exams of one target."""


class FittingPart(Section):
    """Limits of the fits, which then run in a process of their own; a model that breaks them is left out."""

    limit_s: float = Field(default=60.0, gt=0, le=86_400)
    """Seconds for the fits of one model, and as many for the decision that it is asked for."""
    memory_mb: int = Field(default=4096, ge=64, le=1_000_000)
    """Memory beyond what the program itself takes, in millions of bytes."""
    ahead: bool = False
    """Whether to fit and propose while the round before is measured, from the rounds before that one: the instrument
    does not wait for slow models, and each round knows one round less."""


def _names(value: Any) -> Any:
    if value == "all" or (isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value)):
        return value
    raise ValueError(f"needs 'all' or a list of names, got {shown(value)}")


class HistoryPart(Section):
    """Earlier campaigns to start from, on this instrument or another one with the same knobs."""

    campaigns: Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_names)] = "all"
    """Their names, or ``all``: the latest ones of the ledger with the same knobs."""
    ledger: str | None = None
    """File or URL of the ledger that holds them; this campaign's own unless told."""
    lessons: tuple[Lesson, ...] = ()
    """What they taught when the campaign began; the program writes it, and it never changes after that."""


def _tolerance(value: Any) -> Any:
    given = value.values() if isinstance(value, dict) else [value]
    if wrong := [shown(each) for each in given if not _is_tolerance(each)]:
        raise ValueError(f"needs a number above 0 or a percentage such as '1 %', got {', '.join(wrong)}")
    return value


def _is_tolerance(value: Any) -> bool:
    percentage = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e-?[0-9]+)?)\s*%\s*", value) if isinstance(value, str) else None
    number = float(percentage[1]) if percentage else value
    return is_number(number) and number > 0


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"needs a name without line ends and control characters, got {shown(name)}")
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_printable)]


class Target(Section):
    """Readings that somebody wants; channels that are not named are free."""

    name: Name = Field(default="target", min_length=1, max_length=100)
    readings: dict[str, float] = Field(min_length=1)
    tolerance: Annotated[float | str | dict[str, float | str], BeforeValidator(_tolerance)] = "1 %"
    """Largest allowed error, in the unit of the channel (``150``) or as a share of its reading (``"1 %"``)."""
    answers: Annotated[int | Literal["all"], _or("all", 1, MOST_ANSWERS)] = Field(
        default=1, exclude_if=lambda n: n == 1
    )
    """Distinct settings that are wanted, each verified by an exam of its own; ``all`` as many as can be found."""

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        if isinstance(self.tolerance, dict) and (odd := self.tolerance.keys() ^ self.readings.keys()):
            raise ValueError(f"tolerance and readings must name the same channels, check {', '.join(sorted(odd))}")
        for channel in self.readings:
            if not self.allowed(channel) > 0:
                raise ValueError(f"tolerance at {channel} must be above 0; give it in counts, not as a share of 0")
        return self

    def allowed(self, channel: str) -> float:
        """Largest error at a channel, in its unit."""
        given = self.tolerance[channel] if isinstance(self.tolerance, dict) else self.tolerance
        return float(given.strip(" %")) / 100 * abs(self.readings[channel]) if isinstance(given, str) else given

    def met_by(self, verified: int) -> bool:
        """Whether so many verified settings are what was asked for; of ``all`` nobody knows whether there are more."""
        return verified >= (1 if self.answers == "all" else self.answers)


class Campaign(Section):
    """All rounds towards some targets, on one instrument."""

    name: Name = Field(min_length=1, max_length=100)
    seed: int = Field(default=0, ge=0)
    budget: int = Field(default=100, ge=1, le=1_000_000)
    """Requests that may be sent, everything counted."""
    instrument: Annotated[Plugin, BeforeValidator(_named)]
    targets: tuple[Target, ...] = Field(min_length=1)
    design: Annotated[DesignPart, BeforeValidator(_named)] = DesignPart()
    models: tuple[Annotated[Plugin, BeforeValidator(_named)], ...] = Field(
        default=(Plugin(plugin="linear"), Plugin(plugin="mixture")), min_length=1
    )
    """Inverse models in the order of preference; one that needs more rows than there are waits, and another takes over
    when it predicts rows that it has not seen clearly better."""
    acquisition: Annotated[AcquisitionPart, BeforeValidator(_named)] = AcquisitionPart()
    background: BackgroundPart = BackgroundPart()
    verification: VerificationPart = VerificationPart()
    stop: StopPart = StopPart()
    approval: ApprovalPart | None = None
    """When a person has to see settings before they are sent; never unless told."""
    suspend: SuspendPart = SuspendPart()
    """What suspends the campaign between two measurements."""
    extra: int = Field(default=0, ge=0, le=100_000_000)
    """Requests that were allowed beyond the budget since it began; ``sdl extend`` writes it."""
    history: HistoryPart | None = None
    """Earlier campaigns to start from; none unless told."""
    fitting: FittingPart | None = None
    """Limits of the fits; without them models are fitted in the process of the campaign, which is quickest."""

    @field_validator("name")
    @classmethod
    def _safe(cls, name: str) -> str:
        slug(name)
        return name

    @field_validator("targets")
    @classmethod
    def _distinct(cls, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        names = [target.name for target in targets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"every target needs a name of its own, found twice: {', '.join(twice)}")
        return targets

    @property
    def slug(self) -> str:
        """The name, made safe for files and links."""
        return slug(self.name)

    @property
    def most(self) -> int:
        """Requests that may be sent: the budget and what was allowed beyond it."""
        return self.budget + self.extra

    @property
    def ahead(self) -> bool:
        """Whether a round is proposed while the one before is under way."""
        return self.fitting is not None and self.fitting.ahead

    def target(self, name: str) -> Target:
        """The target of a name that one of them has."""
        return next(each for each in self.targets if each.name == name)

    @property
    def rounds(self) -> int:
        """Rounds after which it gives up."""
        return self.stop.rounds or ROUNDS * len(self.targets)

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
        return validate(cls, written, "campaign")


def slug(name: str) -> str:
    """A name made safe: lower-case letters, digits and hyphens, at most 64.

    >>> slug("Weißes Licht, 1 %")
    'weies-licht-1'

    Raises:
        InvalidInput: if nothing is left of it, or it is a name that some systems reserve.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    safe = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-")
    if not safe or safe in RESERVED:
        raise InvalidInput(f"a name needs letters or digits and must not be a reserved word, got {shown(name)}")
    return safe
