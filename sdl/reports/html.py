"""What our HTML pages have in common: one file that loads nothing, its style, and strangers' words made harmless."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from sdl.errors import InvalidInput
from sdl.formatting import escape_invisible, format_number, format_percent, format_time, format_with_margin
from sdl.system.atomic_files import write_atomically


def load_template(name: str) -> Template:
    """Return a page of this package, such as ``report.html``.

    Whatever is printed in it passes through ``escape_invisible`` and is then escaped; the page itself is ours alone.
    """
    environment = Environment(
        loader=FunctionLoader(lambda page: files("sdl.reports").joinpath("templates", page).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.finalize = lambda value: escape_invisible(value) if isinstance(value, str) else value
    environment.filters |= {
        "number": format_number,
        "within": format_with_margin,
        "moment": format_time,
        "percent": format_percent,
    }
    return environment.get_template(name)


def write_page(page: str, path: Path) -> Path:
    """Write a page in place of an earlier one, in a folder that is made if need be, and return where it lies.

    Raises:
        InvalidInput: if it cannot be written there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot make the folder {path.parent}: {error.strerror}") from error
    with write_atomically(path, force=True) as file:
        file.write(page.encode())
    return path
