"""Retraining: from what the campaign has seen to a fitted inverse model and the rows it stands on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from sdl import plugins
from sdl.campaign.lesson import Lesson
from sdl.campaign.sections import Plugin
from sdl.errors import InvalidInput
from sdl.history import History, Parity, ParityRows, Round
from sdl.space import NamedColumns, NeedsUnits, Readings, Settings, Space
from strategies.contract import InverseModel
from strategies.correction.rows import EarlierRows
from strategies.fitting.cross_validation import HeldOut, predict_held_out
from strategies.fitting.guard import failure_sentence, require_finite
from strategies.fitting.model_selection import FEWEST, Choice, choose_model, keep_model
from strategies.fitting.rivals import Rivals, judge_rivals
from strategies.fitting.training_rows import FitRows, Incomplete, fit_rows
from strategies.fitting.transfer import Transfer
from strategies.numerics.distinct_rows import distinct_rows

RIVAL = "rival "
"""How the name of a model begins where it is one of those of which one may be right."""
MEMBERS = 6
"""Refits on resampled rows whose disagreement is the model's own uncertainty."""
LEFT_OUT = "left out of this campaign: it "
"""How the reason begins why a model that broke the limits of a fit is not tried again."""
LAST_RESORT = Plugin(plugin="linear")
"""Fitted when every model of the campaign was left out."""
GROWN = 1.25
"""Settings, as a multiple of those of the last time, at which models are asked anew about rows they have not seen."""
PROBES = 4
"""Draws that a fitted model must give before it is used."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model fitted before a round, frozen from then on."""

    round: int
    choice: Choice
    """The model's name and why it was taken; the name is empty if none could be fitted yet."""
    part: Plugin | None
    """As the campaign writes it."""
    model: InverseModel | None
    settings: Settings
    """What it was fitted on, in the unit box, ``(n, d)``."""
    readings: Readings
    """The same, background subtracted, ``(n, p)`` over the channels of the targets."""
    skipped: Mapping[str, str]
    """Models that could not be fitted, or failed, and why."""
    scatter: Readings
    """Standard deviation of the model's residuals, ``(p,)``."""
    repeated: Readings
    """Standard deviation of readings at one setting, ``(p,)``; NaN if too few were repeated to tell."""
    held_out: Readings | None
    """Readings predicted by models that did not see the row, ``(n, p)``; NaN where too few rows were left. None in a
    round in which none were asked."""
    asked: int
    """Distinct settings that there were when models were last asked about rows they had not seen; 0 if too few."""
    missed: Readings
    """Root mean square of what the model missed in those rows, ``(p,)``; infinite if there were too few."""
    transfer: Transfer | None
    """What is learned of earlier campaigns; None if the campaign names none."""
    translated: int
    """How many of the rows, the first ones, are of an earlier campaign: what would be read there today."""
    partial: Incomplete
    """Rows in which some channels were not read; the model learned from them too, if it learns from gaps."""
    columns: NamedColumns
    """What the columns mean."""
    rivals: Rivals = field(default_factory=dict)
    """Models of which one may be right, where the campaign names some."""

    @property
    def taught(self) -> tuple[Readings, Settings]:
        """All that the model learned from: readings ``(m, p)``, NaN where a channel was not read, and settings."""
        return self.partial.added_to(self.model, self.readings, self.settings)

    @property
    def earlier(self) -> EarlierRows | None:
        """Rows of an earlier campaign that is learned from."""
        return None if self.transfer is None else self.transfer.earlier

    @property
    def name(self) -> str:
        """Of the model; empty if none could be fitted yet."""
        return self.choice.name

    def refit(self) -> InverseModel:
        """A fresh model of the same kind.

        Raises:
            InvalidInput: if none could be fitted.
        """
        if self.part is None:
            raise InvalidInput("no model could be fitted so far: measure more")
        return build_model(self.part, self.columns)

    def parity(self, channels: Sequence[str], most: int = 200) -> Parity | None:
        """Measured against predicted for the last rows, seen (train) and not seen (test) by the model.

        None in a round in which models were not asked about rows they had not seen.

        Args:
            channels: Names of the channels of the targets.
            most: Rows at most.
        """
        if self.model is None or self.held_out is None or not len(self.settings):
            return None
        first = max(self.translated, len(self.settings) - most)
        measured, seen = self.readings[first:], self.model.predict(self.settings)[first:]
        fresh = np.isfinite(self.held_out[first:]).all(axis=1)
        unseen = ParityRows(measured=measured[fresh], predicted=self.held_out[first:][fresh])
        return Parity(tuple(channels), {"train": ParityRows(measured=measured, predicted=seen), "test": unseen})


def build_model(part: Plugin, columns: NamedColumns) -> InverseModel:
    """A fresh model as the campaign names it, for rows in these columns."""
    model: InverseModel = plugins.build("sdl.inverse_models", part.plugin, part.options)
    if isinstance(model, NeedsUnits):
        model.in_units(columns)
    return model


def fit_models(
    models: Sequence[Plugin],
    space: Space,
    columns: Sequence[int],
    history: History,
    round_: int,
    left_out: Mapping[str, str] | None = None,
    tell: Callable[[str], object] = lambda _: None,
    lessons: Sequence[Lesson] = (),
    rivals: Sequence[Plugin] = (),
) -> Fitted:
    """Choose a model by what was learned before a round, and fit it on all of that.

    Models that cannot be fitted, or fail, are passed over. Asking them about rows that they have not seen takes many
    fits, so it is done anew only when there are a quarter more settings. A matter of the arguments alone.

    Args:
        models: In the order of preference.
        space: Of the instrument.
        columns: Channels that matter, of which each row has a value.
        history: What the campaign has seen.
        round_: Rounds before it count.
        left_out: Models by name that are not to be tried, and why; if that is all of them, the simplest one is tried.
        tell: Called with the name of each model before it is fitted.
        lessons: What earlier campaigns taught; the one that today's readings are like joins the rows.
        rivals: Models of which one may be right.
    """
    rows = fit_rows(space, columns, history, round_, lessons)
    parts = _parts_to_try(models, left_out or {})
    comparison = _compare_if_due(parts, rows, _last_comparison(history, round_, len(columns)), tell)
    skipped = {**(left_out or {}), **comparison.failures}
    present = next((name for name in _used(history, round_) if name in parts and name not in skipped), "")
    order = sorted(parts, key=lambda name: name in skipped)
    while order:
        choice = comparison.choose(order, present)
        tell(choice.name)
        try:
            model, left = _sound(parts[choice.name], rows)
        except Exception as error:  # a model is anybody's code: what it raises must not end a campaign
            skipped[choice.name] = failure_sentence(error)
            order.remove(choice.name)
            continue
        fitted = _fitted(round_, choice, parts[choice.name], model, left, rows, skipped, comparison)
        return _with_rivals(fitted, rivals, rows, space, columns, history, tell)
    return _nothing_fitted(round_, rows, skipped, comparison.last)


def _with_rivals(
    fitted: Fitted,
    rivals: Sequence[Plugin],
    rows: FitRows,
    space: Space,
    columns: Sequence[int],
    history: History,
    tell: Callable[[str], object],
) -> Fitted:
    """The same, with rivals judged by the rows, without those that broke the limits of a fit."""
    makers = {
        name: partial(build_model, part, rows.columns)
        for name, part in named_models(rivals).items()
        if f"{RIVAL}{name}" not in fitted.skipped
    }
    judged = judge_rivals(makers, rows, space, columns, history, fitted.round, lambda name: tell(f"{RIVAL}{name}"))
    failures = {f"{RIVAL}{name}": rival.failure for name, rival in judged.items() if rival.failure}
    return replace(fitted, rivals=judged, skipped={**fitted.skipped, **failures})


def _parts_to_try(models: Sequence[Plugin], left_out: Mapping[str, str]) -> dict[str, Plugin]:
    """Models by name without those that were left out; the simplest one if that were all."""
    parts = named_models(models)
    if left_out and parts.keys() <= left_out.keys():
        parts = named_models((*models, LAST_RESORT))
    return {name: part for name, part in parts.items() if name not in left_out}


def _fitted(
    round_: int,
    choice: Choice,
    part: Plugin,
    model: InverseModel,
    left: Readings,
    rows: FitRows,
    skipped: Mapping[str, str],
    comparison: "_Comparison",
) -> Fitted:
    """A fitted model that leaves so much of its rows ``(m, p)``, checked on rows not seen if that is due."""
    freedom = np.maximum(np.isfinite(left).sum(axis=0) - rows.settings.shape[1], 1)
    held_out, last = comparison.held_out(choice.name, part, rows), comparison.last
    if held_out is not None:
        last = _LastComparison(comparison.n * (comparison.n >= FEWEST), _missed(rows.readings - held_out))
    return Fitted(
        round=round_,
        choice=choice,
        part=part,
        model=model,
        settings=rows.settings,
        readings=rows.readings,
        skipped=skipped,
        scatter=np.sqrt((np.nan_to_num(left) ** 2).sum(axis=0) / freedom),
        repeated=rows.repeated,
        held_out=held_out,
        asked=last.settings,
        missed=last.missed,
        transfer=rows.transfer,
        translated=rows.translated,
        partial=rows.partial,
        columns=rows.columns,
    )


def _nothing_fitted(round_: int, rows: FitRows, skipped: Mapping[str, str], last: "_LastComparison") -> Fitted:
    """The result where no model can be fitted yet."""
    nothing = np.full(rows.readings.shape[1], np.nan)
    return Fitted(
        round=round_,
        choice=Choice("", ""),
        part=None,
        model=None,
        settings=rows.settings,
        readings=rows.readings,
        skipped=skipped,
        scatter=nothing,
        repeated=nothing,
        held_out=None,
        asked=last.settings,
        missed=last.missed,
        transfer=rows.transfer,
        translated=rows.translated,
        partial=rows.partial,
        columns=rows.columns,
    )


# ---------------------------------------------------------------------- comparison on rows not seen


@dataclass(frozen=True, eq=False)
class _LastComparison:
    """When models were last asked about rows that they had not seen, and what was missed."""

    settings: int
    """Distinct settings then; 0 if there were too few, or models never were."""
    missed: Readings
    """Root mean square, ``(p,)``; infinite if there were too few."""


@dataclass(frozen=True, eq=False)
class _Comparison:
    """What is known, before a round, of how good models are on rows that they have not seen."""

    n: int
    """Distinct settings that there are."""
    due: bool
    """Whether models are to be asked anew."""
    last: _LastComparison
    tried: Mapping[str, HeldOut]
    """By name, if they were compared just now."""

    @property
    def failures(self) -> dict[str, str]:
        """Models that failed on the way, and why."""
        return {name: held_out.failure for name, held_out in self.tried.items() if held_out.failure}

    def choose(self, order: Sequence[str], present: str) -> Choice:
        """Choose one of the models in this order; the present one stays where no comparison is due."""
        if present in order and not self.due:
            return keep_model(present, self.last.settings)
        return choose_model(
            order, {name: self.tried[name].scores for name in order if name in self.tried}, present, self.n
        )

    def held_out(self, name: str, part: Plugin, rows: FitRows) -> Readings | None:
        """What the model predicts for rows that it has not seen, ``(n, p)``; None where that is not due."""
        if not self.due:
            return None
        held_out = self.tried.get(name) or predict_held_out(
            partial(build_model, part, rows.columns), rows.readings, rows.settings, scored=False, partial=rows.partial
        )
        return held_out.predicted


def _compare_if_due(
    parts: Mapping[str, Plugin], rows: FitRows, last: _LastComparison, tell: Callable[[str], object]
) -> _Comparison:
    """Compare the models, if there are two, settings enough, and a quarter more of them than at the last time."""
    n = len(distinct_rows(rows.settings)[0])
    due = n < FEWEST or n >= GROWN * last.settings
    tried = _tried(parts, rows, tell) if len(parts) > 1 and n >= FEWEST and due else {}
    return _Comparison(n, due, last, tried)


def _last_comparison(history: History, round_: int, p: int) -> _LastComparison:
    """The last comparison before a round, as the rounds record it."""
    for earlier in reversed(history.rounds):
        facts = earlier.facts
        if earlier.number < round_ and facts.asked and facts.missed is not None:
            return _LastComparison(facts.asked, np.array(facts.missed))
    return _LastComparison(0, np.full(p, np.inf))


def _missed(off: Readings) -> Readings:
    known = off[np.isfinite(off).all(axis=1)]
    return np.sqrt((known**2).mean(axis=0)) if len(known) else np.full(off.shape[1], np.inf)


def _tried(parts: Mapping[str, Plugin], rows: FitRows, tell: Callable[[str], object]) -> dict[str, HeldOut]:
    tried = dict[str, HeldOut]()
    for name, part in parts.items():
        tell(name)
        tried[name] = predict_held_out(
            partial(build_model, part, rows.columns), rows.readings, rows.settings, scored=True, partial=rows.partial
        )
    return tried


def _sound(part: Plugin, rows: FitRows) -> tuple[InverseModel, Readings]:
    """A model fitted on all rows that it takes, and what it leaves of them ``(m, p)``, NaN where nothing was read.

    Raises:
        TooFewRows: with the number that is needed.
        NotFinite: for an answer that is not.
        Exception: whatever the model raises.
    """
    model, rng = build_model(part, rows.columns), np.random.default_rng(0)
    readings, settings = rows.partial.added_to(model, rows.readings, rows.settings)
    model.fit(readings, settings)
    predicted = require_finite(model.predict(settings), "predictions", readings.shape)
    require_finite(model.sample(readings[-1], PROBES, rng), "draws", (PROBES, settings.shape[1]))
    require_finite(model.simulate(settings[-1:], PROBES, rng), "simulated readings", (PROBES, 1, readings.shape[1]))
    return model, readings - predicted


# ---------------------------------------------------------------------- models by name


def models_left_out(rounds: Iterable[Round]) -> dict[str, str]:
    """Models that broke the limits of a fit, and how, as the rounds tell."""
    told = (each.facts.skipped or {} for each in rounds)
    return {name: why for each in told for name, why in each.items() if why.startswith(LEFT_OUT)}


def named_models(models: Sequence[Plugin]) -> dict[str, Plugin]:
    """Models by name; one that is named again, with other options, has its number added."""
    parts = dict[str, Plugin]()
    for place, part in enumerate(models):
        times = sum(each.plugin == part.plugin for each in models[:place])
        parts[f"{part.plugin} {times + 1}" if times else part.plugin] = part
    return parts


def _used(history: History, round_: int) -> Iterator[str]:
    """Names of the models of the rounds before, the last first."""
    return (each.facts.model or "" for each in reversed(history.rounds) if each.number < round_)
