"""All benchmarks in one command, with the machine and the versions that they ran on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.benchmarks import fusion, laws, rivals
from flows.benchmarks.cells import Progress
from flows.benchmarks.decisions import (
    acquisitions,
    forest,
    instruments,
    loop,
    many_targets,
    missing_cells,
    models,
    offers,
    real_records,
)
from flows.benchmarks.inverse.ablation import ablation_tables, run_ablation_benchmark
from flows.benchmarks.inverse.run import InverseRequest, run_inverse_benchmark
from flows.benchmarks.inverse.table import inverse_tables
from flows.benchmarks.operation import concurrency, control_latency, ledger, soak, speed, startup, utilisation
from flows.versions import describe_machine
from sdl.errors import InvalidInput, suggest_nearest

Result = dict[str, Any]


@dataclass(frozen=True)
class BenchmarkRequest:
    """What a person asks of the benchmarks."""

    seeds: int
    """Campaigns of each kind in the loop and the sweep."""
    records: Path
    """Folder of the real records; ``all`` goes without them where they are not."""
    models: Sequence[str] = ()
    """Inverse models of the loop instead of the campaign's own, and of ``models`` instead of all."""
    progress: Progress = lambda done, of: None
    inverse: InverseRequest = field(default_factory=InverseRequest)
    population: instruments.PopulationRequest = field(default_factory=instruments.PopulationRequest)
    """What ``instruments`` is to run."""
    home: Path = Path("sdl-data")
    """Data directory, where ``inverse`` and ``instruments`` keep what is finished."""


BENCHMARKS: Mapping[str, tuple[Callable[[BenchmarkRequest], Result], Callable[[Result], Table | Iterable[Table]]]] = {
    "loop": (lambda of: loop.run_loop_benchmark(of.seeds, None, of.models, of.progress), loop.loop_tables),
    "records": (
        lambda of: real_records.run_real_records_benchmark(of.records),
        real_records.real_records_tables,
    ),
    "models": (
        lambda of: models.run_models_benchmark(of.records, of.models, progress=of.progress),
        models.models_table,
    ),
    "forest": (lambda _: forest.run_forest_benchmark(), forest.forest_table),
    "incomplete": (
        lambda of: missing_cells.run_missing_cells_benchmark(of.records),
        missing_cells.missing_cells_table,
    ),
    "acquisitions": (lambda _: acquisitions.run_acquisitions_benchmark(), acquisitions.acquisitions_table),
    "speed": (lambda _: speed.run_speed_benchmark(), speed.speed_table),
    "ledger": (lambda _: ledger.run_ledger_benchmark(), ledger.ledger_table),
    "soak": (lambda _: soak.run_soak_benchmark(), soak.soak_table),
    "use": (lambda _: utilisation.run_utilisation_benchmark(), utilisation.utilisation_table),
    "service": (lambda _: startup.run_startup_benchmark(), startup.startup_table),
    "interleavings": (
        lambda of: concurrency.run_concurrency_benchmark(progress=of.progress),
        concurrency.concurrency_table,
    ),
    "steering": (lambda _: control_latency.run_control_latency_benchmark(), control_latency.control_latency_table),
    "sweep": (
        lambda of: many_targets.run_many_targets_benchmark(of.seeds, progress=of.progress),
        many_targets.many_targets_table,
    ),
    "laws": (lambda of: laws.run_laws_benchmark(of.seeds, of.progress), laws.laws_tables),
    "rivals": (lambda of: rivals.run_rivals_benchmark(of.seeds, of.progress), rivals.rivals_tables),
    "fusion": (lambda of: fusion.run_fusion_benchmark(of.seeds, of.progress), fusion.fusion_tables),
    "offers": (lambda of: offers.run_offers_benchmark((), of.models, progress=of.progress), offers.offers_table),
    "inverse": (
        lambda of: run_inverse_benchmark(of.inverse, of.home / "benchmarks" / "inverse", of.progress),
        inverse_tables,
    ),
    "ablation": (lambda of: run_ablation_benchmark(of.inverse, of.progress), ablation_tables),
    "instruments": (
        lambda of: instruments.run_instruments_benchmark(
            of.population, of.home / "benchmarks" / "instruments", of.progress
        ),
        instruments.instrument_table,
    ),
}
"""What runs each, and the tables of its result, by the name that the command knows it by."""
OF_RECORDS = ("records", "incomplete")
ALONE = (
    "ledger",
    "soak",
    "use",
    "service",
    "interleavings",
    "steering",
    "sweep",
    "laws",
    "rivals",
    "fusion",
    "offers",
    "inverse",
    "instruments",
    "ablation",
)
"""Not among all: they take minutes each, or hours, and the ledger two gigabytes of disk."""


def find_faults(what: str) -> list[str]:
    """That there is no such benchmark, and which is meant; nothing for one that there is."""
    names = (*BENCHMARKS, "all")
    return [] if what in names else [f"unknown benchmark {what!r}{suggest_nearest(what, names)}"]


def run_benchmarks(what: str, request: BenchmarkRequest) -> Result:
    """Run one kind of benchmark or all.

    Args:
        what: One of ``BENCHMARKS``, or ``all`` but those of ``ALONE``.
        request: What is asked of them.

    Returns:
        Plain data: machine, versions, the result of each kind, and whether every bar was met.

    Raises:
        InvalidInput: if there is no such benchmark.
    """
    if wrong := find_faults(what):
        raise InvalidInput(wrong)
    left_out = (*ALONE, *(() if request.records.exists() else OF_RECORDS))
    chosen = [what] if what != "all" else [name for name in BENCHMARKS if name not in left_out]
    results = {name: BENCHMARKS[name][0](request) for name in chosen}
    met = all(bar["met"] for result in results.values() for bar in result["bars"])
    return {**describe_machine(), "results": results, "all_met": met}


def benchmark_tables(result: Result) -> list[Table]:
    """The result of ``run_benchmarks`` for people."""
    made = [BENCHMARKS[name][1](of) for name, of in result["results"].items()]
    return [table for some in made for table in ([some] if isinstance(some, Table) else some)]
