"""The command that measures this program: benchmark."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from flows import environment
from flows.console import AsJson, Home, err, show, start_prefect

NOT_MET = 3
SEEDS = {"inverse": 3, "sweep": 10}
ELSE = 100


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
    records: Annotated[Path, typer.Option(help="The real records.")] = Path("../shared/data/claude_light"),
    problem: Annotated[list[str] | None, typer.Option("--problem", help="Of 'inverse': all unless told.")] = None,
    rows: Annotated[int | None, typer.Option(help="Of 'inverse': rows to learn from.", min=1)] = None,
    targets: Annotated[int, typer.Option(help="Of 'inverse'.", min=1)] = 1000,
    seconds: Annotated[float, typer.Option(help="Of 'inverse': of training a model.")] = 180.0,
    forward: Annotated[float, typer.Option(help="Of 'inverse': of training the model that localises.")] = 45.0,
    runner: Annotated[str, typer.Option(help="Of 'inverse': threads, dask or ray.")] = "threads",
    cores: Annotated[int, typer.Option(help="Of 'inverse': models at a time.", min=1)] = 1,
    crystal: Annotated[Path, typer.Option(help="Of 'inverse': the records of MoS2.")] = Path(
        "../shared/data/mos2_band_gap"
    ),
    page: Annotated[
        Path | None, typer.Option("--page", help="Of 'inverse': in the reports of the data directory unless told.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Write the figures there as JSON.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Measure this program against its bars; the figures are data, machine and versions beside them."""
    from flows.benchmarks import inverse, suite

    directory = environment.home(home) if what == "inverse" else None
    asked = inverse.Asked(
        problems=problem or (),
        models=model or (),
        seeds=seeds or SEEDS["inverse"],
        rows=rows,
        targets=targets,
        seconds=seconds,
        forward=forward,
        runner=runner,
        cores=cores,
        crystal=crystal,
    )
    if directory is not None:
        asked.cells()  # what is wrong with it is said before Prefect starts
        start_prefect(directory)
    with Progress(console=err, disable=as_json) as bar:
        task = bar.add_task("benchmark")

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        result = suite.run(what, seeds or SEEDS.get(what, ELSE), model or (), records, tell, asked, directory)
    shown = _page(result, directory, page)
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(result, as_json, *suite.tables(result), *shown)
    return 0 if result["all_met"] else NOT_MET


def _page(result: dict[str, Any], directory: Path | None, page: Path | None) -> list[str]:
    """Write the page of a benchmark that has one, and say where it lies."""
    if directory is None:
        return []
    from flows.benchmarks.inverse_page import write

    return [str(write(result, page or directory / "reports" / "benchmark-inverse.html"))]
