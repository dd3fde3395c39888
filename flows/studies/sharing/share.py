"""Giving a model away without its rows: what is declared, what it costs, and the file."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.studies.sharing.shared_file import UNIT, SharedFile
from flows.studies.words.target_words import read_ranges
from flows.terminal import figure_table
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import count_words
from sdl.interchange.export_import import Data
from sdl.space import Channel, Space
from strategies.models.private.gaussian_mechanism import PrivacyBudget
from strategies.solving.sharing.release_figures import KINDS, BoundedRows, measure_release

SHARED = ("linear",)
"""Models of which a private form exists."""
ENTROPY = 128
"""Bits from the operating system that make the noise: a seed that somebody knows would make it worthless."""


def share_model(
    model: str,
    data: Data,
    channels: Sequence[str],
    path: Path,
    *,
    knobs: Sequence[str] = (),
    stated: bool = True,
    degree: int = 1,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Write a private model of some rows, and say what it costs.

    Args:
        model: One of ``SHARED``.
        data: The rows, with the ranges of knobs applied that were stated.
        channels: That go out, each ``CHANNEL`` or ``CHANNEL=LOW:HIGH``.
        path: Of the file.
        knobs: Whose ranges were stated, each ``KNOB=LOW:HIGH``.
        stated: Whether the ranges of the other knobs are the instrument's, and not those of the rows.
        degree: 1, or 2 for a response that is curved.
        epsilon: See ``PrivacyBudget``.
        delta: See ``PrivacyBudget``.
        seed: Of the figures, and of nothing that goes out.
        force: Whether a file of that name may be replaced.

    Returns:
        Plain data: ``file``, ``model``, ``degree``, ``epsilon``, ``delta``, ``unit_of_privacy``, ``bounds`` (of knobs
        and channels), ``rows``, ``moved`` (rows beyond a bound, which were moved to it), ``rmse`` (by channel, then of
        the ``private`` model and that ``without noise``), ``membership`` (of both, as ``Leak`` has it),
        ``most_advantage``, and ``seed``. All but the first six are of the rows, and stand in no file.

    Raises:
        InvalidInput: with every fault of what was asked.
        TooFewRows: with the number that is needed.
    """
    faults = list[str]()
    if model not in SHARED:
        known = f"there is a private form of {', '.join(SHARED)}, with --degree 2 for a curved response"
        faults.append(f"{model!r} cannot be shared: it keeps its rows, or as much as that; {known}")
    try:
        budget = PrivacyBudget(epsilon, delta)
    except InvalidInput as error:
        faults += error.faults
    space = _declared_space(data.space, channels, knobs, stated, faults)
    if faults:
        raise InvalidInput(faults)
    rows = BoundedRows.of(data.settings, data.readings[:, data.space.columns(space.channel_names)], space)
    figures = measure_release(rows, degree, budget, seed)
    SharedFile.of(rows.release(degree, budget, secrets.randbits(ENTROPY)), space, budget).write(path, force=force)
    return {
        "file": str(path),
        "model": model,
        "degree": degree,
        "epsilon": epsilon,
        "delta": delta,
        "unit_of_privacy": UNIT,
        "bounds": {each.name: [each.low, each.high] for each in space.knobs}
        | {each.name: [each.floor, each.ceiling] for each in space.channels},
        "rows": len(rows.settings),
        "moved": rows.moved,
        "rmse": {
            name: {kind: float(figures.rmse[kind][column]) for kind in KINDS}
            for column, name in enumerate(space.channel_names)
        },
        "membership": {kind: asdict(leak) for kind, leak in figures.membership.items()},
        "most_advantage": budget.most_advantage,
        "seed": seed,
    }


def _declared_space(
    space: Space, channels: Sequence[str], knobs: Sequence[str], stated: bool, faults: list[str]
) -> Space:
    """The knobs, and the channels that go out, with bounds that nobody took from the rows; faults go to the list."""
    wanted = dict[str, tuple[float | None, float | None]]()
    for text in channels:
        name, sign, _ = text.rpartition("=")
        name = name if sign and text not in space.channel_names else text
        if name not in space.channel_names:
            faults.append(f"unknown channel {name!r}{suggest_nearest(name, space.channel_names)}")
            continue
        if name in wanted:
            faults.append(f"the channel {name} is given twice")
        own = space.channels[space.columns([name])[0]]
        try:
            wanted[name] = read_ranges([text])[name] if name != text else (own.floor, own.ceiling)
        except InvalidInput as error:
            faults += error.faults
    never = "from what the instrument can give, never from the rows, which a range of theirs would give away"
    faults += [
        f"the range of {name} is not known: give --channel '{name}=LOW:HIGH', {never}"
        for name, bounds in wanted.items()
        if None in bounds
    ]
    known = read_ranges(knobs)
    faults += [
        f"the range of {name} is that of the rows: give --knob '{name}=LOW:HIGH', {never}"
        for name in space.knob_names
        if not stated and name not in known
    ]
    if faults or not wanted:
        faults += [] if wanted or faults else ["a channel is missing: give --channel NAME for each that goes out"]
        return space
    units = {each.name: each.unit for each in space.channels}
    shared = tuple(
        Channel(name=name, unit=units[name], floor=low, ceiling=high, integral=False)
        for name, (low, high) in wanted.items()
    )
    return Space(knobs=space.knobs, channels=shared, constraints=space.constraints)


def sharing_words(result: dict[str, Any]) -> list[Table | str]:
    """The result of ``share_model`` for people."""
    title = f"Error of a reading not seen, at epsilon {result['epsilon']:g} and delta {result['delta']:g}"
    table = figure_table(title, ["channel"], ["without noise", "private", "of the range"])
    for name, errors in result["rmse"].items():
        low, high = result["bounds"][name]
        share = f"{errors['private'] / (high - low):.1%}"
        table.add_row(name, f"{errors['without noise']:.4g}", f"{errors['private']:.4g}", share)
    told = {
        kind: "{advantage:.3f} ({low:.3f} to {high:.3f})".format(**each) for kind, each in result["membership"].items()
    }
    bounds = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in result["bounds"].items())
    moved = f"; {count_words(result['moved'], 'row')} beyond were moved to them" if result["moved"] else ""
    return [
        table,
        f"An attack tells the rows that a model learned from by an advantage over a guess of {told['private']}, and of "
        f"{told['without noise']} without noise; no attack on the file exceeds {result['most_advantage']:.3f}, even by "
        "somebody who knows every other row.",
        f"What is protected is {result['unit_of_privacy']}.",
        f"Bounds that were assumed: {bounds}{moved}.",
        f"These figures are of the {result['rows']} rows themselves and for their owner alone: none is in the file.",
        f"{result['file']}; 'sdl solve {result['file']} --target ...' asks it",
    ]
