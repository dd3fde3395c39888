"""The laboratory file: which instruments there are, what runs on them at what times, who is told. Read from TOML."""

import re
from calendar import monthrange
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from flows.laboratory.scheduled_parameters import parameter_faults, read_campaign_files, with_instrument
from sdl import plugins
from sdl.campaign.definition import slugify
from sdl.campaign.safety import check_time_zone
from sdl.campaign.sections import Plugin
from sdl.campaign.toml import read_toml, validate_input
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value
from sdl.instruments.protocol import Instrument
from sdl.space import Space

Run = Literal["campaign", "verify", "measure", "survey", "calibrate", "sweep"]
"""The flows that a laboratory offers."""
Occasion = Literal["verdict", "suspended", "resumed", "waiting", "finished", "stalled", "drift"]
"""What somebody may be told of."""
TWIN_PORT = 5005
"""Where a twin is served unless somebody says otherwise."""
THIS_MACHINE = ("127.0.0.1", "localhost")
BLOCK = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")
"""How Prefect writes the type and the name of a block."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


LEAP_YEAR = 2024


def _cron(text: str | None) -> str | None:
    from prefect.client.schemas.schedules import CronSchedule  # who counts by it says what it can read

    if text is None:
        return text
    try:
        readable = len(text.split()) == 5 and bool(CronSchedule(cron=text))
    except ValueError:
        readable = False
    if not readable:
        raise ValueError(
            f"needs five fields (minute hour day month weekday), each within its range, got {format_value(text)}"
        )
    if _never_comes(*text.split()[2:]):
        raise ValueError(f"needs a day that the month has, got {format_value(text)}, which never comes")
    return text


def _never_comes(day: str, month: str, weekday: str) -> bool:
    """Whether the months that are listed have none of the days that are; of ranges and steps nothing is said."""
    days, months = day.split(","), month.split(",")
    if weekday != "*" or not all(each.isdigit() for each in (*days, *months)):
        return False
    return all(int(each) > monthrange(LEAP_YEAR, int(number))[1] for each in days for number in months)


def _instruments(written: Any) -> Any:
    """A bare string names a plug-in without options."""
    if isinstance(written, Mapping):
        return {name: {"plugin": each} if isinstance(each, str) else each for name, each in written.items()}
    return written


class Appointment(_Part):
    """When something runs by itself: at the times of ``cron``, or every so many minutes."""

    run: Run
    instrument: str
    """Its name in this file."""
    cron: Annotated[str | None, AfterValidator(_cron)] = None
    """Minute, hour, day, month, weekday, as clocks show them in the time zone of the laboratory: of a time that comes
    twice in the night of a clock change the first counts; one that is left out comes later by what clocks leave out."""
    every_min: float | None = Field(default=None, ge=1, le=60 * 24 * 366)
    """Minutes from one to the next, whatever clocks show."""
    active: bool = True
    """Whether it runs from the start on; the UI can change that."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """What this run is given instead of the deployment's own; a ``file`` that was named beside it is the campaign."""

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if (self.cron is None) == (self.every_min is None):
            raise ValueError("needs either cron or every_min")
        return self


def _block(text: str) -> str:
    if BLOCK.fullmatch(text) is None:
        got = "an address, which is a secret that the block keeps" if "://" in text else format_value(text)
        raise ValueError(f"needs the type and name of a notification block such as 'slack-webhook/lab', got {got}")
    return text


class Notify(_Part):
    """Who is told of what: a notification block of the Prefect server, which keeps the address and its secret."""

    block: Annotated[str, AfterValidator(_block)]
    """Its type and name, such as ``slack-webhook/lab``."""
    on: tuple[Occasion, ...] = Field(default=("verdict", "suspended", "stalled", "drift"), min_length=1)

    @property
    def place(self) -> tuple[str, str]:
        """Type and name of the block."""
        kind, _, name = self.block.partition("/")
        return kind, name


class Laboratory(_Part):
    """Instruments by name, what runs on them by itself, and who is told of it."""

    timezone: Annotated[str, AfterValidator(check_time_zone)] = "UTC"
    instruments: Annotated[dict[str, Plugin], BeforeValidator(_instruments)] = Field(min_length=1)
    schedule: tuple[Appointment, ...] = ()
    notify: Notify | None = None
    """By default nobody is notified."""
    _identities: dict[str, str] = PrivateAttr(default_factory=dict)
    """What each instrument calls itself, by its name in this file."""
    _spaces: dict[str, Space] = PrivateAttr(default_factory=dict)

    def _faults_of_all(self) -> list[str]:
        """What is wrong with names, instruments and parameters; on the way instruments say what they are."""
        faults = [
            f"instruments: an instrument's name is written {slugify(name)!r}, got {format_value(name)}"
            for name in self.instruments
            if slugify(name) != name
        ]
        faults += [
            f"schedule.{i}.instrument: no {each.instrument!r}{suggest_nearest(each.instrument, self.instruments)}"
            for i, each in enumerate(self.schedule)
            if each.instrument not in self.instruments
        ]
        for name, part in self.instruments.items():
            try:
                instrument: Instrument = plugins.build("sdl.instruments", part.plugin, part.options)
            except InvalidInput as error:
                faults += [f"instruments.{name}: {fault}" for fault in error.faults]
                continue
            instrument.close()
            self._identities[name], self._spaces[name] = instrument.identity, instrument.space
            for i, due in enumerate(self.schedule):
                if due.instrument == name:
                    given = with_instrument(due.run, due.parameters, part)
                    wrong = parameter_faults(due.run, given, part, instrument)
                    faults += [f"schedule.{i}.parameters.{fault}" for fault in wrong]
                    due.parameters.update(given)
        return faults

    def identity(self, name: str) -> str:
        """What the instrument of that name calls itself."""
        return self._identities[name]

    def space(self, name: str) -> Space:
        """Knobs and channels of the instrument of that name."""
        return self._spaces[name]

    @property
    def ports(self) -> dict[str, int]:
        """At which port of this machine an instrument is, by its name, for those that are here."""
        addresses = {name: urlsplit(str(part.options.get("url", ""))) for name, part in self.instruments.items()}
        here = {name: each for name, each in addresses.items() if each.hostname in THIS_MACHINE}
        return {name: each.port or 80 for name, each in here.items() if each.scheme == "http"}

    def twin_port(self, wanted: int | None) -> int:
        """Return the port at which a twin serves this laboratory.

        Args:
            wanted: As a person has it; by default that of the first instrument on this machine.

        Raises:
            InvalidInput: if no instrument of the file is there, so that nothing would use it.
        """
        ports = list(self.ports.values())
        if not ports or wanted not in (None, *ports):
            there = f"a twin at port {wanted}" if wanted is not None else "a twin"
            advice = f"leave --twin-port out, or give {ports[0]}" if ports else "leave --twin out"
            written = f'url = "http://127.0.0.1:{wanted or TWIN_PORT}/api"'
            raise InvalidInput(f"no instrument of the laboratory file uses {there}: {advice}, or write {written} there")
        return ports[0] if wanted is None else wanted

    @classmethod
    def parse(cls, written: Mapping[str, Any], folder: Path = Path()) -> Self:
        """Check what was written.

        Args:
            written: Content of a laboratory file.
            folder: Where the campaign files lie that it names.

        Raises:
            InvalidInput: listing every fault with its key.
        """
        whole, faults = read_campaign_files(written, folder)
        try:
            laboratory = validate_input(cls, whole, "laboratory")
        except InvalidInput as error:
            raise InvalidInput([*faults, *error.faults]) from None
        if faults := [*faults, *laboratory._faults_of_all()]:
            raise InvalidInput(faults)
        return laboratory

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a laboratory file.

        Raises:
            InvalidInput: listing every fault of the file with its key.
        """
        try:
            written = read_toml(path)
        except InvalidInput as error:
            raise InvalidInput(f"laboratory: {fault}" for fault in error.faults) from error
        return cls.parse(written, path.parent)

    @classmethod
    def of_a_twin(cls, url: str | None) -> Self:
        """The laboratory of somebody who has none yet: a twin, calibrated each night.

        Args:
            url: Where the twin is served; by default each run has one in its own process.
        """
        twin = {"plugin": "twin"} if url is None else {"plugin": "claude-light", "url": url, "allow_private": True}
        nightly = {"run": "calibrate", "instrument": "twin", "cron": "30 3 * * *"}
        return cls.parse({"instruments": {"twin": twin}, "schedule": [nightly]})
