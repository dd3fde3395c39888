"""Families by the shape of the response: how many knobs and channels, how curved, how mixed, how fine."""

from dataclasses import replace

import numpy as np

from sdl.instruments.simulated.backgrounds import Steady
from sdl.instruments.simulated.responses import Plane, Products, Saturating, SilentSteps, Sum, Threshold, Waves
from strategies.evaluation.families.blueprint import (
    MOST_CHANNELS,
    MOST_KNOBS,
    Blueprint,
    from_response,
    lamp_like,
    slopes,
    with_steps,
)
from strategies.evaluation.families.case import Case

CURVE = (0.06, 0.4)
"""Standard deviation of a random bend, as a share of the span of the plane that it bends."""
BEND = 0.06
"""The same for the six knobs of ``bent_six_knobs``."""


def linear(rng: np.random.Generator) -> Case:
    """One to eight knobs that add to one to twelve channels, each knob mostly to its own."""
    return lamp_like(rng).case(rng)


def curved(rng: np.random.Generator) -> Case:
    """One to four knobs, a plane bent by 6 to 40 % of its span."""
    return _bent(rng, lamp_like(rng, knobs=(1, 4), channels=(1, 6)), rng.uniform(*CURVE)).case(rng)


def cross_talk(rng: np.random.Generator) -> Case:
    """Two to five knobs that add to the channels of others 60 to 95 % of what they add to their own."""
    return lamp_like(rng, knobs=(2, 5), channels=(2, 6), cross_talk=(0.6, 0.95)).case(rng)


def collinear(rng: np.random.Generator) -> Case:
    """Two to five knobs, two of which do nearly the same to every channel."""
    d, p = int(rng.integers(2, 6)), int(rng.integers(2, 7))
    shares = slopes(rng, d, p, (0.0, 0.6))
    shares[1] = shares[0] * rng.uniform(0.5, 2) * (1 + 0.02 * rng.standard_normal(p))
    return from_response(Plane(shares * _size(rng, p)), d, rng).case(rng)


def dead_knobs(rng: np.random.Generator) -> Case:
    """Two to six knobs, of which one or two do nothing."""
    d, p = int(rng.integers(2, 7)), int(rng.integers(1, 7))
    shares = slopes(rng, d, p, (0.2, 0.6))
    shares[rng.choice(d, min(d - 1, int(rng.integers(1, 3))), replace=False)] = 0.0
    live, unseen = np.any(shares, axis=1), ~np.any(shares, axis=0)
    shares[np.ix_(live, unseen)] = 1.0
    return from_response(Plane(shares * _size(rng, p)), d, rng).case(rng)


def many_knobs_and_channels(rng: np.random.Generator) -> Case:
    """Eight knobs and twelve channels, four of which a target fixes."""
    blueprint = lamp_like(rng, knobs=(MOST_KNOBS, MOST_KNOBS), channels=(MOST_CHANNELS, MOST_CHANNELS))
    return replace(blueprint, fixed=4).case(rng)


def bent_six_knobs(rng: np.random.Generator) -> Case:
    """Six knobs and three channels, a plane that is bent by 6 % of its span."""
    blueprint = replace(lamp_like(rng, knobs=(6, 6), channels=(3, 3)), fixed=3)
    return _bent(rng, blueprint, BEND).case(rng)


def saturating(rng: np.random.Generator) -> Case:
    """Three knobs of which more adds less, 1 - exp(-x), seen by three channels."""
    rates = slopes(rng, 3, 3, (0.0, 0.6)) * rng.uniform(1.0, 3.0, (3, 3))
    return from_response(Saturating(_size(rng, 3), rates), 3, rng, fixed=3).case(rng)


def threshold(rng: np.random.Generator) -> Case:
    """Two knobs that do little until their weighted sum nears a threshold, seen by two channels."""
    weights = slopes(rng, 2, 2, (0.0, 0.5))
    weights /= weights.sum(axis=0)
    response = Threshold(_size(rng, 2), weights, rng.uniform(0.35, 0.65, 2), rng.uniform(0.08, 0.2, 2))
    blueprint = from_response(response, 2, rng, fixed=2)
    return blueprint.case(rng, blueprint.reachable_goal("target", rng, (0.3, 0.7)))


def products(rng: np.random.Generator) -> Case:
    """Three knobs that matter together, by their products in pairs, seen by three channels."""
    size = _size(rng, 3)
    pairs = np.triu(np.ones((3, 3)), 1)[..., None] * rng.uniform(-1.0, 1.0, (3, 3, 3))
    response = Products(slopes(rng, 3, 3, (0.0, 0.4)) * size, pairs * size)
    return from_response(response, 3, rng, fixed=3).case(rng)


def stepped_knobs(rng: np.random.Generator) -> Case:
    """Knobs that move in 20 to 200 steps, which they state."""
    blueprint = lamp_like(rng, knobs=(1, 5), channels=(1, 6))
    points = rng.integers(20, 201, blueprint.d)
    return with_steps(blueprint, tuple(points.tolist())).case(rng)


def silent_8_bit_knobs(rng: np.random.Generator) -> Case:
    """Knobs of 8 bits that do not state their steps."""
    blueprint = lamp_like(rng, knobs=(1, 5), channels=(1, 6))
    return replace(blueprint, response=SilentSteps(blueprint.response, 255)).case(rng)


def sensor_of_8_bits(rng: np.random.Generator) -> Case:
    """A sensor of one or two channels that tells 256 levels, each about as wide as the noise."""
    blueprint = lamp_like(rng, knobs=(1, 4), channels=(1, 2))
    step = 1.3 * blueprint.span / 255
    sd = step * rng.uniform(0.7, 1.5, blueprint.p)
    return replace(blueprint, sensor_step=step, sd=sd, stated=sd).case(rng)


def extreme_units(rng: np.random.Generator) -> Case:
    """Readings of any size, from 1e-15 to 1e15."""
    return lamp_like(rng, knobs=(1, 4), channels=(1, 4), scale=(-15.0, 15.0)).case(rng)


def synthesis(rng: np.random.Generator) -> Case:
    """Two to four knobs that have no off, one or two readings, curved, noise everywhere and unknown."""
    d, p = int(rng.integers(2, 5)), int(rng.integers(1, 3))
    size = _size(rng, p)
    blueprint = from_response(Waves.drawn(size, d, rng.uniform(0.6, 1.5), rng), d, rng)
    knobs = tuple(knob.model_copy(update={"off": None}) for knob in blueprint.knobs)
    nothing, unknown = Steady(np.zeros(p)), np.full(p, np.nan)
    return replace(blueprint, knobs=knobs, background=nothing, dark=1.0, stated=unknown, fixed=p).case(rng)


def _bent(rng: np.random.Generator, blueprint: Blueprint, share: float) -> Blueprint:
    """The same with a smooth random bend, whose standard deviation is a share of the span."""
    bend = Waves.drawn(share * blueprint.span, blueprint.d, rng.uniform(0.6, 1.2), rng)
    return replace(blueprint, response=Sum(blueprint.response, bend))


def _size(rng: np.random.Generator, p: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Largest reading of each channel, of any size, ``(p,)``."""
    return np.asarray(10 ** rng.uniform(0.0, 4.0) * rng.uniform(0.3, 3, p))
