"""Anchors as a person gives them: readings of today at known settings, in words or as the rows of a file."""

from collections.abc import Sequence
from pathlib import Path

from flows.studies.words.target_words import read_number
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import found_twice
from sdl.interchange.export_import import read_data
from sdl.interchange.file_contents import READERS
from sdl.space import Space
from strategies.solving.backgrounds.anchored_background import Anchors

FORM = "KNOB=SETTING,...:CHANNEL=READING,..., as in R=0.5,G=0.5,B=0.5:445nm=15600,515nm=32500, or a file of such rows"


def read_anchors(space: Space, words: Sequence[str]) -> Anchors | None:
    """The anchors, None where none is given.

    Args:
        space: Knobs and channels that there are.
        words: Each ``KNOB=SETTING,...:CHANNEL=READING,...`` with all knobs, or the path of a file.

    Raises:
        InvalidInput: with every fault.
    """
    faults, found = list[str](), list[Anchors]()
    for text in words:
        try:
            if Path(text).suffix.lower() in READERS:
                data = read_data(text, space)
                found.append(Anchors(data.settings, data.readings))
            else:
                found.append(_read(space, text))
        except InvalidInput as error:
            faults += [f"anchor: {fault}" for fault in error.faults]
    if faults:
        raise InvalidInput(faults)
    return Anchors.gather(found) if found else None


def _read(space: Space, text: str) -> Anchors:
    before, colon, after = text.partition(":")
    if not colon:
        raise InvalidInput(f"{text!r} needs the form {FORM}")
    readings, faults = _numbers(text, after), list[str]()
    for name, value in readings.items():
        if name not in space.channel_names:
            faults.append(f"unknown channel {name!r}{suggest_nearest(name, space.channel_names)}")
            continue
        channel = space.channels[space.columns([name])[0]]
        if channel.floor is not None and value < channel.floor:
            faults.append(f"{name} needs at least {channel.floor:g}, got {value:g}")
        if channel.ceiling is not None and value >= channel.ceiling:
            faults.append(f"{name} needs less than its ceiling, {channel.ceiling:g}, got {value:g}")
    if faults:
        raise InvalidInput(faults)
    return Anchors.named(space, _numbers(text, before), readings)


def _numbers(text: str, part: str) -> dict[str, float]:
    pairs = [each.rpartition("=") for each in part.split(",") if each.strip()]
    if not pairs or not all(name.strip() and equals for name, equals, _ in pairs):
        raise InvalidInput(f"{text!r} needs the form {FORM}")
    names = [name.strip() for name, _, _ in pairs]
    if twice := found_twice(names):
        raise InvalidInput(f"{', '.join(twice)} is given twice in {text!r}")
    return {name: read_number(name, value) for name, (_, _, value) in zip(names, pairs, strict=True)}
