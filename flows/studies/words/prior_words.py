"""What a person knows of settings beforehand, such as ``R=0.4±0.05``, and the known pair that a path starts from."""

import re
from collections.abc import Mapping, Sequence

from flows.studies.words.target_words import read_number
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import found_twice
from sdl.space import Settings
from strategies.solving.tied_knobs import TiedKnobs

FORM = re.compile(r"(?P<name>[^=]+)=(?P<value>[^±=]*?)\s*(?:±|\+/?-)\s*(?P<deviation>.*)")
PRIOR = "KNOB=SETTING±DEVIATION, as in R=0.4±0.05"
START = "KNOB=SETTING,..., as in R=0.5,G=0.2,B=0.1"
ROUNDING = 5e-3
"""Part of its range by which a knob that follows may be given otherwise than it follows."""


def read_prior(ties: TiedKnobs, words: Sequence[str], faults: list[str]) -> dict[str, tuple[float, float]]:
    """Setting and standard deviation by knob; what is wrong with the words is added to the faults.

    Args:
        ties: Which knobs are free.
        words: Each ``KNOB=SETTING±DEVIATION``; ``+-`` stands for ± too.
        faults: Of all that a person asked.
    """
    known, found = list[str](), dict[str, tuple[float, float]]()
    for text in words:
        parts = FORM.fullmatch(text)
        if parts is None:
            faults.append(f"prior: {text!r} needs the form {PRIOR}")
            continue
        known.append(name := parts["name"].strip())
        wrong = _knob_faults(ties, name)
        try:
            setting, deviation = read_number(name, parts["value"]), read_number(f"± of {name}", parts["deviation"])
        except InvalidInput as error:
            faults += [f"prior: {fault}" for fault in (*wrong, *error.faults)]
            continue
        if not wrong:
            wrong += _range_faults(ties, name, setting)
            if name not in ties.space.knob_names:
                wrong.append(f"{name} follows from the others in these rows: leave it out")
        if not deviation > 0:
            wrong.append(f"± of {name} needs a number above 0, got {deviation:g}")
        faults += [f"prior: {fault}" for fault in wrong]
        found[name] = (setting, deviation)
    faults += [f"prior: {name} is given twice" for name in found_twice(known)]
    return found


def read_start(ties: TiedKnobs, text: str | None, faults: list[str]) -> Settings | None:
    """The settings that a path starts from, in the unit box, ``(d,)``; what is wrong is added to the faults.

    Args:
        ties: Which knobs are free; those that follow may be left out.
        text: ``KNOB=SETTING,...``; None where no path is wanted.
        faults: Of all that a person asked.
    """
    if text is None:
        return None
    pairs = [each.rpartition("=") for each in text.split(",") if each.strip()]
    if not pairs or not all(name.strip() and equals for name, equals, _ in pairs):
        faults.append(f"from: {text!r} needs the form {START}")
        return None
    names, wrong, values = [name.strip() for name, _, _ in pairs], list[str](), dict[str, float]()
    for name, (_, _, value) in zip(names, pairs, strict=True):
        knob_faults = _knob_faults(ties, name)
        try:
            values[name] = read_number(name, value)
        except InvalidInput as error:
            knob_faults += error.faults
        wrong += knob_faults or _range_faults(ties, name, values[name])
    wrong += [f"{name} is given twice" for name in found_twice(names)]
    if missing := [name for name in ties.space.knob_names if name not in names]:
        wrong.append(f"{', '.join(missing)} is missing: a path starts from all of {', '.join(ties.space.knob_names)}")
    if not wrong:
        wrong += _follow_faults(ties, values)
    faults += [f"from: {fault}" for fault in wrong]
    return None if wrong else ties.space.to_unit([values[name] for name in ties.space.knob_names])


def _knob_faults(ties: TiedKnobs, name: str) -> list[str]:
    names = ties.every.knob_names
    return [] if name in names else [f"unknown knob {name!r}{suggest_nearest(name, names)}"]


def _range_faults(ties: TiedKnobs, name: str, setting: float) -> list[str]:
    at = ties.every.knob_names.index(name)
    low, high = ties.every.low[at], ties.every.high[at]
    return [] if low <= setting <= high else [f"{name} needs a setting from {low:g} to {high:g}, got {setting:g}"]


def _follow_faults(ties: TiedKnobs, values: Mapping[str, float]) -> list[str]:
    """Knobs that follow from the others and were given otherwise."""
    free = ties.space.from_unit(ties.space.to_unit([values[name] for name in ties.space.knob_names]))
    every = ties.every.named_settings(ties.whole(free))
    width = ties.every.named_settings(ties.every.high - ties.every.low)
    return [
        f"{name} is {every[name]:.6g} with these others, by what all rows have in common, got {setting:g}"
        for name, setting in values.items()
        if abs(every[name] - setting) > ROUNDING * width[name]
    ]
