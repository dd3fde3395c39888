"""The folder of an instrument of one's own: what stands in it, and what is refused."""

import tomllib

import pytest

from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument
from sdl.skeletons.instrument import write_instrument


def test_the_driver_keeps_the_protocol_and_answers(tmp_path, monkeypatch):
    driver, *_ = write_instrument("first-driver", tmp_path / "new")
    monkeypatch.syspath_prepend(str(driver.parent))
    from first_driver import FirstDriver

    instrument = FirstDriver()
    assert isinstance(instrument, Instrument)
    assert instrument.measure({"red": 1.0, "blue": 0.0}).readings.keys() == {"450nm", "650nm"}


def test_the_entry_point_names_the_class_of_the_module(tmp_path):
    driver, pyproject, _ = write_instrument("ph-meter-2", tmp_path)
    written = tomllib.loads(pyproject.read_text())
    assert written["project"]["entry-points"]["sdl.instruments"] == {"ph-meter-2": "ph_meter_2:PhMeter2"}
    assert "class PhMeter2:" in driver.read_text()


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="is left as it is"):
        write_instrument("dye-mixer", tmp_path)
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
        write_instrument(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()
