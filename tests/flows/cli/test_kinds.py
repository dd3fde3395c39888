"""Settings that a person types for an instrument with names and constraints: taken by name, refused in words."""

import sys

import pytest

FILE = """
name = "mixer"
budget = 30
design = "one-by-one"
constraints = {{ never = ["solvent = toluene and dose > 3"] }}

[instrument]
plugin = "command"
program = ["{python}", "mixer.py"]
constraints = {{ never = ["solvent = water and dose > 4"] }}
knobs = [{{ name = "dose", high = 5 }}, {{ name = "solvent", values = ["water", "ethanol", "toluene"] }}]
channels = [{{ name = "light" }}]

[[targets]]
readings = {{ light = 3.0 }}
tolerance = 0.3
"""
PROGRAM = """
import json, sys
asked = json.load(sys.stdin)["settings"]
light = {"water": 1, "ethanol": 2, "toluene": 0.5}[asked["solvent"]] * asked["dose"]
with open("asked.jsonl", "a") as log:
    log.write(json.dumps(asked) + "\\n")
print(json.dumps({"readings": {"light": light}}))
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mixer.py").write_text(PROGRAM)
    (tmp_path / "mixer.toml").write_text(FILE.format(python=sys.executable))
    return tmp_path / "mixer.toml"


@pytest.mark.slow
@pytest.mark.usefixtures("prefect")
def test_a_person_types_names_and_is_refused_what_is_forbidden(sdl, file, tmp_path):
    rows = sdl("measure", "-i", file, "dose=2", "solvent=ethanol", "--json").json
    assert rows[0]["readings"] == {"light": 4.0}
    assert rows[0]["settings"] == {"dose": 2.0, "solvent": "ethanol"}
    refused = sdl("measure", "-i", file, "dose=4.5", "solvent=water")
    assert refused.code == 2
    assert "dose = 4.5, solvent = water is not allowed: never solvent = water and dose > 4" in refused.said
    unknown = sdl("measure", "-i", file, "dose=2", "solvent=etanol")
    assert unknown.code == 2
    assert "needs one of water, ethanol, toluene, got 'etanol'; did you mean 'ethanol'?" in unknown.said
    verify = sdl("verify", file, "dose=3.5", "solvent=toluene")
    assert verify.code == 2
    assert "never solvent = toluene and dose > 3" in verify.said
    assert len((tmp_path / "asked.jsonl").read_text().splitlines()) == 1, "what was refused was not sent"
