"""The sections of a campaign file: plug-ins by name, and how hard to try."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from sdl.campaign.lesson import Lesson
from sdl.campaign.section import Section, Written
from sdl.formatting import format_value, has_password
from sdl.space import FormulaText

MOST_REPLICATES = 10_000


class Plugin(Written):
    """A plug-in by name; every other key is one of its options."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)
    plugin: str

    @property
    def options(self) -> dict[str, Any]:
        """The options as written."""
        return dict(self.model_extra or {})


class QuantityPart(Section):
    """A quantity that is computed from channels, and may be wanted as they are."""

    formula: FormulaText
    """Numbers, channels, ``+ - * / **``, ``log`` and such: ``445nm / 630nm``."""
    unit: str = ""


class DesignPart(Plugin):
    """Settings measured before the first fit."""

    plugin: str = "maximin-latin-hypercube"
    n: int | None = Field(default=None, ge=1, le=100_000)
    """How many; by default the design's own number; where it has none 5, or one more than there are knobs."""


class AcquisitionPart(Plugin):
    """How learning rounds choose what to measure."""

    plugin: str = "likeliest"
    n: int = Field(default=1, ge=1, le=10_000)
    """Settings a batch."""
    rounds: int = Field(default=1, ge=0, le=10_000)
    """Learning rounds in a row before the best candidate is examined all the same."""
    below: float = Field(default=0.3, ge=0, le=1, exclude_if=lambda below: below == 0.3)
    """Chance that an exam would verify the target, below which the round learns instead."""


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
    """Requests between two references, of which one then comes before each exam as well; ``planned`` takes one at the
    beginning and after a break, since all readings tell how the light changes; 0 takes none."""
    max_age_s: float = Field(default=120.0, gt=0)
    """A campaign that goes on after a longer break takes a reference first."""


class VerificationPart(Section):
    """The exam of a candidate."""

    replicates: Annotated[int | Literal["planned"], _or("planned", 1, MOST_REPLICATES)] = "planned"
    """Fresh replicates, all of which are taken; with ``planned`` an exam goes on, one reading at a time, until its
    target is judged or other settings are likelier to give it."""
    most: int = Field(default=16, ge=2, le=MOST_REPLICATES)
    """Upper bound of a planned number."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of each of the two one-sided tests on a target, all looks and all exams together."""
    noise: Literal["known", "estimated"] = "known"
    """Whether learning the noise begins at what the instrument states; readings overrule it in any case."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.replicates == 1 and self.noise == "estimated":
            raise ValueError("replicates needs at least 2 to estimate the noise from, got 1")
        stated = self.most != type(self).model_fields["most"].default  # a ledger keeps defaults too
        if self.replicates != "planned" and stated:
            raise ValueError(
                f"most bounds a planned number, and replicates = {self.replicates} is fixed: leave one out"
            )
        return self


class StopPart(Section):
    """When to give up."""

    rounds: int | None = Field(default=None, ge=1, le=100_000)
    """Rounds in all; by default as many as the budget, and 50 for each target."""
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
    if value == "all" or (isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value)):
        return value
    raise ValueError(f"needs 'all' or a list of names, got {format_value(value)}")


class HistoryPart(Section):
    """Earlier campaigns to start from, on this instrument or another one with the same knobs."""

    campaigns: Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_names)] = "all"
    """Their names, or ``all``: the latest ones of the ledger with the same knobs."""
    ledger: str | None = None
    """File or URL of the ledger that holds them; by default this campaign's own."""

    @field_validator("ledger")
    @classmethod
    def _shown(cls, ledger: str | None) -> str | None:
        if ledger is not None and has_password(ledger):
            raise ValueError(
                "must not hold a password, since reports and bundles show it: leave it out there and write it into "
                "~/.pgpass"
            )
        return ledger

    lessons: tuple[Lesson, ...] = ()
    """What they taught when the campaign began; the program writes it, and it never changes after that."""
