"""Rows that a twin gives at a Latin hypercube, for benchmarks of models."""

from collections.abc import Mapping, Sequence

import numpy as np

from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from sdl.space import Readings, Settings
from strategies.designs import LatinHypercube


def twin_rows(
    channels: Sequence[str], n: int, seed: int, light: Mapping[str, float] | None = None
) -> tuple[Readings, Settings]:
    """Readings ``(n, c)`` less their steady ``light``, and settings ``(n, 3)``; rows at the ceiling are left out."""
    light = dict(light or {})
    twin, columns = Twin(seed=seed, session_gain=False, steady=light), SPACE.columns(channels)
    settings = LatinHypercube().propose(SPACE, n, np.random.default_rng(seed))
    replies = [twin.measure(SPACE.named_settings(row)).readings for row in settings]
    readings = np.array([SPACE.readings(reply)[columns] for reply in replies])
    kept = (readings < SPACE.ceiling[columns]).all(axis=1)
    return readings[kept] - [light.get(name, 0.0) for name in channels], settings[kept]
