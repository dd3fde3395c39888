"""What a person wrote in a TOML file, read with care: any file may be named, and anything may be in it."""

import tomllib
from pathlib import Path
from typing import Any

from sdl.errors import InvalidInput

LARGEST = 1_000_000
"""Bytes of a file that a person writes."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file, not judged yet.

    Raises:
        InvalidInput: if it cannot be read, is too large, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a name may hold what no name can
        raise InvalidInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > LARGEST:
        raise InvalidInput(f"{path} is larger than such a file can be ({LARGEST} bytes)")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from error
