"""Replies that the ledger could not take when they came: kept in a file beside it until the next start.

A line a reply, each on the disk before anybody goes on. Nothing in the file is ever changed; once the ledger has all
of it, it is emptied. What cannot be read, such as a line that was torn by a power cut, goes to a file of its own.
"""

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sdl.errors import LedgerError

BALLAST_BYTES = 1_000_000
"""Room that is held for the next reply and given up when the disk is full; a reply is at most some 100 kB."""
FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
ANSWERED = frozenset(
    ("state", "verdict", "reason", "raw", "applied", "out", "readings", "censored", "conditions", "seconds", "done_at")
)
"""What is written of an attempt when its answer is known."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JournalEntry:
    """What came of one attempt, in plain data."""

    instrument: str
    token: int
    """Of the lease on which it was sent."""
    attempt: int
    """Number of its row."""
    answer: Mapping[str, Any]
    """Columns of that row and their values."""
    distrust: str = ""
    """Why the reply before it is not believed any more; empty if it is."""


@dataclass
class JournalContent:
    """What is in the file."""

    replies: Sequence[JournalEntry]
    taken: bool = False
    """Set it once the ledger has all of them."""


class Journal:
    """The file of replies that one ledger still has to take.

    Args:
        path: Where it lies; None keeps nothing and refuses.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def reserve(self) -> None:
        """Hold room for one reply, so that a full disk does not lose it.

        Raises:
            LedgerError: if there is none.
        """
        if self.path is None:
            return
        try:
            handle = os.open(self._ballast, FLAGS, 0o600)
            try:
                if os.fstat(handle).st_size < BALLAST_BYTES:
                    os.posix_fallocate(handle, 0, BALLAST_BYTES)
            finally:
                os.close(handle)
        except OSError as error:
            raise LedgerError(
                f"cannot hold {BALLAST_BYTES / 1e6:.0f} MB at {self._ballast} for a reply that comes when the disk is "
                f"full: {error.strerror}; make space or give another --home"
            ) from error

    def keep(self, reply: JournalEntry) -> Path:
        """Put a reply on the disk and return where it is.

        Raises:
            LedgerError: if that cannot be done either.
        """
        line = json.dumps(asdict(reply)).encode("ascii") + b"\n"
        if self.path is None:
            raise LedgerError("there is no folder to keep it in until then")
        try:
            with self._open() as handle:
                try:
                    _append(handle, line)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    self._ballast.unlink(missing_ok=True)
                    _append(handle, line)
        except OSError as error:
            raise LedgerError(f"it cannot be kept in {self.path} until then: {error.strerror}") from error
        return self.path

    @contextmanager
    def open_content(self) -> Iterator[JournalContent]:
        """Yield what is in the file, while nobody adds to it; empty it at the end if the ledger took all.

        Raises:
            LedgerError: if it cannot be read.
        """
        if self.path is None or not self.path.exists():
            yield JournalContent(())
            return
        try:
            with self._open() as handle:
                content = JournalContent([reply for line in _lines(handle) if (reply := _read(line)) is not None])
                yield content
                if content.taken:
                    self._clear(handle)
        except OSError as error:
            raise LedgerError(f"cannot read the replies kept in {self.path}: {error.strerror}") from error

    def _clear(self, handle: int) -> None:
        """Empty the file; lines that could not be read are put aside, with a warning."""
        assert self.path is not None
        damaged = [line for line in _lines(handle) if _read(line) is None]
        if damaged:
            aside = self.path.with_name(f"{self.path.name}.damaged")
            with _opened(aside) as file:
                _append(file, b"\n".join(damaged) + b"\n")
            log.warning("%d lines of %s cannot be read; they are in %s now", len(damaged), self.path, aside)
        os.ftruncate(handle, 0)
        os.fsync(handle)

    @property
    def _ballast(self) -> Path:
        assert self.path is not None
        return self.path.with_name(f"{self.path.name}.reserve")

    def _open(self) -> AbstractContextManager[int]:
        assert self.path is not None
        return _opened(self.path)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file that only its owner may read, locked against others for the length of the block."""
    new = not path.exists()
    handle = os.open(path, FLAGS, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if new:
            _keep_name(path.parent)
        yield handle
    finally:
        os.close(handle)


def _keep_name(folder: Path) -> None:
    """Put the entry of a new file in its folder on the disk too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _append(handle: int, line: bytes) -> None:
    """Add a whole line, or nothing; a torn one before it stays a line of its own."""
    size = os.fstat(handle).st_size
    data = line if not size or os.pread(handle, 1, size - 1) == b"\n" else b"\n" + line
    try:
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise


def _lines(handle: int) -> list[bytes]:
    data = os.pread(handle, os.fstat(handle).st_size, 0)
    return [line for line in data.split(b"\n") if line.strip()]


def _read(line: bytes) -> JournalEntry | None:
    """One line of the file; None if it is damaged."""
    try:
        reply = JournalEntry(**json.loads(line))
        sound = type(reply.token) is type(reply.attempt) is int and set(reply.answer) <= ANSWERED
    except (ValueError, TypeError, RecursionError):
        return None
    return reply if sound else None
