"""The folder of an instrument of one's own: its driver, its entry point and its test."""

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.skeletons.rendering import render, write_new

PLAIN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 60


def write_instrument(name: str, folder: Path) -> list[Path]:
    """Write a driver that answers from a formula, to be replaced by the apparatus, into a new folder.

    Args:
        name: Of the plug-in: lower-case letters, digits and hyphens, such as ``dye-mixer``.
        folder: Where the files go; it may exist if it is empty.

    Returns:
        The files, the driver first.

    Raises:
        InvalidInput: for a name that cannot be used, or a folder that holds something.
    """
    if faults := _faults(name):
        raise InvalidInput(faults)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidInput(f"{folder} exists and is left as it is: give another name or another --folder")
    module = name.replace("-", "_")
    named = {"name": name, "module": module, "driver": "".join(map(str.capitalize, name.split("-")))}
    templates = {
        f"{module}.py": "instrument.py",
        "pyproject.toml": "pyproject.toml",
        f"test_{module}.py": "test_instrument.py",
    }
    for file, template in templates.items():
        write_new(folder / file, render(template, **named))
    return [folder / file for file in templates]


def _faults(name: str) -> list[str]:
    """Why a plug-in, and the module that holds it, cannot have this name."""
    if not PLAIN.fullmatch(name) or len(name) > LONGEST:
        return [
            "a name needs lower-case letters, digits and hyphens, a letter first, and at most "
            f"{LONGEST} characters, such as 'dye-mixer'; got {format_value(name)}"
        ]
    if name in plugins.names("sdl.instruments"):
        return [f"an instrument {name!r} is installed already: give yours another name"]
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or find_spec(module) is not None:
        return [f"{module!r} is the name of another Python module: give your instrument another name"]
    return []
