"""Commands about evidence: bundle, reproduce."""

from pathlib import Path
from typing import Annotated

import typer

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.terminal import plain_table, show

DIFFERS = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("bundle")(bundle_campaign)
    app.command("reproduce")(reproduce_campaign)


def bundle_campaign(
    name: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    file: Annotated[
        Path | None, typer.Argument(help="File to write; by default bundles/NAME.zip in the data directory.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write all evidence of a campaign into one file, for 'sdl reproduce' to check anywhere."""
    from sdl.interchange.bundle_writer import write_bundle

    with open_ledger(home, ledger) as book:
        entry = book.entry(name)
        kept = file or environment.folder(environment.home(home) / "bundles") / f"{entry.name}.zip"
        path = write_bundle(book, name, kept, force=force or file is None)
    show({"bundle": str(path)}, as_json, str(path))


def reproduce_campaign(
    file: Annotated[Path, typer.Argument(help="A bundle that 'sdl bundle' wrote.", show_default=False)],
    as_json: AsJson = False,
) -> int:
    """Check a bundle: recompute its proposals, fits and verdicts, and compare them with the record."""
    from flows.studies.reproduce import reproduce_bundle, summarise_reproduction

    result = reproduce_bundle(file)
    rounds = [
        (each["round"], each["kind"], each["target"], each["replies"], _word(each["agrees"]), each["largest deviation"])
        for each in result["rounds"]
    ]
    shown = plain_table(("round", "kind", "target", "replies", "", "largest deviation"), rounds)
    show(result, as_json, shown, *summarise_reproduction(result))
    return 0 if result["agrees"] else DIFFERS


def _word(agrees: bool) -> str:
    return "agrees" if agrees else "differs"
