"""Settings for a target from a model that was given away, without any row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sdl.space import Readings, Settings, Space, Window
from strategies.answers.clustering import cluster_draws, refused
from strategies.answers.reachability import CERTAINTY
from strategies.models.private.shared_linear import SharedLinear
from strategies.numerics.projection import pool, project
from strategies.numerics.unit_box import in_unit_box
from strategies.solving.problem import FixedChannel

WIDTH = float(ndtri(0.95))
"""Standard deviations from the middle of a 90 % interval to its ends."""


def answer_without_rows(
    model: SharedLinear, space: Space, fixed: Sequence[FixedChannel], n: int, seed: int
) -> dict[str, Any]:
    """What a shared model offers for a target, from ``n`` draws with that seed.

    Returns:
        Plain data: ``reachable``; ``remoteness`` of the target from what the box gives; ``refused`` (share of the draws
        outside the box); ``candidates``, the likeliest first, or the ``nearest`` settings where there is none. Each of
        these has ``settings``, ``readings`` and ``intervals`` (of one reading, 90 %) of every channel, the ``chance``
        that the channels of the target are within their bounds, those that the mean ``misses``, and its ``share`` and
        ``spread`` of draws.
    """
    columns = space.columns([each.name for each in fixed])
    window, target = Window.of([each.interval for each in fixed]), np.full(space.p, np.nan)
    unit = np.ones(space.p)
    unit[columns] = window.unit(model.reading_noise[columns])
    target[columns] = window.aim(model.predict(space.spread(pool(space.u)))[:, columns], unit[columns])
    projected = project(model.predict, target[None], unit[None], space.u)
    doubt = model.expectation(projected.settings)[1][0]
    reachable = bool((np.abs(projected.misses[0]) <= 1 + CERTAINTY * doubt / unit)[columns].all())
    draws = model.sample(target, n, np.random.default_rng([seed, 1]))
    inside = draws[in_unit_box(draws)]
    offers = list[dict[str, Any]]()
    for cluster in cluster_draws(draws) if reachable else []:
        some = inside[cluster.members]
        mean, deviation = (each[:, columns] for each in model.expectation(some))
        best = some[_chance(mean, deviation, window).argmax()]
        spread = space.named_settings(space.from_unit(some).std(axis=0))
        offers.append({**_describe(model, space, columns, window, best), "share": cluster.share, "spread": spread})
    nearest = None if offers else _describe(model, space, columns, window, np.clip(projected.settings[0], 0, 1))
    return {
        "reachable": reachable,
        "remoteness": model.remoteness(target).score,
        "refused": refused(draws),
        "candidates": sorted(offers, key=lambda each: -each["chance"]),
        "nearest": nearest,
    }


def _describe(model: SharedLinear, space: Space, columns: list[int], window: Window, place: Settings) -> dict[str, Any]:
    """Settings ``(u,)`` that the instrument can apply, and what is expected there, as plain data."""
    settings = space.from_unit(place)
    (mean,), (deviation,) = model.expectation(space.to_unit(settings)[None])
    margin = WIDTH * np.hypot(deviation, model.reading_noise)
    room = window.room(mean[columns])
    missed = [space.channel_names[column] for column, inside in zip(columns, room, strict=True) if inside < 0]
    return {
        "settings": space.shown_settings(settings),
        "readings": dict(zip(space.channel_names, mean.tolist(), strict=True)),
        "intervals": dict(zip(space.channel_names, np.stack((mean - margin, mean + margin), 1).tolist(), strict=True)),
        "chance": float(_chance(mean[columns], deviation[columns], window)),
        "misses": missed,
    }


def _chance(mean: Readings, deviation: Readings, window: Window) -> Readings:
    """Probability that noise-free readings ``(..., c)`` are within their bounds, ``(...)``."""
    off, deviation = mean - window.wanted, np.maximum(deviation, _TINY)
    inside = ndtr((window.above - off) / deviation) - ndtr((-window.below - off) / deviation)
    return np.asarray(inside.prod(axis=-1))


_TINY = 1e-300
