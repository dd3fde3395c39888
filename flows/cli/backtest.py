"""The command that compares strategies on twins: backtest."""

from pathlib import Path
from typing import Annotated

import typer

from flows import environment
from flows.cli.options import AsJson, Home
from flows.terminal import err, show, show_progress

Names = list[str] | None


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("backtest")(run_backtest)


def run_backtest(
    problem: Annotated[Names, typer.Option("--problem", help="Name of a problem, repeatable; by default all.")] = None,
    strategy: Annotated[
        Names,
        typer.Option("--strategy", help="sdl, sdl:ACQUISITION or a peer, repeatable; by default all."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each strategy on each problem.", min=1)] = 20,
    budget: Annotated[int, typer.Option(help="Requests that a run may send.", min=1, max=1000)] = 60,
    tolerance: Annotated[
        str | None, typer.Option(help="Allowed error, such as '2 %'; by default each problem's own.")
    ] = None,
    processes: Annotated[int, typer.Option(help="Runs at once.", min=1, max=64)] = 1,
    show_only: Annotated[bool, typer.Option("--show", help="Run nothing: show what was run before.")] = False,
    into: Annotated[
        Path | None,
        typer.Option("--into", help="Folder of the results; by default 'backtest' in the data directory."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compare our own loop with others on twins: requests until VERIFIED. Continues where it was left."""
    from flows.benchmarks.decisions.backtest import backtest_tables, run_backtest_study
    from flows.benchmarks.decisions.backtest_cells import EndedCell

    def tell(ended: EndedCell, done: int, of: int) -> None:
        cell, run = ended.cell, ended.run
        outcome = ended.error if run is None else f"{run.requests} requests, {run.ended}"
        words = f"{cell.problem.name}, {cell.strategy}, seed {cell.seed}: {outcome} ({ended.seconds:.1f} s)"
        err.print(words, markup=False)
        progress(done, of)

    folder = into or environment.home(home) / "backtest"
    with show_progress("runs", quiet=as_json) as progress:
        result = run_backtest_study(
            folder,
            problems=problem or (),
            strategies=strategy or (),
            seeds=seeds,
            budget=budget,
            tolerance=tolerance,
            processes=processes,
            show=show_only,
            tell=tell,
        )
    page = str(folder / "index.html")
    plain = {key: value for key, value in result.items() if key != "runs"} | {"page": page}
    show(plain, as_json, *([] if as_json else backtest_tables(result)), "" if as_json else page)
