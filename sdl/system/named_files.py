"""Files that a person names: nothing is waited for in silence, such as a pipe that nobody writes to."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_named(path: Path) -> BinaryIO:
    """Open what a person named for reading, also the output of another program; a pipe without a writer is empty.

    Raises:
        OSError: if it cannot be read.
    """
    return open(path, "rb", opener=_open_at_once)


def check_regular(path: Path) -> None:
    """See that it is a file that can be read twice.

    Raises:
        OSError: if it is not there, or is a folder, a pipe or a device.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device: write what comes out of it into a file", str(path))


def _open_at_once(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(handle, True)
    return handle
