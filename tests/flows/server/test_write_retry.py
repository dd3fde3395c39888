"""Who asks Prefect's server on SQLite to write something down is not told that it was busy."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from flows.server import write_retry as late_writes

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

    asyncio.run(late_writes.patient(app)({"type": "http", "method": method}, receive, send))
    return got


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_could_not_be_written_is_tried_again_with_all_that_was_asked(times, monkeypatch):
    monkeypatch.setattr(late_writes, "WAITS_S", (0.0,) * 3)
    app = Busy(times)
    assert answered(app) == [201, b"1"]
    assert app.bodies == [ASKED] * (times + 1)


def test_who_stays_busy_says_so_in_the_end(monkeypatch):
    monkeypatch.setattr(late_writes, "WAITS_S", (0.0,) * 3)
    app = Busy(10)
    with pytest.raises(OSError, match="database is locked"):
        answered(app)
    assert len(app.bodies) == 4


def test_what_only_reads_and_what_went_wrong_otherwise_is_not_tried_again():
    for app, method, error in ((Busy(1), "GET", OSError), (Busy(0, KeyError("x")), "POST", KeyError)):
        with pytest.raises(error):
            answered(app, method)
        assert len(app.bodies) == 1


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_of_many_who_write_at_once_none_is_refused(prefect):
    """Without it a third to two thirds are, on Prefect 3.8."""
    flow = requests.post(f"{prefect}/flows/", json={"name": "crowded"}, timeout=20).json()["id"]

    def ask(number):
        told = {"flow_id": flow, "name": f"run {number}", "state": {"type": "SCHEDULED"}}
        return requests.post(f"{prefect}/flow_runs/", json=told, timeout=20).status_code

    with ThreadPoolExecutor(4) as crowd:
        assert set(crowd.map(ask, range(60))) == {201}
