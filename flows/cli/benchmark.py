"""The command that measures this program: benchmark."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import environment
from flows.cli.options import AsJson, Home, start_prefect
from flows.terminal import show, show_progress
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.recordings import FOLDER
from sdl.system.atomic_files import write_atomically

if TYPE_CHECKING:
    from flows.benchmarks.decisions.instruments import PopulationRequest
    from flows.benchmarks.inverse.run import InverseRequest

NOT_MET = 3
SEEDS, ELSE = {"sweep": 10, "laws": 200}, 100
SEVERAL = {"problem": "problems", "family": "families", "strategy": "strategies"}
"""Options that are given once for each."""

What = Annotated[
    str,
    typer.Argument(
        help="loop, records, models, forest, incomplete, acquisitions, speed, all of these, or one that takes "
        "minutes: laws, rivals, fusion, offers, inverse, ablation, instruments, ledger, soak, use, service, "
        "interleavings, steering, sweep."
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(help="Campaigns of each kind; by default 100, laws 200, sweep 10, inverse 3, instruments 12.", min=1),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", help="Name of a model for loop, models and inverse (there also ipage:latent=sobol), repeatable."
    ),
]
Records = Annotated[Path, typer.Option(help="Folder of the real records.")]
Problems = Annotated[
    list[str] | None, typer.Option("--problem", help="inverse: name of a problem, repeatable; by default all.")
]
Rows = Annotated[
    int | None, typer.Option(help="inverse: rows to learn from; by default each problem's own number.", min=1)
]
Targets = Annotated[int | None, typer.Option(help="inverse: number of targets; by default 1000.", min=1)]
Seconds = Annotated[float | None, typer.Option(help="inverse: seconds of training a model; by default 180.")]
Forward = Annotated[
    float | None, typer.Option(help="inverse: seconds of training the model that localises; by default 45.")
]
Runner = Annotated[str | None, typer.Option(help="inverse: threads (the default), dask or ray.")]
Cores = Annotated[int | None, typer.Option(help="inverse: models at a time; by default 1.", min=1)]
Crystal = Annotated[
    Path | None, typer.Option(help="inverse: folder of the records of MoS2; by default ../shared/data/mos2_band_gap.")
]
Families = Annotated[
    list[str] | None, typer.Option("--family", help="instruments: name of a family, repeatable; by default all.")
]
Strategies = Annotated[
    list[str] | None, typer.Option("--strategy", help="instruments: sdl (the default), sdl:ACQUISITION or a peer.")
]
Budget = Annotated[int | None, typer.Option(help="instruments: requests of a campaign; by default 100.", min=1)]
Processes = Annotated[int | None, typer.Option(help="instruments: campaigns at a time.", min=0)]
Release = Annotated[
    bool, typer.Option("--release", help="instruments: only those that nobody tuned on, for figures to publish.")
]
Page = Annotated[
    Path | None,
    typer.Option("--page", help="inverse, instruments: file of the page; by default in the data directory's reports."),
]
Output = Annotated[Path | None, typer.Option("--output", help="File to write the figures to, as JSON.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("benchmark")(run_benchmark)


def run_benchmark(
    what: What = "all",
    seeds: Seeds = None,
    model: Models = None,
    records: Records = FOLDER,
    problem: Problems = None,
    rows: Rows = None,
    targets: Targets = None,
    seconds: Seconds = None,
    forward: Forward = None,
    runner: Runner = None,
    cores: Cores = None,
    crystal: Crystal = None,
    family: Families = None,
    strategy: Strategies = None,
    budget: Budget = None,
    processes: Processes = None,
    release: Release = False,
    page: Page = None,
    output: Output = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Measure this program against its bars, with machine and versions noted."""
    from flows.benchmarks import suite

    sizes = {"problem": problem, "rows": rows, "targets": targets, "seconds": seconds, "crystal": crystal}
    options: dict[str, dict[str, Any]] = {
        "ablation": sizes,
        "inverse": sizes | {"forward": forward, "runner": runner, "cores": cores},
        "instruments": {"family": family, "strategy": strategy, "budget": budget, "processes": processes}
        | {"release": release or None},
    }
    options = {kind: {name: value for name, value in of.items() if value is not None} for kind, of in options.items()}
    inverse, population = _requests(what, options, seeds, model, page, output)
    directory = environment.home(home) if what in options else Path()
    if what == "inverse":
        start_prefect(directory)
    with show_progress("benchmark", quiet=as_json) as tell:
        campaigns = seeds or SEEDS.get(what, ELSE)
        request = suite.BenchmarkRequest(campaigns, records, model or (), tell, inverse, population, directory)
        result = suite.run_benchmarks(what, request)
    if output is not None:
        with write_atomically(output, force=True) as file:
            file.write(f"{json.dumps(result, indent=2)}\n".encode())
    written = _write_page(result, page or directory / "reports" / f"benchmark-{what}.html")
    show(result, as_json, *suite.benchmark_tables(result), *written)
    return 0 if result["all_met"] else NOT_MET


def _requests(
    what: str,
    options: Mapping[str, Mapping[str, Any]],
    seeds: int | None,
    models: list[str] | None,
    page: Path | None,
    output: Path | None,
) -> "tuple[InverseRequest, PopulationRequest]":
    """What is asked of the benchmarks that have options of their own.

    Raises:
        InvalidInput: with every fault of the command, before Prefect starts and before anything takes an hour.
    """
    from flows.benchmarks import suite
    from flows.benchmarks.decisions.instruments import PopulationRequest
    from flows.benchmarks.inverse.ablation import find_ablation_faults
    from flows.benchmarks.inverse.run import InverseRequest

    sizes = {SEVERAL.get(name, name): value for name, value in options.get(what, {}).items()}
    sizes |= {"seeds": seeds} if seeds else {}
    of_models = {"inverse": InverseRequest.faults, "ablation": find_ablation_faults}
    inverse = InverseRequest(models=models or (), **sizes) if what in of_models else InverseRequest()
    population = PopulationRequest(**sizes) if what == "instruments" else PopulationRequest()
    faults = suite.find_faults(what) or _foreign_options(what, options, page)
    faults += of_models[what](inverse) if what in of_models else population.faults()
    if output is not None and not output.parent.is_dir():
        faults.append(f"--output: there is no folder {str(output.parent)!r}: make it, or give another")
    if faults:
        raise InvalidInput(faults)
    return inverse, population


def _foreign_options(what: str, options: Mapping[str, Mapping[str, Any]], page: Path | None) -> list[str]:
    """Options that only another benchmark has."""
    others = {kind: own for kind, own in options.items() if kind != what}
    owners = {name: repr(kind) for kind, own in others.items() for name in own if name not in options.get(what, {})}
    if page is not None and what not in options:
        owners["page"] = " and ".join(map(repr, options))
    return [f"--{name}: only {owner} has this option, and {what!r} was asked for" for name, owner in owners.items()]


def _write_page(result: dict[str, Any], page: Path) -> list[str]:
    """Write the page of a benchmark that has one, and say where it lies."""
    from flows.benchmarks.decisions.instruments_page import write_instruments_page
    from flows.benchmarks.inverse.page import write_inverse_page

    writers = {"inverse": write_inverse_page, "instruments": write_instruments_page}
    return [str(write(result, page)) for kind, write in writers.items() if kind in result["results"]]
