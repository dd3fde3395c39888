"""Targets and backgrounds as a person writes them, such as ``445nm=16384±150``, read into numbers."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sdl.campaign.definition import Target
from sdl.campaign.validation import target_faults
from sdl.campaign.wishes import read_range
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import found_twice
from sdl.interchange.export_import import Data, read_data
from sdl.space import Constraints, Formula, Space
from strategies.solving.problem import FixedChannel

SIGN = re.compile(r"(?=>=|<=|≥|≤|=)")
"""Where what a channel is to read may begin, which stands behind its name."""
MARGIN = re.compile(r"±|\+/?-")

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_target_words(
    space: Space,
    targets: Sequence[str],
    free: Sequence[str],
    background: Sequence[str],
    tolerance: str,
    faults: Iterable[str] = (),
) -> tuple[list[FixedChannel], dict[str, float]]:
    """Channels that are fixed, and the background by channel, which is empty where none is given.

    Args:
        space: Knobs and channels that there are.
        targets: Each ``CHANNEL=READING``, ``CHANNEL=READING±TOLERANCE``, ``CHANNEL>=READING``, ``CHANNEL<=READING``,
            ``CHANNEL=LOW:HIGH``, ``CHANNEL=maximum±ALLOWANCE`` or ``CHANNEL=minimum±ALLOWANCE``.
        free: Channels that are free.
        background: Each ``CHANNEL=READING``.
        tolerance: Where a target has none of its own: a number, or a percentage of the reading.
        faults: That the caller knows of already, to be raised together with those of the words.

    Raises:
        InvalidInput: with every fault.
    """
    wrong = [*faults] if targets else [*faults, "a target is missing: give CHANNEL=READING, as in 445nm=16384"]
    fixed = _read_each(targets, lambda text: _fixed_channel(space, text, tolerance), wrong)
    _read_each(free, lambda name: space.columns([name]), wrong)
    names = [channel.name for channel in fixed]
    wrong += [f"{name} is fixed twice: give one reading for it" for name in found_twice(names)]
    wrong += [f"{name} is both fixed and free: leave out one of the two" for name in sorted({*names} & {*free})]
    if len(extremes := [channel.name for channel in fixed if channel.interval.extreme]) > 1:
        wrong.append(
            f"one reading may be as large or as small as possible, got {', '.join(extremes)}: bound the others"
        )
    unlit = list[str]()
    stated = _read_each(background, lambda text: _background_level(space, text), unlit)
    levels = dict(stated)
    unlit += [f"{name} is given twice" for name in found_twice([name for name, _ in stated])]
    if levels and not unlit and (missing := [name for name in names if name not in levels]):
        unlit.append(f"{', '.join(missing)} is missing; give every channel of the target one, or none")
    wrong += [f"background: {fault}" for fault in unlit]
    if wrong:
        raise InvalidInput(wrong)
    return fixed, levels


def read_rows(path: str | Path, space: Space | None, knobs: Sequence[str], quantities: Sequence[str]) -> Data:
    """The rows of a file, with what is computed from their channels.

    Args:
        path: As ``sdl.interchange.export_import.read_data`` takes it.
        space: Knobs and channels, if they are not to be read off the file; its constraints bind answers, and no row.
        knobs: Their ranges, each ``KNOB=LOW:HIGH``; of a category ``KNOB=NAME``, whose rows alone count then.
        quantities: Each ``NAME=FORMULA``.

    Raises:
        InvalidInput: with every fault of the words, or of the file.
    """
    faults = list[str]()
    held = [word for word in knobs if re.fullmatch(r"[^=]+=(?!.*(:|\.\.)).+", word)]
    formulas = _read_each(quantities, _formula, faults)
    faults += [f"the quantity {name} is given twice" for name in found_twice([name for name, _ in formulas])]
    if faults:
        raise InvalidInput(faults)
    asked = Constraints() if space is None else space.constraints
    if space is not None:  # rows that were measured before settings were forbidden teach as others do
        space = Space(**{**space.model_dump(), "constraints": Constraints()})
    ranges = read_ranges([word for word in knobs if word not in held])
    data = read_data(path, space, ranges).with_quantities(dict(formulas))
    names = _read_each(held, lambda text: _name_of(data.space, text), faults)
    faults += [f"the name of {name} is given twice" for name in found_twice([name for name, _ in names])]
    if faults:
        raise InvalidInput(faults)
    data = _of_names(data, dict(names))
    return replace(data, space=data.space.with_constraints(asked))


def _name_of(space: Space, text: str) -> tuple[str, float]:
    """A category and the place of one of its names, as a person writes them."""
    name, _, value = (part.strip() for part in text.partition("="))
    if name not in space.knob_names:
        raise InvalidInput(f"{text!r}: no knob {name!r}{suggest_nearest(name, space.knob_names)}")
    knob = space.knobs[space.knob_names.index(name)]
    if not knob.names:
        _range(text)  # which says what is wrong with it, as a rule
        raise InvalidInput(f"{text!r} needs the form KNOB=LOW:HIGH, as in temperature=20:90")
    return name, knob.setting(value)


def _of_names(data: Data, held: Mapping[str, float]) -> Data:
    """The rows in which categories have the names asked for, without these knobs."""
    for name, place in held.items():
        column = data.space.knob_names.index(name)
        kept, shown = data.settings[:, column] == place, data.space.knobs[column].shown(place)
        if not kept.any():
            raise InvalidInput(f"no row has {name} = {shown}")
        if data.space.d == 1:
            raise InvalidInput(f"with {name} = {shown} no knob is left whose setting could be found")
        note = f"rows with {name} = {shown} alone were used, {kept.sum()} of {len(kept)}"
        data = data.at(kept, note).without_knob(name)
    return data


def _formula(text: str) -> tuple[str, str]:
    name, sign, formula = (part.strip() for part in text.partition("="))
    if not name or not sign:
        raise InvalidInput(f"{text!r} needs the form NAME=FORMULA, as in ratio=445nm/630nm")
    try:
        Formula.read(formula)
    except InvalidInput as error:
        raise InvalidInput(f"{name} {error}") from None
    return name, formula


def read_ranges(words: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The ranges of knobs as a person writes them, each ``KNOB=LOW:HIGH``.

    Raises:
        InvalidInput: with every fault.
    """
    faults = list[str]()
    stated = _read_each(words, _range, faults)
    names = [name for name, _ in stated]
    faults += [f"the range of {name} is given twice" for name in found_twice(names)]
    if faults:
        raise InvalidInput(faults)
    return dict(stated)


def read_given(space: Space, words: Sequence[str], faults: list[str]) -> dict[str, float]:
    """Conditions in which settings are to be used, by name; what is wrong with the words is added to the faults.

    Args:
        space: Whose conditions they are.
        words: Each ``CONDITION=VALUE``.
        faults: Of all that a person asked.
    """
    wrong, known = list[str](), space.condition_names
    stated = _read_each(words, _condition, wrong)
    names = [name for name, _ in stated]
    there = "" if known else "; a file has them in columns cond.NAME, and this one has none"
    wrong += [f"unknown condition {name!r}{suggest_nearest(name, known)}{there}" for name in names if name not in known]
    wrong += [f"{name} is given twice" for name in found_twice(names)]
    faults += [f"given: {fault}" for fault in wrong]
    return dict(stated)


def _condition(text: str) -> tuple[str, float]:
    name, sign, value = (part.strip() for part in text.rpartition("="))
    if not name or not sign:
        raise InvalidInput(f"{text!r} needs the form CONDITION=VALUE, as in temperature=25")
    return name, read_number(name, value)


def _range(text: str) -> tuple[str, tuple[float, float]]:
    name, _, bounds = text.rpartition("=")
    if not name.strip() or not bounds.strip():
        raise InvalidInput(f"{text!r} needs the form KNOB=LOW:HIGH, as in temperature=20:90")
    try:
        return name.strip(), read_range(bounds)
    except InvalidInput as error:
        raise InvalidInput(f"the range of {name.strip()} {error}") from None


def _read_each(items: Iterable[Item], read: Callable[[Item], Result], faults: list[str]) -> list[Result]:
    """Each item as it is read; the faults of those that are refused are added to the list."""
    results = []
    for item in items:
        try:
            results.append(read(item))
        except InvalidInput as error:
            faults += error.faults
    return results


def _split(space: Space, text: str) -> tuple[str, str]:
    """A channel and the words that follow it, from their sign on."""
    ways = [(text[: sign.start()].strip(), text[sign.start() :]) for sign in SIGN.finditer(text)]
    ways = [(name, wish) for name, wish in ways if name]
    if not ways:
        forms = "445nm=16384, 445nm=16384±150, 445nm>=12000 or 445nm=3000:4000"
        raise InvalidInput(f"{text!r} needs the form CHANNEL=READING, as in {forms}")
    name, wish = next((way for way in ways if way[0] in space.channel_names), ways[0])  # a name may hold a sign, too
    space.columns([name])
    return name, wish


def read_number(name: str, text: str) -> float:
    """A finite number in words.

    Raises:
        InvalidInput: naming whose it was to be.
    """
    try:
        value = float(text)
    except ValueError:
        raise InvalidInput(f"{name} needs a number such as 16384, got {text!r}") from None
    if not math.isfinite(value):
        raise InvalidInput(f"{name} needs a finite number, got {text!r}")
    return value


def _fixed_channel(space: Space, text: str, tolerance: str) -> FixedChannel:
    name, wish = _split(space, text)
    try:
        target = Target.model_validate({"readings": {name: wish.removeprefix("=")}, "tolerance": _tolerance(tolerance)})
    except ValidationError as error:
        fault = error.errors()[0]
        said = str(fault["msg"]).removeprefix("Value error, ")
        whose = f"the tolerance of {name}" if "tolerance" in fault["loc"] else name
        raise InvalidInput(said if name in said else f"{whose} {said}") from None
    if faults := target_faults(space, target):
        raise InvalidInput(faults)
    return FixedChannel(name, target.interval(name))


def _tolerance(text: str) -> str | float:
    """A tolerance as a campaign has it: a number, or a percentage as text."""
    try:
        return float(text)
    except ValueError:
        return text


def _background_level(space: Space, text: str) -> tuple[str, float]:
    name, wish = _split(space, text)
    channel = space.channels[space.columns([name])[0]]
    if MARGIN.search(wish):
        raise InvalidInput(f"{text!r} has a tolerance, and a background has none")
    value = read_number(name, wish.removeprefix("="))
    if channel.floor is not None and value < channel.floor:
        raise InvalidInput(f"{name} needs at least {channel.floor:g}, got {value:g}")
    if channel.ceiling is not None and value >= channel.ceiling:
        raise InvalidInput(f"{name} needs less than its ceiling, {channel.ceiling:g}, got {value:g}")
    return name, value
