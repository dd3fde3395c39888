"""Commands about inverse models: what a campaign says of its own (models), and on data that exist (solve, compare)."""

from pathlib import Path
from typing import Annotated

import typer

from flows import environment
from flows.cli.data import DataFile
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger, start_prefect
from flows.terminal import plain_table, show, show_progress

Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        help="CHANNEL=READING, CHANNEL>=READING, CHANNEL<=READING or CHANNEL=LOW:HIGH, repeatable.",
        show_default=False,
    ),
]
Free = Annotated[
    list[str] | None,
    typer.Option("--free", help="A channel left free, to be foretold, repeatable; by default all others."),
]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="Name of an inverse model, repeatable; by default all.")
]
Background = Annotated[
    list[str] | None, typer.Option("--background", help="CHANNEL=READING with the light off, repeatable.")
]
Knobs = Annotated[
    list[str] | None,
    typer.Option("--knob", help="KNOB=LOW:HIGH, its range, repeatable; by default that of the rows."),
]
Anchors = Annotated[
    list[str] | None,
    typer.Option(
        "--anchor",
        help="A reading of today, KNOB=SETTING,...:CHANNEL=READING,... or a file of such rows, repeatable: "
        "each run of the rows is taken in its own light, and the answers are for that of today.",
    ),
]
Quantities = Annotated[
    list[str] | None,
    typer.Option("--quantity", help="NAME=FORMULA, computed from channels, as ratio=445nm/630nm, repeatable."),
]
Tolerance = Annotated[str, typer.Option(help="Allowed error: '1 %' or a number.")]
Draws = Annotated[int, typer.Option(help="Draws of each model.", min=10)]
Seed = Annotated[int, typer.Option(help="Seed of every random choice.", min=0)]
NOT_SOLVED = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("models")(show_models)
    app.command("solve")(solve_targets)
    app.command("compare")(compare_models)


def show_models(
    name: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Show a card of each model of a campaign: its data and domain, how right it was, its limits, seed and version."""
    from sdl.analysis.model_card import model_cards

    with open_ledger(home, ledger) as book:
        entry = book.entry(name)
        cards = model_cards(entry, book.history(entry.id))
    tables = [plain_table([card.model, ""], card.words().items()) for card in cards]
    nothing = ["no model was asked so far"][: not cards]
    show([card.plain() for card in cards], as_json, *tables, *nothing)


def solve_targets(
    data: DataFile,
    target: Targets,
    free: Free = None,
    model: Models = None,
    background: Background = None,
    knob: Knobs = None,
    anchor: Anchors = None,
    quantity: Quantities = None,
    tolerance: Tolerance = "1 %",
    answers: Annotated[str | None, typer.Option(help="Distinct answers of each model: 'all', or a number.")] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option("--prior", help="KNOB=SETTING±DEVIATION, known beforehand, repeatable; +- stands for ± too."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="KNOB=SETTING,... of a known pair: each model follows a path from it."),
    ] = None,
    regularise: Annotated[
        bool,
        typer.Option("--regularise", help="Also settings that keep to the prior, or to the middle of the rows."),
    ] = False,
    draws: Draws = 1000,
    seed: Seed = 0,
    page: Annotated[Path | None, typer.Option("--page", help="File for the answer as a page.")] = None,
    as_json: AsJson = False,
) -> int:
    """Find settings for readings from data that exist, without an instrument."""
    from flows.studies.solve import solve as solve_problem
    from flows.studies.solve import solve_tables, solved
    from flows.studies.solve_page import write_solve_page

    with show_progress("fitting", quiet=as_json) as tell:
        result = solve_problem(
            data,
            target,
            free=free or (),
            models=model or (),
            background=background or (),
            knobs=knob or (),
            anchors=anchor or (),
            quantities=quantity or (),
            tolerance=tolerance,
            draws=draws,
            answers=answers,
            prior=prior or (),
            start=start,
            regularise=regularise,
            seed=seed,
            progress=tell,
        )
    where = [] if page is None else [str(write_solve_page(result, page))]
    show(result, as_json, *([] if as_json else solve_tables(result)), result["advice"], *where)
    return 0 if any(map(solved, result["models"])) else NOT_SOLVED


def compare_models(
    data: DataFile,
    target: Targets,
    free: Free = None,
    model: Models = None,
    background: Background = None,
    knob: Knobs = None,
    anchor: Anchors = None,
    quantity: Quantities = None,
    tolerance: Tolerance = "1 %",
    test: Annotated[float, typer.Option(help="Share of the rows that the models are tested on.")] = 0.2,
    draws: Draws = 1000,
    seed: Seed = 0,
    runner: Annotated[
        str | None,
        typer.Option(help="Fit models in parallel on threads, dask or ray; by default one after another."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="File of the page; by default in the reports of the data directory."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Compare inverse models on the same rows, and write a page about them."""
    from flows.server import task_runners as runners
    from flows.studies.compare import study_models
    from flows.studies.compare_summary import comparison_tables
    from flows.studies.solve import solved

    if runner is not None and not runners.faults(runner):
        start_prefect(environment.home(home))
    with show_progress("fitting", quiet=as_json) as tell:
        study = study_models(
            data,
            target,
            models=model or (),
            free=free or (),
            background=background or (),
            knobs=knob or (),
            anchors=anchor or (),
            quantities=quantity or (),
            tolerance=tolerance,
            test=test,
            seed=seed,
            draws=draws,
            runner=runner,
            progress=tell,
        )
        where = study.write(page or environment.home(home) / "reports" / f"{data.stem}-compare.html")
    result = {**study.result, "page": str(where)}
    show(result, as_json, *([] if as_json else comparison_tables(result)), study.result["advice"], str(where))
    return 0 if any(map(solved, result["models"])) else NOT_SOLVED
