"""Rival laws of one instrument: how soon the wrong one falls, by what readings, and how often the right one does.

A competitive inhibitor against one that is not: the classic of telling models apart, since both laws fit most of the
box and part where substrate and inhibitor are both plentiful. Seeds below ``FIRST`` were for tuning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from rich.table import Table
from scipy.stats.qmc import LatinHypercube

from flows.benchmarks.bars import bar_table, hold_bar
from flows.benchmarks.cells import Progress
from flows.terminal import figure_table
from sdl.history import History, Round, RoundFacts, RoundKind
from sdl.space import Channel, Knob, NamedColumns, Space
from strategies.acquisitions.disagreement import Disagreement
from strategies.acquisitions.space_filling import SpaceFilling
from strategies.contract import Acquisition
from strategies.fitting.rivals import judge_rivals, standing_models
from strategies.fitting.training_rows import FitRows, Incomplete
from strategies.models.laws.law import Law
from strategies.models.laws.parameter import Array, Parameter
from strategies.numerics.blas_threads import one_thread

FIRST = 10_000
"""The first seed."""
DESIGN = 6
"""Readings of a Latin hypercube before rivals are judged."""
MOST = 60
"""Readings after which a comparison ends undecided."""
NOISE = 0.02
"""Of a reading, as a share of the largest rate."""
RANGES = {"Vmax": (1.0, 10.0), "Km": (1.0, 10.0), "Ki": (1.0, 5.0)}
"""Of the true parameters, logarithms uniform between."""
SPACE = Space(
    knobs=(Knob(name="substrate", high=20.0), Knob(name="inhibitor", high=10.0)),
    channels=(Channel(name="rate", floor=None, integral=False),),
)


@dataclass(eq=False)
class Competitive(Law):
    """The inhibitor takes the place of the substrate.

    References:
        Segel (1975), Enzyme Kinetics, chapter 3, for both laws
    """

    parameters: ClassVar = tuple(Parameter(name, 1e-2, 1e2, scale="log") for name in RANGES)

    def readings(self, settings: Mapping[str, Array], parameters: Mapping[str, Array]) -> Mapping[str, Array]:
        """The rate; see ``Law``."""
        substrate, bound = settings["substrate"], 1 + settings["inhibitor"] / parameters["Ki"]
        return {"rate": parameters["Vmax"] * substrate / (parameters["Km"] * bound + substrate)}


@dataclass(eq=False)
class NonCompetitive(Competitive):
    """The inhibitor binds beside the substrate."""

    def readings(self, settings: Mapping[str, Array], parameters: Mapping[str, Array]) -> Mapping[str, Array]:
        """The rate; see ``Law``."""
        substrate, bound = settings["substrate"], 1 + settings["inhibitor"] / parameters["Ki"]
        return {"rate": parameters["Vmax"] * substrate / ((parameters["Km"] + substrate) * bound)}


LAWS: Mapping[str, type[Law]] = {"competitive": Competitive, "non-competitive": NonCompetitive}
ACQUISITIONS: Mapping[str, Acquisition] = {"disagreement": Disagreement(), "space-filling": SpaceFilling()}


def run_rivals_benchmark(seeds: int, progress: Progress = lambda done, of: None, first: int = FIRST) -> dict[str, Any]:
    """Run the benchmark.

    Args:
        seeds: Instruments of each law.
        progress: Called with each comparison that is done.
        first: The first seed.

    Returns:
        Plain data: ``rivals``, by acquisition the ``readings`` until one fell, seed by seed and law by law, ``MOST``
        where none did, how many fell ``rightly`` and ``wrongly``; and ``bars``.
    """
    found = {name: dict[str, Any](readings=[], rightly=0, wrongly=0) for name in ACQUISITIONS}
    tried = [(truth, seed) for truth in LAWS for seed in range(first, first + seeds)]
    with one_thread():
        for done, (truth, seed) in enumerate(tried):
            for name, acquisition in ACQUISITIONS.items():
                readings, fell = _until_one_falls(truth, acquisition, seed)
                found[name]["readings"].append(readings)
                found[name]["rightly"] += fell is not None and fell != truth
                found[name]["wrongly"] += fell == truth
            progress(done + 1, len(tried))
    spent = {name: np.array(of["readings"]) - DESIGN for name, of in found.items()}
    ratio = float(np.median(spent["disagreement"]) / np.median(spent["space-filling"]))
    wrongly = max(of["wrongly"] for of in found.values()) / len(tried)
    bars = [hold_bar("readings after the design, beside space-filling", ratio, 0.5), hold_bar("wrongly", wrongly, 0.01)]
    return {"seeds": [first, first + seeds - 1], "rivals": found, "bars": bars}


def _until_one_falls(truth: str, acquisition: Acquisition, seed: int) -> tuple[int, str | None]:
    """Readings until one of the rivals fell, and which; None where neither did."""
    rng = np.random.default_rng([seed, *map(ord, truth[:1])])
    hidden = {name: np.array(np.exp(rng.uniform(*np.log(ends)))) for name, ends in RANGES.items()}
    columns, law = NamedColumns.of(SPACE, ["rate"], subtracted=False), LAWS[truth]()
    makers = {name: lambda made=made: made().in_units(columns) for name, made in LAWS.items()}
    largest = float(hidden["Vmax"])

    def measured(unit: Array) -> Array:
        named = dict(zip(columns.knobs, columns.settings(unit).T, strict=True))
        rate = law.readings(named, hidden)["rate"][:, None]
        return np.asarray(rate + NOISE * largest * rng.standard_normal(rate.shape))

    settings = np.asarray(LatinHypercube(2, rng=rng).random(DESIGN))
    readings, rounds = measured(settings), list[Round]()
    while True:
        nothing = Incomplete(settings[:0], readings[:0])
        rows = FitRows(settings, readings, np.full(1, np.nan), nothing, columns, taken=np.arange(len(settings)))
        rivals = judge_rivals(makers, rows, SPACE, [0], History(rounds), len(rounds), lambda _: None)
        if fallen := [name for name, rival in rivals.items() if rival.facts.fell]:
            return len(settings), fallen[0]
        target, noise = np.array([largest / 2]), np.array([NOISE * largest])
        models = standing_models(rivals)
        batch = acquisition.propose(models, [target], settings, noise, 1, rng) if len(models) > 1 else settings[:0]
        if not len(batch) or len(settings) >= MOST:
            return MOST, None
        facts = RoundFacts(rivals={name: rival.facts for name, rival in rivals.items()})
        rounds.append(Round(len(rounds), RoundKind.LEARNING, facts=facts))
        settings, readings = np.vstack((settings, batch)), np.vstack((readings, measured(batch)))


def rivals_tables(result: Mapping[str, Any]) -> list[Table]:
    """The result for people."""
    labels = {bar["figure"]: bar["figure"] for bar in result["bars"]}
    table = figure_table("Readings until one rival falls", ["acquisition"], ["median", "9 in 10", "rightly", "wrongly"])
    for name, of in result["rivals"].items():
        middle, most = np.quantile(of["readings"], (0.5, 0.9))
        n = len(of["readings"])
        table.add_row(name, f"{middle:g}", f"{most:g}", f"{of['rightly']} of {n}", f"{of['wrongly']} of {n}")
    return [bar_table("Rivals", result["bars"], labels), table]
