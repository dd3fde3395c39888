"""Instruments by the name of their family and a seed, with seeds for tuning and others for a release only.

``draw`` gives an instrument that whoever changes the loop may look at as often as he likes. What is published is
measured on instruments that nobody looked at before: the release split shares no random number with the tuning split.
"""

from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from inspect import getdoc

import numpy as np

from sdl import plugins
from sdl.errors import InvalidInput, UnknownPlugin, suggest_nearest
from sdl.instruments.simulated.laboratory_table import laboratory_files
from strategies.evaluation.families.case import Case

LABORATORIES = ("laboratory", "laboratory-extreme")
"""The families that emulate a table of measurements, whose name follows a colon."""


class Split(StrEnum):
    """What an instrument may be used for."""

    TUNING = "tuning"
    """To develop and to choose; the default everywhere."""
    RELEASE = "release"
    """To measure what is published, once nothing is changed any more."""


def family_names() -> list[str]:
    """Every family that is installed; of laboratories, one for each table that is there."""
    names = [name for name in plugins.names("sdl.instrument_families") if name not in LABORATORIES]
    return [*names, *(f"{family}:{table}" for family in LABORATORIES for table in laboratory_files())]


def family_sentence(family: str) -> str:
    """What a family is, in a sentence: the first line of its docstring.

    Raises:
        UnknownPlugin: naming the nearest family that there is.
    """
    name, _, detail = family.partition(":")
    sentence = (getdoc(_load(name)) or "").partition("\n")[0]
    return f"{sentence} This one: {detail}." if detail else sentence


def draw(family: str, seed: int, split: Split = Split.TUNING) -> Case:
    """The instrument of a family and a seed, with its targets.

    Args:
        family: Its name; ``laboratory:NAME`` or ``laboratory:FILE.csv`` for one emulated from a table.
        seed: Which instrument; the same one for each strategy.
        split: What it may be used for.

    Raises:
        UnknownPlugin: naming the nearest family that there is.
        InvalidInput: for a seed below 0, or a table that cannot be read.
    """
    if seed < 0:
        raise InvalidInput(f"seed: needs a whole number of 0 or more, got {seed}")
    name, _, detail = family.partition(":")
    rng = np.random.default_rng(seed_sequence(family, seed, split))
    return _load(name)(rng, detail) if detail else _load(name)(rng)


def seed_sequence(family: str, seed: int, split: Split) -> np.random.SeedSequence:
    """What everything random about an instrument comes from; no two splits, families or seeds share it."""
    key = sha256(f"{split.value}/{family}".encode()).digest()
    return np.random.SeedSequence(seed, spawn_key=tuple(int(word) for word in np.frombuffer(key, np.uint32)))


def _load(name: str) -> Callable[..., Case]:
    try:
        family: Callable[..., Case] = plugins.load("sdl.instrument_families", name)
    except UnknownPlugin as error:
        raise UnknownPlugin(f"unknown family {name!r}{suggest_nearest(name, family_names())}") from error
    return family
