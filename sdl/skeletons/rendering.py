"""Files written from a template, and never over a file that is there."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from sdl.errors import InvalidInput


def render(template: str, **values: Any) -> str:
    """The text of a template of this room, such as ``campaign.toml``, with the values filled in."""
    environment = Environment(
        loader=FunctionLoader(
            lambda name: files(__package__).joinpath("templates", f"{name}.jinja").read_text("utf-8")
        ),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def read_described(plugin: str) -> str:
    """The example of an instrument that a file describes, from below ``plugin`` on; empty for any other plug-in."""
    file = files(__package__).joinpath("templates", f"{plugin}.toml")
    return file.read_text("utf-8") if file.is_file() else ""


def write_new(path: Path, text: str) -> None:
    """Write a file that does not exist yet, and the folder that it lies in.

    Raises:
        InvalidInput: if there is something of that name, or nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        there = path if path.exists() else error.filename  # or what should be a folder is a file
        raise InvalidInput(f"{there} exists and is left as it is: give another name, or move it away") from error
    except (OSError, ValueError) as error:  # a name may hold what no name can
        raise InvalidInput(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
