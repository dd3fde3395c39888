"""What is wrong with a set-up, and what to do about it: one finding a question, none of them raises."""

import os
import platform
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Literal

import httpx
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flows import environment
from flows.engine.handover import build_instrument
from flows.engine.open_bench import open_bench
from flows.laboratory.definition import Laboratory, Notify
from flows.laboratory.stale_deployments import describe_stale_deployments
from flows.server import server
from flows.server import service_lock as instance
from flows.server.configured_server import ServerFault, adopted, examine_server, read_settings
from flows.server.newer_database import examine_database
from flows.versions import DISTRIBUTION
from sdl import plugins
from sdl.campaign.sections import Plugin
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, LeaseHeld, LedgerError, SdlError
from sdl.formatting import format_duration, format_time, hide_password
from sdl.instruments.protocol import ReadByPersons
from sdl.ledger.database import SCHEMA_VERSION
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.tokens import Kind, Tokens
from sdl.measurement import manual as by_hand
from sdl.system.clock import now
from sdl.system.named_files import open_named

State = Literal["ok", "warning", "fault"]
LEAST_FREE, SOME_FREE = 200e6, 2e9
"""Bytes on the disk: below the first nothing should be started, below the second not for a night."""
CLOCKS_APART_S = 60.0
"""By how much the clocks of two machines may differ without a word."""
WRITTEN = 1_735_689_600.0
"""2025: no clock that is right shows an earlier time."""
SET_CLOCK = "set the clock of this machine (timedatectl): schedules, quiet hours and certificates go by it"
SECRET = "PREFECT_API_AUTH_STRING"
"""Variable with what this process shows Prefect's server; set for one of our own where that asks for it."""
OWN, OWN_FILE = 0o700, 0o600


@dataclass(frozen=True)
class DoctorFinding:
    """The answer to one question."""

    what: str
    state: State
    found: str
    advice: str = ""
    """What to do; empty where nothing is wrong."""


@dataclass(frozen=True)
class Setup:
    """What is looked at."""

    directory: Path
    ledger: str
    port: int
    file: Path | None = None
    """A campaign file or a laboratory file."""


def examine_laboratory(setup: Setup) -> Iterator[DoctorFinding]:
    """Every finding, in the order of what needs what."""
    yield _python()
    yield from _libraries()
    yield from _plugins()
    yield from _data_directory(setup.directory)
    yield from _disks(setup)
    yield from _ledger(setup)
    yield from _proxies()
    yield from _prefect(setup)
    if setup.file is not None:
        yield from _file(setup)


def _python() -> DoctorFinding:
    wanted = SpecifierSet(metadata(DISTRIBUTION)["Requires-Python"])
    here = platform.python_version()
    if wanted.contains(here, prereleases=True):
        return DoctorFinding("python", "ok", here)
    return DoctorFinding(
        "python", "fault", f"{here}, needed is {wanted}", "make the environment anew with such a Python"
    )


def _libraries() -> Iterator[DoctorFinding]:
    """Each requirement that is not met; one line if all are."""
    wrong = []
    for requirement in map(Requirement, requires(DISTRIBUTION) or []):
        if requirement.marker is not None:  # an extra: its plug-ins say what they lack
            continue
        try:
            here = version(requirement.name)
        except PackageNotFoundError:
            here = "not installed"
        if here == "not installed" or not requirement.specifier.contains(here, prereleases=True):
            wanted = str(requirement.specifier) or "any version"
            advice = f"pip install -c constraints.txt '{requirement.name}{requirement.specifier}'"
            wrong.append(DoctorFinding(f"library {requirement.name}", "fault", f"{here}, needed is {wanted}", advice))
    yield from wrong or [DoctorFinding("libraries", "ok", f"all there; prefect {version('prefect')}")]


def _plugins() -> Iterator[DoctorFinding]:
    wrong, n = [], 0
    for group in plugins.GROUPS:
        for name in plugins.names(group):
            n += 1
            try:
                plugins.load(group, name)
            except InvalidInput as error:
                state: State = "fault" if group == "sdl.instruments" else "warning"
                advice = "install what it lacks, or do without it"
                wrong.append(DoctorFinding(f"plug-in {name}", state, str(error), advice))
            except Exception as error:  # a stranger's module may do anything at import
                words = f"{type(error).__name__} at import: {error}"
                wrong.append(
                    DoctorFinding(f"plug-in {name}", "fault", words, "mend or uninstall the package that brings it")
                )
    yield from wrong or [DoctorFinding("plug-ins", "ok", f"{n} import")]


def _data_directory(directory: Path) -> Iterator[DoctorFinding]:
    what = "data directory"
    if not os.access(directory, os.W_OK | os.X_OK):
        yield DoctorFinding(
            what, "fault", f"{directory} cannot be written", "give another --home, or change its owner or mode"
        )
        return
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & ~OWN:
        advice = f"chmod 700 {directory}"
        yield DoctorFinding(
            what, "warning", f"{directory} has mode {mode:o}: other users of this machine can look in", advice
        )
    else:
        yield DoctorFinding(what, "ok", str(directory))
    for path in sorted(directory.glob("*.sqlite*")):
        if (mode := stat.S_IMODE(path.stat().st_mode)) & ~OWN_FILE:
            yield DoctorFinding(what, "warning", f"{path.name} has mode {mode:o}", f"chmod 600 {path}")


def _disks(setup: Setup) -> Iterator[DoctorFinding]:
    """Each disk that holds something of the laboratory and lacks room; one line if none does."""
    places = [setup.directory, *([] if "://" in setup.ledger else [Path(setup.ledger).parent])]
    disks = {place.stat().st_dev: place for place in reversed(places) if place.exists()}
    least = min(shutil.disk_usage(place).free for place in disks.values())
    lacking = list(filter(None, map(_lacking_room, disks.values())))
    yield from lacking or [DoctorFinding("disk", "ok", f"{least / 1e9:.1f} GB free")]


def _lacking_room(place: Path) -> DoctorFinding | None:
    free, files = shutil.disk_usage(place).free, os.statvfs(place)
    lost = "a reading that cannot be kept is lost"
    if files.f_files and not files.f_favail:
        words = f"no more files fit on the disk of {place}, however small"
        return DoctorFinding("disk", "fault", words, f"delete files there: {lost}")
    if free >= SOME_FREE:
        return None
    state: State = "fault" if free < LEAST_FREE else "warning"
    words = f"{free / 1e6:.0f} MB free where {place} lies"
    return DoctorFinding("disk", state, words, f"make room there: {lost}")


def _ledger(setup: Setup) -> Iterator[DoctorFinding]:
    """Whether it can be used, and what the times in it tell of this machine's clock."""
    what = "ledger"
    if now() < WRITTEN:
        yield DoctorFinding("clock", "fault", f"it is {format_time(now())[:10]} here", SET_CLOCK)
    if "://" not in setup.ledger and not Path(setup.ledger).exists():
        yield DoctorFinding(what, "ok", "none yet; the first command that measures makes it")
        return
    try:
        with Ledger(setup.ledger) as book:
            entries, shown, holders = book.entries(), book.address, Tokens(book).holders()
    except SdlError as error:
        yield DoctorFinding(what, "fault", str(error), "follow what the ledger says, or give another --ledger")
        return
    yield DoctorFinding(what, "ok", f"{shown}, schema {SCHEMA_VERSION}, {len(entries)} entries")
    if (agents := [holder.name for holder in holders if holder.kind is Kind.AGENT]) and not os.environ.get(SECRET):
        words = f"{', '.join(agents)} may only propose, yet whoever reaches Prefect's API starts campaigns there"
        yield DoctorFinding("agents", "warning", words, "set PREFECT_SERVER_API_AUTH_STRING (lab.env.example)")
    ahead_s = max((entry.updated - now() for entry in entries), default=0.0)
    if ahead_s > CLOCKS_APART_S and now() >= WRITTEN:
        words = f"the ledger has something from {format_duration(ahead_s)} in the future"
        yield DoctorFinding("clock", "warning", words, f"{SET_CLOCK}; or that of the other machine that writes there")


def _proxies() -> Iterator[DoctorFinding]:
    """What of the environment sends requests through a proxy, and which of it cannot be used."""
    for name, words in environment.set_aside.items():
        what = "certificates" if name in environment.AUTHORITIES else "proxy"
        yield DoctorFinding(what, "warning", f"{words}: done without it", "mend that variable, or unset it")
    if trusted := next((f"{name} = {os.environ[name]}" for name in environment.AUTHORITIES if name in os.environ), ""):
        yield DoctorFinding("certificates", "ok", f"those are trusted that {trusted} names")
    named = {name: hide_password(os.environ[name]) for name in os.environ if name.lower() in environment.PROXIES}
    if used := ", ".join(f"{name} = {value}" for name, value in sorted(named.items()) if value):
        words = f"instruments are asked through {used}; what is in NO_PROXY is not, nor is this machine"
        yield DoctorFinding("proxy", "ok", words)


def _prefect(setup: Setup) -> Iterator[DoctorFinding]:
    faults = list(_faults(read_settings))
    yield from (DoctorFinding("Prefect's settings", "fault", each, "mend it") for each in faults)
    if faults:
        return
    yield from _prefect_database(setup.directory / "prefect" / "prefect.db")
    configured = os.environ.get("PREFECT_API_URL")
    service = instance.running(setup.directory)
    if adopted:
        yield DoctorFinding(
            "Prefect's files", "ok", "; ".join(f"{name} is from {file}" for name, file in adopted.items())
        )
    if configured:
        yield _server("configured Prefect server", configured)
    if service is not None:
        yield (
            _server("'sdl up'", service.api, "end it with 'sdl down' and start it again")
            if service.api
            else DoctorFinding("'sdl up'", "warning", "about to start, or to end", "ask again in a few seconds")
        )
    elif not configured:
        yield _own_server(setup.directory)
    here = server.address(setup.port)
    if (service is None or service.api != here) and configured != here and server.taken(setup.port):
        whose = "a second Prefect server" if server.healthy(here) else "another program"
        advice = (
            f"end it, or use it with PREFECT_API_URL={here}" if server.healthy(here) else "give 'sdl up' another --port"
        )
        yield DoctorFinding(f"port {setup.port}", "warning", f"{whose} listens there", advice)


def _own_server(directory: Path) -> DoctorFinding:
    """Whether commands can start a server of their own; it is tried where a person has stated settings of Prefect's."""
    what, found = "Prefect server", "none runs: commands start one of their own; 'sdl up' keeps one"
    if not (stated := ", ".join(environment.settings_of_persons(directory))):
        return DoctorFinding(what, "ok", found)
    try:
        own = server.OwnServer(directory)
        own.wait()
        own.stop()
    except (InvalidInput, TimeoutError) as error:
        return DoctorFinding(
            what, "fault", str(error), "mend or unset what is stated; Prefect's own words are in its log"
        )
    return DoctorFinding(what, "ok", f"{found}; it starts with {stated}")


def _prefect_database(file: Path) -> Iterator[DoctorFinding]:
    """Whether the database of a server of our own can be used by this Prefect."""
    if (fault := examine_database(file)) is not None:
        yield DoctorFinding("Prefect's database", "fault", *fault)


def _server(what: str, api: str, advice: str = "") -> DoctorFinding:
    there = examine_server(api)
    if isinstance(there, ServerFault):
        return DoctorFinding(what, "fault", there.words, advice or there.advice)
    here = version("prefect")
    if there.split(".")[:2] != here.split(".")[:2]:
        return DoctorFinding(
            what, "warning", f"{api} is {there}, this is {here}", "bring both to the same minor version"
        )
    try:
        sentence = describe_stale_deployments(api)
    except httpx.HTTPError as error:
        return DoctorFinding(what, "fault", f"{api} does not tell its deployments: {error}", advice or "see its log")
    if sentence is not None:
        return DoctorFinding(what, "warning", sentence, "run 'sdl deploy' again, or delete them in Prefect's UI")
    return DoctorFinding(what, "ok", f"{api}, version {there}")


def _file(setup: Setup) -> Iterator[DoctorFinding]:
    assert setup.file is not None
    file, what = setup.file, setup.file.name
    try:
        with open_named(file) as content:
            written = tomllib.loads(content.read().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        yield DoctorFinding(
            what, "fault", f"cannot be read: {error}", "name a campaign file or a laboratory file in TOML"
        )
        return
    parts, notify = dict[str, Plugin](), list[Notify]()

    def check() -> None:
        if "instruments" in written:
            laboratory = Laboratory.parse(written, file.parent)
            parts.update(laboratory.instruments)
            notify.extend([laboratory.notify] if laboratory.notify else [])
        else:
            campaign, instrument = prepare(written)
            instrument.close()
            parts["instrument"] = campaign.instrument

    faults = list(_faults(check))
    yield from (DoctorFinding(what, "fault", each, "mend the file") for each in faults)
    if not faults:
        yield DoctorFinding(what, "ok", "valid")
    for name, part in parts.items():
        yield _instrument(name, part, setup)
    for each in notify:
        yield _notified(each, setup)


def _notified(notify: Notify, setup: Setup) -> DoctorFinding:
    """Whether the server has the block that sends, and whether the last message got through."""
    from flows.laboratory.notifications import describe_lost_message

    what, (kind, name) = "notifications", notify.place
    service = instance.running(setup.directory)
    api = os.environ.get("PREFECT_API_URL") or (service.api if service else "")
    if not api:
        return DoctorFinding(what, "warning", "no Prefect server is up to be asked", "start 'sdl up', then ask again")
    try:
        answer = _get(f"{api.rstrip('/')}/block_types/slug/{kind}/block_documents/name/{name}")
        words = describe_lost_message(api) if answer.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return DoctorFinding(what, "warning", f"{api} does not answer: {error}", "start 'sdl up', then ask again")
    if words is not None:
        return DoctorFinding(
            what, "warning", words, "see up.log, and send a test from the block's page in Prefect's UI"
        )
    if answer.is_success:
        return DoctorFinding(what, "ok", f"{notify.block} is told of: {', '.join(notify.on)}")
    advice = "make it in Prefect's UI under Blocks, then start 'sdl up' or 'sdl deploy' again"
    return DoctorFinding(what, "warning", f"nobody is notified: the server has no block {notify.block!r}", advice)


def _get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=5, auth=environment.server_credentials())


def _faults(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except InvalidInput as error:
        yield from error.faults


def _instrument(name: str, part: Plugin, setup: Setup) -> DoctorFinding:
    """Whether it answers: one reading with everything off, in the ledger like any other."""
    try:
        built = build_instrument(part)
        built.close()
        if isinstance(built, ReadByPersons):
            return DoctorFinding(name, "ok", "persons read it, and 'sdl propose' asks them", "")
        with open_bench(part, str(setup.directory), setup.ledger, "doctor") as bench:
            taken = by_hand.measure_by_hand(bench, [bench.instrument.space.off])
        return (
            DoctorFinding(name, "ok", f"{bench.instrument.identity} answers", "")
            if taken
            else DoctorFinding(
                name,
                "warning",
                f"{bench.instrument.identity} answers what cannot be believed",
                "see 'sdl export doctor'",
            )
        )
    except LeaseHeld as error:
        return DoctorFinding(name, "ok", str(error))
    except LedgerError:
        return DoctorFinding(name, "warning", "was not asked: a reading could not be kept", "see to the ledger first")
    except SdlError as error:
        if "through the proxy" in str(error):
            return DoctorFinding(
                name, "fault", str(error), "see to the proxy, or name the instrument's host in NO_PROXY"
            )
        return DoctorFinding(name, "fault", str(error), "see that it is switched on and that its address is right")
