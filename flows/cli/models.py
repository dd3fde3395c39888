"""Commands about inverse models on data that was measured before: solve, compare."""

from pathlib import Path
from typing import Annotated

import typer

from flows import environment
from flows.cli.data import DataFile
from flows.cli.options import AsJson, Home, start_prefect
from flows.terminal import err, show

Targets = Annotated[list[str], typer.Option("--target", help="CHANNEL=READING, again for more.", show_default=False)]
Free = Annotated[list[str] | None, typer.Option("--free", help="A channel that is left free.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="An inverse model; all unless told.")]
Background = Annotated[list[str] | None, typer.Option("--background", help="CHANNEL=READING with the light off.")]
Tolerance = Annotated[str, typer.Option(help="Allowed error: '1 %' or a number.")]
Draws = Annotated[int, typer.Option(help="Draws a model.", min=10)]
Seed = Annotated[int, typer.Option(help="Seed of every random choice.", min=0)]
NOT_SOLVED = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(solve)
    app.command()(compare)


def solve(
    data: DataFile,
    target: Targets,
    free: Free = None,
    model: Models = None,
    background: Background = None,
    tolerance: Tolerance = "1 %",
    answers: Annotated[
        str | None, typer.Option(help="Every distinct answer of each model ('all'), or so many of them.")
    ] = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> int:
    """Offer settings for readings from data that was measured before, without an instrument."""
    from flows.studies.solve import solve as solve_problem
    from flows.studies.solve import solve_tables

    with err.status("fitting"):
        result = solve_problem(
            data,
            target,
            free=free or (),
            models=model or (),
            background=background or (),
            tolerance=tolerance,
            draws=draws,
            answers=answers,
            seed=seed,
        )
    show(result, as_json, *([] if as_json else solve_tables(result)))
    return 0 if any(row.get("reachable") for row in result["models"]) else NOT_SOLVED


def compare(
    data: DataFile,
    target: Targets,
    free: Free = None,
    model: Models = None,
    background: Background = None,
    tolerance: Tolerance = "1 %",
    test: Annotated[float, typer.Option(help="Share of the rows that judge the models.")] = 0.2,
    draws: Draws = 1000,
    seed: Seed = 0,
    runner: Annotated[
        str | None,
        typer.Option(help="Fit the models side by side: threads, dask or ray; one after another unless told."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Where to write the page; in the reports of the data directory unless told."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Compare every inverse model on the same rows: settings offered, scores on rows not seen, one HTML page."""
    from flows.server import task_runners as runners
    from flows.studies.compare import study_models
    from flows.studies.compare_summary import comparison_tables

    if runner is not None and not runners.faults(runner):
        start_prefect(environment.home(home))
    with err.status("fitting") as status:

        def tell(words: str) -> None:
            status.update(words)
            if not as_json:
                err.print(words, markup=False)

        study = study_models(
            data,
            target,
            models=model or (),
            free=free or (),
            background=background or (),
            tolerance=tolerance,
            test=test,
            seed=seed,
            draws=draws,
            runner=runner,
            progress=tell,
        )
        where = study.write(page or environment.home(home) / "reports" / f"{data.stem}-compare.html")
    result = {**study.result, "page": str(where)}
    show(result, as_json, *([] if as_json else comparison_tables(result)), "" if as_json else str(where))
    return 0 if any(row.get("reachable") for row in result["models"]) else NOT_SOLVED
