"""Commands for campaigns whose readings persons or scripts bring: propose, tell.

They need no server, and hold nothing between two commands.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger, parse_pairs
from flows.cli.people.controls import person_at_terminal
from flows.cli.run import conclude_campaign, read_campaign_file
from flows.terminal import err, plain_table, show
from sdl.campaign.definition import Campaign
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.formatting import count_words
from sdl.ledger.people.samples import Sample
from sdl.measurement.hand_bench import take_sheet
from sdl.measurement.sheets import (
    FAILED,
    KINDS,
    FilledSheet,
    describe_common,
    read_said,
    read_sheet,
    sheet_headings,
    write_sheet,
)
from sdl.space import Space

FAULTY = 2
"""Exit code where something that was told could not be taken; the rest was."""

CampaignName = Annotated[
    str, typer.Argument(help="The campaign file (TOML), or the name of the campaign.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("propose")(propose_samples)
    app.command("tell")(tell_readings)


def propose_samples(
    campaign: CampaignName,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", help="A new file, .csv or .xlsx, to fill the readings in.", show_default=False),
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> int:
    """Go on with a campaign measured by hand: say what to measure next, or its verdict once it has one."""
    from flows.engine.ask_and_tell import AskAndTell  # brings scipy, which takes a second

    written = _written(campaign)
    directory = environment.home(home)
    conversation = AskAndTell(
        written or campaign, directory, environment.ledger(ledger, directory), person_at_terminal()[0]
    )
    if sheet is not None and sheet.exists():
        raise InvalidInput(f"{sheet} exists and is left as it is: give another name, or move it away")
    if not as_json:
        err.print("deciding what comes next")
    samples = conversation.ask()
    entry = conversation.entry()
    if not samples:
        return conclude_campaign(conversation.outcome(), conversation.where, directory, False, as_json)
    data = {"campaign": entry.name, "state": entry.state, "samples": _plain(samples, entry.space)}
    common = describe_common(entry.space, samples)
    lines: list[Table | str] = [*([common] if common else []), _table(samples, entry.space)]
    if sheet is not None:
        write_sheet(sheet, entry.space, samples)
        data["sheet"] = str(sheet)
        lines.append(
            f"{count_words(len(samples), 'sample')} in {sheet}; when they are filled in: sdl tell {entry.name} {sheet}"
        )
    else:
        channels = " ".join(f"{name}=..." for name in entry.space.measured.channel_names)
        lines.append(f"when they are read: sdl tell {entry.name} {samples[0].name} {channels}")
    show(data, as_json, *lines)
    return 0


def tell_readings(
    campaign: CampaignName,
    words: Annotated[
        list[str],
        typer.Argument(
            help="A sheet (.csv, .xlsx, .json; '-' for JSON from standard input), or a sample and what it read, "
            "such as r0-2-0 450nm=12,5 or r0-2-0 failed.",
            show_default=False,
        ),
    ],
    correct: Annotated[
        bool, typer.Option("--correct", help="Replace readings that are known; the first stay on record.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="About the sample, for the record.", show_default=False)] = "",
    by: Annotated[str | None, typer.Option("--by", help="Who read it; by default who is logged in.")] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> int:
    """Keep what was read of samples that a campaign asked for: in any order, in part, twice if need be."""
    written = _written(campaign)
    with open_ledger(home, ledger) as book:
        entry = book.entry(written.slug if written else campaign)
        filled = _read(words, note, entry.space)
        taken = take_sheet(book, entry, filled, by or person_at_terminal()[0], correct=correct)
    wanted = [sample.name for sample in taken.wanted]
    data = {"campaign": entry.name, "kept": taken.kept, "faults": taken.faults, "notes": taken.notes, "wanted": wanted}
    next_ = f"still wanted: {', '.join(wanted)}" if wanted else f"next: sdl propose {entry.name}"
    show(data, as_json, f"{count_words(len(taken.kept), 'sample')} kept; {next_}", *taken.notes)
    if taken.faults and not as_json:
        show(None, False, "not taken:", *taken.faults)
    return FAULTY if taken.faults else 0


def _written(campaign: str) -> Campaign | None:
    """The campaign of a file, all its parts checked; None for a name."""
    if not campaign.endswith(".toml"):
        return None
    config, instrument = prepare(read_campaign_file(Path(campaign)))
    instrument.close()
    return config


def _read(words: list[str], note: str, space: Space) -> FilledSheet:
    first, *rest = words
    if note and (first == "-" or Path(first).suffix.lower() in KINDS):
        raise InvalidInput("--note is about one sample: a sheet has a column 'note', and JSON a key of that name")
    if first == "-":
        return read_said(_entries(sys.stdin.read()))
    if Path(first).suffix.lower() in KINDS:
        if rest:
            raise InvalidInput(f"give one sheet, or a sample and its readings; {' '.join(rest)!r} is neither")
        return read_sheet(Path(first), space)
    failed = FAILED in rest
    pairs = [word for word in rest if word != FAILED]
    parse_pairs(pairs, "a reading")
    readings = {key.strip(): value for key, _, value in (word.partition("=") for word in pairs)}
    return read_said([{"sample": first, "readings": readings, "failed": failed, "note": note}])


def _entries(text: str) -> list[Any]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"standard input is not JSON: {error}") from error
    return entries if isinstance(entries, list) else [entries]


def _table(samples: list[Sample], space: Space) -> Table:
    known = [name for name in space.channel_names if any(name in sample.readings for sample in samples)]
    heads = sheet_headings(space)
    rows = [
        [sample.name, sample.request.purpose.value]
        + [*space.written_settings(sample.request.settings).values()]
        + [sample.readings.get(name) for name in known]
        for sample in samples
    ]
    return plain_table(["sample", "purpose", *(escape(heads[name]) for name in (*space.knob_names, *known))], rows)


def _plain(samples: list[Sample], space: Space) -> list[dict[str, Any]]:
    return [
        {
            "sample": sample.name,
            "purpose": sample.request.purpose,
            "settings": space.shown_settings(sample.request.settings),
            "readings": sample.readings,
        }
        for sample in samples
    ]
