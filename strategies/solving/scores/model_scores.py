"""How good one model is on rows that it has not seen: errors, scores and coverage, and what they were counted from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.space import Settings
from strategies.contract import InverseModel, SamplesRows
from strategies.fitting.guard import require_finite
from strategies.metrics.diagnostics import diagnose_draws
from strategies.metrics.membership import attack_scores, membership_advantage
from strategies.metrics.scores import absolute_errors, coverage, energy_score
from strategies.models.base.noise import span
from strategies.numerics.unit_box import in_unit_box
from strategies.solving.gaps import WidenedModel
from strategies.solving.model_answer import build_model
from strategies.solving.problem import InverseProblem

Array = NDArray[np.float64]
Places = NDArray[np.intp]

TEST = 0.2
"""Share of the rows that judge a model fitted on the others, by default."""
MOST_TEST = 200
"""More rows than these would say little more."""
MOST_ASKED = {"train": 40, "test": 80}
"""Rows whose settings a model is asked for: some models take a third of a second for each."""
ALLOWED = 0.05
"""By how much the coverage of a 90 % interval may be off."""
FEW, CHANCE = 20, 2.0
"""Where fewer rows were counted, so many standard errors are allowed to chance besides."""
DRAWS = 300
"""For each of these rows."""
SHOWN = 500
"""Draws in a figure."""
ROUNDING = 1e-9
TELLING = 8
"""Rows not seen from which on they tell whether a model explains anything."""
NOTHING = 0.1
"""Part of the variance of readings below which a model explains as good as none of it."""
LEVELS = (0.5, 0.9)
"""Of the intervals whose coverage is counted."""


@dataclass(frozen=True, eq=False)
class RowSplit:
    """Rows to learn from and rows to be judged by, the same for every model."""

    train: Places
    test: Places
    known: InverseProblem
    """The problem with the rows to learn from alone."""


@dataclass(frozen=True, eq=False)
class JudgedModel:
    """What came of judging one model; settings in the unit box, readings less their background."""

    scores: dict[str, Any]
    """Plain data, as ``flows.studies.compare.compare`` returns it for a model."""
    energy: Array
    """Energy score of the settings of each row asked for, ``(m,)``."""
    draws: Array
    """Settings drawn for the readings of each of these rows, ``(DRAWS, m, d)``."""
    readings: Mapping[str, tuple[Array, Array]]
    """By ``train`` and ``test``: measured and predicted, both ``(., c)``."""
    settings: Mapping[str, tuple[Array, Array]]
    """By ``train`` and ``test``: asked for and answered, both ``(., d)``."""


def split_rows(problem: InverseProblem, seed: int, test: float = TEST) -> RowSplit | None:
    """Rows at random in two parts; rows that repeat each other to the last digit stay together.

    None where fewer than two rows differ.
    """
    _, first, of = np.unique(
        np.column_stack((problem.settings, problem.readings)), axis=0, return_index=True, return_inverse=True
    )
    if len(first) < 2:
        return None
    places = np.argsort(np.argsort(first))[of.ravel()]  # distinct rows by the order in which they first came
    order = np.random.default_rng([seed, 0]).permutation(len(first))
    n = min(max(round(test * len(first)), 1), MOST_TEST, len(first) - 1)
    rank = np.argsort(order)[places]
    shuffled = np.argsort(rank, kind="stable")  # so that the first few of either part are a fair choice of it
    test_rows = int((rank < n).sum())
    train, held_out = shuffled[test_rows:], shuffled[:test_rows][:MOST_TEST]
    return RowSplit(train, held_out, problem.of_rows(train))


def fit_on_part(name: str, rows: RowSplit) -> InverseModel:
    """The model fitted on the part of the rows to learn from."""
    model = build_model(name, rows.known)
    return model.fit(*rows.known.rows(model))


def predict_rows(model: InverseModel, problem: InverseProblem, rows: Places) -> tuple[Array, Array]:
    """Readings of some rows, measured and predicted, both ``(m, c)``.

    Raises:
        InvalidInput: if the model predicts another shape.
        NotFinite: if it predicts what is not.
    """
    measured = problem.readings[rows]
    return measured, require_finite(model.predict(problem.settings[rows]), "predictions", measured.shape)


def error_figures(truths: Array, guesses: Array, names: tuple[str, ...]) -> dict[str, Any]:
    """Number of rows, and R2, MAE and RMSE by column, as plain data."""
    found = absolute_errors(truths, guesses)
    r2 = [value if np.isfinite(value) else None for value in found.r2.tolist()]
    return {
        "rows": len(truths),
        "r2": dict(zip(names, r2, strict=True)),
        "mae": dict(zip(names, found.mae.tolist(), strict=True)),
        "rmse": dict(zip(names, found.rmse.tolist(), strict=True)),
    }


def explains_nothing(errors: Mapping[str, Any]) -> list[str]:
    """Names of the columns of which a model explains nothing, or as good as that, on rows that it has not seen.

    Args:
        errors: On these rows, as ``error_figures`` has them; a few rows can tell nothing.
    """
    enough = errors["rows"] >= TELLING
    return [name for name, value in errors["r2"].items() if enough and value is not None and value < NOTHING]


def cover_readings(model: InverseModel, problem: InverseProblem, rows: RowSplit, seed: int) -> dict[str, float]:
    """The share of rows not seen whose readings lie in the 90 % intervals of a model, widened in gaps, by channel."""
    widened = WidenedModel(model, rows.known.gaps)
    fresh = widened.simulate(problem.settings[rows.test], DRAWS, np.random.default_rng([seed, 2]))
    shares = coverage(fresh, problem.readings[rows.test], 0.9)
    return dict(zip(problem.names, shares.tolist(), strict=True))


def judge_model(name: str, problem: InverseProblem, rows: RowSplit, seed: int) -> JudgedModel:
    """Fit a model on one part of the rows and hold it against both.

    The best guess of the settings of a row is the median of the draws inside the box, knob by knob; where all are
    outside, the median of all of them, clipped. For a target with several answers that median lies between them, which
    the energy score of the draws does not hold against a model.
    """
    model, rng = fit_on_part(name, rows), np.random.default_rng([seed, 2])
    widened = WidenedModel(model, rows.known.gaps)
    asked = {part: getattr(rows, part)[:most] for part, most in MOST_ASKED.items()}
    own = {part: _answers(widened, problem, places, rng) for part, places in asked.items()}
    draws = {part: _spread(widened, own[part], problem, places, rng) for part, places in asked.items()}
    readings = {part: predict_rows(model, problem, getattr(rows, part)) for part in asked}
    settings = {part: (problem.settings[asked[part]], _guesses(draws[part])) for part in asked}
    truths = problem.settings[asked["test"]], problem.readings[asked["test"]]
    simulated = widened.simulate_itself(truths[0], DRAWS, rng)
    fresh = widened.widen(simulated, truths[0], rng)
    # What all models are widened by alike says nothing of which is the better one: that is for their own draws to say.
    energy = energy_score(own["test"], truths[0], span(problem.settings))
    of_readings = energy_score(simulated, truths[1], span(problem.readings))
    asked_of_draws = diagnose_draws(
        draws["test"],
        truths[0],
        fresh,
        truths[1],
        problem.target - problem.background,
        (problem.space.knob_names, problem.names),
        np.random.default_rng([seed, 4]),
    )
    knobs, every = problem.space.knob_names, problem.ties.every.knob_names
    covered = {
        "settings": _coverage(draws["test"], truths[0], knobs),
        "readings": _coverage(fresh, truths[1], tuple(problem.names)),
    }
    scores = {
        "readings": {part: error_figures(*pair, tuple(problem.names)) for part, pair in readings.items()},
        "settings": {
            part: error_figures(problem.in_units(true), problem.in_units(guess), every)
            for part, (true, guess) in settings.items()
        },
        "energy": {"settings": float(energy.mean()), "readings": float(of_readings.mean())},
        "coverage": covered,
        "diagnostics": {name: {**asdict(each), "holds": each.holds} for name, each in asked_of_draws.items()},
        "off": {what: off_intervals(shares["90%"], len(truths[0])) for what, shares in covered.items()},
        "membership": _membership(own, settings, readings, problem, seed),
    }
    return JudgedModel(scores, energy, draws["test"], readings, settings)


def select_figure_data(
    model: InverseModel, draws: Settings, judged: JudgedModel, problem: InverseProblem, rows: RowSplit, seed: int
) -> dict[str, Any]:
    """The arrays that the figures of a model show, by the names of the fields of ``comparison_figures.Evidence``."""
    units, some, widened = problem.space.from_unit, draws[:SHOWN], WidenedModel(model, problem.gaps)
    m = judged.draws.shape[1]
    each = min(max(SHOWN // m, 1), DRAWS)
    again = problem.readings[rows.test[:m]] + problem.background
    return {
        "draws": units(some),
        "draws_readings": widened.simulate(some, 1, np.random.default_rng([seed, 3]))[0] + problem.background,
        "unseen": units(judged.draws[:each].reshape(-1, problem.space.d)),
        "unseen_readings": np.tile(again, (each, 1)),
        "readings": judged.readings,
        "settings": {part: (units(true), units(guess)) for part, (true, guess) in judged.settings.items()},
        "rows": _sample_rows(model, problem, seed),
    }


def _sample_rows(model: InverseModel, problem: InverseProblem, seed: int) -> Array:
    """Rows that a model draws without a target, settings in their units, ``(m, d + c)``; none of one that cannot."""
    if not isinstance(model, SamplesRows):
        return np.empty((0, problem.space.d + len(problem.names)))
    settings, readings = model.sample_rows(SHOWN, np.random.default_rng([seed, 8]))
    return np.column_stack((problem.space.from_unit(settings), readings + problem.background))


def arrays_to_lists(value: Any) -> Any:
    """Arrays as lists, wherever in the data they stand, for what goes between processes as JSON."""
    if isinstance(value, Mapping):
        return {key: arrays_to_lists(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [arrays_to_lists(each) for each in value]
    return np.asarray(value).tolist()


def lists_to_figure_data(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What ``arrays_to_lists`` made of the result of ``select_figure_data``, as it was."""
    return {
        field: {part: (np.array(one), np.array(other)) for part, (one, other) in value.items()}
        if isinstance(value, Mapping)
        else np.array(value)
        for field, value in plain.items()
    }


def _answers(model: WidenedModel, problem: InverseProblem, places: Places, rng: np.random.Generator) -> Array:
    """Settings that a model itself draws for the readings of some rows, ``(DRAWS, m, d)``."""
    return np.stack([model.sample_itself(problem.readings[row], DRAWS, rng) for row in places], axis=1)


def _spread(
    model: WidenedModel, draws: Array, problem: InverseProblem, places: Places, rng: np.random.Generator
) -> Array:
    """The same, with so many of them in gaps as the answers may lie there."""
    wider = [model.spread(draws[:, m], problem.readings[row], rng) for m, row in enumerate(places)]
    return np.stack(wider, axis=1)


def _membership(
    own: Mapping[str, Array],
    settings: Mapping[str, tuple[Array, Array]],
    readings: Mapping[str, tuple[Array, Array]],
    problem: InverseProblem,
    seed: int,
) -> dict[str, float] | None:
    """How far an attack tells the rows that the model learned from, as plain data; None for too few rows."""
    attacked = list[Array]()
    for part, draws in own.items():
        measured, predicted = (each[: draws.shape[1]] for each in readings[part])
        attacked.append(attack_scores(draws, settings[part][0], predicted, measured, span(problem.readings)))
    members, others = attacked
    leak = membership_advantage(members, others, np.random.default_rng([seed, 5]))
    return None if leak is None else asdict(leak)


def _guesses(draws: Array) -> Array:
    """Best guess for each row, ``(m, d)``."""
    guesses = np.empty(draws.shape[1:])
    for row in range(len(guesses)):
        each = draws[:, row]
        inside = each[in_unit_box(each)]
        guesses[row] = np.clip(np.median(inside if len(inside) else each, axis=0), 0, 1)
    return guesses


def _coverage(draws: Array, truths: Array, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """By level in percent, then by column."""
    return {f"{level:.0%}": dict(zip(names, coverage(draws, truths, level).tolist(), strict=True)) for level in LEVELS}


def off_intervals(shares: Mapping[str, float], n: int) -> list[str]:
    """Names whose 90 % intervals cover too few or too many of ``n`` rows."""
    margin = ALLOWED + (CHANCE * np.sqrt(0.9 * (1 - 0.9) / n) if n < FEW else 0.0)
    return [name for name, share in shares.items() if abs(share - 0.9) > margin + ROUNDING]
