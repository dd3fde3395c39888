"""All benchmarks in one command, with the machine and the versions that they ran on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.benchmarks.cells import Progress
from flows.benchmarks.decisions import acquisitions, forest, loop, many_targets, missing_cells, models, real_records
from flows.benchmarks.inverse.run import InverseRequest, run_inverse_benchmark
from flows.benchmarks.inverse.table import inverse_tables
from flows.benchmarks.operation import concurrency, control_latency, ledger, soak, speed, startup, utilisation
from flows.versions import describe_machine
from sdl.errors import InvalidInput, nearest

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
    home: Path = Path("sdl-data")
    """Data directory, where ``inverse`` keeps what is finished."""


@dataclass(frozen=True)
class Benchmark:
    """One kind of benchmark."""

    run: Callable[[BenchmarkRequest], Result]
    tables: Callable[[Result], Iterable[Table]]
    alone: bool = True
    """Not among all: it takes minutes or hours, and the ledger two gigabytes of disk."""
    of_records: bool = False


def _one(table: Callable[[Result], Table]) -> Callable[[Result], list[Table]]:
    return lambda result: [table(result)]


BENCHMARKS: Mapping[str, Benchmark] = {
    "loop": Benchmark(
        lambda of: loop.run_loop_benchmark(of.seeds, models=of.models, progress=of.progress),
        loop.loop_tables,
        alone=False,
    ),
    "records": Benchmark(
        lambda of: real_records.run_real_records_benchmark(of.records),
        real_records.real_records_tables,
        alone=False,
        of_records=True,
    ),
    "models": Benchmark(
        lambda of: models.run_models_benchmark(of.records, of.models, progress=of.progress),
        _one(models.models_table),
        alone=False,
    ),
    "forest": Benchmark(lambda _: forest.run_forest_benchmark(), _one(forest.forest_table), alone=False),
    "incomplete": Benchmark(
        lambda of: missing_cells.run_missing_cells_benchmark(of.records),
        _one(missing_cells.missing_cells_table),
        alone=False,
        of_records=True,
    ),
    "acquisitions": Benchmark(
        lambda _: acquisitions.run_acquisitions_benchmark(), _one(acquisitions.acquisitions_table), alone=False
    ),
    "speed": Benchmark(lambda _: speed.run_speed_benchmark(), _one(speed.speed_table), alone=False),
    "ledger": Benchmark(lambda _: ledger.run_ledger_benchmark(), _one(ledger.ledger_table)),
    "soak": Benchmark(lambda _: soak.run_soak_benchmark(), _one(soak.soak_table)),
    "use": Benchmark(lambda _: utilisation.run_utilisation_benchmark(), _one(utilisation.utilisation_table)),
    "service": Benchmark(lambda _: startup.run_startup_benchmark(), _one(startup.startup_table)),
    "interleavings": Benchmark(
        lambda of: concurrency.run_concurrency_benchmark(progress=of.progress), _one(concurrency.concurrency_table)
    ),
    "steering": Benchmark(
        lambda _: control_latency.run_control_latency_benchmark(), _one(control_latency.control_latency_table)
    ),
    "sweep": Benchmark(
        lambda of: many_targets.run_many_targets_benchmark(of.seeds, progress=of.progress),
        _one(many_targets.many_targets_table),
    ),
    "inverse": Benchmark(
        lambda of: run_inverse_benchmark(of.inverse, of.home / "benchmarks" / "inverse", of.progress),
        inverse_tables,
    ),
}
"""By the name that the command knows each by."""


def find_faults(what: str) -> list[str]:
    """That there is no such benchmark, and which is meant; nothing for one that there is."""
    names = (*BENCHMARKS, "all")
    return [] if what in names else [f"unknown benchmark {what!r}{nearest(what, names)}"]


def run_benchmarks(what: str, request: BenchmarkRequest) -> Result:
    """Run one kind of benchmark or all.

    Args:
        what: One of ``BENCHMARKS``, or ``all`` for those that are not to be run alone.
        request: What is asked of them.

    Returns:
        Plain data: machine, versions, the result of each kind, and whether every bar was met.

    Raises:
        InvalidInput: if there is no such benchmark.
    """
    if wrong := find_faults(what):
        raise InvalidInput(wrong)
    there = request.records.exists()
    every = [name for name, each in BENCHMARKS.items() if not each.alone and (there or not each.of_records)]
    results = {name: BENCHMARKS[name].run(request) for name in (every if what == "all" else [what])}
    met = all(bar["met"] for result in results.values() for bar in result["bars"])
    return {**describe_machine(), "results": results, "all_met": met}


def benchmark_tables(result: Result) -> list[Table]:
    """The result of ``run_benchmarks`` for people."""
    return [table for name, of in result["results"].items() for table in BENCHMARKS[name].tables(of)]
