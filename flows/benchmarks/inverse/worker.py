"""What the process of a cell of ``sdl benchmark inverse`` does: fit a model, answer every question, take the time.

Only draws are left; those who judge them know the truth, and the model does not.
"""

import inspect
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.benchmarks.inverse.cell import InverseCell
from flows.benchmarks.inverse.problems import PROBLEMS, PosedProblem, pose_problem
from sdl import plugins
from sdl.space import Readings, Settings
from strategies.answers.distinct import distinct_answers
from strategies.contract import InverseModel, draws_for
from strategies.models.base.noise import span
from strategies.models.forward.surrogate import Surrogate
from strategies.models.sampling.localised import SPARE, LocalisedModel
from strategies.numerics.localisation import ARRIVED, Method, Tangent, localise
from strategies.numerics.support import Region

GROUP: plugins.Group = "sdl.inverse_models"
POSTS: dict[str, Method | None] = {"none": None, "gradient": "gradient", "gauss-newton": "gauss-newton"}
"""What is done to draws."""
SOME, MANY = 8, 500
"""Targets that are held against their true posterior, and draws of each."""
REPEATS, FEW = 100, (10, 20, 50)
"""How often the modes are looked for, with how few draws."""
ANSWER = 100
"""Draws of an answer whose time is taken."""
TIMES = 5
CHUNK = 20_000
"""Draws that are localised at once."""


def answer_questions(question: Mapping[str, Any]) -> dict[str, Any]:
    """Fit the model of a cell and write its draws to a file.

    Args:
        question: The ``cell``, an ``InverseCell`` as plain data, and where the ``draws`` are to lie: in the unit box,
            ``(m, n, d)`` by question and by what was done to them.

    Returns:
        Plain data: times and sizes, and the share of draws that localisation brought to the target.
    """
    cell = InverseCell(**question["cell"])
    posed = pose_problem(PROBLEMS[cell.problem], cell.crystal, cell.rows, cell.targets, cell.seed)
    model = build_cell_model(cell)
    started, busy = time.perf_counter(), time.process_time()
    model.fit(posed.readings, posed.settings)
    trained, busy = time.perf_counter(), time.process_time() - busy
    forward, own = _forward(model, cell, posed)
    ready = time.perf_counter()
    localiser = _Localiser(model, forward, Region.of(posed.settings), span(posed.readings))
    draws, arrived, spent = _draw_answers(localiser, cell, posed)
    np.savez(question["draws"], allow_pickle=False, **draws)
    return {
        "train_s": trained - started,
        "train_cpu_s": busy,
        "forward_s": None if own else ready - trained,
        "spent_s": spent,
        "arrived": arrived,
        "answer_s": _time_of_an_answer(localiser, posed),
        "numbers": count_numbers(model),
        "cut": bool(getattr(getattr(model, "taught_", None), "cut", False)),
    }


@dataclass(frozen=True, eq=False)
class _Localiser:
    """A fitted model, and what moves its draws to where they give the target."""

    model: InverseModel
    forward: Surrogate
    region: Region
    scale: Readings

    def move(
        self, starts: Settings, targets: Readings, method: Method | None, rng: np.random.Generator
    ) -> tuple[Settings, float]:
        """Draws ``(m, n, d)`` after localisation and the share that arrived; those that did not make way for others.

        A model that localises its draws itself knows more of them than where they lie, so it draws again.
        """
        if method is None:
            return starts, 1.0
        (m, n, d), some = starts.shape, max(CHUNK // starts.shape[1], 1)
        if isinstance(self.model, LocalisedModel):
            model = copy(self.model)
            model.method = method
            own = model.localise(targets, math.ceil(SPARE * n), rng)
            return own.chosen(m, n), float(own.arrived.mean())
        tangent: Tangent = self.forward.tangent
        ends = [
            localise(tangent, part.reshape(-1, d), np.repeat(wanted, n, axis=0), self.scale, self.region, method)
            for first in range(0, m, some)
            for part, wanted in [(starts[first : first + some], targets[first : first + some])]
        ]
        settings = np.concatenate([each.chosen(len(each.settings) // n, n) for each in ends])
        return settings, float(np.concatenate([each.arrived for each in ends]).mean())


def _draw_answers(
    localiser: _Localiser, cell: InverseCell, posed: PosedProblem
) -> tuple[dict[str, Settings], dict[str, float], dict[str, float]]:
    """Draws by question and treatment; by treatment, the share that arrived of the first question, and seconds."""
    draws, arrived, spent = dict[str, Settings](), dict[str, float](), dict.fromkeys(POSTS, 0.0)
    for question, (targets, n) in _questions(cell, posed).items():
        started = time.perf_counter()
        starts = draws_for(localiser.model, targets, n, np.random.default_rng([cell.seed, 2]))
        spent["none"] += time.perf_counter() - started
        for post, method in POSTS.items():
            started = time.perf_counter()
            settings, share = localiser.move(starts, targets, method, np.random.default_rng([cell.seed, 2]))
            spent[post] += time.perf_counter() - started
            draws[f"{question}/{post}"] = settings
            arrived.setdefault(post, share)
    return draws, arrived, spent


def count_numbers(fitted: Any) -> int:
    """How many numbers a fitted model holds, those of its networks and of its rows together."""
    seen = set[int]()

    def held(thing: Any) -> int:
        if id(thing) in seen or isinstance(thing, (str, bytes, type)):
            return 0
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            return int(thing.size)
        if callable(parameters := getattr(thing, "parameters", None)):
            with suppress(TypeError):
                return sum(int(each.numel()) for each in parameters())
        inner = thing.values() if isinstance(thing, Mapping) else thing if isinstance(thing, (list, tuple)) else ()
        return sum(map(held, inner)) + sum(map(held, getattr(thing, "__dict__", {}).values()))

    return held(fitted)


def _questions(cell: InverseCell, posed: PosedProblem) -> dict[str, tuple[Readings, int]]:
    """Targets ``(m, p)`` and draws of each, by question."""
    problem = PROBLEMS[cell.problem]
    one = np.array([problem.one])
    questions = {"targets": (posed.targets, problem.draws), "one": (one, problem.alone)}
    if problem.prior:
        questions["posterior"] = (posed.targets[:SOME], MANY)
    if problem.families:
        questions |= {f"modes-{n}": (np.repeat(one, REPEATS, axis=0), n) for n in FEW}
    return questions


def build_cell_model(cell: InverseCell) -> InverseModel:
    """The model of a cell, with time and seed if it takes them, and told that these readings have no noise."""
    taken = inspect.signature(plugins.load(GROUP, cell.model)).parameters
    options = {"seconds": cell.seconds, "seed": cell.seed, "random_state": cell.seed, "noise": False}
    known = {name: value for name, value in options.items() if name in taken} | cell.options
    model: InverseModel = plugins.build(GROUP, cell.model, known)
    return model


def _forward(model: InverseModel, cell: InverseCell, posed: PosedProblem) -> tuple[Surrogate, bool]:
    """The forward model that localises, and whether it is the model's own, or that of the one within."""
    for each in (model, getattr(model, "base_", None)):
        if isinstance(own := getattr(each, "surrogate", None), Surrogate):
            return own, True
    rng = np.random.default_rng([cell.seed, 3])
    return Surrogate.of(posed.readings, posed.settings, rng, seconds=cell.forward), False


def _time_of_an_answer(localiser: _Localiser, posed: PosedProblem) -> float | None:
    """Median seconds of a new target: draws, localised, and the distinct ones of them."""
    if posed.settings.shape[1] > 50:
        return None  # what a slip costs asks for a row a knob
    times, noise, forward = list[float](), localiser.scale * ARRIVED, localiser.forward
    for number, target in enumerate(posed.targets[-TIMES:]):
        started = time.perf_counter()
        starts = localiser.model.sample(target, ANSWER, np.random.default_rng(number))
        ends = localise(forward.tangent, starts, target, localiser.scale, localiser.region)
        distinct_answers(ends.settings[ends.arrived], forward.predict, target, noise)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
