"""What a round and a finding record of themselves: typed values here, JSON in the ledger and in bundles.

Later rounds decide by these facts, and reports show them. A record may come from another version of this program or
from a stranger's bundle: what stands under a key that is not known here, or in a form that is not written here, is kept
in ``others`` as it stands and goes out again under its key.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from operator import index
from typing import Any, Self

import numpy as np

from sdl.formatting import float_or_nan, format_interval, format_number, make_jsonable
from sdl.space import Readings, Window

_MALFORMED = (TypeError, ValueError, KeyError, AttributeError, OverflowError)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _number(value: Any) -> float:
    """A number of JSON, which has no NaN: None, or its name, stands for it."""
    return math.nan if value is None else float(value)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))


def _row(value: Any) -> Readings:
    return np.array([_number(each) for each in _list(value)], float)


def _bounds(value: Any) -> tuple[float, ...]:
    """Numbers of which None is one without bound."""
    return tuple(math.inf if each is None else float(each) for each in _list(value))


def _bounded(value: Iterable[float]) -> list[float | None]:
    return [each if math.isfinite(each) else None for each in value]


def _unbounded_row(value: Any) -> Readings:
    return np.array(_bounds(value), float)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError(f"expected a list, got {type(value).__name__}")
    return list(value)


def _by_name(read: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: read(each) for name, each in value.items()}


def _as_it_is(value: Any) -> Any:
    return value


def _json(key: str, read: Callable[[Any], Any], write: Callable[[Any], Any] = _as_it_is) -> dict[str, Any]:
    """Of a fact: its key in JSON, how it is read from there, and how it is written."""
    return {"key": key, "read": read, "write": write}


@dataclass(frozen=True, eq=False)
class _Record:
    """Facts with their keys in JSON; two are equal that are recorded alike."""

    others: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    """What is recorded besides, under keys or in forms that are not written here."""

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any]) -> Self:
        """The facts that stand in an object of JSON; what cannot be read of it goes to ``others``."""
        values, others = dict[str, Any](), dict(recorded)
        for each in fields(cls):
            if (key := each.metadata.get("key")) in others:
                try:
                    values[each.name] = each.metadata["read"](others[key])
                except _MALFORMED:
                    continue
                del others[key]
        return cls(**values, others=others)

    def to_json(self) -> dict[str, Any]:
        """The same facts as an object of JSON."""
        known = [(each, getattr(self, each.name)) for each in fields(self) if each.metadata]
        recorded = {each.metadata["key"]: each.metadata["write"](value) for each, value in known if value is not None}
        plain: dict[str, Any] = make_jsonable({**recorded, **self.others})
        return plain

    def __bool__(self) -> bool:
        """Whether anything is recorded."""
        return bool(self.others) or any(getattr(self, each.name) is not None for each in fields(self) if each.metadata)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, _Record) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class LessonFacts(_Record):
    """Which earlier campaign is learned from, and how like it today's readings are."""

    campaign: str | None = field(default=None, metadata=_json("campaign", _text))
    """Its name; None where today's readings are more likely like none."""
    instrument: str | None = field(default=None, metadata=_json("instrument", _text))
    """What it was measured on."""
    kind: str | None = field(default=None, metadata=_json("kind", _text))
    """As what it is learned from: the same instrument, or another of the kind; empty for none."""
    probability: float | None = field(default=None, metadata=_json("probability", _number))
    """Of that, or of being like none."""
    distances: Mapping[str, float] | None = field(
        default=None,
        metadata=_json(
            "distances",
            _by_name(_number),
            lambda value: {name: None if math.isnan(off) else off for name, off in value.items()},
        ),
    )
    """What each campaign, by name, misses of today's readings, as a share of them; NaN before the first reading."""


@dataclass(frozen=True, eq=False)
class RivalFacts(_Record):
    """How one of several rival models has foretold what was read."""

    score: float | None = field(default=None, metadata=_json("score", _number))
    """Logarithm of the likelihood that it gave to these readings, up to a constant that its rivals share."""
    foretold: int | None = field(default=None, metadata=_json("foretold", index))
    """Readings that it was asked to foretell."""
    outside: int | None = field(default=None, metadata=_json("outside", index))
    """Those of them outside of its 99 % region."""
    until: int | None = field(default=None, metadata=_json("until", index))
    """Place of the last observation that is accounted for; -1 for none."""
    fell: str | None = field(default=None, metadata=_json("fell", _text))
    """By how much and by which reading it fell, in words that follow its name; None while it stands."""


@dataclass(frozen=True, eq=False)
class SourceFacts(_Record):
    """What is believed of another source than the instrument."""

    asked: int | None = field(default=None, metadata=_json("asked", index))
    """Readings of it."""
    apart: float | None = field(default=None, metadata=_json("apart", _number))
    """Standard deviation of its bias, as a part of the range of each channel, before that was learned."""
    louder: float | None = field(default=None, metadata=_json("louder", _number))
    """How many times as large its noise is as the instrument's."""
    like: float | None = field(default=None, metadata=_json("like", _number))
    """Logarithm of how much likelier its readings and the instrument's are as two views of one response than apart."""
    dropped: bool | None = field(default=None, metadata=_json("dropped", bool))
    """Whether it is not listened to: what it reads tells nothing of what the instrument reads."""
    bias: Mapping[str, str] | None = field(default=None, metadata=_json("bias", _by_name(_text)))
    """By channel what its bias was found to be, in words."""

    def __str__(self) -> str:
        if self.dropped:
            return "dropped, since its readings do not go with those of the instrument"
        known = "; ".join(f"its {channel} is {words}" for channel, words in (self.bias or {}).items())
        return known or "not compared with the instrument yet"


@dataclass(frozen=True, eq=False)
class CandidateFacts(_Record):
    """A candidate as it was offered."""

    settings: Mapping[str, float] | None = field(default=None, metadata=_json("settings", _by_name(_number)))
    """By the names of the knobs, in their units."""
    share: float | None = field(default=None, metadata=_json("share", _number))
    """Part of the model's draws that it stands for."""


@dataclass(frozen=True, eq=False)
class ParityRows:
    """Readings measured, and what a model predicts for them, both ``(n, p)``."""

    measured: Readings
    predicted: Readings


@dataclass(frozen=True, eq=False)
class Parity:
    """A model's predictions against what was measured, for the figure of the report."""

    channels: tuple[str, ...]
    """Their names, ``p`` of them."""
    sets: Mapping[str, ParityRows]
    """By name: ``train`` for rows that the model has seen, ``test`` for rows that it has not."""

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any]) -> Self:
        """What stands in an object of JSON.

        Raises:
            TypeError, ValueError, KeyError: for anything else.
        """
        channels = _names(recorded["channels"])

        def rows(values: Any) -> Readings:
            return np.array(values, float).reshape(-1, len(channels))

        pairs = {name: pair for name, pair in recorded.items() if name != "channels"}
        return cls(
            channels,
            {name: ParityRows(rows(pair["measured"]), rows(pair["predicted"])) for name, pair in pairs.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """The same as an object of JSON."""
        return {"channels": self.channels, **{name: vars(rows) for name, rows in self.sets.items()}}


@dataclass(frozen=True, eq=False)
class ParameterFacts(_Record):
    """A hidden parameter of a law, as the rows have it."""

    unit: str | None = field(default=None, metadata=_json("unit", _text))
    value: float | None = field(default=None, metadata=_json("value", _number))
    """The middle of its posterior."""
    low: float | None = field(default=None, metadata=_json("low", _number))
    high: float | None = field(default=None, metadata=_json("high", _number))
    """Ends of its central 90 % interval."""
    told: str | None = field(default=None, metadata=_json("told", _text))
    """Where the rows do not determine it: whether it is ``at least`` or ``at most`` so much, or ``not determined``."""

    def __str__(self) -> str:
        low, high = float_or_nan(self.low), float_or_nan(self.high)
        if self.told == "not determined":
            return (
                f"not determined by the rows ({format_number(low)} to {format_number(high)} {self.unit or ''}".strip()
                + ")"
            )
        if self.told:
            return f"{self.told} {format_number(low if self.told == 'at least' else high)} {self.unit or ''}".strip()
        shown = format_interval(low, high) if math.isfinite(low + high) else "no interval"
        return f"{format_number(self.value)} ({shown}) {self.unit or ''}".strip()


@dataclass(frozen=True, eq=False)
class LawFacts(_Record):
    """A law with hidden parameters, as the rows have it."""

    parameters: Mapping[str, ParameterFacts] | None = field(
        default=None,
        metadata=_json(
            "parameters",
            _by_name(ParameterFacts.from_json),
            lambda value: {name: each.to_json() for name, each in value.items()},
        ),
    )
    correlations: Mapping[str, float] | None = field(default=None, metadata=_json("correlations", _by_name(_number)))
    """The strongest ones, by two names with a comma between."""
    combinations: tuple[str, ...] | None = field(default=None, metadata=_json("combinations", _names))
    """What the rows tell of parameters together that they do not tell by themselves, in words."""
    misfit: str | None = field(default=None, metadata=_json("misfit", _text))
    """Channels for which the law does not hold, in words; None where it does."""

    @property
    def words(self) -> dict[str, str]:
        """The same in words for people, by what each is about."""
        open_ = [name for name, each in (self.parameters or {}).items() if each.told]
        pairs = [f"{names.replace(', ', ' with ')} {value:+.2f}" for names, value in (self.correlations or {}).items()]
        said = {
            "parameters": "; ".join(f"{name} {each}" for name, each in (self.parameters or {}).items()),
            "correlated": ", ".join(pairs),
            "not determined": ", ".join(open_),
            "determined together": "; ".join(self.combinations or ()),
            "does not hold": f"residuals go with the settings in {self.misfit}" if self.misfit else "",
        }
        return {
            about: text.replace("-", "−") if about == "correlated" else text for about, text in said.items() if text
        }


@dataclass(frozen=True, eq=False)
class RoundFacts(_Record):
    """What was known when a round was proposed; each is None where a round has none of it."""

    why: str | None = field(default=None, metadata=_json("why", _text))
    """Why there is a round without a candidate, in words."""
    model: str | None = field(default=None, metadata=_json("model", _text))
    """Name of the model that was fitted for it."""
    rows: int | None = field(default=None, metadata=_json("rows", index))
    """Readings of this campaign that it was fitted on."""
    chosen: str | None = field(default=None, metadata=_json("chosen", _text))
    """Why this model, in words that follow its name."""
    scores: Mapping[str, Mapping[str, float]] | None = field(
        default=None, metadata=_json("scores", _by_name(_by_name(_number)))
    )
    """Mean energy scores by model: of ``readings``, in spans, and of ``settings``."""
    held_out: int | None = field(default=None, metadata=_json("held out", index))
    """Distinct settings that models were compared on; 0 if they were not."""
    asked: int | None = field(default=None, metadata=_json("asked", index))
    """Distinct settings when models were last asked about rows they had not seen; 0 if too few."""
    missed: tuple[float, ...] | None = field(default=None, metadata=_json("missed", _bounds, _bounded))
    """Root mean square of what the model missed in those rows, by channel; infinite if there were too few."""
    skipped: Mapping[str, str] | None = field(default=None, metadata=_json("skipped", _by_name(_text)))
    """Models, by name, that could not be fitted or failed, and why."""
    target: str | None = field(default=None, metadata=_json("target", _text))
    """Name of the target that its candidate is for."""
    acquisition: str | None = field(default=None, metadata=_json("acquisition", _text))
    """Name of the acquisition that chose what a learning round reads."""
    chance: float | None = field(default=None, metadata=_json("chance of passing", _number))
    """Probability that the candidate passes an exam."""
    uncertainty: Mapping[str, float] | None = field(default=None, metadata=_json("uncertainty", _by_name(_number)))
    """Standard deviation of the readings that are expected at the candidate, by channel."""
    refused: float | None = field(default=None, metadata=_json("refused draws", _number))
    """Part of the model's draws that lay outside the box."""
    candidates: tuple[CandidateFacts, ...] | None = field(
        default=None,
        metadata=_json(
            "candidates",
            lambda value: tuple(map(CandidateFacts.from_json, _list(value))),
            lambda value: [each.to_json() for each in value],
        ),
    )
    """What the model offers, the candidate of this round first."""
    batch: int | None = field(default=None, metadata=_json("batch", index))
    """Number of the first round of those that are measured together with this one; None where it is by itself."""
    family: int | None = field(default=None, metadata=_json("family", index))
    """Number of the family that the candidate is of, from 0 on, where several answers are wanted."""
    history: LessonFacts | None = field(
        default=None, metadata=_json("history", LessonFacts.from_json, LessonFacts.to_json)
    )
    """What is learned from earlier campaigns, where the campaign names some."""
    source: str | None = field(default=None, metadata=_json("source", _text))
    """Name of the source that is asked in this round; None for the instrument."""
    sources: Mapping[str, SourceFacts] | None = field(
        default=None,
        metadata=_json(
            "sources",
            _by_name(SourceFacts.from_json),
            lambda value: {name: source.to_json() for name, source in value.items()},
        ),
    )
    """What is believed of other sources, by name, where the campaign has some."""
    rivals: Mapping[str, RivalFacts] | None = field(
        default=None,
        metadata=_json(
            "rivals",
            _by_name(RivalFacts.from_json),
            lambda value: {name: rival.to_json() for name, rival in value.items()},
        ),
    )
    """How rival models stand, by name, where the campaign names some."""
    law: LawFacts | None = field(default=None, metadata=_json("law", LawFacts.from_json, LawFacts.to_json))
    """The parameters of its model, where that is a law."""
    parity: Parity | None = field(default=None, metadata=_json("parity", Parity.from_json, Parity.to_json))
    """Predictions against what was measured, where models were asked about rows they had not seen."""


@dataclass(frozen=True, eq=False)
class ForetoldFacts(_Record):
    """A channel that a target leaves free: the interval foretold for it at the settings, and what it read there."""

    low: float | None = field(default=None, metadata=_json("low", _number))
    high: float | None = field(default=None, metadata=_json("high", _number))
    """Ends of the interval that the mean was to lie in, by what was known before the first of its readings."""
    level: float | None = field(default=None, metadata=_json("level", _number))
    """How often such intervals hold."""
    mean: float | None = field(default=None, metadata=_json("mean", _number))
    """Of the replicates; None where nothing was measured."""

    @property
    def held(self) -> bool | None:
        """Whether the mean lies in the interval; None where nothing was measured."""
        if self.mean is None or self.low is None or self.high is None:
            return None
        return self.low <= self.mean <= self.high


@dataclass(frozen=True, eq=False)
class FindingFacts(_Record):
    """The numbers of a verdict; arrays ``(p,)`` are over ``channels``, and each is None where a verdict has none."""

    channels: tuple[str, ...] | None = field(default=None, metadata=_json("channels", _names))
    """Names of the channels that were judged."""
    model: str | None = field(default=None, metadata=_json("model", _text))
    """Name of the model that offered the candidate."""
    target: Readings | None = field(default=None, metadata=_json("target", _row))
    """Readings wanted, or the only bounds that there are; NaN where a channel is free."""
    tolerance: Readings | None = field(default=None, metadata=_json("tolerance", _row))
    """Largest allowed distance of the true reading from the target; None where some channel has one bound alone."""
    below: Readings | None = field(default=None, metadata=_json("below", _unbounded_row, _bounded))
    """How far below the target it may lie, where the tolerance does not say so; infinite without bound."""
    above: Readings | None = field(default=None, metadata=_json("above", _unbounded_row, _bounded))
    """How far above."""
    background: Readings | None = field(default=None, metadata=_json("background", _row))
    """The fresh background that the candidate was made for."""
    mean: Readings | None = field(default=None, metadata=_json("mean", _row))
    """Mean of the replicates."""
    margin: Readings | None = field(default=None, metadata=_json("margin", _row))
    """Half width of the interval that the true reading lies in."""
    noise: Readings | None = field(default=None, metadata=_json("noise", _row))
    """Standard deviation of one reading that was used."""
    degrees: Readings | None = field(default=None, metadata=_json("degrees of freedom", _row))
    """Degrees of freedom of that noise, as far as it was learned."""
    pooled: int | None = field(default=None, metadata=_json("pooled", index))
    """Readings taken for the target, near to the settings, that the verdict stands on; the replicates among them."""
    look: int | None = field(default=None, metadata=_json("look", index))
    """How many times the target was judged, this one included."""
    replicates: int | None = field(default=None, metadata=_json("replicates", index))
    """Replicates that the verdict stands on."""
    planned: int | None = field(default=None, metadata=_json("planned", index))
    """Most replicates that the exam could have had."""
    confidence: float | None = field(default=None, metadata=_json("confidence", _number))
    """Of each one-sided test, all looks together."""
    readings: Readings | None = field(default=None, metadata=_json("readings", _row))
    """The nearest readings that can be reached, of a target that is out of reach."""
    uncertainty: Readings | None = field(default=None, metadata=_json("uncertainty", _row))
    """Standard deviation of these."""
    excess: Readings | None = field(default=None, metadata=_json("excess", _row))
    """By how many tolerances they miss theirs, or by how much noise a single bound; 0 if met, NaN if free."""
    free: Mapping[str, ForetoldFacts] | None = field(
        default=None,
        metadata=_json(
            "free",
            _by_name(ForetoldFacts.from_json),
            lambda value: {name: foretold.to_json() for name, foretold in value.items()},
        ),
    )
    """The channels that the target leaves free, by name."""
    family: int | None = field(default=None, metadata=_json("family", index))
    """Number of the family that the candidate is of, from 0 on, where several answers are wanted."""

    @property
    def window(self) -> Window | None:
        """Where the true readings were to lie; None where it does not say."""
        below, above = (self.tolerance, self.tolerance) if self.below is None else (self.below, self.above)
        return None if self.target is None or below is None or above is None else Window(self.target, below, above)


def window_facts(window: Window) -> dict[str, Any]:
    """The facts of a finding that say where the true readings were to lie."""
    if window.one_sided.any():
        return {"target": window.wanted, "below": window.below, "above": window.above}
    return {"target": window.wanted, "tolerance": window.above}
