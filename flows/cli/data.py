"""Commands about data and this installation: import, export, plugins."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.terminal import plain_table, show
from sdl import plugins as registry
from sdl.errors import InvalidInput

DataFile = Annotated[Path, typer.Argument(help="JSON lines, CSV or Parquet.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("import")(import_)
    app.command()(export)
    app.command()(plugins)


def import_(
    file: DataFile,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the new campaign; the file's name unless told.")
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Enter the observations of a file as a finished campaign."""
    from sdl.interchange.export_import import import_campaign as take_in

    with open_ledger(home, ledger) as book:
        entry = take_in(book, file, name or file.stem)
        rows = len(book.trail(entry.id))
    beside = entry.config["imported"]["epoch"]
    told = {"campaign": entry.name, "rows": rows, "epoch": beside}
    show(told, as_json, f"{rows} rows of {file} are campaign {entry.name} now", *beside)


def export(
    name: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="Ends in .jsonl, .csv or .parquet.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write every attempt of a campaign to a file."""
    from sdl.interchange.export_import import export_campaign as write_out

    with open_ledger(home, ledger) as book:
        path = write_out(book, name, file, force=force)
    show({"file": str(path)}, as_json, str(path))


def plugins(
    check: Annotated[
        list[str] | None, typer.Option("--check", help="Hold an inverse model against its contract instead.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List what is installed: instruments, designs, inverse models, acquisitions, and peers of the back-test."""
    if check:
        return _checked(check, as_json)
    found = {group: list(registry.names(group)) for group in registry.GROUPS}
    rows = [(group.removeprefix("sdl."), name, _first_line(group, name)) for group, ns in found.items() for name in ns]
    show(found, as_json, plain_table(["kind", "name", "what it is"], rows))
    return 0


def _checked(names: list[str], as_json: bool) -> int:
    """Say what each of the inverse models does against the contract."""
    from strategies.models.conformance import failures

    found = {}
    for name in names:
        registry.build("sdl.inverse_models", name)  # a name that is unknown is refused here, with the nearest one
        found[name] = failures(lambda name=name: registry.build("sdl.inverse_models", name))  # type: ignore[misc]
    said = [f"{name} keeps the contract" for name, faults in found.items() if not faults]
    said += [f"{name}: {why} ({check})" for name, faults in found.items() for check, why in faults.items()]
    show(found, as_json, *said)
    return 3 if any(found.values()) else 0


def _first_line(group: Any, name: str) -> str:
    try:
        return str(registry.load(group, name).__doc__ or "").strip().split("\n")[0]
    except InvalidInput as error:
        return str(error)
