"""Every inverse model on the same rows: what each offers for a target, and how far it is to be believed.

Settings come from a model fitted on all rows, as ``sdl solve`` offers them; scores from one fitted on a part of the
rows, the same part for every model, and held against rows that it has not seen.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows.answering import Answer, answer, faults, gaps, named, sentence, warnings
from flows.diagnosing import diagnosis
from flows.judging import DRAWS, MOST_ASKED, TEST, Judged, Split, judge, split
from flows.problem import Problem, asked, pose
from flows.summing_up import summary
from sdl.comparison import write
from sdl.comparison_figures import Evidence, Rows
from sdl.errors import InvalidInput
from sdl.exchange import read_data
from sdl.space import Settings, Space
from strategies.contract import InverseModel, is_single_valued
from strategies.scores import behind

TIE = 2.0
"""Standard errors of the difference up to which a model counts as no worse than the best."""
SHOWN = 500
"""Draws in a figure."""

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of comparing, with what its figures show."""

    result: dict[str, Any]
    """Plain data, as ``compare`` returns it."""
    rows: Rows
    evidence: dict[str, Evidence]
    """By model, of those that answered and could be judged."""

    def write(self, path: str | Path) -> Path:
        """Write the page and return where it lies.

        Raises:
            InvalidInput: if it cannot be written.
        """
        return write(self.result, self.rows, self.evidence, path)


def compare(path: str | Path, targets: Sequence[str], **options: Any) -> dict[str, Any]:
    """Compare inverse models on the rows of a file; ``study`` names the options.

    Returns:
        Plain data: ``data``, ``rows``, ``knobs`` and ``channels`` (their units by name), ``target``, ``tolerance``,
        ``background``, ``notes``, ``seed``, ``draws``, ``split`` (numbers of rows), ``best`` (name of a model, or
        None), ``diagnosis`` (as ``flows.diagnosing`` has it, by the first model at its candidate), ``warnings`` (each
        with ``tone`` and ``text``), ``summary`` (sentences), and ``models``, the best first. Each of these has what
        ``flows.solving.solve`` says of it, with other ``scores``, and

        - ``single_valued``: whether it knows one answer even where there are several; ``distinct``: solutions found;
        - ``scores``, None where too few rows are left to judge it, which ``unjudged`` says: ``readings`` and
          ``settings`` (``train`` and ``test`` each with ``rows``, ``r2``, ``mae``, ``rmse``), ``energy`` (mean energy
          score of ``settings`` and of ``readings``), ``coverage`` (of both, by level, then by name) and ``off`` (of
          both, the names whose 90 % intervals are off by more than ``judging.ALLOWED`` and chance);
        - ``rank`` by the energy score of settings, ``behind`` (the best: ``difference`` and ``standard_error``, paired
          over rows), ``no_worse``; ``judge_s``.
    """
    return study(path, targets, **options).result


def study(
    path: str | Path,
    targets: Sequence[str],
    *,
    models: Sequence[str] = (),
    free: Sequence[str] = (),
    background: Sequence[str] = (),
    tolerance: str = "1 %",
    test: float = TEST,
    seed: int = 0,
    draws: int = 1000,
    space: Space | None = None,
    progress: Progress = lambda _: None,
) -> Comparison:
    """Compare inverse models on the rows of a file, with what the figures need.

    Args:
        path: Rows, as ``sdl.exchange.read_data`` takes them.
        targets: Readings wanted, each ``CHANNEL=READING`` or ``CHANNEL=READING±TOLERANCE``.
        models: Names of registered inverse models; all of them unless told.
        free: Channels that are free, said for clarity.
        background: What each channel of the target reads with all knobs off, ``CHANNEL=READING``.
        tolerance: Largest allowed error where a target has none of its own: a number, or a percentage of the reading.
        test: Share of the rows that judge, between 0 and 1; at most ``judging.MOST_TEST`` rows.
        seed: Of every random choice.
        draws: From each model for the target.
        space: Knobs and channels, if the file is not to tell.
        progress: Told of each model in a few words before it begins.

    Raises:
        InvalidInput: with every fault of the file or of what was asked, or if no model has an answer.
    """
    data = read_data(path, space)
    wrong = faults(models, seed, draws)
    if not 0 < test < 1:
        wrong.append(f"test needs a share between 0 and 1, got {test}")
    problem = pose(data, *asked(data.space, targets, free, background, tolerance, wrong))
    rows, said = split(problem, seed, test), list[dict[str, Any]]()
    judged, evidence, fits = dict[str, Judged](), dict[str, Evidence](), dict[str, InverseModel]()
    for place, name in enumerate(names := named(models), start=1):
        progress(f"{name} ({place} of {len(names)})")
        given = answer(name, problem, seed, draws)
        row, found = _judged(given, problem, rows, seed)
        said.append(row)
        if found is not None:
            judged[name], evidence[name] = found
        if given.model is not None:
            fits[name] = given.model
    if all(row["error"] is not None for row in said):
        raise InvalidInput([f"{row['model']} has no answer: {row['error']}" for row in said])
    result = {"data": str(path), **_posed(problem), "seed": seed, "draws": draws, "split": _numbers(rows)}
    result |= _found(problem, _ranked(said, judged), fits)
    shown = Rows(problem.space.from_unit(problem.settings), problem.readings + problem.background)
    return Comparison({**result, "summary": summary(result)}, shown, evidence)


def _posed(problem: Problem) -> dict[str, Any]:
    """The problem, as plain data."""
    columns = problem.space.columns(problem.names)
    return {
        "rows": len(problem.settings),
        "knobs": {knob.name: knob.unit for knob in problem.space.knobs},
        "channels": {problem.space.channels[column].name: problem.space.channels[column].unit for column in columns},
        "target": problem.named(problem.target),
        "tolerance": problem.named(problem.tolerance),
        "background": problem.named(problem.background),
    }


def _found(problem: Problem, ranked: Sequence[dict[str, Any]], fits: Mapping[str, InverseModel]) -> dict[str, Any]:
    """What the models say together; the first has an answer."""
    best = ranked[0]
    return {
        "notes": [*problem.notes, *gaps(ranked, len(problem.settings))],
        "best": best["model"] if best["rank"] else None,
        "diagnosis": diagnosis(best["model"], fits[best["model"]], problem, _offered(best, problem)),
        "warnings": warnings(ranked),
        "models": list(ranked),
    }


def _judged(
    given: Answer, problem: Problem, rows: Split | None, seed: int
) -> tuple[dict[str, Any], tuple[Judged, Evidence] | None]:
    """All that is said of a model, and what it rests on if the model could be judged."""
    if given.model is None:
        return given.said, None
    said = {
        **given.said,
        "single_valued": is_single_valued(given.model),
        "distinct": len(given.said["candidates"]),
        "scores": None,
        "unjudged": "fewer than two rows differ",
    }
    if rows is None:
        return said, None
    started = time.perf_counter()
    try:
        found = judge(said["model"], problem, rows, seed)
        shown = _evidence(given, found, problem, rows, np.random.default_rng([seed, 3]))
    except Exception as error:
        return {**said, "unjudged": sentence(said["model"], error)}, None
    took = time.perf_counter() - started
    return {**said, "scores": found.scores, "unjudged": None, "judge_s": took}, (found, shown)


def _ranked(said: Sequence[dict[str, Any]], judged: Mapping[str, Judged]) -> list[dict[str, Any]]:
    """The same, the best first, those without scores last."""
    order = sorted(judged, key=lambda name: float(judged[name].energy.mean()))
    rank = {name: place for place, name in enumerate(order, start=1)}
    ranked = []
    for row in sorted(said, key=lambda row: (rank.get(row["model"], len(said) + 1), row["error"] is not None)):
        if row["model"] in rank:
            more, error = behind(judged[row["model"]].energy, judged[order[0]].energy)
            known = error if np.isfinite(error) else None
            gap = {"difference": more, "standard_error": known}
            tied = row["model"] == order[0] or known is None or more <= TIE * known
            row = {**row, "rank": rank[row["model"]], "behind": gap, "no_worse": tied}
        elif row["error"] is None:
            row = {**row, "rank": None, "behind": None, "no_worse": False, "judge_s": None}
        ranked.append(row)
    return ranked


def _offered(row: Mapping[str, Any], problem: Problem) -> Settings:
    """The likeliest candidate of a model, or the nearest that it can reach, in the unit box, ``(d,)``."""
    offer = (row["candidates"] or [row["nearest"]])[0]["settings"]
    unit = problem.space.to_unit([offer[name] for name in problem.space.knob_names])
    return np.asarray(np.clip(unit, 0, 1))


def _numbers(rows: Split | None) -> dict[str, int]:
    """How many rows served for what."""
    if rows is None:
        return {}
    asked_for = {f"{part}_asked": min(most, len(getattr(rows, part))) for part, most in MOST_ASKED.items()}
    return {"train": len(rows.train), "test": len(rows.test), **asked_for, "draws": DRAWS}


def _evidence(given: Answer, judged: Judged, problem: Problem, rows: Split, rng: np.random.Generator) -> Evidence:
    """What the figures show of a model."""
    assert given.model is not None
    assert given.draws is not None
    units, some = problem.space.from_unit, given.draws[:SHOWN]
    each = min(max(SHOWN // judged.draws.shape[1], 1), DRAWS)
    unseen = judged.draws[:each].reshape(-1, problem.space.d)
    settings = {part: (units(true), units(guess)) for part, (true, guess) in judged.settings.items()}
    again = problem.readings[rows.test[: judged.draws.shape[1]]] + problem.background
    return Evidence(
        draws=units(some),
        draws_readings=given.model.simulate(some, 1, rng)[0] + problem.background,
        unseen=units(unseen),
        unseen_readings=np.tile(again, (each, 1)),
        readings=judged.readings,
        settings=settings,
    )
