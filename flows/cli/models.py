"""Commands about inverse models: those of a campaign (models), and on data that exist (solve, compare, share)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows import environment
from flows.cli.data import DataFile
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger, start_prefect
from flows.terminal import plain_table, show, show_progress
from sdl.errors import InvalidInput

if TYPE_CHECKING:
    from sdl.interchange.export_import import Data

Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="CHANNEL=READING, CHANNEL>=READING, CHANNEL<=READING or CHANNEL=LOW:HIGH, repeatable.",
        show_default=False,
    ),
]
CampaignFile = Annotated[
    Path | None,
    typer.Option(
        "--campaign",
        help="A campaign file: its knobs with their kinds, constraints, quantities and colour hold, and its target "
        "where none is given.",
        show_default=False,
    ),
]
Free = Annotated[
    list[str] | None,
    typer.Option("--free", help="A channel left free, to be foretold, repeatable; by default all others."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", help="Name of an inverse model, with options as ipage:latent=sobol, repeatable; by default all."
    ),
]
Background = Annotated[
    list[str] | None, typer.Option("--background", help="CHANNEL=READING with the light off, repeatable.")
]
Knobs = Annotated[
    list[str] | None,
    typer.Option(
        "--knob",
        help="KNOB=LOW:HIGH, its range, repeatable; by default that of the rows. Of a category KNOB=NAME, whose rows "
        "alone count then.",
    ),
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
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--given",
        help="CONDITION=VALUE that will hold where the settings are used, as temperature=25, repeatable; by default "
        "the middle of what the rows had.",
    ),
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
    app.command("share")(share_model)


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
    target: Targets = None,
    campaign: CampaignFile = None,
    free: Free = None,
    model: Models = None,
    background: Background = None,
    knob: Knobs = None,
    anchor: Anchors = None,
    quantity: Quantities = None,
    given: Given = None,
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
    """Find settings for readings from data that exist, or by a model that 'sdl share' wrote, without an instrument."""
    if data.suffix.lower() == ".json":
        rows = {
            "model": model,
            "background": background,
            "knob": knob,
            "anchor": anchor,
            "quantity": quantity,
            "campaign": campaign,
            "answers": answers,
            "prior": prior,
            "from": start,
            "regularise": regularise,
        }
        return _solve_by_shared(data, target or (), free, tolerance, draws, seed, rows, as_json)
    from flows.studies.solve import solve as solve_problem
    from flows.studies.solve import solve_tables, solved
    from flows.studies.solve_page import write_solve_page
    from flows.studies.words.campaign_words import read_campaign_words

    said = read_campaign_words(campaign, target, quantity)
    with show_progress("fitting", quiet=as_json) as tell:
        result = solve_problem(
            data,
            said.targets,
            space=said.space,
            free=free or (),
            models=model or (),
            background=background or (),
            knobs=knob or (),
            anchors=anchor or (),
            quantities=said.quantities,
            given=given or (),
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


def _solve_by_shared(
    file: Path,
    target: Sequence[str],
    free: Sequence[str] | None,
    tolerance: str,
    draws: int,
    seed: int,
    needs_rows: Mapping[str, Any],
    as_json: bool,
) -> int:
    from flows.studies.sharing.solve_shared import shared_tables, solve_shared

    words: Any = {"free": free or (), "tolerance": tolerance, "draws": draws, "seed": seed, "needs_rows": needs_rows}
    result = solve_shared(file, target, **words)
    show(result, as_json, *shared_tables(result), result["advice"])
    candidates = result["candidates"]
    return 0 if candidates and not candidates[0]["misses"] else NOT_SOLVED


def share_model(
    model: Annotated[str, typer.Argument(help="The model: linear.", show_default=False)],
    rows: Annotated[str, typer.Argument(help="A file of rows, or the name of a campaign.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="File to write: .json.", show_default=False)],
    channel: Annotated[
        list[str],
        typer.Option(
            "--channel",
            help="CHANNEL, or CHANNEL=LOW:HIGH with the range that it can have, repeatable; the fewer, the better.",
            show_default=False,
        ),
    ],
    knob: Annotated[
        list[str] | None,
        typer.Option("--knob", help="KNOB=LOW:HIGH, the range that it can have, repeatable."),
    ] = None,
    degree: Annotated[int, typer.Option(help="2 for a curved response, with squares and products.", min=1, max=2)] = 1,
    epsilon: Annotated[
        float, typer.Option(help="How much one measurement may change: the less, the more private.")
    ] = 1.0,
    delta: Annotated[float, typer.Option(help="Chance beside it, far below one in the number of rows.")] = 1e-5,
    seed: Annotated[int, typer.Option(help="Seed of the figures; the noise has none.", min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a differentially private model for others to solve with; say what privacy costs."""
    from flows.studies.sharing import share

    data, stated = _rows_to_share(rows, knob or (), home, ledger)
    words: Any = {"knobs": knob or (), "stated": stated, "degree": degree, "epsilon": epsilon, "delta": delta}
    result = share.share_model(model, data, channel, file, seed=seed, force=force, **words)
    show(result, as_json, *share.sharing_words(result))


def _rows_to_share(rows: str, knobs: Sequence[str], home: Path | None, ledger: str | None) -> "tuple[Data, bool]":
    """The rows of a file or campaign, and whether the ranges of their knobs are the instrument's and not theirs."""
    from flows.studies.words.target_words import read_ranges
    from sdl.interchange.export_import import export_campaign, read_data

    ranges = read_ranges(knobs)
    if Path(rows).exists():
        data, measured = read_data(rows, None, ranges), False
    else:
        with open_ledger(home, ledger) as book, TemporaryDirectory() as folder:
            entry = book.entry(rows)
            data = read_data(export_campaign(book, rows, Path(folder) / "rows.jsonl"), entry.space, ranges)
            measured = "imported" not in entry.config
    # Of the spaces that are made for a file only that of Claude-Light knows where its channels end.
    return data, measured or all(channel.ceiling is not None for channel in data.space.channels)


def compare_models(
    data: DataFile,
    target: Targets = None,
    campaign: CampaignFile = None,
    free: Free = None,
    model: Models = None,
    background: Background = None,
    knob: Knobs = None,
    anchor: Anchors = None,
    quantity: Quantities = None,
    given: Given = None,
    tolerance: Tolerance = "1 %",
    test: Annotated[float, typer.Option(help="Share of the rows that the models are tested on.")] = 0.2,
    rows: Annotated[
        str | None,
        typer.Option(help="Numbers of rows, as 5,10,20,50,100, for a learning curve of each model."),
    ] = None,
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
    from flows.studies.words.campaign_words import read_campaign_words

    said = read_campaign_words(campaign, target, quantity)
    sizes = _sizes(rows)
    if runner is not None and not runners.faults(runner):
        start_prefect(environment.home(home))
    with show_progress("fitting", quiet=as_json) as tell:
        study = study_models(
            data,
            said.targets,
            space=said.space,
            models=model or (),
            free=free or (),
            background=background or (),
            knobs=knob or (),
            anchors=anchor or (),
            quantities=said.quantities,
            given=given or (),
            tolerance=tolerance,
            test=test,
            rows=sizes,
            seed=seed,
            draws=draws,
            runner=runner,
            progress=tell,
        )
        where = study.write(page or environment.home(home) / "reports" / f"{data.stem}-compare.html")
    result = {**study.result, "page": str(where)}
    show(result, as_json, *([] if as_json else comparison_tables(result)), study.result["advice"], str(where))
    return 0 if any(map(solved, result["models"])) else NOT_SOLVED


def _sizes(text: str | None) -> list[int]:
    """Numbers of rows in words.

    Raises:
        InvalidInput: for what is no list of whole numbers.
    """
    try:
        return [int(part) for part in (text or "").split(",") if part.strip()]
    except ValueError:
        raise InvalidInput(f"--rows needs whole numbers with commas between, as 5,10,20,50,100, got {text!r}") from None
