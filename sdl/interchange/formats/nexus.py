"""A campaign as NeXus in HDF5 (https://www.nexusformat.org), for programs of facilities that read nothing of ours.

``/entry/data`` (NXdata) has what counts: a row for each reading, its channels as signals, and over the rows the number
of the request, knobs and time as axes. ``/entry/attempts`` (NXcollection) has every attempt as the ledger has it,
``/entry/verdicts`` what was found, ``/entry/instrument`` a positioner for each knob and a detector for each channel.
"""

import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl import __version__
from sdl.errors import InvalidInput
from sdl.formatting import array_from_json
from sdl.history import Entry, Purpose, ReplyClass
from sdl.space import Channel, Knob, Space

SUFFIXES = (".nxs", ".nexus")
NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_]")
"""Of a name in NeXus."""
LONGEST = 63
"""Characters of such a name."""
WORDS = ("purpose", "state", "verdict", "reason", "raw", "instrument", "sample")
COUNTS = ("seq", "round", "index", "replicate", "attempt")
SECONDS = ("sent_at", "done_at", "seconds")

EPOCH = "1970-01-01T00:00:00+00:00"

Row = Mapping[str, Any]


def nexus_file(entry: Entry, trail: Sequence[Row], findings: Sequence[Row]) -> bytes:
    """Return a campaign as the bytes of a NeXus file.

    Args:
        entry: The campaign.
        trail: Every attempt, as ``Ledger.trail`` gives them.
        findings: Every verdict, as ``Ledger.account`` gives them.

    Raises:
        InvalidInput: if h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise InvalidInput("a NeXus file needs h5py: pip install 'inverse-sdl[nexus]'") from error
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": f"inverse-sdl {__version__}"})
        file.attrs["HDF5_Version"] = h5py.version.hdf5_version
        root = _group(file, "entry", "NXentry")
        _describe(root, entry, trail)
        _instrument(root, entry)
        _data(root, entry, [row for row in trail if _counts(row)])
        _attempts(root, entry, trail)
        _verdicts(root, entry, findings)
    return buffer.getvalue()


def _counts(row: Row) -> bool:
    """Whether an attempt brought a reading of the campaign's instrument, and of no other source."""
    usable = row["verdict"] is not None and ReplyClass(row["verdict"]).usable
    return usable and row["purpose"] != Purpose.SOURCE


def nexus_names(kind: str, names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Return names that NeXus allows, each its own.

    >>> nexus_names("channel", ["445nm", "445 nm", "445.nm", "time"], ["time"])
    ['channel_445nm', 'channel_445_nm', 'channel_445_nm_2', 'time_2']
    """
    used, chosen = {*taken}, list[str]()
    for name in names:
        plain = NOT_ALLOWED.sub("_", name)[: LONGEST - 16]
        plain = plain if plain[0].isalpha() else f"{kind}_{plain}"
        place = 1
        while (allowed := plain if place == 1 else f"{plain}_{place}") in used:
            place += 1
        used.add(allowed)
        chosen.append(allowed)
    return chosen


def _names(space: Space, taken: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of the knobs and of the channels."""
    knobs = nexus_names("knob", space.knob_names, taken)
    return knobs, nexus_names("channel", space.channel_names, [*taken, *knobs])


def _group(parent: Any, name: str, kind: str) -> Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _moment(seconds: float | None) -> str | None:
    """In ISO 8601; None where no clock has it."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _text(value: Any) -> str:
    """Text that HDF5 takes: neither NUL nor half a character."""
    return str(value).replace("\0", "\u2400").encode(errors="replace").decode()


def _field(group: Any, name: str, values: Any, about: Knob | Channel | None = None, **attributes: Any) -> Any:
    """Write values, with what they are about, or with attributes, of which None is none; return where."""
    data = group.create_dataset(name, data=values)
    if about is not None:
        attributes |= {"long_name": about.heading, "units": about.unit or None}
    known = {key: value for key, value in attributes.items() if value is not None}
    data.attrs.update({key: _text(value) if isinstance(value, str) else value for key, value in known.items()})
    return data


def _describe(root: Any, entry: Entry, trail: Sequence[Row]) -> None:
    times = [row[key] for row in trail for key in ("sent_at", "done_at") if row[key] is not None]
    words = {
        "title": entry.title or entry.name,
        "entry_identifier": entry.name,
        "experiment_description": f"{entry.state.value}: {entry.reason}" if entry.reason else entry.state.value,
        "start_time": _moment(min(times, default=entry.created)),
        "end_time": _moment(max(times, default=entry.updated)),
    }
    for name, value in words.items():
        if value is not None:
            _field(root, name, _text(value))
    _field(root, "program_name", "inverse-sdl", version=entry.versions.get("sdl", "unknown"))
    note = _group(root, "configuration", "NXnote")
    _field(note, "type", "application/json")
    _field(note, "data", json.dumps(dict(entry.config)))


def _instrument(root: Any, entry: Entry) -> None:
    instrument = _group(root, "instrument", "NXinstrument")
    _field(instrument, "name", _text(entry.instrument))
    space = entry.space
    knobs, channels = _names(space, ["name"])
    for name, knob in zip(knobs, space.knobs, strict=True):
        positioner = _group(instrument, name, "NXpositioner")
        _field(positioner, "name", _text(knob.name))
        if not knob.names:
            _field(positioner, "soft_limit_min", float(knob.low), knob)
            _field(positioner, "soft_limit_max", float(knob.high), knob)
    for name, channel in zip(channels, space.channels, strict=True):
        detector = _group(instrument, name, "NXdetector")
        _field(detector, "local_name", _text(channel.name))
        if channel.ceiling is not None:
            _field(detector, "saturation_value", float(channel.ceiling), channel)
        if channel.formula:
            _field(detector, "description", _text(f"computed: {channel.formula}"))


def _data(root: Any, entry: Entry, rows: Sequence[Row]) -> None:
    """What counts: channels over the readings, in the order of taking."""
    space = entry.space
    knobs, channels = _names(space, ["request", "time"])
    conditions = nexus_names("condition", space.condition_names, ["request", "time", *knobs, *channels])
    data = _group(root, "data", "NXdata")
    root.attrs["default"] = "data"
    data.attrs.update({"signal": channels[0], "auxiliary_signals": channels[1:], "axes": ["request"]})
    for name in ("request", "time", *knobs, *conditions):
        data.attrs[f"{name}_indices"] = [0]
    settings = np.array([row["settings"] for row in rows], float).reshape(-1, space.d)
    readings = np.array([array_from_json(row["readings"]) for row in rows], float).reshape(-1, space.p)
    times = _numbers([row["sent_at"] for row in rows])
    start = float(np.nanmin(times)) if np.isfinite(times).any() else None
    _field(data, "request", np.array([row["seq"] for row in rows], np.int64), long_name="number of the request")
    since = times - (start or 0.0)
    _field(data, "time", since, units="s", long_name="time of sending [s]", start=_moment(start))
    for name, knob, column in zip(knobs, space.knobs, settings.T, strict=True):
        _field(data, name, column, knob, categories=[_text(each) for each in knob.names] or None)
    for name, condition in zip(conditions, space.conditions, strict=True):
        known = _numbers([(row["conditions"] or {}).get(condition.name) for row in rows])
        _field(data, name, known, long_name=condition.name, units=condition.unit or None)
    for name, channel, column in zip(channels, space.channels, readings.T, strict=True):
        _field(data, name, column, channel)


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], float)


def _attempts(root: Any, entry: Entry, trail: Sequence[Row]) -> None:
    """Everything that was sent, whatever became of it."""
    space = entry.space
    attempts = _group(root, "attempts", "NXcollection")
    for name in COUNTS:
        _field(attempts, name, np.array([row[name] for row in trail], np.int64))
    for name in SECONDS:
        start = None if name == "seconds" else EPOCH
        _field(attempts, name, _numbers([row[name] for row in trail]), units="s", start=start)
    for name in WORDS:
        _words(attempts, name, [row[name] for row in trail])
    for name in ("applied", "out", *(["conditions"] if space.conditions else [])):
        _words(attempts, name, [None if row[name] is None else json.dumps(row[name]) for row in trail])
    settings = np.array([row["settings"] for row in trail], float).reshape(-1, space.d)
    nothing = [None] * space.p
    readings = np.array([array_from_json(row["readings"] or nothing) for row in trail], float).reshape(-1, space.p)
    censored = np.array([row["censored"] or [False] * space.p for row in trail], np.int8).reshape(-1, space.p)
    _field(attempts, "settings", settings, columns=[_text(name) for name in space.knob_names])
    _field(attempts, "readings", readings, columns=[_text(name) for name in space.channel_names])
    _field(attempts, "censored", censored, columns=[_text(name) for name in space.channel_names])


def _verdicts(root: Any, entry: Entry, findings: Sequence[Row]) -> None:
    verdicts = _group(root, "verdicts", "NXcollection")
    _field(verdicts, "round", np.array([row["round"] for row in findings], np.int64))
    _field(verdicts, "at", _numbers([row["at"] for row in findings]), units="s", start=EPOCH)
    for name in ("target", "verdict", "sentence"):
        _words(verdicts, name, [row[name] for row in findings])
    nothing = [np.nan] * entry.space.d
    settings = np.array([row["settings"] or nothing for row in findings], float).reshape(-1, entry.space.d)
    _field(verdicts, "settings", settings, columns=[_text(name) for name in entry.space.knob_names])


def _words(group: Any, name: str, values: Sequence[Any]) -> None:
    """Text of any length; empty where there is none."""
    import h5py

    words = np.array(["" if value is None else _text(value) for value in values], object)
    group.create_dataset(name, data=words, dtype=h5py.string_dtype())
