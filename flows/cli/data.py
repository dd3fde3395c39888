"""Commands about data and this installation: import, export, bundle, reproduce, plugins."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.terminal import plain_table, show
from sdl import plugins as registry
from sdl.errors import InvalidInput

DataFile = Annotated[Path, typer.Argument(help="File of JSON lines, CSV or Parquet.", show_default=False)]

DIFFERS = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("import")(import_file)
    app.command("export")(export_campaign)
    app.command("bundle")(bundle_campaign)
    app.command("reproduce")(reproduce_campaign)
    app.command("plugins")(list_plugins)


def import_file(
    file: DataFile,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the new campaign; by default that of the file.")
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option("--knob", help="KNOB=LOW:HIGH, its range, repeatable; by default that of the rows."),
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Enter the observations of a file as a finished campaign."""
    from flows.studies.target_words import read_ranges
    from sdl.interchange.export_import import import_campaign as take_in

    with open_ledger(home, ledger, new=True) as book:
        entry = take_in(book, file, name or file.stem, ranges=read_ranges(knob or ()))
        rows = len(book.trail(entry.id))
    beside, notes = entry.config["imported"]["epoch"], entry.config["imported"].get("notes", [])
    result = {"campaign": entry.name, "rows": rows, "epoch": beside} | ({"notes": notes} if notes else {})
    show(result, as_json, f"{rows} rows of {file} are campaign {entry.name} now", *notes, *beside)


def export_campaign(
    name: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    file: Annotated[
        Path, typer.Argument(help="File to write, ending in .jsonl, .csv or .parquet.", show_default=False)
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write every attempt of a campaign to a file."""
    from sdl.interchange.export_import import export_campaign as write_out

    with open_ledger(home, ledger) as book:
        path = write_out(book, name, file, force=force)
    show({"file": str(path)}, as_json, str(path))


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


def list_plugins(
    check: Annotated[
        list[str] | None, typer.Option("--check", help="Check an inverse model against its contract instead.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List instruments, designs, models, acquisitions and peers that are installed."""
    if check:
        return _checked(check, as_json)
    installed = {group: list(registry.names(group)) for group in registry.GROUPS}
    rows = [
        (group.removeprefix("sdl."), name, _first_line(group, name))
        for group, names in installed.items()
        for name in names
    ]
    show(installed, as_json, plain_table(["kind", "name", "what it is"], rows))
    return 0


def _checked(names: list[str], as_json: bool) -> int:
    """Print which of the inverse models keep their contract, and what the others break."""
    from strategies.models.conformance import failures

    failed = {}
    for name in names:
        registry.build("sdl.inverse_models", name)  # a name that is unknown is refused here, with the nearest one
        failed[name] = failures(lambda name=name: registry.build("sdl.inverse_models", name))  # type: ignore[misc]
    sentences = [f"{name} keeps the contract" for name, faults in failed.items() if not faults]
    sentences += [f"{name}: {why} ({check})" for name, faults in failed.items() for check, why in faults.items()]
    show(failed, as_json, *sentences)
    return 3 if any(failed.values()) else 0


def _first_line(group: Any, name: str) -> str:
    try:
        return str(registry.load(group, name).__doc__ or "").strip().split("\n")[0]
    except InvalidInput as error:
        return str(error)
