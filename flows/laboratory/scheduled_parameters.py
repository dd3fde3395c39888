"""What a scheduled run is given, checked before anything starts: a night later nobody is there to mend a word.

Prefect would refuse it as well, when the run begins. The table is that of the flows' own parameters, which a test
compares; Prefect takes seconds to load.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from sdl import plugins
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.sections import DesignPart, Plugin
from sdl.campaign.toml import read_toml
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, suggest_nearest
from sdl.instruments.protocol import Instrument
from sdl.space import NamedSettings

Seed = Annotated[int, Field(ge=0)]
PARAMETERS: dict[str, dict[str, Any]] = {
    "campaign": {"config": Campaign, "again": bool, "wait": bool, "moved": bool},
    "verify": {
        "config": Campaign,
        "settings": NamedSettings,
        "target": str | None,
        "replicates": Annotated[int, Field(ge=2, le=1000)],
    },
    "measure": {"settings": NamedSettings, "n": Annotated[int, Field(ge=1, le=1000)]},
    "survey": {"name": str, "design": DesignPart, "seed": Seed, "every": Annotated[int, Field(ge=0, le=100_000)]},
    "calibrate": {},
    "sweep": {
        "config": Campaign,
        "targets": list[Target] | None,
        "seeds": Annotated[list[Seed], Field(max_length=1000)] | None,
        "apart": bool,
    },
}
"""By run, what a schedule may give it; instrument, home and ledger are the laboratory's."""


def read_campaign_files(written: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """A laboratory in which each schedule's ``file``, a campaign beside it, is taken up into its parameters.

    Returns:
        The laboratory, and a fault for every file that cannot be read, or whose run takes none; it is left out there.
    """
    schedule, faults = written.get("schedule"), list[str]()
    if not isinstance(schedule, list):
        return dict(written), faults
    taken = list[Any]()
    for place, due in enumerate(schedule):
        if not isinstance(due, Mapping) or "file" not in due:
            taken.append(due)
            continue
        try:
            taken.append(_with_campaign(due, folder))
        except InvalidInput as error:
            faults += [f"schedule.{place}.file: {fault}" for fault in error.faults]
            taken.append({key: value for key, value in due.items() if key != "file"})
    return {**written, "schedule": taken}, faults


def _with_campaign(due: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    rest = {key: value for key, value in due.items() if key != "file"}
    given = due.get("parameters", {})
    if "config" not in PARAMETERS.get(str(due.get("run")), {"config": None}):
        raise InvalidInput(f"a campaign is for the runs campaign, verify and sweep, got {due['run']!r}")
    if not isinstance(due["file"], str) or not isinstance(given, Mapping):
        raise InvalidInput("needs the name of a campaign file, and parameters as a table")
    if "config" in given:
        raise InvalidInput("the campaign is given twice: leave out parameters.config")
    campaign = {key: value for key, value in read_toml(folder / due["file"]).items() if key != "instrument"}
    return {**rest, "parameters": {**given, "config": campaign}}


def with_instrument(run: str, given: Mapping[str, Any], part: Plugin) -> dict[str, Any]:
    """The parameters of a scheduled run; its campaign is on the laboratory's instrument where it names none."""
    config = given.get("config")
    if "config" not in PARAMETERS[run] or not isinstance(config, Mapping) or "instrument" in config:
        return dict(given)
    return {**given, "config": {**config, "instrument": part.model_dump(mode="json")}}


def parameter_faults(run: str, given: Mapping[str, Any], part: Plugin, instrument: Instrument) -> Iterator[str]:
    """What is wrong with the parameters of a scheduled run on an instrument, each with its key."""
    known = PARAMETERS[run]
    if "config" in known and "config" not in given:
        yield f"config: {run} needs a campaign, which says what is wanted: file = 'NAME.toml'"
    for name, value in given.items():
        if name in ("instrument", "home", "ledger"):
            yield f"{name}: is the laboratory's own, leave it out"
        elif name not in known:
            yield f"{name}: {run} has no such parameter{suggest_nearest(name, known)}"
        elif name == "config":
            yield from (f"config.{fault}" for fault in _campaign_faults(value, part, instrument))
        else:
            yield from (f"{name}{fault}" for fault in _value_faults(known[name], value, instrument))


def _campaign_faults(written: Any, part: Plugin, instrument: Instrument) -> list[str]:
    if not isinstance(written, Mapping):
        return ["needs a campaign"]
    own = written.get("instrument")
    if own is not None and Plugin.model_validate(own) != part:
        return ["instrument: is the laboratory's own, leave it out"]
    try:
        prepare(written, instrument)
    except InvalidInput as error:
        return list(error.faults)
    return []


def _value_faults(kind: Any, value: Any, instrument: Instrument) -> Iterator[str]:
    try:
        checked = TypeAdapter(kind).validate_python(value)
        if kind == NamedSettings:
            instrument.space.settings(checked)
        if isinstance(checked, DesignPart):
            plugins.build("sdl.designs", checked.plugin, checked.options)
    except ValidationError as error:
        yield from (f"{''.join(f'.{key}' for key in fault['loc'])}: {fault['msg']}" for fault in error.errors())
    except InvalidInput as error:
        yield from (f": {fault}" for fault in error.faults)
