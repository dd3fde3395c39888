"""What each part of iPage is good for: the same networks with one thing changed, beside the published figures.

A network is trained for each schedule and seed. How the noise is drawn, how many samples there are and whether a
descent moves them is of the draws alone, so that these rows stand on the same networks.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from rich.table import Table

from flows.benchmarks.cells import Progress
from flows.benchmarks.inverse.cell import InverseCell
from flows.benchmarks.inverse.problems import PROBLEMS, BenchmarkProblem, PosedProblem, pose_problem
from flows.benchmarks.inverse.run import InverseRequest
from flows.benchmarks.inverse.scoring import count_modes, simulate_again
from flows.benchmarks.inverse.worker import GROUP, build_cell_model
from flows.terminal import figure_table
from sdl import plugins
from sdl.errors import InvalidInput

BY_DEFAULT = ("sinewave", "robotic-arm", "ballistics")
REPEATS = 20
"""How often the modes of the one target are looked for."""
FIGURES = ("mean", "best", "on_target", "modes")


@dataclass(frozen=True)
class Variant:
    """What is changed of the method as printed."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the model; all but the schedule may be changed after its training."""
    samples: int = 20
    """Of each target."""
    published: str | None = None
    """The model whose published figure stands beside it."""

    @property
    def schedule(self) -> str:
        """By which the network learns."""
        return str(self.options.get("schedule", "dynamic"))


VARIANTS = (
    Variant("as printed: dynamic schedule, maximin noise, 20 samples, descent", published="ipage"),
    Variant("fixed weights of the losses", {"schedule": "fixed"}),
    Variant("independent noise", {"latent": "independent"}),
    Variant("Sobol noise", {"latent": "sobol"}),
    Variant("no descent", {"descents": 0}),
    Variant("independent noise, no descent: the INN", {"latent": "independent", "descents": 0}, published="inn"),
    *(Variant(f"{n} sample{'' if n == 1 else 's'}", samples=n) for n in (1, 5, 50)),
)


def find_ablation_faults(request: InverseRequest) -> list[str]:
    """What is wrong with a request of this benchmark."""
    faults = request.faults()
    if request.models:
        faults.append("--model: the ablation is of ipage alone")
    if "ipage" not in plugins.names(GROUP):
        faults.append("ipage is not registered: pip install 'inverse-sdl[generative]'")
    return faults


def run_ablation_benchmark(request: InverseRequest, progress: Progress = lambda done, of: None) -> dict[str, Any]:
    """Train a network for each problem, schedule and seed, and draw from it in every way.

    Args:
        request: Problems, seeds, rows, targets and seconds; the rest is not looked at.
        progress: Called with how many networks are trained, and of how many.

    Returns:
        Plain data: ``asked``, ``rows`` (a line for each problem and variant, figures with their ``median``, ``low`` and
        ``high`` over the seeds, and what was ``published``) and no ``bars``, since these rows explain a method and are
        none that is offered.

    Raises:
        InvalidInput: with every fault of what was asked.
    """
    if faults := find_ablation_faults(request):
        raise InvalidInput(faults)
    schedules = tuple(dict.fromkeys(each.schedule for each in VARIANTS))
    names = tuple(request.problems or BY_DEFAULT)
    work = [(name, schedule, seed) for name in names for schedule in schedules for seed in range(request.seeds)]
    found = list[dict[str, Any]]()
    for done, (name, schedule, seed) in enumerate(work):
        progress(done, len(work))
        found += _train_and_draw(request, PROBLEMS[name], schedule, seed)
    progress(len(work), len(work))
    asked = {name: getattr(request, name) for name in ("seeds", "rows", "targets", "seconds")}
    rows = [_line(name, variant, found) for name in names for variant in VARIANTS]
    return {"asked": {**asked, "problems": names}, "rows": rows, "bars": []}


def _train_and_draw(
    request: InverseRequest, problem: BenchmarkProblem, schedule: str, seed: int
) -> Iterator[dict[str, Any]]:
    cell = InverseCell(
        problem=problem.name,
        label="ipage",
        model="ipage",
        seed=seed,
        options={"schedule": schedule},
        rows=request.rows or problem.rows,
        targets=request.targets,
        seconds=request.seconds,
        crystal=str(request.crystal.absolute()) if problem.name == "crystal" else "",
    )
    posed = pose_problem(problem, cell.crystal, cell.rows, cell.targets, seed)
    trained: Any = build_cell_model(cell).fit(posed.readings, posed.settings)
    for variant in VARIANTS:
        if variant.schedule == schedule:
            model = copy(trained)
            for name, value in variant.options.items():
                setattr(model, name, value)
            figures = _figures(model, problem, posed, variant.samples, seed)
            yield {"problem": problem.name, "variant": variant.name, "cut": bool(trained.taught_.cut), **figures}


def _figures(
    model: Any, problem: BenchmarkProblem, posed: PosedProblem, samples: int, seed: int
) -> dict[str, float | None]:
    """Squared errors of draws and of the best draw of each target, means; shares on target and of the modes found."""
    draws = model.sample_many(posed.targets, samples, np.random.default_rng([seed, 2]))
    again, best = simulate_again(problem, posed, draws)
    modes = None
    if problem.families:
        one = np.repeat(np.array([problem.one]), REPEATS, axis=0)
        modes = count_modes(problem, posed, model.sample_many(one, samples, np.random.default_rng([seed, 3]))).share
    return {"mean": again.mean, "best": best, "on_target": again.on_target, "modes": modes}


def _line(problem: str, variant: Variant, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    mine = [each for each in found if each["problem"] == problem and each["variant"] == variant.name]
    published = PROBLEMS[problem].published.get(variant.published or "")
    return {
        "problem": problem,
        "variant": variant.name,
        "schedule": variant.schedule,
        "seeds": len(mine),
        "cut": sum(each["cut"] for each in mine),
        **{name: _over_seeds([each[name] for each in mine]) for name in FIGURES},
        "published": None if published is None else published[0],
    }


def _over_seeds(values: Sequence[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None and np.isfinite(value)]
    return {"median": median(known), "low": min(known), "high": max(known)} if known else None


def ablation_tables(result: Mapping[str, Any]) -> list[Table]:
    """The benchmark's result for people, a table for each problem."""
    asked = result["asked"]
    made = list[Table]()
    for name in asked["problems"]:
        rows = [row for row in result["rows"] if row["problem"] == name]
        title = f"iPage on {name}, {asked['targets']} targets, {asked['seeds']} seeds: median (lowest to highest)"
        table = figure_table(
            title, ["what is changed"], ("mean error", "best sample", "on target", "modes", "published")
        )
        for row in rows:
            published = "" if row["published"] is None else f"{row['published']:g}"
            table.add_row(row["variant"], *(_cell(row[each]) for each in FIGURES), published)
        cut = sum({row["schedule"]: row["cut"] for row in rows}.values())
        table.caption = "Squared errors; published are means over 1,000 targets, and nothing was where there is none."
        of = asked["seeds"] * len({row["schedule"] for row in rows})
        table.caption += f" {cut} of {of} trainings ended early, by their seconds." if cut else ""
        made.append(table)
    return made


def _cell(figure: Mapping[str, float] | None) -> str:
    return "" if figure is None else f"{figure['median']:.2g} ({figure['low']:.2g} to {figure['high']:.2g})"
