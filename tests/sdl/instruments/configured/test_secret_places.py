"""A secret within a text that an instrument is sent: by its name in the file, as it is on the line, nowhere else."""

import sys

import pytest
from protocols import PROTOCOLS, SECRETS
from rest_server import served_rest
from rig import CHANNELS, Rig

from sdl import formatting, plugins
from sdl.errors import InstrumentError, InvalidInput
from sdl.measurement.driver_call import ask_driver

pytestmark = pytest.mark.fault("N-12")
SETTINGS = {"red": 1.0, "blue": 2.0}
SPELT = {"scpi": "LIGHT", "visa": "LIGHT", "rest": "light", "mqtt": "light", "opcua": "light.", "sila": "red"}
"""A word of each protocol's orders that is taken for a secret here."""
ORDERS = ("write", "query", "readback", "safe", "prepare", "errors")
COMMAND = {
    "program": [sys.executable, "-S", "-c", "import os; print(os.environ['LINE'])"],
    "knobs": [{"name": "red"}], "channels": [{"name": "x"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setattr(formatting, "_secrets", set())  # words of every day, which others show
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def planted(table, word, inside=False):
    """The table with a secret in place of a word of its orders."""
    match table:
        case str() if inside:
            return table.replace(word, "{secret:word}")
        case dict():
            return {key: planted(each, word, inside or key in ORDERS) for key, each in table.items()}
        case list():
            return [planted(each, word, inside) for each in table]
    return table


def build(written):
    written = dict(written)
    return plugins.build("sdl.instruments", written.pop("plugin"), written)


@pytest.mark.parametrize("protocol", SPELT)
def test_it_is_sent_as_it_is_and_shown_by_its_name(protocol, monkeypatch):
    word, rig = SPELT[protocol], Rig()
    with PROTOCOLS[protocol](rig) as written:
        as_planted = planted(written, word)
        assert as_planted != written
        with pytest.raises(InvalidInput, match="the secret is not there: set SDL_SECRET_WORD"):
            build(as_planted)
        monkeypatch.setenv("SDL_SECRET_WORD", word)
        instrument = build(as_planted)
        assert {*ask_driver(instrument, SETTINGS).readings} == {*CHANNELS}
        rig.faults = {2: "garbage" if protocol != "opcua" else "error"}
        with pytest.raises(InstrumentError) as wrong:
            ask_driver(instrument, SETTINGS)
        instrument.close()
    assert word not in f"{wrong.value} {wrong.value.raw} {instrument.identity}"


def test_a_program_gets_it_among_its_variables_and_never_among_its_words(monkeypatch):
    monkeypatch.setenv("SDL_SECRET_LINE", "7.5")
    made = build({**COMMAND, "plugin": "command", "environment": {"LINE": '{"readings": {"x": {secret:line}}}'}})
    assert ask_driver(made, {"red": 1.0}).readings == {"x": 7.5}
    for words in (["--light={secret:line}"], ["token=pear"], ["postgresql://me:pear@host/lab"]):
        with pytest.raises(InvalidInput, match="to the program in its environment") as refused:
            build({**COMMAND, "plugin": "command", "query": {"arguments": words}})
        assert "pear" not in str(refused.value)


def test_a_header_and_the_path_of_a_url_take_it_amid_their_text(monkeypatch):
    rig = Rig()
    monkeypatch.setenv("SDL_SECRET_TOKEN", "hunter2-at-the-pumps")
    monkeypatch.setenv("SDL_SECRET_PLACE", "light/of?the lab")
    with served_rest(rig) as written:
        url = f"{written['url']}/pump/{{secret:place}}"
        changes = {"headers": {"Authorization": "Bearer {secret:token}"}, "errors": None, "url": url}
        changes["knobs"] = [{**knob, "readback": None} for knob in written["knobs"]]
        instrument = build({**written, **changes})
        assert instrument.identity == f"rest {url}"
        with pytest.raises(InstrumentError) as wrong:  # it answers of a pump, by the name that stands last in the path
            ask_driver(instrument, SETTINGS)
    assert rig.stands == SETTINGS
    assert "of%3Fthe" not in f"{wrong.value} {wrong.value.raw}"


BRIDGE = "http://192.168.1.20/api/1028d66426293e821ecfd9ef1a0731df"
SHAPE = {"knobs": [{"name": "red", "write": "R {value}"}], "channels": [{"name": "x", "query": "X?"}]}
BY_REST = {"knobs": [{"name": "red"}], "channels": [{"name": "x"}], "allow_private": True}


@pytest.mark.parametrize(
    "written",
    [
        {**SHAPE, "plugin": "scpi", "url": "tcp://8.8.8.8", "prepare": ['SYST:PASS:CEN "pear"']},
        {**SHAPE, "plugin": "scpi", "url": "tcp://8.8.8.8", "prepare": ["*CLS;:LOGIN me,pear"]},
        {**SHAPE, "plugin": "scpi", "url": "tcp://8.8.8.8", "safe": ["CAL:SEC:STAT OFF,pear"]},
        {**BY_REST, "plugin": "rest", "url": BRIDGE, "query": {"path": "/{red}"}},
        {**BY_REST, "plugin": "rest", "url": "http://10.0.0.7", "query": {"path": "/{red}/token=pear"}},
        {**BY_REST, "plugin": "rest", "url": "http://10.0.0.7",
         "query": {"method": "POST", "path": "/{red}", "body": "user=me&password=pear"}},
        {**BY_REST, "plugin": "mqtt", "url": "mqtt://10.0.0.7",
         "query": {"topic": "a/{red}", "payload": '{"key": 1, "auth": "pear"}'}},
        {**COMMAND, "plugin": "command", "environment": {"LEDGER": "postgresql://me:pear@host/lab"}},
        {"plugin": "claude-light", "url": BRIDGE, "allow_private": True},
    ],
    ids=lambda written: written["plugin"],
)  # fmt: skip
def test_one_that_was_typed_in_is_refused_with_what_to_write_and_not_repeated(written):
    with pytest.raises(
        InvalidInput, match=r"seems to (say|hold) a secret.*write {secret:lab-token} in its place"
    ) as no:
        build(written)
    assert "pear" not in str(no.value)
    assert "1028d6" not in str(no.value)


@pytest.mark.parametrize(
    "order",
    ["SYST:ERR?", "CALC:LIM:PASS?", "FILT:PASS HIGH", "SENS:SEC 5", "SYST:KEY 5", "PASS:AUTO ON", "OUTP:AUTO 1"],
)
def test_an_order_that_says_none_is_taken(order):
    build({**SHAPE, "plugin": "scpi", "url": "tcp://8.8.8.8", "prepare": [order]}).close()


def test_a_knob_may_be_called_secret():
    knobs = [{"name": "secret", "write": "S {secret:.3f}"}]
    made = build({**SHAPE, "plugin": "scpi", "url": "tcp://8.8.8.8", "knobs": knobs})
    assert made.space.knob_names == ("secret",)
