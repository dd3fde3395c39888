"""Solving by a shared model in place of rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from flows.studies.sharing.shared_file import read_shared_file
from flows.studies.words.target_words import read_target_words
from flows.terminal import figure_table
from flows.versions import own_version
from sdl.errors import InvalidInput
from sdl.formatting import escape_invisible
from strategies.solving.sharing.answer_without_rows import answer_without_rows


def solve_shared(
    path: Path,
    targets: Sequence[str],
    *,
    free: Sequence[str] = (),
    tolerance: str = "1 %",
    seed: int = 0,
    draws: int = 1000,
    needs_rows: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Settings that give a target, by a model that somebody shared.

    Args:
        path: A file that ``sdl share`` wrote.
        targets: As ``flows.studies.solve.solve`` takes them, but no maximum and no minimum, which rows have to tell.
        free: Channels left free; all that the model has are foretold.
        tolerance: Where a target has none of its own: a number, or a percentage of the reading.
        seed: Of the draws.
        draws: From the model.
        needs_rows: Other options by name, which are refused where they are given.

    Returns:
        Plain data: ``data``, ``version``, ``model``, ``epsilon``, ``delta``, ``wanted`` (in words, by channel),
        ``seed``, ``draws``, ``advice``, and what ``answer_without_rows`` returns.

    Raises:
        InvalidInput: with every fault of the file, or of what was asked.
    """
    shared = read_shared_file(path)
    faults = [
        f"--{name} needs rows, and a shared model has none" for name, value in (needs_rows or {}).items() if value
    ]
    fixed, _ = read_target_words(shared.space, targets, free, (), tolerance, faults)
    if extremes := [each.name for each in fixed if each.interval.extreme]:
        raise InvalidInput(f"the most or least of {', '.join(extremes)} needs rows, and a shared model has none")
    answer = answer_without_rows(shared.build(), shared.space, fixed, draws, seed)
    return {
        "data": str(path),
        "version": own_version(),
        "model": shared.model,
        "epsilon": shared.epsilon,
        "delta": shared.delta,
        "wanted": {each.name: str(each.interval) for each in fixed},
        "seed": seed,
        "draws": draws,
        **answer,
        "advice": _advice(answer),
    }


def _advice(answer: Mapping[str, Any]) -> str:
    """What to do with the answer."""
    if not answer["candidates"]:
        return "No settings are offered: by this model none within the bounds give these readings together."
    first = answer["candidates"][0]
    settings = ", ".join(
        f"{name} {value if isinstance(value, str) else f'{value:.4g}'}" for name, value in first["settings"].items()
    )
    return f"Measure at {settings}: the model holds it {first['chance']:.0%} likely to work. Nothing is verified."


def shared_tables(result: Mapping[str, Any]) -> list[Table]:
    """The result of ``solve_shared`` for people."""
    wanted = ", ".join(f"{name} {wish}" for name, wish in result["wanted"].items())
    offers = result["candidates"] or [result["nearest"]]
    title = f"Settings for {wanted}, by a shared model (epsilon {result['epsilon']:g}, delta {result['delta']:g})"
    table = figure_table(title, ["draws"], [*offers[0]["settings"], *offers[0]["readings"], "chance"])
    for offer in offers:
        settings = [
            value
            if isinstance(value, str)
            else f"{value:.4f}" + (f"\n±{offer['spread'][name]:.4f}" if "spread" in offer else "")
            for name, value in offer["settings"].items()
        ]
        readings = [
            f"{value:.5g}\n{low:.5g} to {high:.5g}"
            for value, (low, high) in zip(offer["readings"].values(), offer["intervals"].values(), strict=True)
        ]
        kind = f"{offer['share']:.0%}" if "share" in offer else "nearest"
        cells = [kind, *settings, *readings, f"{offer['chance']:.0%}"]
        table.add_row(*(escape(escape_invisible(cell)) for cell in cells))
    table.caption = "Below each reading, where nine in ten lie: the noise that keeps rows private is in it."
    return [table]
