"""What the process of a cell of ``sdl benchmark inverse`` does: fit a model, answer every question, take the time.

Only draws are left; those who judge them know the truth, and the model does not.
"""

import inspect
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from flows.benchmarks.inverse.cell import Cell
from flows.benchmarks.inverse.problems import PROBLEMS, Posed, pose
from sdl import plugins
from sdl.errors import SdlError
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


def answer(cell: Cell, draws: Path) -> dict[str, Any]:
    """Fit the model and write its draws, in the unit box, ``(m, n, d)`` by question and by what was done to them."""
    problem = PROBLEMS[cell.problem]
    posed = pose(problem, cell.crystal, cell.rows, cell.targets, cell.seed)
    model: InverseModel = plugins.build(GROUP, cell.model, _options(cell))
    started, busy = time.perf_counter(), time.process_time()
    model.fit(posed.readings, posed.settings)
    trained, busy = time.perf_counter(), time.process_time() - busy
    forward, own = _forward(model, cell, posed)
    ready = time.perf_counter()
    region, scale = Region.of(posed.settings), span(posed.readings)
    found = dict[str, Settings]()
    arrived = dict[str, list[float]]({name: [] for name in POSTS})
    spent = dict[str, float]({name: 0.0 for name in POSTS})
    for question, (targets, n) in _questions(cell, posed).items():
        begun = time.perf_counter()
        starts = draws_for(model, targets, n, np.random.default_rng([cell.seed, 2]))
        spent["none"] += time.perf_counter() - begun
        for post, method in POSTS.items():
            begun = time.perf_counter()
            if isinstance(model, LocalisedModel) and method is not None:
                settings, share = _its_own_way(model, targets, n, method, np.random.default_rng([cell.seed, 2]))
            else:
                settings, share = _moved(forward.tangent, starts, targets, scale, region, method)
            spent[post] += time.perf_counter() - begun
            found[f"{question}/{post}"] = settings
            arrived[post].append(share)
    np.savez(draws, allow_pickle=False, **found)
    return {
        "train_s": trained - started,
        "train_cpu_s": busy,
        "forward_s": None if own else ready - trained,
        "spent_s": spent,
        "arrived": {post: each[0] for post, each in arrived.items()},
        "answer_s": _answering(model, forward, posed, region, scale),
        "numbers": numbers(model),
        "cut": bool(getattr(getattr(model, "taught_", None), "cut", False)),
    }


def numbers(fitted: Any) -> int:
    """How many numbers a fitted model holds, its networks' and its rows' together."""
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


def _questions(cell: Cell, posed: Posed) -> dict[str, tuple[Readings, int]]:
    """Targets ``(m, p)`` and draws of each, by question."""
    problem = PROBLEMS[cell.problem]
    one = np.array([problem.one])
    asked = {"targets": (posed.targets, problem.draws), "one": (one, problem.alone)}
    if problem.prior:
        asked["posterior"] = (posed.targets[:SOME], MANY)
    if problem.families:
        asked |= {f"modes-{n}": (np.repeat(one, REPEATS, axis=0), n) for n in FEW}
    return asked


def _options(cell: Cell) -> dict[str, Any]:
    """The options of a model, with time and seed for those that take them, and that these readings have no noise."""
    known = inspect.signature(plugins.load(GROUP, cell.model)).parameters
    given = {"seconds": cell.seconds, "seed": cell.seed, "random_state": cell.seed, "noise": False}
    return {name: value for name, value in given.items() if name in known} | cell.options


def _forward(model: InverseModel, cell: Cell, posed: Posed) -> tuple[Surrogate, bool]:
    """The forward model that localises, and whether it is the model's own, or that of the one within."""
    for each in (model, getattr(model, "base_", None)):
        if isinstance(own := getattr(each, "surrogate", None), Surrogate):
            return own, True
    rng = np.random.default_rng([cell.seed, 3])
    return Surrogate.of(posed.readings, posed.settings, rng, seconds=cell.forward), False


def _its_own_way(
    model: LocalisedModel, targets: Readings, n: int, method: Method, rng: np.random.Generator
) -> tuple[Settings, float]:
    """As ``_moved``, for a model that localises its draws itself and knows more of them than where they lie."""
    by = copy(model)
    by.method = method
    ends = by.localise(targets, math.ceil(SPARE * n), rng)
    return ends.chosen(len(targets), n), float(ends.arrived.mean())


def _moved(
    tangent: Tangent, starts: Settings, targets: Readings, scale: Readings, region: Region, method: Method | None
) -> tuple[Settings, float]:
    """Draws ``(m, n, d)`` after localisation and the share that arrived; those that did not make way for others."""
    if method is None:
        return starts, 1.0
    (m, n, d), some = starts.shape, max(CHUNK // starts.shape[1], 1)
    ends = [
        localise(tangent, part.reshape(-1, d), np.repeat(wanted, n, axis=0), scale, region, method)
        for first in range(0, m, some)
        for part, wanted in [(starts[first : first + some], targets[first : first + some])]
    ]
    settings = np.concatenate([each.chosen(len(each.settings) // n, n) for each in ends])
    return settings, float(np.concatenate([each.arrived for each in ends]).mean())


def _answering(model: InverseModel, forward: Surrogate, posed: Posed, region: Region, scale: Readings) -> float | None:
    """Median time of a new target: draws, localised, and the distinct ones of them."""
    if posed.settings.shape[1] > 50:
        return None  # what a slip costs asks for a row a knob
    times, noise = [], scale * ARRIVED
    for number, target in enumerate(posed.targets[-TIMES:]):
        begun = time.perf_counter()
        starts = model.sample(target, ANSWER, np.random.default_rng(number))
        ends = localise(forward.tangent, starts, target, scale, region)
        distinct_answers(ends.settings[ends.arrived], forward.predict, target, noise)
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def _main() -> int:
    asked = json.loads(sys.stdin.readline())
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        found = answer(Cell(**asked["cell"]), Path(asked["draws"]))
    except SdlError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
    return 0


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(_main())
