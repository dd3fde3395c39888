"""A campaign as NeXus: valid by a validator that is not ours, and all that the ledger has is in it."""

import builtins
import io
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from chemist import WRITTEN, conversation
from nexusformat.nexus import nxload
from nexusformat.nexus.validate import validate_file

from flows.engine.opening import open_session
from sdl.errors import InvalidInput
from sdl.formatting import array_from_json
from sdl.history import Purpose
from sdl.interchange.export_import import export_campaign, import_campaign
from sdl.interchange.formats.nexus import nexus_file
from sdl.ledger.ledger import Ledger
from strategies.plan.steps import Stop


@pytest.fixture(scope="module")
def campaigns(tmp_path_factory):
    """Three campaigns and their files: one of the twin, one by hand with a failure, rows without times."""
    home = tmp_path_factory.mktemp("nexus")
    written = {"name": "Weiß", "instrument": {"plugin": "twin", "seed": 1}, "targets": [{"readings": {"445nm": 16384}}]}
    with open_session(written, home, str(home / "twin")) as session:
        while not isinstance(step := session.propose(), Stop):
            session.execute(step)
        session.execute(step)
    hand = conversation(WRITTEN, home, "Ben")
    samples = hand.ask()
    hand.tell([{"sample": each.name, "readings": {"450nm": 1.5, "650nm": 2.0}} for each in samples[1:]])
    hand.tell([{"sample": samples[0].name, "failed": True, "note": "spilled\0"}])
    (again,) = hand.ask()
    hand.tell([{"sample": again.name, "readings": {"450nm": 1.5, "650nm": 2.0}}])
    hand.ask()
    rows = home / "rows.csv"
    rows.write_text("in.T / °C,in.=x,out.y 1,out.y.1,out.time\n300,1,1,2,3\n310,2,4,,5\n", encoding="utf-8")
    with Ledger(home / "twin") as book:
        import_campaign(book, rows, "rows")
    places = {"wei": home / "twin", "dyes": hand.where, "rows": home / "twin"}
    kept = {}
    for name, where in places.items():
        with Ledger(where) as ledger:
            entry = ledger.entry(name)
            path = export_campaign(ledger, name, home / f"{name}.nxs")
            kept[name] = path, entry, ledger.trail(entry.id), ledger.history(entry.id)
    return kept


@pytest.mark.parametrize(("name", "warnings"), [("wei", 0), ("dyes", 0), ("rows", 4)])
def test_the_validator_finds_no_fault(campaigns, name, warnings):
    """It misses the units of two knobs that nobody stated, and none are made up."""
    assert validate_file(str(campaigns[name][0])) == (warnings, 0)


def test_the_validator_would_find_one(campaigns, tmp_path):
    path = tmp_path / "bent.nxs"
    path.write_bytes(campaigns["wei"][0].read_bytes())
    with h5py.File(path, "a") as file:
        file["entry/data"].attrs["signal"] = "nothing"
        file["entry"].create_dataset("445nm", data=1)
    assert validate_file(str(path))[1] > 0


@pytest.mark.parametrize("name", ["wei", "dyes", "rows"])
def test_what_counts_is_the_default_plot_as_the_ledger_has_it(campaigns, name):
    path, entry, _, history = campaigns[name]
    with h5py.File(path) as file:
        data = file[file.attrs["default"]][file["entry"].attrs["default"]]
        assert data.attrs["NX_class"] == "NXdata"
        assert list(data.attrs["axes"]) == ["request"]
        signals = [data.attrs["signal"], *data.attrs["auxiliary_signals"]]
        readings = np.column_stack([data[signal][:] for signal in signals])
        np.testing.assert_array_equal(readings, [row.readings for row in history.observations])
        knobs = [key.removesuffix("_indices") for key in data.attrs if key.endswith("_indices")]
        settings = np.column_stack([data[knob][:] for knob in knobs if knob not in ("request", "time")])
        assert sorted(map(tuple, settings.tolist())) == sorted(
            tuple(row.settings.tolist()[at] for at in _order(entry, data, knobs)) for row in history.observations
        )
        for signal, channel in zip(signals, entry.space.channels, strict=True):
            assert data[signal].attrs["long_name"] == channel.heading
            assert data[signal].attrs.get("units", "") == channel.unit


def _order(entry, data, knobs):
    """Columns of the ledger in the order of the file's axes."""
    headings = [knob.heading for knob in entry.space.knobs]
    return [headings.index(data[knob].attrs["long_name"]) for knob in knobs if knob not in ("request", "time")]


@pytest.mark.parametrize("name", ["wei", "dyes", "rows"])
def test_every_attempt_is_there_whatever_became_of_it(campaigns, name):
    path, entry, trail, _ = campaigns[name]
    with h5py.File(path) as file:
        attempts = file["entry/attempts"]
        for key in ("seq", "round", "index", "replicate", "attempt"):
            assert attempts[key][:].tolist() == [row[key] for row in trail]
        for key in ("purpose", "state", "verdict", "reason", "raw"):
            assert attempts[key].asstr()[:].tolist() == [str(row[key] or "") for row in trail]
        times = [np.nan if row["sent_at"] is None else row["sent_at"] for row in trail]
        np.testing.assert_array_equal(attempts["sent_at"][:], times)
        assert [json.loads(text) if text else None for text in attempts["out"].asstr()[:]] == [
            row["out"] for row in trail
        ]
        nothing = [None] * entry.space.p
        np.testing.assert_array_equal(
            attempts["readings"][:], [array_from_json(row["readings"] or nothing) for row in trail]
        )
        assert attempts["settings"][:].tolist() == [row["settings"] for row in trail]
        censored = [row["censored"] or [False] * entry.space.p for row in trail]
        assert attempts["censored"][:].astype(bool).tolist() == censored
        assert list(attempts["censored"].attrs["columns"]) == list(entry.space.channel_names)


def test_readings_of_a_source_are_attempts_alone_and_conditions_are_axes(campaigns):
    _, entry, trail, _ = campaigns["wei"]
    rows = [{**row, "conditions": {"room warmth": 20.0 + place}} for place, row in enumerate(trail)]
    rows[0] |= {"purpose": Purpose.SOURCE, "instrument": "the old lamp"}
    written = nexus_file(replace(entry, space=entry.space.with_conditions(["room warmth"])), rows, [])
    with h5py.File(io.BytesIO(written)) as file:
        assert file["entry/data/request"][:].tolist() == [row["seq"] for row in trail[1:]]
        warmth = file["entry/data/room_warmth"]
        assert warmth[:].tolist() == [20.0 + place for place in range(1, len(trail))]
        assert (warmth.attrs["long_name"], "units" in warmth.attrs) == ("room warmth", False)
        instruments = file["entry/attempts/instrument"].asstr()[:].tolist()
        assert instruments == ["the old lamp", *[entry.instrument] * (len(trail) - 1)]


def test_a_failure_is_no_reading_and_stays_on_record(campaigns):
    path, _, trail, _ = campaigns["dyes"]
    assert "FAILED" in {row["state"] for row in trail}
    with h5py.File(path) as file:
        assert len(file["entry/data/request"]) == len(trail) - 1
        assert "FAILED" in set(file["entry/attempts/state"].asstr()[:])


def test_instrument_times_and_verdicts_are_there_for_another_library(campaigns):
    path, entry, trail, history = campaigns["wei"]
    read = nxload(str(path)).entry
    assert read.title.nxvalue == "Weiß"
    assert read.instrument.name.nxvalue == entry.instrument
    assert read.instrument.R.nxclass == "NXpositioner"
    assert (read.instrument.R.soft_limit_min.nxvalue, read.instrument.R.soft_limit_max.nxvalue) == (0, 1)
    assert read.instrument.channel_445nm.local_name.nxvalue == "445nm"
    assert read.instrument.channel_445nm.saturation_value.attrs["units"] == "counts"
    assert read.data.nxsignal.nxname == "channel_415nm"
    start = np.datetime64(read.data.time.attrs["start"][:23])
    assert abs((start - np.datetime64(0, "s")) / np.timedelta64(1, "s") - trail[0]["sent_at"]) < 0.002
    assert read.data.time.nxvalue.tolist() == sorted(read.data.time.nxvalue)
    assert list(read.verdicts.sentence.nxvalue) == [finding.sentence for finding in history.findings]
    assert json.loads(read.configuration.data.nxvalue)["targets"] == entry.config["targets"]


def test_a_file_that_exists_and_a_missing_library_are_told(campaigns, tmp_path, monkeypatch, ledger):
    (tmp_path / "rows.csv").write_text("in.x,out.y\n1,2\n2,3\n")
    import_campaign(ledger, tmp_path / "rows.csv", "few")
    path = export_campaign(ledger, "few", tmp_path / "few.NXS")
    with pytest.raises(InvalidInput, match="exists; give another name"):
        export_campaign(ledger, "few", path)
    with pytest.raises(InvalidInput, match=r"give \.jsonl, \.csv or \.parquet, or \.nxs for NeXus"):
        export_campaign(ledger, "few", tmp_path / "few.hdf")
    usual = builtins.__import__

    def without(name, *arguments, **options):
        if name == "h5py":
            raise ImportError(name)
        return usual(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput, match=r"needs h5py: pip install 'inverse-sdl\[nexus\]'"):
        export_campaign(ledger, "few", tmp_path / "more.nxs")
    assert not (tmp_path / "more.nxs").exists()
