"""The folder of a plug-in of one's own: what stands in it, and what is refused."""

import os
import subprocess
import sys
import tomllib

import pytest
from places import ROOT

from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument
from sdl.skeletons.plug_in import write_plug_in


def test_the_driver_keeps_the_protocol_and_answers(tmp_path, monkeypatch):
    driver, *_ = write_plug_in("instrument", "first-driver", tmp_path / "new")
    monkeypatch.syspath_prepend(str(driver.parent))
    from first_driver import FirstDriver

    instrument = FirstDriver()
    assert isinstance(instrument, Instrument)
    assert instrument.measure({"red": 1.0, "blue": 0.0}).readings.keys() == {"450nm", "650nm"}


def test_the_entry_point_names_the_class_of_the_module(tmp_path):
    driver, pyproject, _ = write_plug_in("instrument", "ph-meter-2", tmp_path)
    written = tomllib.loads(pyproject.read_text())
    assert written["project"]["entry-points"]["sdl.instruments"] == {"ph-meter-2": "ph_meter_2:PhMeter2"}
    assert "class PhMeter2:" in driver.read_text()


def test_the_law_passes_its_own_test(tmp_path):
    """As a newcomer runs it."""
    write_plug_in("law", "my-decay", tmp_path / "new")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path / "new", env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout
    written = tomllib.loads((tmp_path / "new" / "pyproject.toml").read_text())
    assert written["project"]["entry-points"] == {"sdl.inverse_models": {"my-decay": "my_decay:MyDecay"}}


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="is left as it is"):
        write_plug_in("instrument", "dye-mixer", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Dye Mixer", "lower-case letters"),
        ("../mixer", "lower-case letters"),
        ("", "lower-case letters"),
        ("m" * 61, "at most 60"),
        ("twin", "is installed already"),
        ("json", "another Python module"),
        ("lambda", "another Python module"),
        ("numpy", "another Python module"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_the_reason(tmp_path, name, reason):
    with pytest.raises(InvalidInput, match=reason):
        write_plug_in("instrument", name, tmp_path / "new")
    assert not (tmp_path / "new").exists()
