"""Families by what changes while a campaign is under way: the background or the gain."""

from dataclasses import replace

import numpy as np

from sdl.instruments.simulated.backgrounds import Daylight, Steady, SwitchedLamp
from sdl.space import Readings
from strategies.evaluation.families.blueprint import FINE_NOISE, Blueprint, Range, lamp_like, log_uniform
from strategies.evaluation.families.case import Case

SCATTER = 0.64
"""Of the logarithm of daylight, as recorded beside Claude-Light."""
REQUEST_S = 0.8
"""Seconds that a request takes there."""
LAG_S = 4.0
"""Seconds within which no cloud passes, as recorded there."""
MOST_LIGHT = {"daylight": 0.08, "lamp": 0.25}
"""Light that takes the place of so much of every knob's range at most, so that the knobs can make up for it."""
ROOM = (0.4, 0.85)
"""Where the settings lie that meet a target, so that the knobs can make up for more light and for less gain."""


def background_steady(rng: np.random.Generator) -> Case:
    """A steady background as bright as half of what the knobs add."""
    blueprint = lamp_like(rng, knobs=(1, 4), channels=(1, 4))
    return replace(blueprint, background=Steady(0.5 * blueprint.span)).case(rng)


def background_slow(rng: np.random.Generator) -> Case:
    """Daylight that scatters by 5 to 20 tolerances and forgets itself within 1,000 to 5,000 requests."""
    return _daylight(rng, (5.0, 20.0), rng.uniform(1000, 5000))


def background_fast(rng: np.random.Generator) -> Case:
    """Daylight that scatters by 3 to 10 tolerances and forgets itself within 60 seconds, 75 requests."""
    return _daylight(rng, (3.0, 10.0), 60 / REQUEST_S)


def background_switched(rng: np.random.Generator) -> Case:
    """A lamp of 10 to 50 tolerances that is switched every 12 requests."""
    blueprint = _steerable(rng)
    light = _light(blueprint, rng, (10.0, 50.0), MOST_LIGHT["lamp"])
    switched = replace(blueprint, background=SwitchedLamp(blueprint.background.level, light, 12))
    return switched.case(rng, switched.reachable_goal("target", rng, ROOM))


def gain_drift(rng: np.random.Generator) -> Case:
    """Lamps that lose 20 % of their light in 100 requests."""
    ageing = replace(_steerable(rng), gain_drift=-0.2 / 100)
    return ageing.case(rng, ageing.reachable_goal("target", rng, (0.2, 0.75)))


def photometer(rng: np.random.Generator) -> Case:
    """Four knobs, a steady background, noise in the dark as well, and six targets of three channels."""
    drawn = lamp_like(rng, knobs=(4, 4), channels=(3, 6), noise=(0.003, 0.01))
    dim = Steady(drawn.span * log_uniform(rng, (0.005, 0.02), drawn.p))
    blueprint = replace(drawn, dark=1.0, fixed=3, background=dim)
    return blueprint.case(rng, *(blueprint.reachable_goal(f"target {number}", rng) for number in range(1, 7)))


def _steerable(rng: np.random.Generator) -> Blueprint:
    """A linear instrument with as many knobs as channels or more, so that knobs can make up for any light."""
    channels = int(rng.integers(2, 4))
    return lamp_like(rng, knobs=(channels, 4), channels=(channels, channels), noise=FINE_NOISE)


def _daylight(rng: np.random.Generator, tolerances: Range, memory: float) -> Case:
    blueprint = _steerable(rng)
    median = _light(blueprint, rng, tolerances, SCATTER * MOST_LIGHT["daylight"]) / SCATTER
    lit = replace(blueprint, background=Daylight(median, SCATTER, memory, LAG_S / REQUEST_S))
    return lit.case(rng, lit.reachable_goal("target", rng, ROOM))


def _light(blueprint: Blueprint, rng: np.random.Generator, tolerances: Range, most: float) -> Readings:
    """Light of so many tolerances in its strongest channel that knobs at ``most`` or less would give too, ``(p,)``."""
    knobs = rng.uniform(0.3, 1.0, blueprint.d)
    light = blueprint.response(knobs[None])[0]
    middle = blueprint.tolerance(np.full(blueprint.d, 0.5))
    factor = rng.uniform(*tolerances) / (light / middle).max()
    return np.asarray(light * min(factor, most / knobs.max()))
