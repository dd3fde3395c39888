"""Which observations teach, and the rows that fits and the local correction make of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.background import Background
from sdl.campaign.lesson import Lesson
from sdl.history import History, Observation
from sdl.space import NamedColumns, Readings, Settings, Space
from strategies.contract import learns_from_gaps
from strategies.correction.rows import EarlierRows, PresentBackground, TrainingRows
from strategies.fitting.noise import repeated_noise, stated_or_repeated
from strategies.fitting.transfer import Transfer, nearest_lesson

OUTLYING = 6.0
"""Robust standard deviations from the median of its replicates from which on a reading is left out of fits."""
FEWEST_TO_JUDGE = 3
"""Replicates from which on one of them is judged by the others."""
MOST = 1500
"""Rows that a fit stands on at most, so that a long campaign is not slower at its end than at its beginning."""
LATEST = 1000
"""Rows that are among them in any case: those measured last."""


@dataclass(frozen=True, eq=False)
class Incomplete:
    """Rows with gaps, for models that learn from them."""

    settings: Settings
    """In the unit box, ``(g, d)``."""
    readings: Readings
    """Background subtracted, ``(g, p)``; NaN where a channel was not read."""

    def added_to(self, model: object, readings: Readings, settings: Settings) -> tuple[Readings, Settings]:
        """Complete rows ``(n, p)`` and ``(n, d)``, and after them those with gaps if a model learns from them."""
        if not len(self.settings) or not learns_from_gaps(model):
            return readings, settings
        return np.vstack((readings, self.readings)), np.vstack((settings, self.settings))


@dataclass(frozen=True, eq=False)
class FitRows:
    """What a model is fitted on before a round."""

    settings: Settings
    """In the unit box, ``(n, d)``."""
    readings: Readings
    """Background subtracted, ``(n, p)``."""
    repeated: Readings
    """Standard deviation of readings at one setting, ``(p,)``; NaN if too few were repeated to tell."""
    partial: Incomplete
    """Rows in which some of the channels were not read."""
    columns: NamedColumns
    """What the columns mean."""
    transfer: Transfer | None = None
    """What is learned of earlier campaigns; None if the campaign names none."""
    translated: int = 0
    """How many of the rows, the first ones, are of an earlier campaign: what would be read there today."""
    taken: NDArray[np.int_] = field(default_factory=lambda: np.empty(0, int))
    """Place of each row among the campaign's observations, ``(n,)``; -1 for rows of an earlier campaign."""


def fit_rows(
    space: Space, columns: Sequence[int], history: History, round_: int, lessons: Sequence[Lesson] = ()
) -> FitRows:
    """The rows that models are fitted on before a round, those of an earlier campaign first.

    Args:
        space: Of the instrument.
        columns: Channels that matter, ``p`` of them.
        history: What the campaign has seen.
        round_: Rounds before it count.
        lessons: What earlier campaigns taught; the one that today's readings are like joins the rows.
    """
    earlier = [observation for observation in history.observations if observation.round < round_]
    background = Background.of(earlier, space.p)
    teaching = _teaching(earlier, background, replicates=False)
    usable = _usable(space, teaching, columns)
    settings, readings = _as_arrays(space, usable, columns, background)
    partial = Incomplete(*_as_arrays(space, _incomplete(teaching, columns), columns, background))
    named = NamedColumns.of(space, [space.channel_names[c] for c in columns], subtracted=bool(background.seq.size))
    rows = FitRows(settings, readings, repeated_noise(settings, readings), partial, named, taken=_order(usable))
    return _with_lesson(rows, space, columns, replace(history, observations=earlier), lessons) if lessons else rows


def _with_lesson(
    rows: FitRows, space: Space, columns: Sequence[int], history: History, lessons: Sequence[Lesson]
) -> FitRows:
    """The rows, after those of the lesson that today's readings are most like, if they are like one."""
    noise, names = stated_or_repeated(space, columns, rows.repeated), [space.channel_names[c] for c in columns]
    today, at_least = _first_readings(space, columns, history, noise)
    transfer = nearest_lesson(lessons, space, names, today, at_least)
    settings, readings = transfer.translated(correction_rows(space, columns, history, noise, transfer.earlier))
    whole = np.asarray(np.isfinite(readings).all(axis=1))
    some = ~whole & np.isfinite(readings).any(axis=1)
    partial = Incomplete(
        np.vstack((settings[some], rows.partial.settings)), np.vstack((readings[some], rows.partial.readings))
    )
    settings, readings = settings[whole], readings[whole]
    return FitRows(
        settings=np.vstack((settings, rows.settings)),
        readings=np.vstack((readings, rows.readings)),
        repeated=rows.repeated,
        partial=partial,
        columns=rows.columns,
        transfer=transfer,
        translated=len(settings),
        taken=np.concatenate((np.full(len(settings), -1), rows.taken)),
    )


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
    background = Background.of(history.observations, space.p)
    seen = _usable(space, _teaching(history.observations, background, replicates=True), columns)
    settings, readings = _as_arrays(space, seen, columns, background)
    order, now = _order(seen), np.array([len(history.observations)])
    drifts, drift = background.drifts(order)[:, list(columns)], background.drift[list(columns)]
    present = PresentBackground(drift * background.since(now), drift * background.since(order)[:, None])
    return TrainingRows(
        settings, readings, noise, drifts, lambda at: background.covariance(order[at]), present, earlier=earlier
    )


def _first_readings(
    space: Space, columns: Sequence[int], history: History, noise: Readings
) -> tuple[TrainingRows, NDArray[np.bool_]]:
    """What was read today, and which of it stands for a channel at its ceiling: that tells an instrument too."""
    told = [
        replace(each, readings=np.where(each.censored, space.ceiling, each.readings)) for each in history.observations
    ]
    seen = _usable(space, _teaching(told, Background.of(told, space.p), replicates=True), columns)
    at_least = np.array([each.censored[list(columns)] for each in seen], bool).reshape(-1, len(columns))
    return correction_rows(space, columns, replace(history, observations=told), noise), at_least


def _teaching(
    observations: Sequence[Observation], background: Background, *, replicates: bool
) -> Sequence[Observation]:
    """Observations that may teach: lit, in a known light, and not too many of them."""
    lit = [each for each in observations if each.purpose.teaches]
    lit = [each for each, lost in zip(lit, background.unknown(_order(lit)), strict=True) if not lost]
    return _thinned(lit, replicates=replicates)


def _usable(space: Space, teaching: Sequence[Observation], columns: Sequence[int]) -> list[Observation]:
    """Those with a value in every channel that matters, and no outlier among them."""
    whole = [each for each in teaching if np.isfinite(each.readings[list(columns)]).all()]
    places = defaultdict[tuple[int, int], list[Observation]](list)
    for each in whole:
        places[each.round, each.index].append(each)
    outlying = {each.seq for replicates in places.values() for each in _outliers(space, replicates, columns)}
    return [each for each in whole if each.seq not in outlying]


def _incomplete(teaching: Sequence[Observation], columns: Sequence[int]) -> list[Observation]:
    """Those in which some channels that matter were read and others not; of one at its ceiling more is known."""
    some = [each for each in teaching if not each.censored[list(columns)].any()]
    read = [np.isfinite(each.readings[list(columns)]) for each in some]
    return [each for each, there in zip(some, read, strict=True) if there.any() and not there.all()]


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


def _as_arrays(
    space: Space, seen: Sequence[Observation], columns: Sequence[int], background: Background
) -> tuple[Settings, Readings]:
    """Settings in the unit box ``(n, d)``, and readings less their background ``(n, p)``."""
    return _settings(space, seen), _readings(seen, columns) - _background(background, seen, columns)


def _settings(space: Space, seen: Sequence[Observation]) -> Settings:
    return space.to_unit(np.array([each.settings for each in seen]).reshape(-1, space.d))


def _readings(seen: Sequence[Observation], columns: Sequence[int]) -> Readings:
    return np.array([each.readings[list(columns)] for each in seen]).reshape(-1, len(columns))


def _order(seen: Sequence[Observation]) -> NDArray[np.int_]:
    return np.array([each.seq for each in seen], int)


def _background(background: Background, seen: Sequence[Observation], columns: Sequence[int]) -> Readings:
    return background.at(_order(seen))[:, list(columns)]
