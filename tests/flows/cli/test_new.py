"""The skeletons run: an instrument that was only just written is installed and led to a verdict."""

import json
import os
import subprocess
import sys

import pytest


def sdl(folder, *words, code=0):
    """The answer of a command as a newcomer gives it, with what was installed into ``site`` beside the rest."""
    environment = os.environ | {"PYTHONPATH": str(folder / "site"), "SDL_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "flows.cli", *words, "--json"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def install(folder, package):
    """The package as pip installs it, where no other test can see it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--target", str(folder / "site"), str(package)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


@pytest.mark.slow
def test_a_written_instrument_without_declared_noise_is_led_to_a_verdict(tmp_path):
    driver, *_ = sdl(tmp_path, "new", "instrument", "dye-mixer")["files"]
    driver = tmp_path / driver
    driver.write_text(driver.read_text().replace("noise=8, ", ""))
    install(tmp_path, driver.parent)
    sdl(tmp_path, "new", "campaign", "first.toml", "--instrument", "dye-mixer", "--option", "seed=3")
    assert "declares no noise" in (tmp_path / "first.toml").read_text()
    result = sdl(tmp_path, "run", "first.toml")
    assert [target["verdict"] for target in result["targets"]] == ["VERIFIED"]


def test_the_test_of_a_written_instrument_passes(tmp_path):
    sdl(tmp_path, "new", "instrument", "dye-mixer")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path / "dye-mixer", capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_nothing_is_overwritten(tmp_path):
    sdl(tmp_path, "new", "campaign", "mine.toml")
    before = (tmp_path / "mine.toml").read_text()
    answer = sdl(tmp_path, "new", "campaign", "mine.toml", "--instrument", "sinewave", code=2)
    assert answer["faults"] == ["mine.toml exists and is left as it is: give another name, or move it away"]
    assert (tmp_path / "mine.toml").read_text() == before


def test_a_campaign_without_an_instrument_is_the_paper_on_a_twin(tmp_path):
    from sdl.campaign.definition import Campaign

    sdl(tmp_path, "new", "campaign")
    campaign = Campaign.read(tmp_path / "campaign.toml")
    assert campaign.instrument.plugin == "twin"
    assert campaign.channels == ["445nm", "515nm", "630nm"]


def test_readings_that_are_no_numbers_are_refused_all_at_once(tmp_path):
    words = ("new", "campaign", "--target", "445nm=much", "--target", "515nm=true")
    answer = sdl(tmp_path, *words, code=2)
    assert len(answer["faults"]) == 2
    assert not (tmp_path / "campaign.toml").exists()
