"""Files that appear whole or not at all."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sdl.errors import InvalidInput
from sdl.system import failpoints
from sdl.system.processes import is_dead, process_name, this_host

DRAFT = re.compile(r"\.sdl-(?P<process>process \d{1,10}@\d*) on (?P<host>.+)-\w+")
"""The name of a draft says whose it is, so that what a killed process left can be told from what is being written."""
ROOM = 1_000_000
"""Bytes without which nothing can be relied on."""


@contextmanager
def write_atomically(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Yield a new file that takes its name when the block ends well; only its owner may read it.

    Args:
        path: Its name. A link there is replaced, not followed.
        force: Whether a file of that name may be replaced.

    Raises:
        InvalidInput: if there is such a file, or something that is none, or none can be written there.
    """
    if not force and os.path.lexists(path):
        raise InvalidInput(f"{path} exists; give another name, or allow it to be replaced")
    if path.parent.absolute() == Path("/dev") or (path.exists() and not path.is_file()):
        raise InvalidInput(f"{path} is a device, a pipe or a folder, and is left as it is: give the name of a file")
    draft = None
    try:
        clear_drafts(path.parent)
        whose = f".sdl-{process_name(os.getpid())} on {this_host()}-"
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=whose)  # made with mode 0600
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        failpoints.pass_failpoint("draft-written")
        os.replace(draft, path)
        failpoints.pass_failpoint("file-renamed")
    except BaseException as error:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error
        raise


def describe_full_disk(folder: Path) -> str:
    """Say that the disk of a folder is full, for the end of a sentence; empty where it is not."""
    return f"; the disk of {folder} is full: make room there" if shutil.disk_usage(folder).free < ROOM else ""


def clear_drafts(folder: Path) -> None:
    """Remove the drafts in a folder that processes of this host left when they were killed."""
    for draft in folder.glob(".sdl-*"):
        owner = DRAFT.fullmatch(draft.name)
        if owner and is_dead(owner["host"], owner["process"]):
            with suppress(OSError):  # somebody else's, or gone already
                draft.unlink()
