"""Plug-ins: found by name, built from options, every mistake named in one go."""

import inspect
from typing import get_origin, get_type_hints

import pytest

from sdl import plugins
from sdl.errors import InvalidInput, UnknownPlugin
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Instrument


def faults(name, options=None):
    with pytest.raises(InvalidInput) as caught:
        plugins.build("sdl.instruments", name, options)
    return caught.value.faults


def test_our_own_instruments_are_registered_like_anybodys():
    assert {"claude-light", "recorded", "twin"} <= set(plugins.names("sdl.instruments"))
    assert plugins.load("sdl.instruments", "twin") is Twin


@pytest.mark.parametrize("name", plugins.names("sdl.instruments"))
def test_every_registered_instrument_has_the_members_of_one(name):
    plugin = plugins.load("sdl.instruments", name)
    made = plugin if inspect.isclass(plugin) else get_type_hints(plugin)["return"]
    instrument = get_origin(made) or made
    for member in ("measure", "close"):
        assert callable(getattr(instrument, member)), member


@pytest.mark.parametrize("name", ["clode-light", "Twin", "recordd"])
def test_an_unknown_name_is_answered_with_the_nearest(name):
    with pytest.raises(UnknownPlugin, match=r"unknown instrument .*did you mean '"):
        plugins.build("sdl.instruments", name)


def test_options_become_what_the_constructor_declares():
    light = plugins.build("sdl.instruments", "claude-light", {"url": "https://example.org/api", "read_s": 55})
    assert isinstance(light, ClaudeLight)
    assert isinstance(light, Instrument)
    assert light.identity == "claude-light https://example.org:443/api"


def test_an_unknown_option_is_named_with_the_nearest():
    assert faults("twin", {"daylite": "dark"}) == ("daylite: 'twin' has no such option; did you mean 'daylight'?",)


def test_a_missing_option_is_named():
    assert faults("claude-light") == ("url: 'claude-light' needs this option",)


def test_a_wrong_type_is_named_with_what_came():
    (fault,) = faults("claude-light", {"url": "https://example.org", "attempts": "many"})
    assert fault.startswith("attempts: ")
    assert fault.endswith("got 'many'")


def test_a_misspelt_key_of_a_knob_or_a_channel_is_named_with_the_nearest():
    found = faults("by-hand", {"knobs": [{"name": "red", "hihg": 5}], "channels": [{"name": "A", "ceilign": 3}]})
    assert found == (
        "knobs.0.hihg: unknown key; did you mean 'high'?",
        "channels.0.ceilign: unknown key; did you mean 'ceiling'?",
    )
    assert faults("by-hand", {"knobs": [{"name": "red", "high": "much"}], "channels": []})[0].endswith("got 'much'")


def test_all_mistakes_of_names_and_types_come_at_once():
    found = faults("claude-light", {"ulr": "https://example.org", "attempts": "many"})
    assert sorted(fault.split(":")[0] for fault in found) == ["attempts", "ulr", "url"]


def test_what_the_constructor_refuses_comes_as_it_says():
    found = faults("claude-light", {"url": "file:///x", "read_s": -1})
    assert sorted(fault.split(":")[0] for fault in found) == ["read_s", "url", "url"]


def test_what_a_space_refuses_comes_as_a_sentence():
    (fault,) = faults("by-hand", {"knobs": [{"name": "acid"}], "channels": []})
    assert fault == "'by-hand': channels: Tuple should have at least 1 item after validation, not 0"


def test_so_do_a_name_that_is_wrong_and_what_the_constructor_refuses():
    found = faults("claude-light", {"url": "https://example.org", "read_s": -1, "atempts": 3})
    assert [fault.split(":")[0] for fault in found] == ["atempts", "read_s"]


def test_code_that_is_no_python_cannot_be_imported(monkeypatch):
    class Entry:
        def load(self):
            compile("class Mine(:", "mine.py", "exec")

    monkeypatch.setattr(plugins, "entry_points", lambda **_: (Entry(),))
    with pytest.raises(InvalidInput, match=r"'mine' cannot be imported: it failed with SyntaxError: .*mine\.py"):
        plugins.load.__wrapped__("sdl.inverse_models", "mine")


def test_a_value_error_of_a_strangers_constructor_becomes_invalid_input(monkeypatch):
    def strange(size: int = 0) -> None:
        raise ValueError(f"size needs to be even, got {size}")

    monkeypatch.setattr(plugins, "load", lambda group, name: strange)
    assert faults("strange", {"size": 3}) == ("'strange': size needs to be even, got 3",)


class Bare:
    """A driver without a word on the types of its options; the parts that a case takes away fail."""

    space = patience = object()

    def __init__(self, does=None, *, size: "Elsewhere" = 0):  # noqa: F821 - as under TYPE_CHECKING
        self.does, self.identity = does, "bare"

    def measure(self, settings):
        """Measure nothing."""

    def close(self):
        """Close nothing."""


class Own:
    """A type that nothing but its author's code can read."""


def given_own(value: Own | None = None) -> Bare:
    return Bare(value)


def ends_itself() -> Bare:
    raise SystemExit(0)


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(("plugin", "options"), [(Bare, {"does": 3, "size": "x"}), (given_own, {"value": [1]})])
def test_options_of_no_type_or_of_an_authors_own_are_taken_as_they_are(monkeypatch, plugin, options):
    monkeypatch.setattr(plugins, "load", lambda group, name: plugin)
    assert plugins.build("sdl.instruments", "bare", options).does in ([1], 3)


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (ends_itself, "'strange' failed with SystemExit: 0"),
        (inspect, "'strange' is <module 'inspect' from"),
        (dict, "cannot be asked for its options"),
        (object, "'strange' gives no 'identity', a text that says which apparatus it is: AttributeError"),
        (type("Nameless", (Bare,), {"identity": property(lambda _: 7, lambda *_: None)}), "gives 7 as 'identity'"),
        (type("Deaf", (Bare,), {"close": property(lambda _: 1 / 0)}), "gives no 'close', a method that lets go of it"),
    ],
)
def test_what_is_no_instrument_is_a_sentence(monkeypatch, plugin, words):
    monkeypatch.setattr(plugins, "load", lambda group, name: plugin)
    assert any(words in fault for fault in faults("strange"))


def test_building_does_not_change_the_options_it_was_given():
    options = {"url": "https://example.org/api", "attempts": "3"}
    plugins.build("sdl.instruments", "claude-light", options)
    assert options["attempts"] == "3"


@pytest.mark.parametrize("group", plugins.FORMER_NAMES)
def test_a_former_name_still_means_the_same_plug_in_and_is_not_listed(group):
    for former, name in plugins.FORMER_NAMES[group].items():
        assert plugins.load(group, former) is plugins.load(group, name)
        assert plugins.current_name(group, former) == plugins.current_name(group, name) == name
        assert former not in plugins.names(group)
        assert name in plugins.names(group)


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("sobol", ("sobol", {})),
        ("full-factorial:levels=5", ("full-factorial", {"levels": 5})),
        ("a: hidden=[64, 32], latent = sobol,rate=.5", ("a", {"hidden": [64, 32], "latent": "sobol", "rate": 0.5})),
    ],
)
def test_options_may_stand_behind_a_name(words, read):
    assert plugins.read_words(words) == read


@pytest.mark.parametrize("words", ["full-factorial:", "full-factorial:levels", "full-factorial:=5"])
def test_words_that_are_no_options_are_told_the_form(words):
    with pytest.raises(InvalidInput, match="needs the form NAME:KEY=VALUE"):
        plugins.read_words(words)


@pytest.mark.parametrize("option", ["lvls=5", "levels=many", "levels=1"])
def test_a_wrong_option_in_words_is_told_the_options_that_there_are(option):
    with pytest.raises(InvalidInput, match=r"its options: levels\)"):
        plugins.build_from_words("sdl.designs", f"full-factorial:{option}")
