"""Families by their noise: how large it is, what the instrument states of it, and how it is distributed."""

from dataclasses import replace

import numpy as np

from sdl.instruments.simulated.reading_errors import Correlated, HeavyTailed, Outliers
from strategies.evaluation.families.blueprint import Blueprint, lamp_like, log_uniform
from strategies.evaluation.families.case import Case

GROWTH = (2.0, 8.0)
"""How many times larger the noise is at full drive than at none."""


def noise_stated_too_small(rng: np.random.Generator) -> Case:
    """The instrument states 0.25 to 0.7 of its noise."""
    return _stating(rng, 0.25, 0.7)


def noise_stated_too_large(rng: np.random.Generator) -> Case:
    """The instrument states 1.5 to 4 times its noise."""
    return _stating(rng, 1.5, 4.0)


def noise_unknown(rng: np.random.Generator) -> Case:
    """The instrument states no noise at all."""
    blueprint = _plain(rng)
    return replace(blueprint, stated=np.full(blueprint.p, np.nan)).case(rng)


def noise_growing(rng: np.random.Generator) -> Case:
    """Noise that grows with the signal, two- to eightfold up to full drive; stated is that of the middle."""
    blueprint = _plain(rng)
    growth = np.sqrt(rng.uniform(*GROWTH) ** 2 - 1) * blueprint.sd / blueprint.span
    stated = np.hypot(blueprint.sd, growth * blueprint.span / 2)
    return replace(blueprint, growth=growth, stated=stated).case(rng)


def noise_heavy_tailed(rng: np.random.Generator) -> Case:
    """Noise of Student's t with three degrees of freedom; stated is its standard deviation."""
    return replace(_plain(rng), errors=HeavyTailed(3.0)).case(rng)


def noise_correlated(rng: np.random.Generator) -> Case:
    """Noise that keeps 0.5 to 0.9 of itself from one request to the next."""
    return replace(_plain(rng), errors=Correlated(rng.uniform(0.5, 0.9))).case(rng)


def noise_outliers(rng: np.random.Generator) -> Case:
    """Of the readings 3 % are off by eight standard deviations, up or down."""
    return replace(_plain(rng), errors=Outliers(0.03, 8.0)).case(rng)


def dark_noise(rng: np.random.Generator) -> Case:
    """A reading with every knob off is as noisy as any other."""
    return replace(_plain(rng), dark=1.0).case(rng)


def dark_noise_unknown(rng: np.random.Generator) -> Case:
    """A reading with every knob off is as noisy as any other, and the instrument states no noise."""
    blueprint = _plain(rng)
    return replace(blueprint, dark=1.0, stated=np.full(blueprint.p, np.nan)).case(rng)


def _plain(rng: np.random.Generator) -> Blueprint:
    """A small linear instrument, so that nothing but the noise is special about it."""
    return lamp_like(rng, knobs=(2, 4), channels=(2, 4))


def _stating(rng: np.random.Generator, least: float, most: float) -> Case:
    blueprint = _plain(rng)
    return replace(blueprint, stated=blueprint.sd * log_uniform(rng, (least, most))).case(rng)
