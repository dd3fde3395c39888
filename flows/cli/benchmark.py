"""The command that measures this program: benchmark."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from flows import environment
from flows.cli.options import AsJson, Home, start_prefect
from flows.terminal import err, show
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.recordings import FOLDER
from sdl.system.atomic_files import whole

if TYPE_CHECKING:
    from flows.benchmarks.inverse.run import InverseRequest

NOT_MET = 3
SEEDS, ELSE = {"sweep": 10}, 100

What = Annotated[
    str,
    typer.Argument(
        help="loop, records, models, forest, incomplete, acquisitions, speed, all of these, or one that takes "
        "minutes: inverse, ledger, soak, use, service, interleavings, steering, sweep."
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(help="Campaigns of each kind; by default 100, for 'sweep' 10, for 'inverse' 3.", min=1),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Name of a model for loop, models and inverse, repeatable.")
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
Page = Annotated[
    Path | None,
    typer.Option("--page", help="inverse: file of the page; by default in the reports of the data directory."),
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
    page: Page = None,
    output: Output = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Measure this program against its bars, with machine and versions noted."""
    from flows.benchmarks import suite

    options: dict[str, Any] = {
        "problems": problem,
        "rows": rows,
        "targets": targets,
        "seconds": seconds,
        "forward": forward,
    }
    options |= {"runner": runner, "cores": cores, "crystal": crystal}
    of_inverse = {name: value for name, value in options.items() if value is not None}
    inverse = _request_of_inverse(what, of_inverse, seeds, model, page, output)
    directory = environment.home(home) if what == "inverse" else Path()
    if what == "inverse":
        start_prefect(directory)
    with Progress(console=err, disable=as_json) as bar:
        task = bar.add_task("benchmark")

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        request = suite.BenchmarkRequest(seeds or SEEDS.get(what, ELSE), records, model or (), tell, inverse, directory)
        result = suite.run_benchmarks(what, request)
    if output is not None:
        with whole(output, force=True) as file:
            file.write(f"{json.dumps(result, indent=2)}\n".encode())
    written = _write_page(result, page or directory / "reports" / "benchmark-inverse.html")
    show(result, as_json, *suite.benchmark_tables(result), *written)
    return 0 if result["all_met"] else NOT_MET


def _request_of_inverse(
    what: str,
    options: dict[str, Any],
    seeds: int | None,
    models: list[str] | None,
    page: Path | None,
    output: Path | None,
) -> "InverseRequest":
    """What is asked of 'inverse'.

    Raises:
        InvalidInput: with every fault of the command, before Prefect starts and before anything takes an hour.
    """
    from flows.benchmarks import suite
    from flows.benchmarks.inverse.run import InverseRequest

    faults, request = suite.find_faults(what), InverseRequest()
    if what == "inverse":
        request = InverseRequest(models=models or (), **(options | ({"seeds": seeds} if seeds else {})))
        faults += request.faults()
    elif not faults:
        names = [*("problem" if name == "problems" else name for name in options), *(["page"] if page else [])]
        faults += [f"--{name}: only 'inverse' has this option, and {what!r} was asked for" for name in names]
    if output is not None and not output.parent.is_dir():
        faults.append(f"--output: there is no folder {str(output.parent)!r}: make it, or give another")
    if faults:
        raise InvalidInput(faults)
    return request


def _write_page(result: dict[str, Any], page: Path) -> list[str]:
    """Write the page of a benchmark that has one, and say where it lies."""
    if "inverse" not in result["results"]:
        return []
    from flows.benchmarks.inverse.page import write_inverse_page

    return [str(write_inverse_page(result, page))]
