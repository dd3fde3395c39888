"""The commands of a person who measures by hand: propose, tell."""

import io
import json
import sys

import pytest
from chemist import WRITTEN

from sdl.skeletons.campaign import literal

pytestmark = pytest.mark.usefixtures("no_prefect")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "dyes.toml"
    parts = {name: part for name, part in WRITTEN.items() if name != "targets"}
    lines = [f"{name} = {literal(part)}" for name, part in parts.items()]
    path.write_text("\n".join([*lines, f"targets = {literal(WRITTEN['targets'])}"]))
    return path


@pytest.fixture
def begun(sdl, file):
    return sdl("propose", file, "--json").json


def test_what_to_measure_is_a_table_a_sheet_and_json(sdl, file, begun, tmp_path):
    names = [sample["sample"] for sample in begun["samples"]]
    assert names == [f"r0-{number}-0" for number in range(5)]
    assert begun["samples"][0]["settings"] == {"red": 0.5, "blue": 3.5}
    assert begun["state"] == "PAUSED"
    shown = sdl("propose", "dyes", "--sheet", tmp_path / "monday.csv")
    assert shown.code == 0
    assert all(name in shown.out for name in (*names, "red [ml/min]"))
    assert (tmp_path / "monday.csv").exists()
    again = sdl("propose", "dyes", "--sheet", tmp_path / "monday.csv")
    assert again.code == 2
    assert "is left as it is" in again.said


def test_what_was_read_is_told_in_words_and_faults_end_with_2(sdl, begun):
    result = sdl("tell", "dyes", "r0-1-0", "450nm=12,5", "650nm=3,1 V", "--by", "Ada")
    assert (result.code, "1 sample kept; still wanted: r0-0-0, r0-2-0, r0-3-0, r0-4-0" in result.said) == (0, True)
    other = sdl("tell", "dyes", "r0-1-0", "450nm=13")
    assert other.code == 2
    assert "Ada said 450nm 12.5, now 13. If that corrects it, say so: 'sdl tell --correct'" in other.said
    assert sdl("tell", "dyes", "r0-1-0", "450nm=13", "--correct").code == 0
    assert sdl("tell", "dyes", "r0-2-0", "failed", "--note", "spilt").code == 0
    wanted = [sample["sample"] for sample in sdl("propose", "dyes", "--json").json["samples"]]
    assert wanted == ["r0-0-0", "r0-3-0", "r0-4-0", "r0-2-0-2"]
    assert "waits for persons and what they read: 'sdl propose dyes'" in sdl("status", "dyes").said
    for name in wanted:
        sdl("tell", "dyes", name, "450nm=20", "650nm=5")
    assert "waits for 'sdl propose dyes': every reading is in, and the next" in sdl("status", "dyes").said


def test_a_script_gives_json_on_standard_input(sdl, begun, monkeypatch):
    entries = [{"sample": "r0-0-0", "readings": {"450nm": 1, "650nm": 2}}, {"sample": "r0-0-7"}]
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(entries)))
    result = sdl("tell", "dyes", "-", "--json")
    assert result.code == 2
    assert result.json["kept"] == ["r0-0-0"]
    assert result.json["faults"] == ["entry 2: no sample 'r0-0-7'; did you mean 'r0-0-0'?"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("readings"))
    assert "standard input is not JSON" in sdl("tell", "dyes", "-").said


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["tell", "dyes", "r0-0-0", "450nm"], "a reading needs KEY=VALUE, got '450nm'"),
        (["tell", "dyes", "r0-0-0", "450nm=1", "450nm=2"], "a reading: 450nm is given twice"),
        (["tell", "dyes", "gone.csv"], "cannot read gone.csv"),
        (["tell", "dyes", "gone.csv", "--note", "spilt"], "--note is about one sample"),
        (["tell", "dyes", "a.csv", "b.csv"], "'b.csv' is neither"),
        (["tell", "dies", "r0-0-0", "450nm=1"], "no campaign 'dies' in this ledger; did you mean 'dyes'?"),
        (["propose", "dyes", "--sheet", "a.pdf"], "ends in .csv or .xlsx, got 'a.pdf'"),
        (["propose", "gone.toml"], "cannot read gone.toml"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(sdl, begun, words, why):
    result = sdl(*words)
    assert result.code == 2
    assert why in result.said


def test_a_campaign_file_to_begin_with_takes_knobs_and_channels_as_options(sdl, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [f"{name}={literal(WRITTEN['instrument'][name])}" for name in ("knobs", "channels")]
    result = sdl(
        "new", "campaign", "other.toml", "-i", "by-hand", *(word for option in words for word in ("-o", option))
    )
    assert result.code == 0
    assert len(sdl("propose", "other.toml", "--json").json["samples"]) == 5
