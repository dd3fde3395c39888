"""Backups of a laboratory, made while campaigns run, and put back: the ledger, kept replies, and Prefect's database.

A backup is a folder. Each database is copied as it is at one moment, the ledger last, so that it knows all that the
others tell of. What is replaced when one is put back is itself kept as a backup before.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import environment
from flows.server import service_lock
from flows.server.database_setup import PrefectDatabase
from flows.server.service_lock import AlreadyUp
from flows.versions import versions
from sdl.errors import InvalidInput, LeaseHeld, LedgerAway, LedgerError, SchemaMismatch
from sdl.ledger.database import SCHEMA_VERSION
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import lacking
from sdl.system.named_files import check_regular

SCHEMA = 1
"""Version of what a backup is."""
MANIFEST, LEDGER, REPLIES, PREFECT = "manifest.json", "ledger", "ledger.spill.jsonl", "prefect"
HOLDS = (LEDGER, REPLIES, PREFECT)


@dataclass(frozen=True)
class Restored:
    """What was put back."""

    campaigns: int
    prefect: bool
    """Whether Prefect's database was among it."""
    before: Path | None
    """Where that is which it replaced; None if there was nothing."""


def make_backup(directory: Path, where: str, target: Path | None = None) -> Path:
    """Write a backup while others go on, and return its folder.

    Args:
        directory: The data directory.
        where: File or URL of the ledger.
        target: The new folder; by default one with the time in its name, in ``backups`` of the data directory.

    Raises:
        InvalidInput: if there is such a folder, or none can be made there.
        LedgerError: if a database cannot be copied.
    """
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}"
    target = target or environment.folder(directory / "backups") / stamp
    if os.path.lexists(target):
        raise InvalidInput(f"{target} exists: a backup is a new folder")
    try:
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=".sdl-backup-"))
    except OSError as error:
        raise InvalidInput(f"cannot make the folder {target}: {error.strerror}") from error
    try:
        about: dict[str, Any] = {"backup": SCHEMA, "at": stamp, "versions": versions()}
        prefect = PrefectDatabase.of(directory)
        if prefect.there():
            about["prefect"] = {"kind": prefect.kind, "last run": prefect.last_run()}
            prefect.copy_to(draft / PREFECT)
        with Ledger(where, directory) as book:
            if book.journal.path is not None and book.journal.path.exists():
                _write(draft / REPLIES, book.journal.path.read_bytes())
            about["ledger"] = {"kind": _kind(where), "schema": SCHEMA_VERSION, "holds": book.extent()}
            book.copy_to(draft / LEDGER)
        about["files"] = {file.name: _digest(file) for file in sorted(draft.iterdir())}
        _write(draft / MANIFEST, json.dumps(about, indent=1).encode())
        draft.rename(target)
    except OSError as error:
        raise InvalidInput(f"cannot write {target}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def restore_backup(source: Path, directory: Path, where: str, *, force: bool = False) -> Restored:
    """Put a backup back in place of what is there, which is kept as a backup too.

    Args:
        source: Its folder.
        directory: The data directory.
        where: File or URL of the ledger.
        force: Whether what the backup lacks may be replaced as well.

    Raises:
        InvalidInput: if it is no whole backup, or would replace what is newer, with what that is.
        AlreadyUp: if somebody is at work there.
        LedgerError: if a database cannot be replaced; it is as it was then.
    """
    about = read_manifest(source)
    if (running := service_lock.running(directory)) is not None:
        raise AlreadyUp(f"'sdl up' runs for {directory}: {running}; 'sdl down' first")
    prefect = PrefectDatabase.of(directory)
    with_prefect = "prefect" in about
    if with_prefect:
        _refuse_other_kind("Prefect's database", about["prefect"]["kind"], prefect.kind)
    newer = [*_newer_in_ledger(directory, where, about)]
    newer += _newer_in_prefect(prefect, about) if with_prefect else []
    if newer and not force:
        raise InvalidInput(
            f"{where} and {directory} hold what the backup of {about['at']} lacks: {'; '.join(newer)}. "
            "Nothing was changed; 'sdl restore --force' replaces it, and keeps it as a backup"
        )
    before = _kept(directory, where, prefect)
    with Ledger(where, directory) as book:
        book.replace_by(source / LEDGER)
        if book.journal.path is not None:
            book.journal.path.unlink(missing_ok=True)
            if REPLIES in about["files"]:
                _write(book.journal.path, (source / REPLIES).read_bytes())
    with Ledger(where, directory) as book:  # anew, since an earlier version may have written it
        campaigns = len(book.entries())
    if with_prefect:
        prefect.replace_by(source / PREFECT)
    return Restored(campaigns, with_prefect, before)


def _newer_in_ledger(directory: Path, where: str, about: Mapping[str, Any]) -> Iterator[str]:
    """What the ledger holds that a backup lacks, in words.

    Raises:
        LedgerError: if it cannot be replaced: somebody is at work with it, or its server does not answer.
    """
    file = _file(where)
    _refuse_other_kind("ledger", about["ledger"]["kind"], _kind(where))
    if file is not None and not file.exists():
        return
    try:
        with Ledger(where, directory) as book:
            book.refuse_if_held()
            yield from lacking(book.extent(), about["ledger"]["holds"])
    except LedgerError as error:
        if isinstance(error, LeaseHeld | LedgerAway | SchemaMismatch) or file is None:
            raise
        yield f"a ledger that cannot be read ({error})"


def _newer_in_prefect(prefect: PrefectDatabase, about: Mapping[str, Any]) -> Iterator[str]:
    try:
        if prefect.there() and (last := prefect.last_run()) > about["prefect"]["last run"]:
            yield f"a run of Prefect's that began at {last} UTC"
    except LedgerError as error:
        if prefect.file is None:
            raise
        yield f"a database of Prefect's that cannot be read ({error})"


def _kept(directory: Path, where: str, prefect: PrefectDatabase) -> Path | None:
    """Keep what is there as a backup and return its folder; files that are damaged keep themselves, by another name."""
    ledger = _file(where)
    if ledger is not None and not ledger.exists() and not prefect.there():
        return None
    try:
        return make_backup(directory, where)
    except LedgerError:
        files = [file for file in (ledger, prefect.file) if file is not None]
        if not files:
            raise
        aside = environment.folder(directory / "backups") / f"damaged-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        aside.mkdir(mode=0o700)
        for file in [file.with_name(f"{file.name}{end}") for file in files for end in ("", "-wal", "-shm")]:
            if file.exists():
                shutil.move(file, aside / file.name)
        return aside


def _file(where: str) -> Path | None:
    """The file that a ledger lies in; None where that is a database server's matter."""
    place = where.removeprefix("sqlite:///")
    return None if "://" in place else Path(place)


def read_manifest(source: Path) -> Mapping[str, Any]:
    """Return what a backup says of itself, once every file of it is found to be whole.

    Raises:
        InvalidInput: with every file that is not, or if a newer program wrote it.
    """
    try:
        check_regular(source / MANIFEST)
        about: dict[str, Any] = json.loads((source / MANIFEST).read_bytes())
        files, schema = about["files"], about["backup"]
        if schema != SCHEMA:
            raise InvalidInput(f"{source} is a backup of version {schema}, this program reads version {SCHEMA}")
        if about["ledger"]["schema"] > SCHEMA_VERSION:
            raise SchemaMismatch(f"{source} was written by a newer version of this program: install that")
        wrong = [name for name in files if name not in HOLDS or _digest(source / name) != files[name]]
        if LEDGER not in files or about["ledger"].keys() != {"kind", "schema", "holds"}:
            wrong.append(LEDGER)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{source} is no whole backup: {getattr(error, 'strerror', None) or error}") from error
    if wrong:
        raise InvalidInput([f"{source / name} is not as it was written: put another backup back" for name in wrong])
    return about


def _kind(where: str) -> str:
    return "postgresql" if _file(where) is None else "sqlite"


def _refuse_other_kind(what: str, theirs: str, ours: str) -> None:
    if theirs != ours:
        raise InvalidInput(f"the {what} of the backup is one of {theirs}, and {ours} is configured here")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(handle, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
