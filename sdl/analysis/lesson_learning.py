"""What a campaign teaches later ones: its readings without the background, each setting once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.background import Background
from sdl.campaign.lesson import Lesson, Row
from sdl.history import Observation, Purpose
from sdl.space import Readings, Space

MOST = 60
"""Settings of a lesson at most, spread over all that were measured."""
OUTLYING = 6.0
"""Standard deviations from the median of its replicates from which on a reading does not count."""
UNKNOWN = 0.01
"""Noise of a reading that nobody knows, as a share of the range of its channel."""
DIGITS = 6
"""Significant digits that are kept of a reading."""


def learn_lesson(
    campaign: str, instrument: str, space: Space, observations: Sequence[Observation], *, same: bool
) -> Lesson | None:
    """Return the lesson of a campaign; None if it has no reading that could teach anything.

    Replicates are averaged, readings apart from the others are left out, and so is what was read when a lamp was
    switched. Rows with all knobs off count as references, since imported ones do not say what they were for.

    Args:
        campaign: Its name.
        instrument: What it was measured with.
        space: Knobs and channels of that.
        observations: What it measured, in order.
        same: Whether it is the instrument of the campaign that starts from it.
    """
    marked = [_marked_as_reference(observation, space) for observation in observations]
    background = Background.of(marked, space.p)
    lit = [observation for observation in marked if observation.purpose.teaches]
    order = np.array([observation.seq for observation in lit], int)
    was_read = np.array([np.isfinite(observation.readings).any() for observation in lit], bool)
    usable = ~background.unknown(order) & was_read
    lit, order = [observation for observation, counts in zip(lit, usable, strict=True) if counts], order[usable]
    if not lit:
        return None
    readings = np.array([observation.readings for observation in lit]) - background.at(order)
    light = np.nan_to_num(background.deviation(order), posinf=0.0)
    places = defaultdict[tuple[float, ...], list[int]](list)
    for row, observation in enumerate(lit):
        places[tuple(observation.settings.tolist())].append(row)
    noise = _noise(space, readings, list(places.values()))
    chosen = [list(places)[i] for i in np.unique(np.linspace(0, len(places) - 1, MOST).round().astype(int))]
    means = [_mean(readings[places[at]], light[places[at]], noise) for at in chosen]
    return Lesson(
        campaign=campaign,
        instrument=instrument,
        same=same,
        lit=not background.seq.size,
        knobs=space.knob_names,
        channels=space.channel_names,
        settings=tuple(chosen),
        readings=tuple(_plain(mean) for mean, _ in means),
        errors=tuple(_plain(error) for _, error in means),
    )


def _marked_as_reference(observation: Observation, space: Space) -> Observation:
    """An observation, as a reference if all knobs were off."""
    dark = space.at_off(observation.settings)
    return replace(observation, purpose=Purpose.REFERENCE) if dark else observation


def _noise(space: Space, readings: Readings, places: Iterable[Sequence[int]]) -> Readings:
    """Standard deviation of one reading, ``(p,)``: as stated, else by what repeats show, else a guess."""
    groups = [readings[rows] for rows in places if len(rows) > 1]
    squares = np.array([len(group) * np.nan_to_num(group).var(axis=0) for group in groups if np.isfinite(group).all()])
    freedom = sum(len(group) - 1 for group in groups if np.isfinite(group).all())
    guess = UNKNOWN * np.ptp(np.nan_to_num(readings), axis=0)
    scatter = np.sqrt(squares.sum(axis=0) / freedom) if freedom else guess
    return np.where(np.isnan(space.noise), np.where(scatter > 0, scatter, guess), space.noise)


def _mean(readings: Readings, light: Readings, noise: Readings) -> tuple[Readings, Readings]:
    """Mean of replicates ``(k, p)`` and its standard error, both ``(p,)``; their background is off together."""
    any_reading = np.isfinite(readings).any(axis=0)
    inlying = np.abs(readings - np.nanmedian(np.where(any_reading, readings, 0.0), axis=0)) <= OUTLYING * noise
    n = inlying.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(inlying, readings, 0.0).sum(axis=0) / n
        return mean, np.where(n, np.sqrt(noise**2 / n + light.mean(axis=0) ** 2), np.nan)


def _plain(row: NDArray[np.float64]) -> Row:
    return tuple(float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in row.tolist())
