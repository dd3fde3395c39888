"""Where things lie, and Prefect's settings; both before Prefect is imported, which is when it reads them."""

import os
import re
import shutil
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import BinaryIO
from urllib.parse import quote, urlsplit

from sdl.errors import InvalidInput
from sdl.formatting import has_password, hide_password

SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",
    # Those in memory leak a slot for good where a server and the holder of the slot die together.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "10",  # before a run asks for its turn once more
    # What Prefect keeps is for looking at, and the ledger keeps all: ended runs with their logs and artifacts for 90
    # days, events for 7. Four instruments with a campaign each night then need less than 200 MB.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "7776000",
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "sdl",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the command says it in one sentence, without traceback
    "PREFECT_CLI_PROMPT": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What we set unless the person did."""


WALL = "SDL_WALL"
"""Variable with the path at which the Prefect server of 'sdl up' has the wall, or with the address of another wall."""
LOG_BYTES = 5_000_000
"""Size at which the words of a log file are put aside; with them it has twice as much at most."""
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
"""Variables, in either case, that send requests through a proxy."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
AUTHORITIES = ("PREFECT_API_SSL_CERT_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name a file of certificates to trust; each library heeds others of them."""
MISSPELT = re.compile(r"^\s*postgres\w*(\+\w+)?[:/]|\b(password|dbname)\s*=", re.IGNORECASE)
"""What no file is called, but somebody writes who means the database of a server."""
set_aside = dict[str, str]()
"""Variables of the environment that this process does without, and why."""


def home(given: str | Path | None = None) -> Path:
    """The data directory: as given, else ``SDL_HOME``, else ``sdl-data`` here."""
    return _made(_absolute(given or os.environ.get("SDL_HOME", "sdl-data")))


def _absolute(path: str | Path) -> Path:
    """A path from the root, with the home of a person in place of a tilde.

    Raises:
        InvalidInput: if there is no such person here.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise InvalidInput(f"{path}: nobody of that name has a home here; write the whole path, or ./~NAME") from error


def folder(path: Path) -> Path:
    """A folder of the data directory, made for its owner's eyes only unless it is there.

    Raises:
        InvalidInput: if it cannot be made, or is a link.
    """
    refuse_link(path)
    return _made(path)


def _made(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot make the folder {path}: {error.strerror}; give another --home") from error
    return path


def log_file(path: Path) -> BinaryIO:
    """A file to add words to, for its owner's eyes only; if it has grown long its words are put aside first.

    Raises:
        InvalidInput: if it is a link.
    """
    refuse_link(path)
    trim_log(path)
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600))


def trim_log(path: Path) -> None:
    """Put the words of a log file that has grown long aside, in place of those that were; whoever writes writes on."""
    if not path.is_file() or path.stat().st_size < LOG_BYTES:
        return
    older = path.with_name(f"{path.name}.1")
    older.unlink(missing_ok=True)
    with path.open("rb") as words, log_file(older) as aside:
        shutil.copyfileobj(words, aside)
    os.truncate(path, 0)


def refuse_link(path: Path) -> None:
    """Refuse a link where something of the data directory is to be: it could lead anywhere.

    Raises:
        InvalidInput: if it is one.
    """
    if path.is_symlink():
        raise InvalidInput(f"{path} is a link to {path.readlink()}, and none is followed there: put it aside")


def ledger(given: str | None, directory: Path) -> str:
    """The ledger: a URL or file as given, else ``SDL_LEDGER``, else a file in the data directory; no relative path.

    Raises:
        InvalidInput: if it would be lost with this process, is a URL misspelt, or is below the home of nobody.
    """
    if place := given or os.environ.get("SDL_LEDGER"):
        file = place.removeprefix("sqlite:///")
        if place.startswith("sqlite") and file.rstrip("/").endswith((":", ":memory:")):
            raise InvalidInput(f"a ledger at {place!r} is in memory and would be lost with this command: give a file")
        if "://" not in file and MISSPELT.search(file):
            raise InvalidInput(
                "the ledger, which is not shown since a password may stand in it, is neither a file nor a URL: write "
                "postgresql+psycopg://user@host/name"
            )
        return place if "://" in file else str(_absolute(file))
    refuse_link(directory / "ledger.sqlite")
    return str(directory / "ledger.sqlite")


def parameter(ledger: str) -> str | None:
    """What a flow of this process is given for a ledger: nothing where it holds what Prefect would show."""
    if not has_password(ledger):
        return ledger
    os.environ["SDL_LEDGER"] = ledger
    return None


def wall_page(campaign: str = "") -> str:
    """Where Prefect's own page leads to the wall, or to a campaign's report there; empty without a wall."""
    wall = os.environ.get(WALL, "")
    return f"{wall}/report/{quote(campaign)}" if wall and campaign else wall


def server_credentials() -> tuple[str, str] | None:
    """Name and secret that a Prefect server asks its clients for, from ``PREFECT_API_AUTH_STRING``; None without."""
    name, _, secret = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return (name, secret) if secret else None


def keep_loopback_direct() -> None:
    """Have nothing that this machine says to itself go through a proxy, and set aside proxies that cannot be used.

    One that Prefect's client cannot speak to keeps it from speaking to anybody, whatever ``NO_PROXY`` says.
    """
    # Libraries heed more names than ours, such as SOCKS_PROXY and WS_PROXY, and all of them heed NO_PROXY.
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") and value}
    if not proxies:
        return
    own = [host.strip() for name in ("NO_PROXY", "no_proxy") for host in os.environ.get(name, "").split(",")]
    own = [host.removeprefix("[").removesuffix("]") for host in own if host]
    if odd := [repr(host) for host in dict.fromkeys(own) if not _can_be_exempt(host)]:
        set_aside["NO_PROXY"] = f"NO_PROXY has {', '.join(odd)}, which not every library can read"
    # A star means all by itself alone: beside other names some libraries take it for the name of a host.
    exempt = "*" if "*" in own else ",".join(dict.fromkeys((*filter(_can_be_exempt, own), *LOOPBACK)))
    os.environ |= {"NO_PROXY": exempt, "no_proxy": exempt}
    for name, value in proxies.items():
        if name.lower() in PROXIES and (fault := _proxy_fault(value)):
            set_aside[name] = f"{name} = {hide_password(value)} {fault}"
            del os.environ[name]


def share_authorities() -> None:
    """Have all libraries trust the certificates that one of the variables names, and set aside files that are none."""
    for name in AUTHORITIES:
        file = os.environ.get(name)
        if file and not os.access(file, os.R_OK):
            set_aside[name] = f"{name} = {file} is no file that can be read"
            del os.environ[name]
    named = [os.environ[name] for name in AUTHORITIES if os.environ.get(name)]
    for name in AUTHORITIES if named else ():
        os.environ.setdefault(name, named[0])


def _can_be_exempt(host: str) -> bool:
    """Whether no library fails on what is exempted from proxies; Prefect's client does on a network of IPv6."""
    with suppress(ValueError):
        return bool(ip_address(host))
    return re.fullmatch(r"(\w+://)?[\w.*-]+(:\d{1,5}|/\d{1,2})?", host, re.ASCII) is not None


def _proxy_fault(address: str) -> str:
    """Why a proxy cannot be spoken to; empty if it can."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme.startswith("socks"):
            there = all(find_spec(module) is not None for module in ("socksio", "socks"))
            return "" if there else "is a SOCKS proxy, which needs: pip install 'httpx[socks]' PySocks"
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    return "" if usable else "is no address of a proxy such as http://proxy.example:3128"


def set_up_prefect(directory: Path, api_url: str | None = None) -> None:
    """Set what Prefect reads at its first import."""
    for name, value in {**SETTINGS, "PREFECT_HOME": str(directory / "prefect")}.items():
        os.environ.setdefault(name, value)
    os.environ["PREFECT_HOME"] = str(
        _absolute(os.environ["PREFECT_HOME"])
    )  # each process stands in a folder of its own
    # A server that cannot start there says so; who needs none goes on.
    warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")
    if secret := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):  # a server of ours asks its clients for it
        os.environ.setdefault("PREFECT_API_AUTH_STRING", secret)
    if api_url is not None:
        os.environ["PREFECT_API_URL"] = api_url


def settings_of_persons(directory: Path) -> list[str]:
    """Names of Prefect's settings that the environment states and that are not ours, for a data directory."""
    ours = {**SETTINGS, "PREFECT_HOME": str(directory / "prefect")}
    stated = {name: value for name, value in os.environ.items() if re.match("PREFECT_(?!_)", name) and value}
    return sorted(name for name, value in stated.items() if ours.get(name) != value and name not in AUTHORITIES)


class _DiscreetImport(MetaPathFinder):
    """Imports Prefect without what that prints of a setting which it cannot read: the value may be a secret.

    Nothing is lost: whatever asks for the settings next fails on the same one, and ``read_settings`` names it.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find Prefect, once."""
        if name != "prefect":
            return None
        sys.meta_path.remove(self)
        if (spec := find_spec(name)) is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_discreetly(module: ModuleType) -> None:
            with redirect_stderr(StringIO()) as printed:
                load(module)
            if not (words := printed.getvalue()).startswith("Failed to initialize plugins"):
                sys.stderr.write(words)

        spec.loader.exec_module = load_discreetly  # type: ignore[method-assign]
        return spec


if "prefect" not in sys.modules:
    sys.meta_path.insert(0, _DiscreetImport())
