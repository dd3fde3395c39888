"""Files that appear whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sdl import killpoints
from sdl.errors import InvalidInput


@contextmanager
def whole(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """A new file that takes its name when the block ends well; only its owner may read it.

    Args:
        path: Its name. A link there is replaced, not followed.
        force: Whether a file of that name may be replaced.

    Raises:
        InvalidInput: if there is such a file, or none can be written there.
    """
    if not force and os.path.lexists(path):
        raise InvalidInput(f"{path} exists; give another name, or allow it to be replaced")
    draft = None
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".sdl-")  # made with mode 0600
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        killpoints.passing("draft-written")
        os.replace(draft, path)
        killpoints.passing("file-renamed")
    except BaseException as error:
        if draft is not None:
            Path(draft).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error
        raise
