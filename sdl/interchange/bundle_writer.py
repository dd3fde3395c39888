"""The evidence bundle: one zip file that holds a campaign whole, with a manifest of hashes.

The same ledger gives the same bytes: members are sorted by name (the manifest comes last), and none has a time.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sdl import __version__
from sdl.analysis.model_card import ModelCard, model_cards
from sdl.errors import InvalidInput
from sdl.history import Entry, State
from sdl.interchange import evidence
from sdl.interchange.crate import FOLDER, METADATA, Rights, crate_metadata
from sdl.interchange.export_import import FORMATS
from sdl.interchange.record_rows import record_of_row
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.samples import Samples
from sdl.reports.campaign_page import render_campaign_page
from sdl.system.atomic_files import write_atomically

SCHEMA = 1
"""Version of what a bundle is; a program reads those that it knows."""
MANIFEST = "manifest.json"
REPORT, WORDS, CARDS = "report.html", "README.txt", "models.json"
TABLES = tuple(f"observations{suffix}" for suffix in FORMATS)
REQUIRED = {evidence.CAMPAIGN, *evidence.LINES, "observations.jsonl", REPORT, WORDS}
MAY_BE = {*REQUIRED, *TABLES, CARDS}
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member: the earliest that a zip file knows."""
LEVEL = 6
ABOUT = {
    "campaign.json": "what was asked for, the seed, the instrument, versions of the programs, where it stands",
    "replies.jsonl": "every attempt in the order of sending: the raw reply and what was made of it",
    "observations.*": "the same attempts as 'sdl import' reads them: JSON lines, CSV, Parquet",
    "planned.jsonl": "every measurement that was planned, in order",
    "rounds.jsonl": "every round with what was known when it was proposed: model, scores, uncertainty",
    "exams.jsonl": "every candidate as it was frozen before its first replicate",
    "verdicts.jsonl": "every verdict with its numbers",
    "steering.jsonl": "what persons asked for, and what was suspended, in the order of asking",
    "models.json": "a card of each model that was asked: data, domain, calibration, limits, seed and version",
    "report.html": "the report",
    "manifest.json": "SHA-256 and size of each of these",
}
"""What the files are, in words."""
README = "".join(
    [
        "Everything that was asked, answered and decided in one campaign. 'sdl reproduce FILE.zip' recomputes it.\n\n",
        *(f"{name:<20}{words}\n" for name, words in ABOUT.items()),
        "\nWhat it shows of the data: all. Every setting asked and every reading is in it, each with its time,\n"
        "and who steered. Models are refitted from these rows, and who has one may tell which rows it learned\n"
        "from: 'sdl compare' measures how surely. To give away a model and no rows, 'sdl share' writes one with\n"
        "noise that hides each row.\n",
    ]
)


def write_bundle(
    ledger: Ledger, name: str, path: str | Path, *, force: bool = False, crate: Rights | None = None
) -> Path:
    """Write the bundle of a campaign that is at rest and return where it lies.

    Args:
        ledger: That holds the campaign.
        name: Of the campaign.
        path: Of the file.
        force: Whether a file of that name may be replaced.
        crate: Whose it is, for a bundle that is an RO-Crate as well: in a folder, with metadata for others.

    Raises:
        InvalidInput: if there is no such campaign, it is at work, or the file cannot be written.
    """
    before = _at_rest(ledger, name)
    files = evidence.evidence_files(ledger, name) | _observations(ledger, before)
    cards = model_cards(before, ledger.history(before.id))
    files |= {REPORT: render_campaign_page(ledger, name).encode(), WORDS: README.encode(), CARDS: _json(cards)}
    samples = Samples(ledger, before.id).read() if crate else []
    if _at_rest(ledger, name) != before:
        raise InvalidInput(f"campaign {name!r} went on while its bundle was made: pause it, then try again")
    if crate:
        described = {member: (content, about_file(member)) for member, content in sorted(files.items())}
        files[METADATA] = crate_metadata(evidence.parse_evidence(files), samples, cards, described, crate)
    members = [*sorted(files.items()), (MANIFEST, bundle_manifest(before.name, files))]
    path = Path(path)
    with write_atomically(path, force=force) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        root = path.stem.encode("utf-8", "replace").decode()  # a name of half a character is none in a zip file
        for member, content in _in_folders(root, members) if crate else members:
            archive.writestr(_header(member), content, compresslevel=LEVEL)
    return path


def about_file(member: str) -> str:
    """Return what a file of a bundle is, in words; empty for one that says so itself."""
    return ABOUT.get(member, ABOUT["observations.*"] if member in TABLES else "")


def _in_folders(root: str, members: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The same members as a crate has them, the metadata first, in a folder that is called as its file."""
    placed = [(f"{root}/{member if member == METADATA else FOLDER + member}", content) for member, content in members]
    return sorted(placed, key=lambda each: not each[0].endswith(METADATA))


def inside_crate(names: Iterable[str]) -> Mapping[str, str]:
    """Return what the members of a crate are called as those of a bundle; of any other archive, as they are called."""
    names = list(names)
    roots = [name.removesuffix(METADATA) for name in names if name.count("/") == 1 and name.endswith(f"/{METADATA}")]
    if len(roots) != 1:
        return {name: name for name in names}
    evidence_folder, metadata = roots[0] + FOLDER, roots[0] + METADATA
    return {name: METADATA if name == metadata else name.removeprefix(evidence_folder) for name in names}


def bundle_manifest(name: str, files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of these files."""
    members = {
        member: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for member, content in sorted(files.items())
    }
    document = {"bundle": SCHEMA, "campaign": name, "written by": f"sdl {__version__}", "files": members}
    return (json.dumps(document, indent=1) + "\n").encode("ascii")


def _at_rest(ledger: Ledger, name: str) -> Entry:
    entry = ledger.whole_entry(name)
    if entry.state is State.RUNNING and (holder := ledger.holder(entry.instrument)) is not None:
        raise InvalidInput(
            f"campaign {name!r} is at work ({entry.instrument} is held by {holder}): a bundle is of a campaign at "
            f"rest; wait for its end, or 'sdl pause {name}'"
        )
    return entry


def _json(cards: Sequence[ModelCard]) -> bytes:
    return (json.dumps([card.plain() for card in cards], indent=1) + "\n").encode("ascii")


def _observations(ledger: Ledger, entry: Entry) -> dict[str, bytes]:
    records = [record_of_row(entry.space, row) for row in ledger.trail(entry.id)]
    files = dict[str, bytes]()
    for suffix, write_records in FORMATS.items():
        buffer = io.BytesIO()
        try:
            write_records(buffer, records, entry.space.knob_names, entry.space.channel_names)
        except UnicodeEncodeError:
            continue  # a name of half a character, which JSON alone can tell
        files[f"observations{suffix}"] = buffer.getvalue()
    return files


def _header(member: str) -> zipfile.ZipInfo:
    header = zipfile.ZipInfo(member, EPOCH)
    header.compress_type, header.create_system, header.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100600 << 16
    return header
