"""What a laboratory offers in Prefect: one deployment of each flow for each instrument, defined once.

``sdl up`` serves them in its own process; ``deployments/prefect.yaml`` says the same for a work pool.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from flows.laboratory.definition import Appointment, Laboratory, Run
from sdl.space import Space

ENTRYPOINTS: dict[Run, str] = {
    "campaign": "flows.campaign.flow.campaign",
    "verify": "flows.manual.measure.verify",
    "measure": "flows.manual.measure.measure",
    "survey": "flows.manual.measure.survey",
    "calibrate": "flows.manual.calibration.calibrate",
    "sweep": "flows.campaign.sweep.sweep",
}
"""Flows by module path: a run imports them, whatever folder it starts in."""
DESCRIPTIONS: dict[Run, str] = {
    "campaign": "From the readings that you want to verified settings.",
    "verify": "An exam of your own settings for a target, in the light of this moment.",
    "measure": "One reading at settings of your choice.",
    "survey": "A reading at every point of a design, towards no target.",
    "calibrate": "Background and full drives, held against the control chart of the calibrations before.",
    "sweep": "One campaign that shares its measurements among many targets; for many seeds one after another.",
}
ControlRun: TypeAlias = Literal["pause", "resume", "stop", "extend", "approve"]
CONTROLS: dict[ControlRun, tuple[str, str]] = {
    "pause": ("flows.manual.controls.pause", "Ask a campaign to pause before its next request."),
    "resume": ("flows.manual.controls.resume", "Take a pause, a stop or a hold-off back, and go on."),
    "stop": ("flows.manual.controls.stop", "Ask a campaign to stop before its next request."),
    "extend": ("flows.manual.controls.extend", "Allow a campaign more requests, also while it runs."),
    "approve": ("flows.manual.controls.approve", "Approve of the settings that a campaign wants to send, or decline."),
}
"""What a person asks of any campaign: the flow behind it, and a description."""
LABORATORY = "laboratory"
"""Name of the deployments that belong to no single instrument."""
COLLISION: dict[Run, str] = {run: "CANCEL_NEW" if run == "calibrate" else "ENQUEUE" for run in ENTRYPOINTS}
"""What becomes of a run whose instrument is busy: what a person asked for waits; a calibration is left out."""
HIDDEN = ("instrument", "instruments", "home", "ledger")
"""Parameters that the laboratory fills in: no field of the form."""
PAPER = {"readings": {"445nm": 16384, "515nm": 16384, "630nm": 16384}, "tolerance": "1 %"}
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
"""Intervals are counted from here, so that a restart does not shift them."""


@dataclass(frozen=True)
class Definition:
    """One deployment."""

    run: Run | ControlRun
    name: str
    """That of the instrument in the laboratory file, or of the laboratory."""
    parameters: dict[str, Any]
    entrypoint: str
    """Where its flow is, as a module path."""
    description: str
    space: Space | None = None
    """Of the instrument; None where it is about any of them."""
    collision: str | None = None
    """What becomes of a run whose instrument is busy; None where runs need no turn."""
    timezone: str = "UTC"
    appointments: tuple[Appointment, ...] = ()

    @property
    def tags(self) -> list[str]:
        """What the UI can be searched by."""
        return ["sdl"] if self.space is None else ["sdl", f"instrument:{self.name}"]

    def slug(self, place: int) -> str:
        """The name of a schedule by its place, by which Prefect knows it again."""
        return f"{self.run}-{place}"

    def timezone_of(self, due: Appointment) -> str:
        """The zone in which Prefect counts: local time for ``cron``; UTC for ``every_min``, which is a duration.

        In local time Prefect leaves an hour of it out, or has one twice, in the nights of a clock change.
        """
        return self.timezone if due.cron else "UTC"

    def form(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema of the parameters as a form for this instrument: its knobs with their bounds, and no more.

        Args:
            schema: JSON schema of the flow's own parameters.
        """
        fields = {name: field for name, field in schema["properties"].items() if name not in HIDDEN}
        if "settings" in fields and self.space is not None:
            fields["settings"] = fields["settings"] | _knobs(self.space)
        required = [name for name in schema.get("required", []) if name not in HIDDEN]
        parts = dict(schema.get("definitions", {}))
        if "Campaign" in parts:
            shown = parts["Campaign"]["properties"] | {"instrument": _options(self.parameters["config"]["instrument"])}
            parts["Campaign"] = parts["Campaign"] | {"properties": shown}
        return schema | {"properties": fields, "required": required, "definitions": parts}

    def written(self, pool: str) -> dict[str, Any]:
        """The same as an entry of ``prefect.yaml``, for a work pool."""
        turns = {"concurrency_limit": {"limit": 1, "collision_strategy": self.collision}} if self.collision else {}
        return {
            "name": self.name,
            "entrypoint": self.entrypoint,
            "description": self.description,
            "tags": self.tags,
            "parameters": self.parameters,
            "schedules": [
                {"slug": self.slug(place), **_schedule_written(each, self.timezone_of(each))}
                for place, each in enumerate(self.appointments)
            ],
            **turns,
            "work_pool": {"name": pool, "work_queue_name": self.name},
        }


def define_deployments(laboratory: Laboratory) -> Iterator[Definition]:
    """Define every deployment of a laboratory."""
    for name, part in laboratory.instruments.items():
        space = laboratory.space(name)
        for run, entrypoint in ENTRYPOINTS.items():
            due = tuple(each for each in laboratory.schedule if (each.run, each.instrument) == (run, name))
            parameters = _parameters(run, name, part.model_dump(mode="json"), space)
            yield Definition(
                run=run,
                name=name,
                parameters=parameters,
                entrypoint=entrypoint,
                description=DESCRIPTIONS[run],
                space=space,
                collision=COLLISION[run],
                timezone=laboratory.timezone,
                appointments=due,
            )
    names = {laboratory.identity(name): name for name in laboratory.instruments}
    for control, (entrypoint, description) in CONTROLS.items():
        instruments = {"instruments": names} if control == "resume" else {}
        yield Definition(control, LABORATORY, instruments, entrypoint, description)


def _parameters(run: Run, name: str, part: dict[str, Any], space: Space) -> dict[str, Any]:
    """What a run is given by default: the start of a form."""
    settings = space.shown_settings(space.off)
    if run in ("campaign", "sweep", "verify"):
        suits_paper = PAPER["readings"].keys() <= set(space.channel_names)  # type: ignore[attr-defined]
        config = {
            "name": f"{run} {name}",
            "instrument": part,
            **({"targets": [{"name": "white", **PAPER}]} if suits_paper else {}),
        }
        return {"config": config, **({"settings": settings} if run == "verify" else {}),
                **({"again": True, "wait": True} if run == "campaign" else {})}  # fmt: skip
    own: dict[str, dict[str, Any]] = {
        "measure": {"settings": settings},
        "survey": {"name": f"survey {name}", "design": {"plugin": "latin-hypercube", "n": 20}},
    }
    return {"instrument": part, **own.get(run, {})}


def _knobs(space: Space) -> dict[str, Any]:
    fields = {
        knob.name: {
            **(
                {"type": "string", "enum": list(knob.names)}
                if knob.names
                else {"type": "number", "minimum": knob.low, "maximum": knob.high}
            ),
            "title": knob.name,
            "description": f"{knob.range} {knob.unit}".rstrip(),
        }
        for knob in space.knobs
    }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _options(part: dict[str, Any]) -> dict[str, Any]:
    """An instrument's plug-in with a field for each of its options: a form drops what it has no field for."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    fields = {
        name: {"title": name, "default": value, **({"type": kinds[type(value)]} if type(value) in kinds else {})}
        for name, value in part.items()
    }
    return {"title": "Instrument", "type": "object", "properties": fields, "required": ["plugin"]}


def _schedule_written(due: Appointment, timezone: str) -> dict[str, Any]:
    rhythm = {"cron": due.cron} if due.cron else {"interval": timedelta(minutes=due.every_min or 0).total_seconds()}
    anchor = {} if due.cron else {"anchor_date": ANCHOR.isoformat()}
    more = {"parameters": due.parameters} if due.parameters else {}
    return {**rhythm, **anchor, "timezone": timezone, "active": due.active, **more}
