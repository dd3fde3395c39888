"""What a file says of an instrument is checked whole, before anything is sent."""

import tomllib

import pytest

from sdl import plugins
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput
from sdl.instruments.configured.picks import MissingPart, Pick
from sdl.instruments.configured.templates import fill_places

PLACE = {"url": "tcp://10.0.0.7", "allow_private": True}
RED = {"name": "red", "write": "FLOW {value}"}
LIGHT = {"name": "450nm", "query": "LIGHT?"}


def faults(kind="scpi", **options):
    with pytest.raises(InvalidInput) as caught:
        plugins.build("sdl.instruments", kind, {**(PLACE if kind == "scpi" else {}), **options})
    return caught.value.faults


def scpi(**options):
    return plugins.build("sdl.instruments", "scpi", {**PLACE, "knobs": [RED], "channels": [LIGHT], **options})


def test_every_misspelt_key_and_wrong_value_comes_at_once_with_the_nearest_word():
    found = faults(
        knobs=[{"name": "red", "wirte": "F"}], channels=[{"name": "x", "qeury": "b", "field": -1}], atempts=3
    )
    assert found == (
        "knobs.0.wirte: unknown key; did you mean 'write'?",
        "channels.0.field: Input should be greater than or equal to 0, got -1",
        "channels.0.qeury: unknown key; did you mean 'query'?",
        "atempts: unknown key; did you mean 'attempts'?",
    )


def test_all_that_does_not_go_together_comes_at_once():
    knobs = [
        RED | {"write": "F {vlaue}"},
        RED | {"write": "F {value:.1f}", "tolerance": 0.1},
        {"name": "blue", "write": "F {value:.3q}"},
        {"name": "green"},
        {"name": "gold", "write": "F {value:d}", "high": 10},
        {"name": "fine", "write": "F {value:.2f}", "high": 5, "resolution": 0.01, "readback": {"field": 1}},
    ]
    found = faults(url="http://8.8.8.8", knobs=knobs, channels=[{"name": "x"}], prepare=["SET {red}"])
    assert [fault.partition(":")[0] for fault in found] == [
        "every knob needs a name of its own, found twice", "knobs.0.write", "knobs.1.tolerance", "knobs.1.write",
        "knobs.2.write", "knobs.3.write", "knobs.4.write", "knobs.5.readback.query", "channels.0.query", "prepare.0",
        "url",
    ]  # fmt: skip
    assert found[1] == "knobs.0.write: {vlaue} is no knob; did you mean 'value'?"
    assert "red = 0.01 is written as 0.0: give the knob a resolution" in found[3]


def test_what_kinds_and_steps_do_not_go_with_comes_at_once():
    valve = {"name": "valve", "values": ["air", "argon"], "write": "GAS {value:.2f}", "max_step": 1, "safe": "air"}
    knobs = [
        RED | {"max_step": 0.5, "readback": "F? {red}", "safe": 5},
        valve | {"readback": "GAS?"},
        {"name": "grain", "values": [0.125, 0.25], "write": "G {value:.1f}", "safe": 0.25},
    ]
    found = faults(url="http://8.8.8.8", knobs=knobs, channels=[LIGHT])
    assert [fault.partition(":")[0] for fault in found] == [
        "knobs.0.max_step", "knobs.1.max_step", "knobs.1.write", "knobs.2.write", "url"
    ]  # fmt: skip
    assert "needs a readback with a query that sets nothing" in found[0]
    assert "this knob has names" in found[1]
    assert "valve has names, which are written as they are" in found[2]
    safe = [RED | {"safe": 1}, {"name": "grain", "values": [0.125, 0.25], "write": "G {value}", "safe": 0.2}]
    assert faults(knobs=safe, channels=[LIGHT]) == ("safe: knob 'grain' needs one of 0.125, 0.25, got 0.2",)


def test_a_campaign_file_is_refused_with_the_keys_of_all_its_parts(tmp_path):
    text = """
name = "first"
budget = 0
[instrument]
plugin = "scpi"
url = "tcp://127.0.0.1"
[[instrument.knobs]]
name = "red"
[[instrument.channels]]
name = "450nm"
query = "LIGHT?"
[[targets]]
readings = { 450nm = 3 }
"""
    with pytest.raises(InvalidInput) as caught:
        prepare(tomllib.loads(text))
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "budget", "instrument.knobs.0.write", "instrument.url"
    ]  # fmt: skip
    assert "set allow_private = true" in caught.value.faults[-1]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("scpi", "tcp://169.254.169.254:5025"),
        ("rest", "http://169.254.169.254/latest"),
        ("mqtt", "mqtt://169.254.169.254"),
        ("opcua", "opc.tcp://169.254.169.254"),
        ("sila", "https://169.254.169.254"),
    ],
)
@pytest.mark.fault("N-08")
def test_no_protocol_reaches_a_metadata_address_and_none_a_private_one_unasked(kind, url):
    order = {"rest": {"path": "/x"}, "sila": "Pump.Flow"}.get(kind, "i=1")
    written = {"knobs": [RED | {"write": order}], "channels": [LIGHT | {"query": order}]}
    assert any("never an instrument" in fault for fault in faults(kind, **written, url=url, allow_private=True))
    private = faults(kind, **written, url=url.replace("169.254.169.254", "10.1.2.3"), allow_private=False)
    assert any("set allow_private = true" in fault for fault in private)


@pytest.mark.fault("N-08")
def test_a_visa_resource_on_a_network_is_judged_as_any_address():
    pytest.importorskip("pyvisa", reason="needs the extra 'visa'")
    written = {"knobs": [RED], "channels": [LIGHT], "url": None, "allow_private": False}
    assert "private or loopback" in faults(**written, resource="TCPIP::10.0.0.7::5025::SOCKET")[0]
    assert "write it like ASRL/dev/ttyUSB0::INSTR" in faults(**written, resource="nonsense")[0]
    assert "give either url or resource" in faults(knobs=[RED], channels=[LIGHT], resource="ASRL/dev/ttyS0::INSTR")[0]


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch):
    from sdl.instruments.configured import definition

    monkeypatch.setattr(definition, "find_spec", lambda _: None)
    urls = {"mqtt": "mqtt://8.8.8.8", "opcua": "opc.tcp://8.8.8.8", "sila": "https://8.8.8.8"}
    for kind, url in urls.items():
        order = "Pump.Flow" if kind == "sila" else "ns=2;s=red"
        written = {"knobs": [{"name": "red", "write": order}], "channels": [{"name": "x", "query": order}]}
        assert any(f"pip install 'inverse-sdl[{kind}]'" in fault for fault in faults(kind, **written, url=url))
    assert "inverse-sdl[visa]" in faults(knobs=[RED], channels=[LIGHT], url=None, resource="GPIB::9::INSTR")[0]


@pytest.mark.parametrize(
    ("kind", "options", "fault"),
    [
        ("rest", {"headers": {"Authorization": "Bearer x"}}, "Authorization must not stand in the file"),
        ("rest", {"headers": {"X-Api-Key": "x"}}, "X-Api-Key must not stand in the file"),
        ("mqtt", {"password": "hunter2"}, "must not stand in the file"),
        ("opcua", {"password": "hunter2"}, "must not stand in the file"),
        ("rest", {"headers": {"A": {"secret": "not-there"}}}, "set SDL_SECRET_NOT_THERE in the environment"),
        ("mqtt", {"password": {"secret": "../x"}}, "a secret has a name of letters"),
    ],
)
def test_a_secret_is_named_and_never_written(kind, options, fault):
    urls = {"rest": "http://8.8.8.8", "mqtt": "mqtt://8.8.8.8", "opcua": "opc.tcp://8.8.8.8"}
    found = faults(kind, url=urls[kind], knobs=[], channels=[], **options)
    assert any(fault in each for each in found), found
    assert not any("hunter2" in each for each in found)


def test_a_wrong_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("SDL_SECRET_PORT", "hunter2")
    found = faults(knobs=[RED], channels=[LIGHT], attempts={"secret": "port"})
    assert found[0].startswith("attempts: ")
    assert "hunter2" not in found[0]


@pytest.mark.fault("N-12")
@pytest.mark.parametrize("words", [["--token=pear"], ["--user", "me", "--Password", "pear"]])
def test_a_secret_among_the_arguments_of_a_program_is_refused_and_not_repeated(words):
    found = str(faults("command", program=["true", *words], knobs=[{"name": "red"}], channels=[{"name": "x"}]))
    assert "must not stand in the file: give it to the program in its environment" in found
    assert "pear" not in found


@pytest.mark.parametrize("words", [["--token-file", "pear"], ["--token={red}"], ["--token"], ["token", "x"]])
def test_what_is_none_is_taken(words):
    plugins.build(
        "sdl.instruments",
        "command",
        {"program": ["true"], "query": {"arguments": words}, "knobs": [{"name": "red"}], "channels": [{"name": "x"}]},
    ).close()


def test_a_program_that_is_not_there_is_named():
    found = faults("command", program=["no-such-program"], knobs=[{"name": "red"}], channels=[{"name": "x"}])
    assert "there is no program 'no-such-program' that may be run here: give its path" in found[0]


def test_the_space_is_that_of_any_instrument_and_nothing_of_how_it_is_asked():
    made = scpi(channels=[LIGHT | {"unit": "mV", "noise": 8}])
    assert made.space.model_dump_json().count("LIGHT") == 0
    assert made.space.channels[0].noise == 8
    assert (made.space.channels[0].floor, made.space.channels[0].integral) == (None, False)
    assert made.identity == "scpi tcp://10.0.0.7:5025"
    made.close()  # nothing was sent, so there is nothing to connect to


@pytest.mark.parametrize(
    ("pick", "answer", "value"),
    [
        ({}, " +1.25E+1\r", 12.5),
        ({"field": 1}, "1,2.5,3", 2.5),
        ({"pattern": "T=(.*) K"}, "T=300.5 K", 300.5),
        ({"at": "T", "pattern": "(.*) K"}, '{"T": "300.5 K"}', 300.5),
        ({"at": "T", "pattern": "(.*) K"}, '\ufeff{"T": 7}', 7),
        ({"at": "T"}, '{"T": 9.9e37}', float("inf")),
        ({"at": "a.1.b"}, '{"a": [0, {"b": 7}]}', 7),
        ({"at": ["a.b", 0]}, '{"a.b": ["x"]}', "x"),
        ({"at": "a"}, '{"a": null}', None),
        ({"at": "a"}, '{"a": "7,5"}', "7,5"),
        ({"at": "a", "decimal": ","}, '{"a": "7,5"}', 7.5),
        ({"pattern": "T=(.*) K", "decimal": ","}, "T=300,5 K", 300.5),
        ({"decimal": ","}, "-7,5E-1", -0.75),
        ({}, "9.9E37", float("inf")),
        ({}, "-9.9E37", float("-inf")),
    ],
)
def test_a_number_is_found_where_the_file_says(pick, answer, value):
    assert Pick(**pick).read(answer) == value


@pytest.mark.parametrize(
    ("pick", "answer"),
    [
        ({}, "1_000"), ({}, ""), ({}, "0x10"), ({}, "12 V"), ({"field": 2}, "1,2"), ({"pattern": "T=(.*) K"}, "cold"),
        ({"decimal": ","}, "1.234,5"), ({"decimal": ","}, "1,234,5"), ({"at": "a"}, "{"),
        ({"at": "a"}, '{"a": 1, "a": 2}'), ({"at": "a"}, 'INFO\n{"a": 1}'),
    ],
)  # fmt: skip
def test_what_is_no_number_is_a_sentence(pick, answer):
    with pytest.raises(ValueError, match=r"expected|Expecting|twice"):
        Pick(**pick).read(answer)


def test_json_amid_what_a_program_logs_is_told_where_that_belongs():
    with pytest.raises(ValueError, match="what a program logs belongs in its standard error"):
        Pick(at="a").read('INFO: lamp is on\n{"a": 1}\n')


def test_a_comma_cannot_part_values_and_stand_before_decimals():
    with pytest.raises(ValueError, match="where decimals have a comma, none parts the values"):
        Pick(field=0, decimal=",")


def test_scpis_word_for_no_number_is_none_and_a_place_that_is_not_there_is_missing():
    assert Pick().read("9.91E37") != Pick().read("9.91E37")
    with pytest.raises(MissingPart):
        Pick(at="a.b").read('{"a": 3}')


def test_settings_go_where_the_file_says_as_text_or_as_numbers():
    body = {"flow": "{red}", "text": "red {red:.1f} of {blue:d}", "list": ["{blue:.0f}", True, None]}
    filled = fill_places(body, {"red": 0.125, "blue": 3.0})
    assert filled == {"flow": 0.125, "text": "red 0.1 of 3", "list": [3, True, None]}
    assert fill_places('{"flow": {red}}', {"red": 0.5}) == '{"flow": 0.5}'
