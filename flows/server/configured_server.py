"""The Prefect server that a person configured: where Prefect would read of it, and whether it can be used.

Prefect reads a file ``.env``, ``prefect.toml`` or ``pyproject.toml`` of the working directory and a profile, and each
process of ours has a working directory of its own: what concerns the server is taken into the environment at the start.
"""

import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dotenv

from flows import environment
from sdl.errors import InvalidInput
from sdl.formatting import format_value, hide_password

PLACES = {
    "PREFECT_API_URL": ("api", "url"),
    "PREFECT_API_AUTH_STRING": ("api", "auth_string"),
    "PREFECT_API_SSL_CERT_FILE": ("api", "ssl_cert_file"),
    "PREFECT_SERVER_API_AUTH_STRING": ("server", "api", "auth_string"),
}
"""By variable, its place in ``prefect.toml``."""
PATIENCE_S = 5.0
WORD = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a word begins in the name of a class."""
adopted = dict[str, str]()
"""Variables that were taken from a file, and from which."""


def adopt_files(prefect_home: Path | None = None) -> None:
    """Take what files say of Prefect's server into the environment, unless that says so itself.

    Args:
        prefect_home: Where a profile may lie, if the environment names no other place.

    Raises:
        InvalidInput: if a file cannot be read; Prefect would end there with a traceback.
    """
    for place, values in _files(prefect_home):
        for name, value in values.items():
            if value and name in PLACES and not os.environ.get(name):
                os.environ[name], adopted[name] = str(value), place


def _files(prefect_home: Path | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What each file says, by variable, in Prefect's order."""
    own = dict[str, str | None]()
    if Path(".env").is_file():
        try:
            own = dotenv.dotenv_values(".env")
        except (OSError, ValueError) as error:
            raise _unreadable(".env", error) from error
        yield ".env", own
    for place, path in (("prefect.toml", ()), ("pyproject.toml", ("tool", "prefect"))):
        written = _at(_toml(Path(place)), path)
        yield place, {name: _at(written, where) for name, where in PLACES.items()}
    home = os.environ.get("PREFECT_HOME") or prefect_home
    named = os.environ.get("PREFECT_PROFILES_PATH") or own.get("PREFECT_PROFILES_PATH")
    if named or home:
        file = Path(named) if named else Path(home or "") / "profiles.toml"
        profiles = _toml(file)
        profile = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
        yield f"profile {profile!r} of {file}", _at(profiles, ("profiles", str(profile))) or {}


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: str | Path, error: Exception) -> InvalidInput:
    return InvalidInput(f"{file}, which Prefect reads too, cannot be read ({error}): mend it or put it aside")


def _at(written: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        written = written.get(key) if isinstance(written, dict) else None
    return written


MAY_BE_SECRET = re.compile("KEY|AUTH|HEADERS|URL|PASS|SECRET|TOKEN")
"""Parts of the names of Prefect's settings whose value is not repeated."""


def read_settings() -> None:
    """Have Prefect read its settings; call it where Prefect is used anyway, or failed.

    Raises:
        InvalidInput: naming those that it cannot read.
    """
    from prefect.settings import get_current_settings
    from pydantic import ValidationError

    try:
        get_current_settings()
    except ValidationError as error:
        section = WORD.sub("_", error.title.removesuffix("Settings"))
        names = ["_".join(filter(None, ("PREFECT", section, *map(str, fault["loc"])))) for fault in error.errors()]
        raise InvalidInput(
            f"{name.upper() if '_' in name else 'an address or another setting'}, of the environment or a file that "
            f"Prefect reads: {fault['msg']}, got "
            f"{'what may be a secret' if MAY_BE_SECRET.search(name.upper()) else format_value(fault['input'])}"
            for name, fault in zip(names, error.errors(), strict=True)
        ) from None
    except ValueError as error:  # it is no JSON: the words name the setting and not its value
        raise InvalidInput(f"Prefect cannot read its settings, of the environment or a file: {error}") from None


# ---------------------------------------------------------------------- whether it can be used


@dataclass(frozen=True)
class ServerFault:
    """Why a Prefect server cannot be used."""

    words: str
    advice: str
    is_prefect: bool = True
    """Whether it is one at all."""


def find_server() -> str | None:
    """Return the URL of the configured Prefect API; None if none is configured, or nobody is there, which is told.

    Raises:
        InvalidInput: if there is one, and it does not want us, or we not it.
    """
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        return None
    fault = examine_server(api)
    if isinstance(fault, str):
        return api
    if fault.is_prefect:
        raise InvalidInput(f"{fault.words}: {fault.advice}")
    place = f" (from {adopted['PREFECT_API_URL']})" if "PREFECT_API_URL" in adopted else ""
    print(f"{fault.words}{place}: going on with one of our own; {fault.advice}", file=sys.stderr, flush=True)
    return None


def examine_server(api: str) -> str | ServerFault:
    """Ask a Prefect API who it is; return its version, or why it cannot be used.

    Args:
        api: Its URL.
    """
    import httpx  # takes a moment, and most commands have no such server

    shown, there = hide_password(api), api.rstrip("/")
    place = adopted.get("PREFECT_API_URL")
    unset = f"take PREFECT_API_URL out of {place}" if place else "unset PREFECT_API_URL"
    unset += " to use a server of one's own"
    try:
        with httpx.Client(timeout=PATIENCE_S, auth=environment.server_credentials()) as client:
            health, answer = client.get(f"{there}/health"), client.get(f"{there}/admin/version")
            above = there.endswith("/api") or client.get(f"{there}/api/health").text.strip() != "true"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            advice = "name the file of the authority that signed it in SSL_CERT_FILE"
            return ServerFault(f"the certificate of {shown} is not trusted here", advice)
        words = f"no Prefect server answers at {shown}, it does not answer: {error}"
        return ServerFault(words, f"start that server, or {unset}", is_prefect=False)
    if answer.status_code in (401, 403):
        given = "is another one" if environment.server_credentials() else "is not set"
        words = f"the Prefect server at {shown} asks for an auth string, and PREFECT_API_AUTH_STRING {given}"
        return ServerFault(words, "set it to what the server has in PREFECT_SERVER_API_AUTH_STRING")
    release = answer.text.strip().strip('"') if answer.is_success else ""
    if health.text.strip() != "true" or not release[:1].isdigit():
        words = f"what answers at {shown} is no Prefect server"
        advice = f"mend it, or {unset}" if above else f"write PREFECT_API_URL={hide_password(there)}/api"
        return ServerFault(words, advice, is_prefect=False)
    here = version("prefect")
    if release.split(".")[0] != here.split(".")[0]:
        return ServerFault(
            f"the Prefect server at {shown} is {release}, and this is {here}", "bring both to one version"
        )
    return release
