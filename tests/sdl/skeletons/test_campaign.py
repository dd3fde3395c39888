"""Campaign files that are written for a newcomer: valid whatever the instrument, and saying what it has."""

import tomllib

import pytest

from sdl import plugins
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.skeletons.campaign import campaign_text, literal
from sdl.space import Channel, Knob, Space

BY_HAND = {"knobs": [{"name": "red", "low": 0, "high": 5}], "channels": [{"name": "450nm"}]}
TWO = {"instruments": [{"plugin": "twin", "seed": seed} for seed in (1, 2)]}
OPTIONS = {
    "claude-light": {"url": "http://127.0.0.1:5005/api", "allow_private": True},
    "by-hand": BY_HAND,
    "several": TWO,
}
NEED_FILES = ("crystal", "recorded", "recorded-run")
MANY_KNOBS = "material"
NAMES = [name for name in plugins.names("sdl.instruments") if name not in (*NEED_FILES, MANY_KNOBS)]


def written(plugin, readings=None, **options):
    text = campaign_text("first", plugin, options, readings or {})
    return text, tomllib.loads(text)


@pytest.mark.parametrize("plugin", NAMES)
def test_every_instrument_gets_a_file_that_can_be_run(plugin):
    text, campaign = written(plugin, **OPTIONS.get(plugin, {}))
    _, instrument = prepare(campaign)
    assert campaign["instrument"]["plugin"] == plugin
    assert all(channel in text for channel in instrument.space.channel_names[:10])
    instrument.close()


def test_wanted_readings_are_fixed_and_the_others_stand_there_as_comments():
    text, campaign = written("twin", {"445nm": 16384, "630nm": 9000.5})
    assert campaign["targets"][0]["readings"] == {"445nm": 16384, "630nm": 9000.5}
    assert "# 515nm = " in text
    assert "CHANGE THIS" not in text


def test_options_come_back_as_they_were_given():
    options = {"url": "https://example.org/api", "allow_private": True}
    _, campaign = written("claude-light", **options)
    assert campaign["instrument"] == {"plugin": "claude-light", **options}


def test_an_instrument_that_a_file_describes_has_an_example_with_the_options_in_their_places():
    text, campaign = written("scpi", url="tcp://10.0.0.2:1234", terminator="\r\n")
    instrument = campaign["instrument"]
    assert (instrument["url"], instrument["terminator"]) == ("tcp://10.0.0.2:1234", "\r\n")
    assert [knob["name"] for knob in instrument["knobs"]] == ["red", "blue"]
    assert "where the sensor saturates" in text
    _, campaign = written("by-hand", knobs=[{"name": "salt"}], channels=[{"name": "taste"}])
    assert [knob["name"] for knob in campaign["instrument"]["knobs"]] == ["salt"]


def test_an_instrument_with_too_many_knobs_for_the_budget_is_refused_with_advice():
    with pytest.raises(InvalidInput, match=r"budget: 100 requests are too few.*name another model \(pls\)"):
        written(MANY_KNOBS)


def test_faults_are_sentences():
    with pytest.raises(InvalidInput, match="unknown instrument 'twim'; did you mean 'twin'"):
        written("twim")
    with pytest.raises(InvalidInput, match="needs this option"):
        written("claude-light")
    with pytest.raises(InvalidInput, match="unknown channel '445n'"):
        written("twin", {"445n": 1.0})


class Strange:
    """An instrument with awkward names, bounds and units, and noise that nobody knows."""

    identity = "strange"
    space = Space(
        knobs=(Knob(name="a knob", low=-1),),
        channels=(
            Channel(name='an "odd" name', floor=None, integral=False),
            Channel(name="below.zero", floor=-1.0, unit="", integral=False),
        ),
    )

    def close(self):
        """Nothing to leave safe."""


def test_awkward_names_are_quoted_and_undeclared_noise_is_said(monkeypatch):
    monkeypatch.setattr(plugins, "build", lambda group, name, options=None: Strange())
    monkeypatch.setattr("sdl.skeletons.campaign.prepare", lambda campaign: (campaign, Strange()))
    text, campaign = written("strange")
    assert campaign["targets"][0]["readings"] == {'an "odd" name': 1.0}
    assert campaign["background"]["every"] == 0
    assert 'declares no noise for an "odd" name, below.zero' in text


@pytest.mark.parametrize("value", ['a "b" \\ c', "Ä\x7f\n", True, 2.5, -3, [1, ["x"]], {"a b": {"c": False}}])
def test_values_are_read_back_from_toml_as_they_were(value):
    assert tomllib.loads(f"value = {literal(value)}") == {"value": value}
