"""The server: Claude-Light's API with its own faults, and those that are asked for."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.fault_injection import Faults, bent_readings
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Knob, Space

DIM = "R=0.1&G=0.2&B=0.3"


class Slow:
    """An instrument of another kind, with its own bounds; it counts how many measure at once."""

    identity = "slow"
    patience = Patience()
    space = Space(
        knobs=(Knob(name="volts", low=-2.0, high=2.0), Knob(name="flow", low=1.0, high=9.0)),
        channels=(Channel(name="mass", ceiling=4.5, integral=False), Channel(name="count", ceiling=1000)),
    )

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.at_once, self.most = seconds, 0, 0

    def measure(self, settings):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        time.sleep(self.seconds)
        self.at_once -= 1
        return Reply(applied=dict(settings), readings={"mass": 1.5, "count": 10}, raw="")

    def close(self) -> None:
        pass


def ask(server: InstrumentServer, query: str = DIM, timeout: float = 5.0) -> requests.Response:
    return requests.get(f"{server.url}?{query}", timeout=timeout)


@pytest.fixture
def served() -> Iterator[InstrumentServer]:
    with InstrumentServer(Twin(noise=0.0, session_gain=False), hold_s=0.3) as server:
        yield server


def test_the_answer_has_the_form_of_the_original(served):
    reply = ask(served, "R=0.12&G=0.45&B=1.0")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert list(reply.json()) == ["in", "out"]
    assert reply.json()["in"] == [0.12, 0.45, 1.0]
    assert list(reply.json()["out"]) == list(SPACE.channel_names)
    assert all(type(count) is int for count in reply.json()["out"].values())


@pytest.mark.parametrize(
    ("query", "applied"),
    [
        ("", [0, 0, 0]),
        ("R=0.5", [0.5, 0, 0]),
        ("R=&G=0.5&B=", [0, 0.5, 0]),
        ("r=0.5&Green=1", [0, 0, 0]),
        ("R=255&G=-3&B=0.5", [1, 0, 0.5]),
        ("R=inf&G=-inf&B=0", [1, 0, 0]),
        ("R=1e-1&G=0.2&B=0.3&T=4", [0.1, 0.2, 0.3]),
    ],
)
def test_what_cannot_be_applied_becomes_zero_or_is_clamped_without_a_word(served, query, applied):
    reply = ask(served, query)
    assert reply.status_code == 200
    assert reply.json()["in"] == applied


@pytest.mark.parametrize("query", ["R=abc", "R=0,5", "R=0.5&G=None"])
def test_what_is_not_a_number_is_an_internal_error_with_a_page(served, query):
    reply = ask(served, query)
    assert reply.status_code == 500
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "<h1>500" in reply.text


def test_nan_holds_the_instrument_and_then_fails(served):
    with ThreadPoolExecutor() as pool:
        started = time.monotonic()
        poisoned = pool.submit(ask, served, "R=nan")
        time.sleep(0.05)
        other = ask(served)
        held = time.monotonic() - started
    assert poisoned.result().status_code == 500
    assert other.status_code == 200
    assert held > 0.25
    assert served.most_in_flight == 2


@pytest.mark.parametrize("path", ["/", "/apis", "/api/", "/health"])
def test_any_other_path_is_not_found(served, path):
    assert requests.get(served.url.removesuffix("/api") + path, timeout=5).status_code == 404
    assert served.requests == 0


def test_one_measurement_at_a_time_and_the_others_wait():
    slow = Slow(0.1)
    with InstrumentServer(slow, hold_s=5.0) as server, ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: ask(server, "volts=1&flow=2"), range(4)))
    assert [reply.status_code for reply in replies] == [200] * 4
    assert slow.most == 1
    assert (server.requests, server.most_in_flight) == (4, 4)


def test_who_waits_too_long_gets_an_internal_error():
    with InstrumentServer(Slow(0.6), hold_s=0.1) as server, ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda _: ask(server), range(2)))
    assert sorted(reply.status_code for reply in replies) == [200, 500]


def test_any_instrument_is_served_with_its_own_knobs_and_bounds():
    with InstrumentServer(Slow()) as server:
        assert ask(server, "flow=4").json() == {"in": [-2.0, 4.0], "out": {"mass": 1.5, "count": 10}}
        assert ask(server, "volts=7").json()["in"] == [2.0, 1.0]


def test_a_port_in_use_says_so(served):
    with pytest.raises(InvalidInput, match="choose another --host or --port"):
        InstrumentServer(Twin(), port=served.server_port)


def test_closing_does_not_wait_for_a_stalled_answer():
    with InstrumentServer(Twin(), faults=Faults.parse(["stall"])) as server:
        with pytest.raises(requests.Timeout):
            ask(server, timeout=0.2)
        started = time.monotonic()
    assert time.monotonic() - started < 1


class TestFaults:
    @pytest.mark.parametrize(
        ("spec", "at"),
        [
            ("busy", [1, 2, 3, 4, 5, 6]),
            ("busy@3", [3]),
            ("500@3-5", [3, 4, 5]),
            ("stuck@4-", [4, 5, 6]),
            ("nan@0%", []),
            ("nan@100%", [1, 2, 3, 4, 5, 6]),
            (" lamp@2 ", [2]),
        ],
    )
    def test_when(self, spec, at):
        faults = Faults.parse([spec])
        assert [number for number in range(1, 7) if faults.at(number)] == at

    def test_a_random_share_is_a_matter_of_the_seed_and_the_number_alone(self):
        faults = Faults.parse(["reset@20%", "busy@20%"])
        hits = [faults.at(number, seed=1) for number in range(1, 2001)]
        assert hits == [faults.at(number, seed=1) for number in range(1, 2001)]
        assert hits != [faults.at(number, seed=2) for number in range(1, 2001)]
        assert sum("reset" in words for words in hits) == pytest.approx(400, abs=60)
        assert sum(len(words) == 2 for words in hits) == pytest.approx(80, abs=30)

    def test_all_that_is_wrong_is_listed_with_the_nearest_word(self):
        with pytest.raises(InvalidInput) as caught:
            Faults.parse(["stal@4", "busy@0", "busy@5-3", "busy@", "busy@x", "busy@101%", "busy@-3", "drip@1"])
        first, *rest = caught.value.faults
        assert "did you mean 'stall'?" in first
        assert len(rest) == 6
        assert all("N, N-M, N- or P%" in fault for fault in rest)

    @pytest.mark.parametrize(
        ("word", "status", "kind", "text"),
        [
            ("500", 500, "text/html", "<h1>500"),
            ("html", 200, "text/html", "<h1>200"),
            ("json", 200, "application/json", '{"status":"ok"}'),
        ],
    )
    def test_what_is_answered_instead_of_a_reading(self, word, status, kind, text, served):
        served.faults = Faults.parse([f"{word}@2"])
        assert ask(served).json()["in"] == [0.1, 0.2, 0.3]
        wrong = ask(served)
        assert (wrong.status_code, wrong.headers["Content-Type"].partition(";")[0]) == (status, kind)
        assert text in wrong.text
        assert ask(served).status_code == 200

    def test_stall_measures_and_answers_late(self, served):
        served.faults, served.stall_s = Faults.parse(["stall@1"]), 0.4
        started = time.monotonic()
        assert ask(served).json()["in"] == [0.1, 0.2, 0.3]
        assert time.monotonic() - started > 0.35

    def test_busy_names_a_time_and_measures_nothing(self, served):
        served.faults = Faults.parse(["busy"])
        reply = ask(served)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
        assert served.most_in_flight == 0

    def test_truncated_is_half_a_body_under_a_length_that_fits(self, served):
        whole = ask(served).text
        served.faults = Faults.parse(["truncated"])
        cut = ask(served)
        assert cut.text == whole[: len(whole) // 2]
        assert int(cut.headers["Content-Length"]) == len(cut.content)

    def test_reset_comes_in_the_middle_of_the_answer(self, served):
        served.faults = Faults.parse(["reset"])
        with socket.create_connection(("127.0.0.1", served.server_port), timeout=2) as connection:
            connection.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.03)
            assert b'{"in":[' in connection.recv(4096)
            with pytest.raises(ConnectionResetError):
                connection.recv(4096)

    def test_drip_gives_one_byte_at_a_time(self, served):
        served.faults, served.drip_s = Faults.parse(["drip"]), 0.004
        started = time.monotonic()
        assert ask(served).json()["in"] == [0.1, 0.2, 0.3]
        assert time.monotonic() - started > 0.4

    def test_stuck_repeats_the_last_answer_at_other_settings(self, served):
        served.faults = Faults.parse(["stuck@2-3"])
        first, second, third, fourth = [ask(served, f"R=0.{i}").json() for i in range(1, 5)]
        assert second["in"] == [0.2, 0, 0]
        assert first["out"] == second["out"] == third["out"] != fourth["out"]

    def test_saturated_and_echo_and_nan(self, served):
        served.faults = Faults.parse(["saturated@1", "echo@2", "nan@3"])
        assert set(ask(served).json()["out"].values()) == {65535}
        assert ask(served, "R=0.9&G=0.2&B=0.5").json()["in"] == [0.0, 1.0, 0.0]
        assert '"415nm":NaN' in ask(served).text

    def test_the_twin_has_a_lamp_that_is_out_again_afterwards(self, served):
        served.instrument.lamp = 100.0
        served.faults = Faults.parse(["lamp@2"])
        before, lit, after = [ask(served, "").json()["out"] for _ in range(3)]
        assert before == after
        assert lit["515nm"] - before["515nm"] == pytest.approx(4000, abs=3)
        assert lit["630nm"] - before["630nm"] == pytest.approx(4000 * 4.401, abs=1)

    def test_another_instrument_is_lit_by_a_share_of_its_ceiling(self):
        with InstrumentServer(Slow(), faults=Faults.parse(["lamp"])) as server:
            assert ask(server).json()["out"] == {"mass": pytest.approx(1.77), "count": 70}

    def test_without_a_ceiling_nothing_saturates(self):
        space = Space.unit("x", channels=("y",))
        assert bent_readings(space, {"y": 2.0}, {"saturated", "lamp"}) == {"y": 2.0}

    def test_faults_change_at_run_time(self, served):
        control = served.url.replace("/api", "/faults")
        assert requests.post(control, json=["busy"], timeout=5).json() == ["busy"]
        assert ask(served).status_code == 503
        assert requests.post(control, json=[], timeout=5).status_code == 200
        assert ask(served).status_code == 200

    @pytest.mark.parametrize("body", ['["busi"]', '"busy"', "[1]", "{}", "no json", ""])
    def test_a_wrong_change_is_refused_and_changes_nothing(self, served, body):
        control, headers = served.url.replace("/api", "/faults"), {"Content-Type": "application/json"}
        refused = requests.post(control, data=body, headers=headers, timeout=5)
        assert refused.status_code == 400
        assert json.loads(refused.text)["error"]
        assert served.faults == Faults()

    def test_a_browser_cannot_change_faults_from_a_strange_page(self, served):
        control, headers = served.url.replace("/api", "/faults"), {"Content-Type": "text/plain"}
        assert requests.post(control, data='["busy"]', headers=headers, timeout=5).status_code == 400


def test_it_serves_in_the_foreground_until_it_is_told_to_stop():
    server = InstrumentServer(Twin())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert ask(server).status_code == 200
    server.shutdown()
    thread.join(timeout=2)
    server.server_close()
    assert not thread.is_alive()
