"""The folder of a plug-in of one's own, an instrument or a law: its module, its entry point and its test."""

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.skeletons.rendering import render, write_new

PLAIN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 60
Kind = Literal["instrument", "law"]
GROUPS: dict[Kind, plugins.Group] = {"instrument": "sdl.instruments", "law": "sdl.inverse_models"}
"""Entry points of each kind."""


def write_plug_in(kind: Kind, name: str, folder: Path) -> list[Path]:
    """Write a plug-in to begin with into a new folder.

    A driver answers from a formula, to be replaced by the apparatus; a law has a formula to be replaced by another.

    Args:
        kind: Of the plug-in.
        name: Of the plug-in: lower-case letters, digits and hyphens, such as ``dye-mixer``.
        folder: Where the files go; it may exist if it is empty.

    Returns:
        The files, the module first.

    Raises:
        InvalidInput: for a name that cannot be used, or a folder that holds something.
    """
    if faults := _faults(kind, name):
        raise InvalidInput(faults)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidInput(f"{folder} exists and is left as it is: give another name or another --folder")
    module = name.replace("-", "_")
    named = {"name": name, "module": module, "driver": "".join(map(str.capitalize, name.split("-")))}
    named["group"] = GROUPS[kind]
    templates = {
        f"{module}.py": f"{kind}.py",
        "pyproject.toml": "pyproject.toml",
        f"test_{module}.py": f"test_{kind}.py",
    }
    for file, template in templates.items():
        write_new(folder / file, render(template, **named))
    return [folder / file for file in templates]


def _faults(kind: Kind, name: str) -> list[str]:
    """Why a plug-in, and the module that holds it, cannot have this name."""
    if not PLAIN.fullmatch(name) or len(name) > LONGEST:
        return [
            "a name needs lower-case letters, digits and hyphens, a letter first, and at most "
            f"{LONGEST} characters, such as 'dye-mixer'; got {format_value(name)}"
        ]
    if name in plugins.names(GROUPS[kind]):
        return [f"{kind} {name!r} is installed already: give yours another name"]
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or find_spec(module) is not None:
        return [f"{module!r} is the name of another Python module: give your {kind} another name"]
    return []
