"""What the driver of a described instrument does on the line, told by what an apparatus hears and when."""

import json
import os
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import numpy as np
import pytest
from rig import HASTY, Rig
from scpi_server import ScpiServer, scpi_orders

from sdl import plugins
from sdl.errors import BadReply, InstrumentRefused, InstrumentSilent, InstrumentUnavailable, InvalidInput
from sdl.instruments.configured import driver
from sdl.measurement.driver_call import ask_driver

RED = {"name": "red", "high": 5, "write": "FLOW {value}"}
LIGHT = {"name": "450nm", "query": "LIGHT?"}
GAS = {"name": "gas", "values": ["air", "argon"], "write": "GAS {value}", "readback": "LIGHT?"}


class Apparatus:
    """Hears lines, with the time, and answers by a function of the line, in pieces with a pause between."""

    def __init__(self, answer, end=b"\n"):
        self.answer, self.end, self.heard, self.connections = answer, end, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.talk, args=(line,), daemon=True).start()

    def talk(self, line):
        with line, line.makefile("rb") as lines, suppress(OSError):
            for each in lines:
                text = each.removesuffix(self.end).decode()
                self.heard.append((text, time.monotonic()))
                for number, piece in enumerate(self.answer(text) or ()):
                    time.sleep(0.05 * (number > 0))
                    if piece is None:
                        return
                    line.sendall(piece)

    @property
    def said(self):
        return [text for text, _ in self.heard]


@contextmanager
def connected(answer, end=b"\n", **options):
    apparatus = Apparatus(answer, end)
    threading.Thread(target=apparatus.serve, daemon=True).start()
    written = {
        "url": apparatus.url,
        "knobs": [RED],
        "channels": [LIGHT],
        "terminator": end.decode(),
        **HASTY,
        **options,
    }
    instrument = plugins.build("sdl.instruments", "scpi", written)
    with apparatus.listener:
        yield instrument, apparatus
        instrument.close()


def lights(text):
    return [b"7.5\n"] if text.endswith("?") else None


def test_conditions_are_read_beside_the_channels_and_one_that_is_no_number_is_not_known():
    warm = {"name": "temperature", "unit": "°C", "low": 15, "high": 30, "query": "TEMP?"}
    damp = {"name": "humidity", "low": 0, "high": 100, "query": "HUM?"}
    answers = {"LIGHT?": [b"7.5\n"], "TEMP?": [b"21.5\n"], "HUM?": [b"nan\n"]}
    with connected(answers.get, conditions=[warm, damp]) as (instrument, _):
        assert instrument.space.condition_names == ("temperature", "humidity")
        reply = ask_driver(instrument, {"red": 2.5})
        assert reply.readings == {"450nm": 7.5}
        assert reply.known_conditions == {"temperature": 21.5}


def test_a_condition_needs_an_order_and_what_it_usually_is():
    with pytest.raises(InvalidInput) as caught, connected(lights, conditions=[{"name": "t", "low": 3, "high": 1}]):
        pass
    assert "needs low below high, got 3 and 1" in str(caught.value)
    with pytest.raises(InvalidInput) as caught, connected(lights, conditions=[{"name": "t", "low": 1, "high": 3}]):
        pass
    assert "conditions.0.query: is missing" in str(caught.value)


def test_the_orders_of_a_reading_come_in_order_and_each_once():
    channels = [{"name": "a", "query": "ALL?", "field": 0}, {"name": "b", "query": "ALL?", "field": 1}]
    knobs = [RED | {"readback": {"query": "ALL?", "field": 2}, "safe": 1}]
    answers = {"ALL?": [b"1,2,2.5\n"], "ERR?": [b"0,none\n"]}
    options = {"knobs": knobs, "channels": channels, "errors": "ERR?", "prepare": ["*CLS"], "safe": ["OFF"]}
    with connected(answers.get, **options) as (instrument, apparatus):
        reply = instrument.measure({"red": 2.5})
        assert reply.readings == {"a": 1, "b": 2}
        assert reply.applied == {"red": 2.5}
        assert json.loads(reply.raw) == {"ALL?": "1,2,2.5"}
        assert apparatus.said == ["*CLS", "ERR?", "FLOW 2.5", "ERR?", "ALL?", "ERR?"]
        instrument.measure({"red": 2.5})
        assert apparatus.said[6:] == ["FLOW 2.5", "ERR?", "ALL?", "ERR?"]
        with pytest.raises(InstrumentRefused, match=r"was told to be safe, and red reads back 2\.5"):
            instrument.make_safe()
        assert apparatus.said[10:] == ["FLOW 1.0", "OFF", "ERR?", "ALL?"]
        answers["ALL?"] = [b"1,2,1\n"]  # until it is: whoever closes it tries again
    assert apparatus.said[-4:] == ["FLOW 1.0", "OFF", "ERR?", "ALL?"]


def test_it_settles_after_writing_and_a_slow_knob_only_when_it_moved(monkeypatch):
    waited = []
    monkeypatch.setattr(driver, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waited.append))
    with connected(lights, knobs=[RED | {"settle_s": 1.0}], settle_s=0.5) as (instrument, _):
        for red in (1.0, 1.0, 2.0):
            instrument.measure({"red": red})
    assert waited == [1.5, 0.5, 1.5]


def test_it_asks_whether_it_is_ready_until_it_says_so_and_reads_then():
    states = iter([b"HEATING 21 C\n", b"HEATING 40 C\n", b"READY\n", b"READY\n"])
    answers = {"LIGHT?": [b"7.5\n"]}
    ready = {"query": "BATH?", "answer": "READY|HOLD", "every_s": 0.3}

    def answer(text):
        return [next(states)] if text == "BATH?" else answers.get(text)

    with connected(answer, ready=ready, deadline_s=0.4) as (instrument, apparatus):
        reply = instrument.measure({"red": 2.5})
        assert apparatus.said == ["FLOW 2.5", "BATH?", "BATH?", "BATH?", "LIGHT?"]
        assert json.loads(reply.raw) == {"BATH?": "READY", "LIGHT?": "7.5"}
        instrument.measure({"red": 1.0})
        assert apparatus.said[5:] == ["FLOW 1.0", "BATH?", "LIGHT?"]


def test_one_that_is_never_ready_is_no_reading_and_says_what_it_answered():
    ready = {"query": "BATH?", "answer": "READY", "every_s": 0.02, "longest_s": 0.2}
    told = r"was not ready within 0\.2 s: BATH\? is still answered '7\.5', where 'READY' is awaited"
    with connected(lights, ready=ready) as (instrument, apparatus), pytest.raises(BadReply, match=told):
        instrument.measure({"red": 2.5})
    assert set(apparatus.said[1:]) == {"BATH?"}


@pytest.mark.parametrize(
    ("ready", "said"),
    [
        ({"query": "BATH?"}, "ready.answer"),
        ({"query": "BATH?", "answer": "(READY"}, "ready.answer: is no regular expression"),
        ({"query": "BATH? {gren}", "answer": "READY"}, "ready.query: {gren} is no knob"),
        ({"query": "BATH?", "answer": "READY", "every_s": 0}, "ready.every_s"),
    ],
)
def test_what_it_waits_for_is_checked_before_the_first_request(ready, said):
    with pytest.raises(InvalidInput) as caught, connected(lights, ready=ready):
        pass
    assert said in str(caught.value)


def test_a_word_for_no_error_that_is_no_regular_expression_is_refused_before_the_first_request():
    queue = {"query": "ERR?", "none": "(OK"}
    with pytest.raises(InvalidInput, match=r"errors\.none: is no regular expression"), connected(lights, errors=queue):
        pass


def test_names_are_written_and_read_back_as_they_are():
    valve = {"name": "valve", "values": ["air", "argon"], "write": "GAS {value}", "readback": "GAS?", "safe": "air"}
    answers = {"LIGHT?": [b"1\n"], "GAS?": [b"argon\n"]}
    with connected(answers.get, knobs=[RED, valve]) as (instrument, apparatus):
        assert instrument.measure({"red": 1.0, "valve": 1.0}).applied == {"red": 1.0, "valve": 1.0}
        assert apparatus.said == ["FLOW 1.0", "GAS argon", "GAS?", "LIGHT?"]
        answers["GAS?"] = [b"air\n"]
        assert instrument.measure({"red": 1.0, "valve": 1.0}).applied["valve"] == 0
        instrument.make_safe()
        assert apparatus.said[-2:] == ["GAS air", "GAS?"]


def test_what_must_never_be_sent_is_not():
    constraints = {"never": ["red >= 4 and valve = argon"]}
    valve = {"name": "valve", "values": ["air", "argon"], "write": "GAS {value}"}
    with connected(lights, knobs=[RED, valve], constraints=constraints) as (instrument, apparatus):
        with pytest.raises(InvalidInput, match="never red >= 4 and valve = argon"):
            instrument.measure({"red": 4.5, "valve": 1.0})
        assert instrument.measure({"red": 4.5, "valve": 0.0}).readings == {"450nm": 7.5}
        assert apparatus.said == ["FLOW 4.5", "GAS air", "LIGHT?"]


def test_a_long_way_is_gone_in_steps_from_where_the_knob_stands(monkeypatch):
    waited, stands = [], ["0.5"]
    monkeypatch.setattr(driver, "time", SimpleNamespace(monotonic=time.monotonic, sleep=waited.append))

    def answer(text):
        if text.startswith("FLOW "):
            stands[0] = text.removeprefix("FLOW ")
        return {"FLOW?": [f"{stands[0]}\n".encode()], "LIGHT?": [b"1\n"]}.get(text)

    knobs = [RED | {"readback": "FLOW?", "max_step": 1.0, "step_s": 2.0, "safe": 0.0}]
    with connected(answer, knobs=knobs) as (instrument, apparatus):
        assert instrument.measure({"red": 3.0}).applied == {"red": 3.0}
        flows = ["FLOW 1.3333333333333335", "FLOW 2.166666666666667", "FLOW 3.0"]
        assert apparatus.said == ["FLOW?", *flows, "FLOW?", "LIGHT?"]
        assert waited == [2.0, 2.0]
        instrument.measure({"red": 3.5})
        assert apparatus.said[6:] == ["FLOW 3.5", "FLOW?", "LIGHT?"], "a short way is gone at once"
        instrument.make_safe()
    written = [float(text.removeprefix("FLOW ")) for text in apparatus.said if text.startswith("FLOW ")]
    assert np.abs(np.diff([0.5, *written])).max() <= 1.0
    assert written[-1] == 0.0


@pytest.mark.parametrize(("says", "applied"), [(b"2.04\n", 2.0), (b"2.06\n", 2.06), (b"off\n", None)])
def test_what_is_read_back_within_its_tolerance_is_what_was_sent(says, applied):
    knobs = [RED | {"readback": "FLOW?", "tolerance": 0.05}]
    with connected({"FLOW?": [says], "LIGHT?": [b"1\n"]}.get, knobs=knobs) as (instrument, _):
        if applied is None:
            with pytest.raises(
                BadReply, match="did not answer FLOW\\? as the file expects: expected a number, got 'off'"
            ):
                instrument.measure({"red": 2.0})
        else:
            assert instrument.measure({"red": 2.0}).applied == {"red": applied}


@pytest.mark.fault("I-15", "I-16")
def test_an_answer_too_many_is_never_taken_for_that_of_the_next_question():
    twice = connected(lambda text: [b"1\n2\n"] if text == "LIGHT?" else None)
    with twice as (instrument, _), pytest.raises(BadReply, match="more than one line"):
        instrument.measure({"red": 1.0})
    late = {"LIGHT?": [b"1\n", b"2\n"], "DARK?": [b"3\n"]}
    channels = [LIGHT, {"name": "dark", "query": "DARK?"}]
    with connected(late.get, channels=channels) as (instrument, apparatus):
        assert instrument.measure({"red": 1.0}).readings["450nm"] == 1
        time.sleep(0.1)
        assert instrument.measure({"red": 1.0}).readings["450nm"] == 1
        assert apparatus.connections == 2


@pytest.mark.fault("I-02")
def test_a_connection_that_was_closed_meanwhile_is_opened_again_and_prepared():
    answers = {"LIGHT?": [b"1\n", None]}
    with connected(answers.get, prepare=["*CLS"]) as (instrument, apparatus):
        for _ in range(2):
            instrument.measure({"red": 1.0})
            time.sleep(0.1)
        assert apparatus.said.count("*CLS") == apparatus.connections == 2


@pytest.mark.fault("I-04")
def test_one_byte_after_another_ends_at_the_deadline_of_the_whole():
    with connected(lambda text: [b"1"] * 100 if text == "LIGHT?" else None, deadline_s=0.4) as (instrument, _):
        with pytest.raises(InstrumentSilent) as silent:
            instrument.measure({"red": 1.0})
        assert silent.value.wait == HASTY["quiet_s"]


@pytest.mark.fault("I-08")
def test_an_answer_without_end_is_cut():
    endless = connected(lambda text: [b"1" * 100_000] if text == "LIGHT?" else None, deadline_s=5)
    with endless as (instrument, _), pytest.raises(BadReply, match="more than 65536 bytes"):
        instrument.measure({"red": 1.0})


@pytest.mark.fault("I-25")
@pytest.mark.parametrize(
    ("answer", "options", "error", "why"),
    [
        (b"7.5\r", {}, InstrumentSilent, r"b'7\.5\\r' came, and no '\\n', the terminator that ends a line"),
        (b"7.5 mV\n", {}, BadReply, "expected a number, got '7.5 mV'; a number amid other words takes a 'pattern'"),
        (b"LIGHT?\n7.5\n", {}, BadReply, "more than one line"),
        (b"OVLD\n", {}, BadReply, "expected a number, got 'OVLD'$"),
        (b"No error\n", {"errors": "LIGHT?"}, BadReply, r"reports 'No error' \(20 times\); if that is its word for no"),
        (b"-350,x\n", {"errors": "LIGHT?"}, BadReply, r"reports '-350,x' \(20 times\)$"),
        (b"two\n", {"knobs": [GAS]}, BadReply, "expected one of air, argon, got 'two'"),
    ],
)
def test_an_odd_answer_is_a_sentence_that_says_what_the_file_lacks(answer, options, error, why):
    apart = connected({"LIGHT?": [answer]}.get, deadline_s=0.5, **options)
    with apart as (instrument, _), pytest.raises(error, match=why):
        instrument.measure({knob["name"]: 0 for knob in options.get("knobs", [RED])})


def test_a_text_in_quotation_marks_a_queue_of_many_zeros_and_a_whole_number_are_understood():
    answers = {"LIGHT?": [b'"argon"\n'], "A?": [b"7.5\n"], "ERR?": [b'+000,"No error"\n']}
    knobs = [GAS, {"name": "rate", "whole": True, "high": 5, "write": "RATE {value}"}]
    described = {"knobs": knobs, "channels": [LIGHT | {"query": "A?"}], "errors": "ERR?"}
    with connected(answers.get, **described) as (instrument, apparatus):
        assert instrument.measure({"gas": 1.0, "rate": 3.0}).applied == {"gas": 1.0, "rate": 3.0}
    assert apparatus.said[:2] == ["GAS argon", "RATE 3"]


def test_an_order_that_the_instrument_does_not_know_is_not_repeated():
    rig = Rig()
    with ScpiServer(rig) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        written = scpi_orders() | {"url": f"tcp://127.0.0.1:{server.server_address[1]}"}
        written["knobs"][0]["write"] = "FOLW red,{value:.4f}"
        instrument = plugins.build("sdl.instruments", "scpi", written)
        with pytest.raises(InstrumentRefused, match='-113,"Undefined header; FOLW red'):
            instrument.measure({"red": 1.0, "blue": 1.0})
        with pytest.raises(InstrumentRefused):
            instrument.close()
        server.shutdown()


def test_each_pump_is_made_safe_whatever_becomes_of_the_other_and_of_what_prepares_them():
    answers = {"ERR?": [b"-222,range\n"]}
    knobs = [RED | {"safe": 0}, {"name": "blue", "write": "BLUE {value}", "safe": 0}]
    options = {"knobs": knobs, "errors": {"query": "ERR?", "most": 1}, "prepare": ["ON"], "safe": ["OFF"]}
    with connected(answers.get, **options) as (instrument, apparatus):
        with pytest.raises(InstrumentRefused, match=r"was told to be safe, and .*-222"):
            instrument.make_safe()
        assert apparatus.said == ["ON", "FLOW 0.0", "BLUE 0.0", "OFF", "ERR?"]
        instrument.let_go()


def test_who_lost_the_instrument_to_somebody_else_leaves_it_as_it_is():
    with connected(lights, knobs=[RED | {"safe": 0}]) as (instrument, apparatus):
        instrument.measure({"red": 2.0})
        assert instrument.moved
        instrument.let_go()
    assert apparatus.said == ["FLOW 2.0", "LIGHT?"]


def test_lines_may_end_otherwise():
    answer = {"LIGHT?": [b"1.5\r\n"]}
    with connected(answer.get, end=b"\r\n") as (instrument, apparatus):
        assert instrument.measure({"red": 1.0}).readings == {"450nm": 1.5}
    assert apparatus.said == ["FLOW 1.0", "LIGHT?"]


def test_a_serial_port_is_a_line_too():
    """A pseudo-terminal stands for the port; behind it somebody answers."""
    pytest.importorskip("pyvisa_py", reason="needs the extra 'visa'")
    pytest.importorskip("serial", reason="needs the extra 'visa'")
    ours, theirs = os.openpty()
    heard = []

    def answer():
        line = b""
        while byte := os.read(ours, 1):
            line += byte
            if byte == b"\n":
                heard.append(line)
                if line == b"LIGHT?\n":
                    os.write(ours, b"7.25\n")
                line = b""

    threading.Thread(target=answer, daemon=True).start()
    place = {"resource": f"ASRL{os.ttyname(theirs)}::INSTR", "visa": {"baud_rate": 115200}}
    options = {key: value for key, value in HASTY.items() if key != "allow_private"} | {"deadline_s": 3}
    written = {"knobs": [RED | {"safe": 0}], "channels": [LIGHT], **place, **options}
    instrument = plugins.build("sdl.instruments", "scpi", written)
    assert instrument.measure({"red": 1.0}).readings == {"450nm": 7.25}
    instrument.close()
    time.sleep(0.2)
    assert heard == [b"FLOW 1.0\n", b"LIGHT?\n", b"FLOW 0.0\n"]


# ---------------------------------------------------------------------- a program


def program(code, **options):
    written = {"program": [sys.executable, "-S", "-c", code], "knobs": [{"name": "red"}], "channels": [{"name": "x"}]}
    return plugins.build("sdl.instruments", "command", written | {"deadline_s": 5, **options})


def test_a_program_reads_the_settings_and_writes_the_readings():
    code = "import json, sys; print(json.dumps({'readings': {'x': json.load(sys.stdin)['settings']['red'] * 2}}))"
    assert program(code).measure({"red": 0.25}).readings == {"x": 0.5}


def test_a_program_that_fails_is_told_with_its_last_words():
    with pytest.raises(InstrumentUnavailable, match="ended with status 3: no lamp"):
        program("import sys; print('no lamp', file=sys.stderr); sys.exit(3)").measure({"red": 0.5})
    with pytest.raises(InstrumentUnavailable, match=r"ended with status 3: \{'error': 'no lamp'\}"):
        program("import sys; print({'error': 'no lamp'}); sys.exit(3)").measure({"red": 0.5})


@pytest.mark.fault("I-08")
@pytest.mark.parametrize("more", ["print('warming up')", "print({})", "pass"])
def test_a_program_that_writes_more_or_less_than_json_is_told_with_what_it_wrote(more):
    code = f'{more}; print(\'{{"readings": {{"x": 1}}}}\')' if more != "pass" else more
    with pytest.raises(BadReply, match="as the file expects: expected JSON and nothing else, got '"):
        program(code).measure({"red": 0.5})


@pytest.mark.fault("N-12")
def test_a_program_that_tells_its_whole_environment_tells_no_password_of_ours(monkeypatch):
    ours = {"SDL_LEDGER": "postgresql+psycopg://sdl:pear-1@h/lab", "PGPASSWORD": "pear-2", "SDL_SECRET_X": "pear-3"}
    ours |= {f"PREFECT_{name}": "sdl:pear-4" for name in ("API_KEY", "API_AUTH_STRING", "SERVER_API_AUTH_STRING")}
    for name, value in {**ours, "LANG": "C"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SDL_SECRET_LAB", "plum-6")
    told = "import os, sys; print(os.environ, file=sys.stderr); sys.exit(3)"
    instrument = program(told, environment={"SAID": {"secret": "lab"}, "ROOM": "12"})
    with pytest.raises(InstrumentUnavailable, match="ended with status 3") as caught:
        ask_driver(instrument, {"red": 0.5})
    assert "LANG" in caught.value.raw
    assert "ROOM" in caught.value.raw
    assert not [each for each in (1, 2, 3, 4) if f"pear-{each}" in caught.value.raw]
    assert "plum" not in caught.value.raw + str(caught.value)


@pytest.mark.fault("I-03")
def test_a_program_is_ended_at_the_deadline_with_all_that_it_started(tmp_path):
    child = f"import time; time.sleep(1.5); open({str(tmp_path / 'alive')!r}, 'w')"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {child!r}])"
    with pytest.raises(InstrumentSilent):
        program(code, deadline_s=0.7).measure({"red": 0.5})
    time.sleep(1.5)
    assert not (tmp_path / "alive").exists()


@pytest.mark.fault("I-08")
def test_a_program_that_writes_without_end_is_cut():
    with pytest.raises(BadReply, match="more than 65536 bytes"):
        program("while True: print('x' * 1000)").measure({"red": 0.5})


def test_a_program_knows_the_secrets_that_it_is_given_and_no_other(monkeypatch):
    monkeypatch.setenv("SDL_SECRET_ITS_TOKEN", "hunter2")
    monkeypatch.setenv("SDL_SECRET_ANOTHER", "swordfish")
    code = "import json, os; print(json.dumps({'readings': {'x': 1}, 'all': dict(os.environ)}))"
    reply = ask_driver(program(code, environment={"TOKEN": {"secret": "its-token"}}), {"red": 0.5})
    assert '\\"TOKEN\\": \\"***\\"' in reply.raw
    assert "hunter2" not in reply.raw
    assert "swordfish" not in reply.raw


# ---------------------------------------------------------------------- a broker


@contextmanager
def at_a_broker(heed, **options):
    pytest.importorskip("paho.mqtt", reason="needs the extra 'mqtt'")
    from mqtt_broker import Broker
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    with Broker() as broker:
        device = Client(CallbackAPIVersion.VERSION2)
        ready = threading.Event()
        device.on_connect = lambda client, *_: client.subscribe("set/#", 1)
        device.on_subscribe = lambda *_: ready.set()
        device.on_message = lambda client, _, message: heed(client, message.payload.decode())
        device.connect("127.0.0.1", broker.port)
        device.loop_start()
        assert ready.wait(10)
        knobs, channels = [{"name": "red", "high": 5, "write": "set/red"}], [{"name": "x", "query": "light/x"}]
        written = {"url": f"mqtt://127.0.0.1:{broker.port}", "knobs": knobs, "channels": channels, **HASTY, **options}
        instrument = plugins.build("sdl.instruments", "mqtt", written)
        yield instrument, device
        instrument.close()
        device.disconnect()
        device.loop_stop()


def test_a_sensor_that_speaks_once_when_its_setting_changes_is_heard():
    with at_a_broker(lambda client, payload: client.publish("light/x", str(2 * float(payload)))) as (instrument, _):
        assert [instrument.measure({"red": red}).readings["x"] for red in (1.0, 2.0, 3.0)] == [2, 4, 6]


def test_after_time_to_settle_only_what_came_after_it_counts():
    def heed(client, payload):
        client.publish("light/x", "-1")
        threading.Timer(0.4, client.publish, ("light/x", payload)).start()

    with at_a_broker(heed, settle_s=0.2, deadline_s=2) as (instrument, _):
        assert instrument.measure({"red": 3.0}).readings["x"] == 3


@pytest.mark.fault("I-14")
def test_a_message_that_the_broker_kept_is_no_reading():
    with at_a_broker(lambda client, payload: None) as (instrument, device):
        device.publish("light/x", "99", retain=True).wait_for_publish(5)
        with pytest.raises(InstrumentSilent, match="no message at light/x"):
            instrument.measure({"red": 1.0})


def test_a_broker_that_wants_another_password_refuses():
    pytest.importorskip("paho.mqtt", reason="needs the extra 'mqtt'")
    from mqtt_broker import Broker

    with Broker("right") as broker:
        written = {"url": f"mqtt://127.0.0.1:{broker.port}", **HASTY}
        written |= {"knobs": [{"name": "red", "write": "set/red"}], "channels": [{"name": "x", "query": "light/x"}]}
        with pytest.raises(InstrumentRefused, match=r"refused: Not authori[sz]ed"):
            plugins.build("sdl.instruments", "mqtt", written).measure({"red": 0.5})


# ---------------------------------------------------------------------- a server of OPC-UA


@pytest.mark.fault("I-25")
def test_a_text_of_a_node_is_read_by_a_pattern_and_a_node_that_is_not_there_is_asked_for_once():
    pytest.importorskip("asyncua", reason="needs the extra 'opcua'")
    from opcua_server import served_opcua

    rig = Rig()
    rig.read = lambda name: "7.5 mV"
    with served_opcua(rig) as written:
        options = {key: value for key, value in written.items() if key != "plugin"}
        channel = written["channels"][0] | {"pattern": "^(.*) mV$"}
        gone = channel | {"query": channel["query"] + ".gone"}
        settings = dict.fromkeys((knob["name"] for knob in written["knobs"]), 1.0)
        for described, end in ((channel, None), (gone, "BadNodeIdUnknown")):
            instrument = plugins.build("sdl.instruments", "opcua", options | {"channels": [described]})
            if end is None:
                assert instrument.measure(settings).readings == {channel["name"]: 7.5}
            else:
                with pytest.raises(InstrumentRefused, match=end):
                    instrument.measure(settings)
            instrument.close()
