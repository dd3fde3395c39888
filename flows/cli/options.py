"""What the commands share: their options, and how they set up Prefect."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import environment
from flows.terminal import err
from sdl.errors import InvalidInput
from sdl.formatting import format_value, found_twice, has_password
from sdl.ledger.ledger import Ledger
from sdl.plugins import read_value

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Data directory; by default that of SDL_HOME, or ./sdl-data.", show_default=False),
]


def _without_password(ledger: str | None) -> str | None:
    """Refuse what every user of the machine reads in its list of processes."""
    if ledger is not None and has_password(ledger):
        raise InvalidInput(
            "--ledger: a password on a command line is seen by every user of this machine: put the URL into the "
            "variable SDL_LEDGER, or the password into ~/.pgpass"
        )
    return ledger


LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="File or database URL of the ledger; by default that of SDL_LEDGER, or a file in the data directory.",
        callback=_without_password,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print nothing but JSON to standard output.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="KEY=VALUE for the instrument, repeatable.", show_default=False),
]


def open_ledger(home: Path | None, ledger: str | None, *, new: bool = False) -> Ledger:
    """The ledger that the options name.

    Args:
        home: Data directory.
        ledger: File or URL.
        new: Whether it may be made; that of the data directory always may.

    Raises:
        InvalidInput: if it is not there.
    """
    directory = environment.home(home)
    where = environment.ledger(ledger, directory)
    may_be_made = new or "://" in where or Path(where) == directory / "ledger.sqlite"
    if not may_be_made and not Path(where).exists():
        raise InvalidInput(f"there is no ledger {where}: see whether --ledger, or SDL_LEDGER, is spelt right")
    return Ledger(where)


def parse_pairs(written: Iterable[str] | None, what: str) -> dict[str, Any]:
    """``KEY=VALUE`` strings as a dictionary, values read as TOML where they can be.

    Raises:
        InvalidInput: listing every one that has no ``=``, or a key that is given twice.
    """
    texts = list(written or [])
    if wrong := [text for text in texts if "=" not in text]:
        raise InvalidInput([f"{what} needs KEY=VALUE, got {format_value(text)}" for text in wrong])
    pairs = [(key.strip(), value.strip()) for key, _, value in (text.partition("=") for text in texts)]
    if twice := found_twice([key for key, _ in pairs]):
        raise InvalidInput([f"{what}: {key} is given twice" for key in twice])
    return {key: read_value(value) for key, value in pairs}


def override_keys(written: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """What was written with dotted keys replaced: ``instrument.url``, ``budget``, ``targets.0.tolerance``.

    Raises:
        InvalidInput: listing every key that leads nowhere.
    """
    changed = deepcopy(dict(written))
    faults = list[str]()
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = changed
        try:
            for key in parents:
                place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
            place[int(last) if isinstance(place, list) else last] = value
        except (AttributeError, IndexError, TypeError, ValueError):
            faults.append(f"--set {format_value(path)}: the file has no such place")
    if faults:
        raise InvalidInput(faults)
    return changed


def start_prefect(home: Path) -> str:
    """Make a Prefect API available and point Prefect at it, before its first import."""
    from flows.server import configured_server, server

    configured_server.adopt_files(home / "prefect")
    environment.set_up_prefect(home)
    with err.status("starting Prefect"):
        url = server.api(home)
    environment.set_up_prefect(home, url)
    return url
