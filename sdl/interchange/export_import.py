"""Observations out of a ledger and into one, as files: ``.jsonl`` (the paper's format), ``.csv`` or ``.parquet``.

A campaign goes out as NeXus too (``.nxs``), and rows come in from workbooks and databases of SQLite too.

A file that was exported holds every attempt, whatever became of it, so that export, import and export again give the
same bytes. Files from elsewhere need settings and readings alone.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.campaign.definition import slugify
from sdl.errors import InvalidInput
from sdl.formatting import count_words
from sdl.history import Entry, NoticeKind, State
from sdl.interchange.epoch_check import compare_epochs
from sdl.interchange.file_contents import NOTHING_SAID, FileContents, UnpartneredReadings, read_contents
from sdl.interchange.formats import nexus
from sdl.interchange.formats.csv_parquet import write_csv, write_parquet
from sdl.interchange.formats.jsonl import WRITTEN, FileWords, write_lines
from sdl.interchange.inferred_space import Ranges
from sdl.interchange.record_rows import record_of_row
from sdl.ledger.imported_rows import ImportedRows, Tell
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.space import Readings, Settings, Space
from sdl.system.atomic_files import write_atomically

FORMATS = {".jsonl": write_lines, ".csv": write_csv, ".parquet": write_parquet}
"""Writers by the suffix of the file; what they write is read again."""


@dataclass(frozen=True, eq=False)
class Data:
    """Readings that count, in the order of the file."""

    space: Space
    settings: Settings
    """What was asked, ``(n, d)``."""
    readings: Readings
    """Shape ``(n, p)``; NaN where missing or censored."""
    censored: NDArray[np.bool_]
    """Channels at their ceiling, ``(n, p)``."""
    times: NDArray[np.float64]
    """Seconds since 1970, ``(n,)``; NaN where unknown."""
    conditions: NDArray[np.float64] | None = None
    """Shape ``(n, k)``, in the order of the space; NaN where unknown, and None where it has none."""
    off: Settings | None = None
    """The settings of a reference reading, ``(d,)``; None for an instrument that states none: it has no background."""
    lines: NDArray[np.int_] = field(default_factory=lambda: np.empty(0, int))
    """Where each stands in the file, ``(n,)``, counted from 1: its line, or the row of a Parquet table."""
    sources: Sequence[str] = ()
    """Where each comes from, in words of the file, ``(n,)``; empty where it does not say."""
    notes: Sequence[str] = ()
    """Which rows of the file are not here, and why, in sentences."""
    unpartnered: UnpartneredReadings | None = None
    """What was read besides, with what settings is not known."""

    def at(self, places: NDArray[np.bool_], note: str) -> "Data":
        """The same with some of the rows alone, and why that is so."""
        lines = self.lines if self.lines.size else np.arange(1, 1 + len(self.times))
        return replace(
            self,
            settings=self.settings[places],
            readings=self.readings[places],
            censored=self.censored[places],
            times=self.times[places],
            conditions=None if self.conditions is None else self.conditions[places],
            lines=lines[places],
            sources=[source for source, kept in zip(self.sources, places, strict=bool(self.sources)) if kept],
            notes=[*self.notes, note],
        )

    def without_knob(self, name: str) -> "Data":
        """The same without one of the knobs: whoever asks for it sees to it that it has one setting in all rows."""
        columns = [column for column, knob in enumerate(self.space.knobs) if knob.name != name]
        space = self.space.with_knobs(self.space.knobs[column] for column in columns)
        off = None if self.off is None else self.off[columns]
        return replace(self, space=space, settings=self.settings[:, columns], off=off)

    def with_quantities(self, formulas: Mapping[str, str]) -> "Data":
        """The same with quantities that are computed from its channels, by name; nothing is dark then, nor subtracted.

        Raises:
            InvalidInput: for each that has the name of a knob or channel, or that cannot be computed.
        """
        if not formulas:
            return self
        space = self.space.with_formulas({name: (formula, "") for name, formula in formulas.items()})
        p = self.space.p
        readings, alone = _computed(space, self.readings), self.unpartnered
        if alone is not None:
            alone = replace(alone, readings=_computed(space, alone.readings))
        notes = [*self.notes]
        if self.off is not None:
            readings[self.space.at_off(self.settings), p:] = np.nan
            notes.append(f"{', '.join(formulas)} is computed from readings as they are: no background is subtracted")
        censored = np.hstack((self.censored, np.zeros((len(readings), len(formulas)), bool)))
        return replace(
            self, space=space, readings=readings, censored=censored, off=None, notes=notes, unpartnered=alone
        )


def _computed(space: Space, readings: Readings) -> Readings:
    """Readings ``(n, measured)`` with the channels of a space that are computed behind them, ``(n, p)``."""
    blank = np.full((len(readings), space.p - readings.shape[1]), np.nan)
    return np.array([space.computed(row) for row in np.hstack((readings, blank))]).reshape(-1, space.p)


def export_campaign(ledger: Ledger, campaign: str, path: str | Path, *, force: bool = False) -> Path:
    """Write every attempt of a campaign to a file and return where it lies.

    In JSON lines each object has ``in`` (the settings applied, or asked where no answer came, in the order of the
    knobs), ``out`` (the raw value of each channel; null where no answer came), ``time`` (seconds since 1970), and what
    else the ledger knows of the attempt.

    Args:
        ledger: That holds the campaign.
        campaign: Its name.
        path: With a suffix of ``FORMATS``, or ``.nxs`` for NeXus.
        force: Whether a file of that name may be replaced.

    Raises:
        InvalidInput: if there is no such campaign, or not all of it, no such format, or the file cannot be written.
    """
    path, entry = Path(path), ledger.whole_entry(campaign)
    if path.suffix.lower() in nexus.SUFFIXES:
        content = nexus.nexus_file(entry, ledger.trail(entry.id), ledger.account(entry.id)["findings"])
        with write_atomically(path, force=force) as file:
            file.write(content)
        return path
    if (write := FORMATS.get(path.suffix.lower())) is None:
        known = f"{WRITTEN}, or {nexus.SUFFIXES[0]} for NeXus"
        raise InvalidInput(f"{path}: no format for the suffix {path.suffix!r}; {known}")
    records = [record_of_row(entry.space, row) for row in ledger.trail(entry.id)]
    try:
        with write_atomically(path, force=force) as file:
            write(file, records, entry.space.knob_names, entry.space.channel_names)
    except UnicodeEncodeError as error:  # the instrument made a name of half a character
        raise InvalidInput(f"{path}: {error.object!r} cannot be written in this format; give .jsonl") from error
    return path


@dataclass(frozen=True)
class Provenance:
    """Where rows come from, as a person says it."""

    source: str = ""
    """Whose they are: a name, an address."""
    licence: str = ""
    """What others may do with them, such as ``CC-BY-4.0``."""
    instrument: str = "imported"
    """What they were measured with, in words."""


NOWHERE = Provenance()


def import_campaign(
    ledger: Ledger,
    path: str | Path,
    name: str,
    space: Space | None = None,
    ranges: Ranges | None = None,
    words: FileWords = NOTHING_SAID,
    provenance: Provenance = NOWHERE,
    *,
    leave_out: bool = False,
    tell: Tell = lambda *_: None,
) -> Entry:
    """Enter the observations of a file as a finished campaign; after an interruption the same call enters the rest.

    Args:
        ledger: Where to.
        path: A file that ``export_campaign`` wrote, or one from elsewhere: JSON lines with ``in``, ``out`` and perhaps
            ``time``, a table with columns of these, or a database with either.
        name: Of the new campaign.
        space: Knobs and channels; Claude-Light's if the names are, else taken from the file.
        ranges: Least and greatest setting of knobs; by default those of the space, else those of the rows.
        words: What is said of the file.
        provenance: Where its rows come from.
        leave_out: Whether rows with a fault are left out, counted and named.
        tell: Called with how many rows are entered, and how many there are.

    Raises:
        InvalidInput: with the place of the first ten faults of the file, or if no reading of somebody else's counts;
            nothing is entered then.
        Interrupted, LedgerError: with how many rows are entered.
    """
    contents = _contents_to_enter(Path(path), space, ranges, words, leave_out=leave_out)
    return _enter(ledger, Path(path), _slug(name), name, contents, provenance, tell)


def import_campaigns(
    ledger: Ledger,
    paths: Sequence[Path],
    ranges: Ranges | None = None,
    words: FileWords = NOTHING_SAID,
    provenance: Provenance = NOWHERE,
    *,
    leave_out: bool = False,
    tell: Tell = lambda *_: None,
) -> list[Entry]:
    """Enter the observations of several files, each as a campaign of its name; all are read before one is entered.

    A file that was entered under its name already is passed over, so the same call goes on after an interruption.

    Raises:
        InvalidInput: with the faults of all files, and if two have one name; nothing is entered then.
        Interrupted, LedgerError: as ``import_campaign``.
    """
    faults, prepared = list[str](), dict[str, tuple[Path, FileContents]]()
    present = {entry.name: entry for entry in ledger.entries()}
    for path in paths:
        try:
            slug = _slug(path.stem)
            if slug in prepared:
                faults.append(f"{prepared[slug][0]} and {path} would both be {slug!r}: give one of them with --name")
            elif slug in present and not _is_of(present[slug], path):
                faults.append(f"there is a campaign {slug!r} in this ledger already: give {path} with --name")
            prepared[slug] = path, _contents_to_enter(path, None, ranges, words, leave_out=leave_out)
        except InvalidInput as error:
            faults += error.faults
    if faults:
        raise InvalidInput(faults)
    return [
        present[slug]
        if slug in present and present[slug].state is State.FINISHED
        else _enter(ledger, path, slug, path.stem, contents, provenance, tell)
        for slug, (path, contents) in prepared.items()
    ]


def _there_already(ledger: Ledger, name: str, contents: FileContents) -> list[str]:
    """Which campaigns have rows of a file from elsewhere already, in sentences: people share copies of copies.

    Rows without a time are left aside, since readings may repeat.
    """
    new = Counter(() if contents.ours else filter(None, map(_what_was_read, contents.rows)))
    again = new.total() - len(new)
    notes = [f"{count_words(again, 'row')} of the file, by settings, readings and time: there twice"] if again else []
    alike = [
        entry
        for entry in ledger.entries()
        if "imported" in entry.config and entry.name != name and entry.space.knob_names == contents.space.knob_names
    ]
    for entry in alike if new else ():
        shared = {*new} & {_what_was_read(row) for row in ledger.trail(entry.id)}
        if shared:
            rows = count_words(len(shared), "row")
            notes += [f"{rows} of the file, by settings, readings and time: in {entry.name!r} already"]
    return notes


def _what_was_read(row: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What makes a row this reading and no other; None if it may have been read twice."""
    if row["sent_at"] is None:
        return None
    return (row["sent_at"], tuple(row["settings"]), json.dumps(row["out"], sort_keys=True))


def _slug(name: str) -> str:
    try:
        return slugify(name)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def _is_of(entry: Entry, path: Path) -> bool:
    """Whether a campaign has the rows of a file."""
    imported = entry.config.get("imported")
    return isinstance(imported, Mapping) and path.is_file() and imported.get("sha256") == _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _enter(
    ledger: Ledger, path: Path, slug: str, title: str, contents: FileContents, provenance: Provenance, tell: Tell
) -> Entry:
    space, trail = contents.space, contents.rows
    beside = compare_epochs(ledger, space, [row for row in trail if row["readings"] is not None])
    source: dict[str, Any] = {
        "file": path.name,
        "sha256": _digest(path),
        "epoch": [str(comparison) for comparison in beside],
    }
    stated: dict[str, Any] = {
        "source": provenance.source,
        "licence": provenance.licence,
        "sources": dict(Counter(filter(None, contents.sources)).most_common()),
        "notes": [*contents.notes(), *_there_already(ledger, slug, contents)],
    }
    source |= {key: value for key, value in stated.items() if value}
    rows = ImportedRows(provenance.instrument, space, trail, {"imported": source})
    entry = rows.enter(ledger, slug, title, tell)
    for comparison in beside:
        if comparison.other:
            Controls(ledger).note(entry.id, NoticeKind.OTHER_EPOCH, str(comparison))
    return entry


def _contents_to_enter(path: Path, *how: Any, leave_out: bool) -> FileContents:
    """What is in a file: of somebody else's rows one has to count; our own are a record, whatever they are worth."""
    contents = read_contents(path, *how, leave_out=leave_out)
    if not contents.ours:
        _refuse_unless_one_counts(path, contents)
    return contents


def _refuse_unless_one_counts(path: Path, contents: FileContents) -> None:
    if not any(_says_something(contents.rows[at]) for at in contents.used):
        raise InvalidInput(
            f"{path}: none of {len(contents.rows)} readings counts; the first: {contents.rows[0]['reason']}"
        )


def _says_something(row: Mapping[str, Any]) -> bool:
    return any(row["censored"]) or any(reading is not None for reading in row["readings"])


def read_data(path: str | Path, space: Space | None = None, ranges: Ranges | None = None) -> Data:
    """Read the usable observations of a file without a ledger; the same files as ``import_campaign``.

    Args:
        path: The file.
        space: Knobs and channels, by default what the file shows of them.
        ranges: Least and greatest setting of knobs; by default those of the space, else those of the rows.

    Raises:
        InvalidInput: with the place of the first ten faults, or if no reading counts.
    """
    contents = read_contents(Path(path), space, ranges)
    _refuse_unless_one_counts(Path(path), contents)
    rows = [contents.rows[at] for at in contents.used]
    return Data(
        contents.space,
        settings=np.array([row["settings"] for row in rows], float),
        readings=np.array([row["readings"] for row in rows], float),
        censored=np.array([row["censored"] for row in rows], bool),
        times=np.array([row["sent_at"] for row in rows], float),
        conditions=np.array([contents.space.known_conditions(row["conditions"] or {}) for row in rows]),
        off=contents.off,
        lines=np.array([contents.lines[at] for at in contents.used]),
        sources=[contents.sources[at] for at in contents.used],
        notes=contents.notes(),
        unpartnered=contents.unpartnered,
    )
