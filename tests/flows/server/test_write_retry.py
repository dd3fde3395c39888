"""Who asks Prefect's server on SQLite to write something down is not told that it was busy."""

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from flows import environment
from flows.server import server, write_retry

ASKED = b'{"name": "white"}'


class Busy:
    """An application that is busy some times, as Prefect's is: it answers so, and raises what made it so."""

    def __init__(self, times, error=None):
        self.times, self.error, self.bodies = times, error, []

    async def __call__(self, scope, receive, send):
        body = b""
        while (part := await receive())["type"] == "http.request":
            body += part["body"]
            if not part["more_body"]:
                break
        self.bodies.append(body)
        if self.error:
            raise self.error
        busy = len(self.bodies) <= self.times
        scope["seen"] = scope.get("seen", 0) + 1
        await send({"type": "http.response.start", "status": 503 if busy else 201, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % scope["seen"]})
        if busy:
            raise OSError("database is locked")


def answered(app, method="POST"):
    """What a browser gets."""
    parts = iter([ASKED[:5], ASKED[5:]])
    got = []

    async def receive():
        part = next(parts, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part == ASKED[:5]}

    async def send(message):
        got.append(message.get("status") or message["body"])

    asyncio.run(write_retry.retry_writes(app)({"type": "http", "method": method}, receive, send))
    return got


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_could_not_be_written_is_tried_again_with_all_that_was_asked(times, monkeypatch):
    monkeypatch.setattr(write_retry, "WAITS_S", (0.0,) * 3)
    app = Busy(times)
    assert answered(app) == [201, b"1"]
    assert app.bodies == [ASKED] * (times + 1)


def test_who_stays_busy_says_so_in_the_end(monkeypatch):
    monkeypatch.setattr(write_retry, "WAITS_S", (0.0,) * 3)
    app = Busy(10)
    with pytest.raises(OSError, match="database is locked"):
        answered(app)
    assert len(app.bodies) == 5


def test_what_only_reads_and_what_went_wrong_otherwise_is_not_tried_again():
    for app, method, error in ((Busy(1), "GET", OSError), (Busy(0, KeyError("x")), "POST", KeyError)):
        with pytest.raises(error):
            answered(app, method)
        assert len(app.bodies) == 1


def test_another_prefect_than_this_was_tried_with_is_left_alone(monkeypatch):
    monkeypatch.setattr(write_retry, "version", lambda name: "3.10.0")
    app = Busy(1)
    assert write_retry.retry_writes(app) is app


def statuses(api):
    """What sixty requests of four people at once are answered."""
    flow = requests.post(f"{api}/flows/", json={"name": "crowded"}, timeout=20).json()["id"]

    def ask(number):
        result = {"flow_id": flow, "name": f"run {number}", "state": {"type": "SCHEDULED"}}
        return requests.post(f"{api}/flow_runs/", json=result, timeout=20).status_code

    with ThreadPoolExecutor(4) as crowd:
        return set(crowd.map(ask, range(60)))


@pytest.mark.slow
def test_of_many_who_write_at_once_none_is_refused(prefect):
    assert statuses(prefect) == {201}


@pytest.mark.slow
def test_it_is_still_needed(home, tmp_path):
    """Prefect's own server refuses many of them; where it no longer does, this file and its subject can go."""
    port = server.free_port()
    command = [Path(sys.executable).with_name("prefect"), "server", "start", "--port", str(port)]
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    child = subprocess.Popen(command, env=os.environ | environment.SETTINGS, **options)
    try:
        until = time.monotonic() + server.START_S
        while not server.healthy(server.address(port)):
            assert child.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        assert statuses(server.address(port)) == {201, write_retry.BUSY}
    finally:
        child.terminate()
        child.wait(timeout=60)
