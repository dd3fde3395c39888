"""A laboratory that was only just written is one, whatever its instrument, and overwrites nothing."""

import pytest

from flows.laboratory.definition import Laboratory
from sdl.campaign.definition import Campaign
from sdl.campaign.toml import read_toml
from sdl.errors import InvalidInput
from sdl.skeletons.laboratory import write_laboratory


@pytest.mark.parametrize(
    ("plugin", "options"), [("twin", {"seed": 3}), ("sinewave", {}), ("scpi", {}), ("rest", {}), ("command", {})]
)
def test_a_written_laboratory_is_one(tmp_path, plugin, options):
    laboratory, campaign, ignored = write_laboratory(tmp_path / "lab", plugin, options, {})
    made = Laboratory.read(laboratory)
    assert list(made.instruments) == [plugin]
    assert [(each.run, each.active) for each in made.schedule] == [("calibrate", False), ("campaign", False)]
    assert Campaign.parse(read_toml(campaign)).name == "first"
    assert read_toml(laboratory)["instruments"][plugin] == read_toml(campaign)["instrument"]
    assert ignored.read_text() == "sdl-data/\n"


def test_what_is_there_is_left_as_it_is_and_nothing_is_written_beside_it(tmp_path):
    (tmp_path / "first.toml").write_text("mine")
    with pytest.raises(InvalidInput, match=r"first\.toml exists and is left as it is"):
        write_laboratory(tmp_path, "twin", {}, {})
    assert [file.name for file in tmp_path.iterdir()] == ["first.toml"]
    assert (tmp_path / "first.toml").read_text() == "mine"


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "lab").write_text("mine")
    with pytest.raises(InvalidInput, match=r"/lab exists and is left as it is"):
        write_laboratory(tmp_path / "lab", "twin", {}, {})


def test_the_command_says_what_comes_next(sdl, tmp_path):
    outcome = sdl("init", tmp_path / "lab")
    assert outcome.code == 0
    assert f"next: sdl run {tmp_path}/lab/first.toml; or sdl up {tmp_path}/lab/laboratory.toml" in outcome.said
    assert "445nm = 16384" in (tmp_path / "lab" / "first.toml").read_text()
    assert sdl("init", tmp_path / "other", "-i", "twn").code == 2
    assert not (tmp_path / "other").exists()
