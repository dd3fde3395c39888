"""Retraining: from what the campaign has seen to a fitted inverse model and the rows it stands on."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sdl import plugins
from sdl.analysis.background import Background
from sdl.campaign.definition import Plugin
from sdl.campaign.lesson import Lesson
from sdl.errors import InvalidInput
from sdl.facts import Parity, ParityRows
from sdl.history import History, Observation, Round
from sdl.space import Readings, Settings, Space
from strategies.contract import InverseModel
from strategies.correction.kriging import EarlierRows, PresentBackground, TrainingRows
from strategies.fitting.cross_validation import HeldOut, predict_held_out
from strategies.fitting.guard import failure_sentence, require_finite
from strategies.fitting.model_selection import FEWEST, Choice, choose_model, keep_model
from strategies.fitting.transfer import Transfer, nearest_lesson
from strategies.numerics.distinct_rows import distinct_rows

FEWEST_REPEATS = 2
"""Repeated readings, beyond the first of each setting, from which on they tell the noise."""
OUTLYING = 6.0
"""Robust standard deviations from the median of its replicates from which on a reading is left out of fits."""
FEWEST_TO_JUDGE = 3
MOST = 1500
"""Rows that a fit stands on at most, so that a long campaign is not slower at its end than at its beginning."""
LATEST = 1000
"""Rows that are among them in any case: those measured last."""
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
    kinship: Transfer | None
    """What is learned of earlier campaigns; None if the campaign names none."""
    translated: int
    """How many of the rows, the first ones, are of an earlier campaign: what would be read there today."""

    @property
    def earlier(self) -> EarlierRows | None:
        """Rows of an earlier campaign that is learned from."""
        return None if self.kinship is None else self.kinship.earlier

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
        return build_model(self.part)

    def parity(self, channels: Sequence[str], most: int = 200) -> Parity | None:
        """Measured against predicted for the last rows, seen (train) and not seen (test) by the model.

        None in a round in which models were not asked about rows they had not seen.

        Args:
            channels: Names of the channels of the targets.
            most: Rows at most.
        """
        if self.model is None or self.held_out is None:
            return None
        first = max(self.translated, len(self.settings) - most)
        measured, seen = self.readings[first:], self.model.predict(self.settings)[first:]
        fresh = np.isfinite(self.held_out[first:]).all(axis=1)
        unseen = ParityRows(measured=measured[fresh], predicted=self.held_out[first:][fresh])
        return Parity(tuple(channels), {"train": ParityRows(measured=measured, predicted=seen), "test": unseen})


def build_model(part: Plugin) -> InverseModel:
    """A fresh model as the campaign names it."""
    model: InverseModel = plugins.build("sdl.inverse_models", part.plugin, part.options)
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
    """
    earlier = [each for each in history.observations if each.round < round_]
    conditions = Background.of(earlier, space.p)
    seen = _lit(space, earlier, columns, conditions, replicates=False)
    settings = _settings(space, seen)
    readings = _readings(seen, columns) - _background(conditions, seen, columns)
    repeated = _repeated(settings, readings)
    kinship, translated = None, 0
    if lessons:
        noise, seen_ = _noise(space, columns, repeated), replace(history, observations=earlier)
        kinship = nearest_lesson(
            lessons, space, [space.channel_names[c] for c in columns], *_first(space, columns, seen_, noise)
        )
        at, told = kinship.translated(correction_rows(space, columns, seen_, noise, kinship.earlier))
        settings, readings, translated = np.vstack((at, settings)), np.vstack((told, readings)), len(at)
    given, parts = dict(left_out or {}), named_models(models)
    if given and parts.keys() <= given.keys():
        parts = named_models((*models, LAST_RESORT))
    parts = {name: part for name, part in parts.items() if name not in given}
    n, (last, missed) = len(distinct_rows(settings)[0]), _asked(history, round_, len(columns))
    due = n < FEWEST or n >= GROWN * last
    tried = _tried(parts, readings, settings, tell) if len(parts) > 1 and n >= FEWEST and due else {}
    skipped = given | {name: each.failure for name, each in tried.items() if each.failure}
    present = next((name for name in _used(history, round_) if name in parts and name not in skipped), "")
    left = sorted(parts, key=lambda name: name in skipped)
    while left:
        if present in left and not due:
            choice = keep_model(present, last)
        else:
            choice = choose_model(left, {name: tried[name].scores for name in left if name in tried}, present, n)
        part = parts[choice.name]
        tell(choice.name)
        try:
            model, predicted = _sound(part, readings, settings)
        except Exception as error:  # a model is anybody's code: what it raises must not end a campaign
            skipped[choice.name] = failure_sentence(error)
            left.remove(choice.name)
            continue
        freedom = max(len(readings) - space.d, 1)
        scatter = np.sqrt(((readings - predicted) ** 2).sum(axis=0) / freedom)
        out = None
        if due:
            out = tried.get(choice.name) or predict_held_out(
                partial(build_model, part), readings, settings, scored=False
            )
        unseen, asked = None, last
        if out is not None:
            unseen, asked, missed = out.predicted, n * (n >= FEWEST), _missed(readings - out.predicted)
        known = scatter, repeated, unseen, asked, missed, kinship, translated
        return Fitted(round_, choice, part, model, settings, readings, skipped, *known)
    nothing = np.full(len(columns), np.nan)
    unknown = nothing, nothing, None, last, missed, kinship, translated
    return Fitted(round_, Choice("", ""), None, None, settings, readings, skipped, *unknown)


def correction_rows(
    space: Space, columns: Sequence[int], history: History, noise: Readings, earlier: EarlierRows | None = None
) -> TrainingRows:
    """Everything seen so far with its present background, for the local correction.

    Args:
        space: Of the instrument.
        columns: Channels that matter.
        history: What the campaign has seen.
        noise: Standard deviation of one reading of those channels.
        earlier: Rows of another campaign.
    """
    conditions = Background.of(history.observations, space.p)
    seen = _lit(space, history.observations, columns, conditions, replicates=True)
    readings = _readings(seen, columns) - _background(conditions, seen, columns)
    order, now = _order(seen), np.array([len(history.observations)])
    drifts, drift = conditions.drifts(order)[:, list(columns)], conditions.drift[list(columns)]
    present = PresentBackground(drift * conditions.since(now), drift * conditions.since(order)[:, None])
    settings = _settings(space, seen)
    return TrainingRows(
        settings, readings, noise, drifts, lambda at: conditions.covariance(order[at]), present, earlier=earlier
    )


def _first(
    space: Space, columns: Sequence[int], history: History, noise: Readings
) -> tuple[TrainingRows, NDArray[np.bool_]]:
    """What was read today, and which of it stands for a channel at its ceiling: that tells an instrument too."""
    told = [
        replace(each, readings=np.where(each.censored, space.ceiling, each.readings)) for each in history.observations
    ]
    seen = _lit(space, told, columns, Background.of(told, space.p), replicates=True)
    at_least = np.array([each.censored[list(columns)] for each in seen], bool).reshape(-1, len(columns))
    return correction_rows(space, columns, replace(history, observations=told), noise), at_least


def _noise(space: Space, columns: Sequence[int], repeated: Readings) -> Readings:
    """Noise of one reading, ``(p,)``: as stated, else what repeats show, else 0."""
    stated = space.noise[list(columns)]
    return np.nan_to_num(np.where(np.isnan(stated), repeated, stated))


def _repeated(settings: Settings, readings: Readings) -> Readings:
    """Standard deviation of readings at one setting, ``(p,)``: their noise, without what a model misses."""
    _, place, times = np.unique(settings, axis=0, return_inverse=True, return_counts=True)
    if (freedom := len(settings) - len(times)) < FEWEST_REPEATS:
        return np.full(readings.shape[1], np.nan)
    at = np.eye(len(times))[place]
    means = (at / times).T @ readings
    return np.asarray(np.sqrt(((readings - at @ means) ** 2).sum(axis=0) / freedom))


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


def _asked(history: History, round_: int, p: int) -> tuple[int, Readings]:
    """Distinct settings that there were when models were last asked about rows they had not seen, and what was missed.

    0 and infinite if they never were.
    """
    for each in reversed(history.rounds):
        if each.number < round_ and each.facts.asked and each.facts.missed is not None:
            return each.facts.asked, np.array(each.facts.missed)
    return 0, np.full(p, np.inf)


def _missed(off: Readings) -> Readings:
    known = off[np.isfinite(off).all(axis=1)]
    return np.sqrt((known**2).mean(axis=0)) if len(known) else np.full(off.shape[1], np.inf)


def _tried(
    parts: Mapping[str, Plugin], readings: Readings, settings: Settings, tell: Callable[[str], object]
) -> dict[str, HeldOut]:
    tried = dict[str, HeldOut]()
    for name, part in parts.items():
        tell(name)
        tried[name] = predict_held_out(partial(build_model, part), readings, settings, scored=True)
    return tried


def _sound(part: Plugin, readings: Readings, settings: Settings) -> tuple[InverseModel, Readings]:
    """A model fitted on all rows, and what it predicts for them ``(n, p)``.

    Raises:
        TooFewRows: with the number that is needed.
        NotFinite: for an answer that is not.
        Exception: whatever the model raises.
    """
    model, rng = build_model(part).fit(readings, settings), np.random.default_rng(0)
    predicted = require_finite(model.predict(settings), "predictions", readings.shape)
    require_finite(model.sample(readings[-1], PROBES, rng), "draws", (PROBES, settings.shape[1]))
    require_finite(model.simulate(settings[-1:], PROBES, rng), "simulated readings", (PROBES, 1, readings.shape[1]))
    return model, predicted


def _lit(
    space: Space,
    observations: Sequence[Observation],
    columns: Sequence[int],
    conditions: Background,
    *,
    replicates: bool,
) -> list[Observation]:
    """Observations that a fit may use: lit, in a known light, a value in every channel that matters, no outlier."""
    lit = [each for each in observations if each.purpose.teaches]
    lit = [each for each, lost in zip(lit, conditions.unknown(_order(lit)), strict=True) if not lost]
    teaching = _thinned(lit, replicates=replicates)
    whole = [each for each in teaching if np.isfinite(each.readings[list(columns)]).all()]
    places = defaultdict[tuple[int, int], list[Observation]](list)
    for each in whole:
        places[each.round, each.index].append(each)
    outlying = {each.seq for replicates in places.values() for each in _outliers(space, replicates, columns)}
    return [each for each in whole if each.seq not in outlying]


def _thinned(observations: Sequence[Observation], *, replicates: bool) -> Sequence[Observation]:
    """All of them, or of very many those that cover the same ground: the latest, and of the others a selection.

    Of those that are older, a few replicates of every setting, or of every second, every fourth and so on: what is
    asked for in one part of a campaign lies about the box as what is asked for in another does. Powers of two, so that
    the selection stays the same for many rounds, and with it the model.

    Args:
        observations: In the order of taking.
        replicates: Whether to keep all replicates of the latest settings, and not a few of them too.
    """
    if len(observations) <= MOST:
        return observations
    older, latest = observations[:-LATEST], observations[-LATEST:]
    few = _few(older)
    step = 1 << (sum(map(len, few)) // (MOST - LATEST)).bit_length()
    return [*chain.from_iterable(few[::step]), *(latest if replicates else chain.from_iterable(_few(latest)))]


def _few(observations: Sequence[Observation]) -> list[list[Observation]]:
    """The first replicates of each setting, as many as it takes to judge one of them by the others."""
    places = defaultdict[tuple[int, int], list[Observation]](list)
    for each in observations:
        if len(replicates := places[each.round, each.index]) < FEWEST_TO_JUDGE:
            replicates.append(each)
    return list(places.values())


def _outliers(space: Space, replicates: Sequence[Observation], columns: Sequence[int]) -> list[Observation]:
    """Replicates that do not belong to the others: somebody else used the instrument, or a lamp was lit for a moment.

    Judged by the median and its absolute deviation, which one bad reading does not move, and never below the known
    noise, since three readings may agree by chance.
    """
    if len(replicates) < FEWEST_TO_JUDGE:
        return []
    off = np.abs(_readings(replicates, columns) - np.median(_readings(replicates, columns), axis=0))
    scale = np.fmax(1.4826 * np.median(off, axis=0), space.noise[list(columns)])
    far = np.flatnonzero((off > OUTLYING * scale).any(axis=1))
    return [replicates[row] for row in far.tolist()]


def undecided(space: Space, replicates: Sequence[Observation], columns: Sequence[int]) -> bool:
    """Whether replicates are further apart than their noise allows, and too few to tell which of them is disturbed."""
    if len(replicates) >= FEWEST_TO_JUDGE:
        return False
    apart = np.ptp(_readings(replicates, columns), axis=0)
    return bool((apart > OUTLYING * space.noise[list(columns)]).any())


def _settings(space: Space, seen: Sequence[Observation]) -> Settings:
    return space.to_unit(np.array([each.settings for each in seen]).reshape(-1, space.d))


def _readings(seen: Sequence[Observation], columns: Sequence[int]) -> Readings:
    return np.array([each.readings[list(columns)] for each in seen]).reshape(-1, len(columns))


def _order(seen: Sequence[Observation]) -> NDArray[np.int_]:
    return np.array([each.seq for each in seen], int)


def _background(conditions: Background, seen: Sequence[Observation], columns: Sequence[int]) -> Readings:
    return conditions.at(_order(seen))[:, list(columns)]
