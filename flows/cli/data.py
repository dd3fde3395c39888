"""Commands about data and this installation: import, export, bundle, reproduce, upgrade, backup, restore, plugins."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.terminal import plain_table, show, show_progress
from sdl import plugins as registry
from sdl.errors import InvalidInput
from sdl.formatting import count_words, found_twice
from sdl.history import Entry
from sdl.ledger.database import SCHEMA_VERSION, open_database
from sdl.space import NeedsUnits

DataFile = Annotated[Path, typer.Argument(help="File of CSV, XLSX, JSON lines, Parquet or SQLite.", show_default=False)]

DIFFERS = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("import")(import_file)
    app.command("export")(export_campaign)
    app.command("bundle")(bundle_campaign)
    app.command("reproduce")(reproduce_campaign)
    app.command("upgrade")(upgrade_ledger)
    app.command("backup")(back_up)
    app.command("restore")(restore)
    app.command("plugins")(list_plugins)


def import_file(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files of CSV, XLSX, JSON lines or Parquet, or databases of SQLite.", show_default=False),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the new campaign; by default that of the file.")
    ] = None,
    knob: Annotated[
        list[str] | None,
        typer.Option("--knob", help="KNOB=LOW:HIGH, its range, repeatable; by default that of the rows."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="THERE=HERE, what a column is called here, as I_445=445nm, repeatable."),
    ] = None,
    database_table: Annotated[
        str,
        typer.Option(
            "--table",
            help="Of a database the table with the readings, of a workbook the page; by default the only one.",
        ),
    ] = "",
    source: Annotated[str, typer.Option("--source", help="Whose rows they are, for the record.")] = "",
    licence: Annotated[
        str, typer.Option("--license", help="What others may do with them, such as CC-BY-4.0, for the record.")
    ] = "",
    leave_out: Annotated[
        bool,
        typer.Option("--leave-out", help="Leave out rows with a fault and name them; else the file is refused."),
    ] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Enter the observations of files as finished campaigns; where that broke off, give it again."""
    from flows.studies.words.target_words import read_ranges
    from sdl.interchange.export_import import Provenance, import_campaign, import_campaigns
    from sdl.interchange.formats.jsonl import FileWords

    if name is not None and len(files) > 1:
        raise InvalidInput("--name is that of one campaign: of several files each is called as its file is")
    ranges, words = read_ranges(knob or ()), FileWords(_columns(column or ()), database_table)
    provenance = Provenance(source, licence)
    with open_ledger(home, ledger, new=True) as book:
        with show_progress("rows", quiet=as_json) as tell:
            rest: Any = {"leave_out": leave_out, "tell": tell}
            if len(files) == 1:
                path = files[0]
                entries = [import_campaign(book, path, name or path.stem, None, ranges, words, provenance, **rest)]
            else:
                entries = import_campaigns(book, files, ranges, words, provenance, **rest)
        results = [_imported(entry, len(book.trail(entry.id))) for entry in entries]
    said = [
        line
        for file, result in zip(files, results, strict=True)
        for line in (
            f"{count_words(result['rows'], 'row')} of {file} {'is' if result['rows'] == 1 else 'are'} campaign "
            f"{result['campaign']} now",
            *result.get("notes", []),
            *result["epoch"],
        )
    ]
    show(results[0] if len(files) == 1 else results, as_json, *said)


def _imported(entry: Entry, rows: int) -> dict[str, Any]:
    """What came of a file."""
    known = entry.config["imported"]
    also = {key: known[key] for key in ("source", "licence", "sources", "notes") if key in known}
    return {"campaign": entry.name, "rows": rows, "epoch": known["epoch"], **also}


def _columns(texts: Sequence[str]) -> dict[str, str]:
    """What columns are called here, by their names there."""
    pairs = [text.partition("=") for text in texts]
    if wrong := [text for text, (there, _, here) in zip(texts, pairs, strict=True) if not there or not here]:
        raise InvalidInput([f"--column needs THERE=HERE, as in I_445=445nm, got {text!r}" for text in wrong])
    if twice := found_twice([there for there, _, _ in pairs]):
        raise InvalidInput([f"--column {there} is given twice" for there in twice])
    return {there: here for there, _, here in pairs}


def export_campaign(
    name: Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)],
    file: Annotated[
        Path,
        typer.Argument(help="File to write: .jsonl, .csv, .parquet or .nxs (NeXus).", show_default=False),
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
        Path | None, typer.Argument(help="File to write; by default bundles/NAME.zip, or .eln, in the data directory.")
    ] = None,
    crate: Annotated[
        bool,
        typer.Option("--crate", help="As an RO-Crate, which electronic notebooks read as .eln; so is any FILE.eln."),
    ] = False,
    licence: Annotated[
        str, typer.Option("--license", help="For --crate: what others may do with it, such as CC-BY-4.0, or a URL.")
    ] = "",
    author: Annotated[
        list[str] | None,
        typer.Option("--author", help="For --crate: the name of a person whose work it is, repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write all evidence of a campaign into one file, for 'sdl reproduce' to check anywhere."""
    from sdl.interchange.bundle_writer import write_bundle
    from sdl.interchange.crate import Rights

    crate = crate or (file is not None and file.suffix == ".eln")
    if (licence or author) and not crate:
        raise InvalidInput("--license and --author are said in the metadata of an RO-Crate: give --crate as well")
    rights = Rights(licence, author or ()) if crate else None
    with open_ledger(home, ledger) as book:
        entry = book.entry(name)
        place = environment.folder(environment.home(home) / "bundles")
        kept = file or place / f"{entry.name}{'.eln' if crate else '.zip'}"
        path = write_bundle(book, name, kept, force=force or file is None, crate=rights)
    show({"bundle": str(path)}, as_json, str(path))


def reproduce_campaign(
    file: Annotated[Path, typer.Argument(help="A bundle that 'sdl bundle' wrote.", show_default=False)],
    as_json: AsJson = False,
) -> int:
    """Check a bundle: recompute its proposals, fits and verdicts, and compare them with the record."""
    from flows.studies.reproduce import reproduce_bundle, summarise_reproduction

    with show_progress("rounds", quiet=as_json) as tell:
        result = reproduce_bundle(file, tell)
    rounds = [
        (each["round"], each["kind"], each["target"], each["replies"], _word(each["agrees"]), each["largest deviation"])
        for each in result["rounds"]
    ]
    shown = plain_table(("round", "kind", "target", "replies", "", "largest deviation"), rounds)
    show(result, as_json, shown, *summarise_reproduction(result))
    return 0 if result["agrees"] else DIFFERS


def _word(agrees: bool) -> str:
    return "agrees" if agrees else "differs"


def upgrade_ledger(
    copied: Annotated[bool, typer.Option("--copied", help="The database of a server was copied.")] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Bring a ledger of an earlier version up to date; a file is copied first, a server's database by you."""
    where = environment.ledger(ledger, environment.home(home))
    if "://" not in where and not Path(where).exists():
        raise InvalidInput(f"there is no ledger {where}: see whether --ledger, or SDL_LEDGER, is spelt right")
    if "://" in where and not copied:
        raise InvalidInput("copy the database first (pg_dump), then 'sdl upgrade --copied'; nothing was changed")
    open_database(where, upgrade=True).dispose()
    show({"schema": SCHEMA_VERSION}, as_json, f"the ledger has schema {SCHEMA_VERSION} now")


def back_up(
    folder: Annotated[
        Path | None, typer.Argument(help="New folder; by default one in backups of the data directory.")
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Write the ledger and Prefect's database to a folder, while campaigns run."""
    from flows.laboratory.backup import make_backup

    directory = environment.home(home)
    open_ledger(home, ledger).close()  # a place that is misspelt is told, not made
    path = make_backup(directory, environment.ledger(ledger, directory), folder)
    show({"backup": str(path)}, as_json, f"{path}; 'sdl restore' puts it back")


def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that 'sdl backup' wrote.", show_default=False)],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the backup lacks too; it is kept as a backup.")
    ] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup back; what it replaces is kept as a backup."""
    from flows.laboratory.backup import restore_backup

    directory = environment.home(home)
    done = restore_backup(folder, directory, environment.ledger(ledger, directory), force=force)
    before = [f"what was there is in {done.before}"] if done.before else []
    found = {"campaigns": done.campaigns, "prefect": done.prefect, "before": done.before and str(done.before)}
    also = " and Prefect's database" if done.prefect else ""
    campaigns = "1 campaign" if done.campaigns == 1 else f"{done.campaigns} campaigns"
    show(found, as_json, f"the ledger with {campaigns}{also} is as it was in {folder}", *before)


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
        if isinstance(registry.build("sdl.inverse_models", name), NeedsUnits):  # an unknown name is refused here
            raise InvalidInput(
                f"{name!r} is a law, and the checks have an instrument of their own that it says nothing of: hold it "
                f"against rows of yours by 'sdl compare FILE --model {name}'"
            )
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
