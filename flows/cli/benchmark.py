"""The command that measures this program: benchmark."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from flows import environment
from flows.cli.options import AsJson, Home, start_prefect
from flows.terminal import err, show
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.recordings import FOLDER
from sdl.system.atomic_files import whole

NOT_MET = 3
SEEDS, ELSE = {"sweep": 10}, 100


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(benchmark)


def benchmark(
    what: Annotated[
        str,
        typer.Argument(
            help="loop, records, models, forest, incomplete, acquisitions, speed, all of these, or one that takes "
            "minutes: inverse, ledger, soak, use, service, interleavings, steering, sweep."
        ),
    ] = "all",
    seeds: Annotated[
        int | None,
        typer.Option(help="Campaigns of each kind in the loop, 100 unless told; of 'sweep' 10, of 'inverse' 3.", min=1),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Models of the loop, of 'models' and of 'inverse'.")
    ] = None,
    records: Annotated[Path, typer.Option(help="The real records.")] = FOLDER,
    problem: Annotated[list[str] | None, typer.Option("--problem", help="Of 'inverse': all unless told.")] = None,
    rows: Annotated[
        int | None, typer.Option(help="Of 'inverse': rows to learn from; each problem's own number unless told.", min=1)
    ] = None,
    targets: Annotated[int | None, typer.Option(help="Of 'inverse': 1000 unless told.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Of 'inverse': of training a model, 180 unless told.")] = None,
    forward: Annotated[
        float | None, typer.Option(help="Of 'inverse': seconds of training the model that localises, 45 unless told.")
    ] = None,
    runner: Annotated[str | None, typer.Option(help="Of 'inverse': threads unless told, dask or ray.")] = None,
    cores: Annotated[int | None, typer.Option(help="Of 'inverse': models at a time, 1 unless told.", min=1)] = None,
    crystal: Annotated[
        Path | None, typer.Option(help="Of 'inverse': the records of MoS2; ../shared/data/mos2_band_gap unless told.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Of 'inverse': in the reports of the data directory unless told.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the figures there as JSON.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Measure this program against its bars; the figures are data, machine and versions beside them."""
    from flows.benchmarks import suite
    from flows.benchmarks.inverse import run as inverse

    about: dict[str, Any] = {"problem": problem, "rows": rows, "targets": targets, "seconds": seconds, "page": page}
    about |= {"forward": forward, "runner": runner, "cores": cores, "crystal": crystal}
    told = {name: value for name, value in about.items() if value is not None}
    asked = directory = None
    faults = suite.faults(what)
    if what == "inverse":
        directory = environment.home(home)
        sizes = {name: value for name, value in told.items() if name not in ("problem", "page")}
        asked = inverse.Asked(problem or (), model or (), **(sizes | ({"seeds": seeds} if seeds else {})))
        faults += asked.faults()
    elif not faults:
        faults += [f"--{name}: only 'inverse' has this option, and {what!r} was asked for" for name in told]
    if output is not None and not output.parent.is_dir():
        faults.append(f"--output: there is no folder {str(output.parent)!r}: make it, or give another")
    if faults:
        raise InvalidInput(faults)  # before Prefect starts, and before anything takes an hour
    if directory is not None:
        start_prefect(directory)
    with Progress(console=err, disable=as_json) as bar:
        task = bar.add_task("benchmark")

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        result = suite.run(what, seeds or SEEDS.get(what, ELSE), model or (), records, tell, asked, directory)
    shown = _page(result, directory, page)
    if output is not None:
        with whole(output, force=True) as file:
            file.write(f"{json.dumps(result, indent=2)}\n".encode())
    show(result, as_json, *suite.tables(result), *shown)
    return 0 if result["all_met"] else NOT_MET


def _page(result: dict[str, Any], directory: Path | None, page: Path | None) -> list[str]:
    """Write the page of a benchmark that has one, and say where it lies."""
    if directory is None:
        return []
    from flows.benchmarks.inverse.page import write

    return [str(write(result, page or directory / "reports" / "benchmark-inverse.html"))]
