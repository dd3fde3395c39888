"""The address of a channel that answers otherwise than it should is in nothing that a Prefect server writes down."""

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from flows import environment
from flows.laboratory import notifications
from flows.laboratory.definition import Notify
from flows.server import server
from flows.ui import events

pytestmark = pytest.mark.slow
SECRET = "Pear-W3bh00k"
RESOURCE = {"prefect.resource.id": "sdl.campaign.paper", "prefect.resource.name": "paper"}
SOON_S = 300
"""A hang ends here; a machine that is busy with other work takes its time."""


@contextmanager
def channel(status):
    """A channel that answers all messages with a status, or hangs up for 0."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if status:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(f"no such hook: {self.path}".encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{served.server_port}/{SECRET}"
        served.shutdown()


@pytest.fixture(params=["of our own", "that 'prefect server start' starts"])
def talkative(request, tmp_path, monkeypatch):
    """A server that writes down as much as it can: its URL; its folder is ``PREFECT_HOME``."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    home = tmp_path / "prefect"
    home.mkdir()
    for name, value in {**environment.SETTINGS, "PREFECT_HOME": str(home), "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
                        "PREFECT_LOGGING_SERVER_LEVEL": "DEBUG"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "DEBUG")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if request.param == "of our own":
        own = server.OwnServer(tmp_path)
        own.wait()
        url, stop = own.api, own.stop
    else:
        port = server.free_port()
        url, command = server.address(port), [Path(sys.executable).with_name("prefect"), "server", "start"]
        with (home / "server.log").open("wb") as words:
            process = subprocess.Popen([*command, "--port", str(port)], stdout=words, stderr=words, env=os.environ)
        stop = process.terminate
        until(lambda: server.healthy(url))
    with temporary_settings({PREFECT_API_URL: url}):
        monkeypatch.setenv("PREFECT_API_URL", url)
        yield url
    stop()


def until(true):
    deadline = time.monotonic() + SOON_S
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def event():
    """A verdict that somebody is to be told of."""
    when, words = datetime.now(UTC).isoformat(), {"message": "paper: VERIFIED white"}
    return {"id": str(uuid4()), "event": events.VERDICT, "occurred": when, "resource": RESOURCE, "payload": words}


def made(kind, address):
    """The number of a block that sends to the address."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook

    if kind == "webhook":
        block = CustomWebhookNotificationBlock(name="lab", url=f"http://{address}", json_data={"text": "{{body}}"})
    else:
        block = SlackWebhook(url=f"{kind}://{address}")
    return block.save("lab", overwrite=True)


@pytest.mark.fault("N-12")
@pytest.mark.fault("O-26")
def test_what_became_of_a_message_is_told_without_the_address(talkative):
    for number, (kind, status, said) in enumerate(
        [
            ("webhook", 404, "the channel answered 404"),
            ("ntfy", 404, "the channel answered 404"),
            ("json", 503, "the channel answered 503"),
            ("webhook", 0, "the message was not sent"),
            ("ntfy", 0, "the message was not sent"),
            ("slack", 404, "the message was not sent"),
        ]
    ):
        with channel(status) as address:
            wanted = notifications.make_automation(made(kind, address), Notify(block="slack-webhook/lab"))
            wanted.name = f"{kind} {number}"
            body = wanted.model_dump(mode="json")
            found = requests.post(f"{talkative}/automations/", json=body, timeout=60)
            found.raise_for_status()
            resource = {"id": [f"prefect.automation.{found.json()['id']}"]}
            asked = {"filter": {"event": {"name": ["prefect.automation.action.failed"]}, "resource": resource}}

            def failures(asked=asked):
                requests.post(f"{talkative}/events", json=[event()], timeout=60).raise_for_status()
                time.sleep(1)
                return requests.post(f"{talkative}/events/filter", json=asked, timeout=60).json()["events"]

            told = until(failures)[0]["payload"]
            assert told["reason"] == said, (kind, status)
            requests.delete(f"{talkative}/automations/{found.json()['id']}", timeout=60).raise_for_status()
    files = [file for file in Path(os.environ["PREFECT_HOME"]).rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"prefect.db", "server.log"}
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []
