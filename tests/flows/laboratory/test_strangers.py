"""Whatever page is open in a browser of this machine: none but the laboratory's own makes anything measure."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from hall import Hall
from pages import PROGRAM, browsing
from services import Lab, secret_headers

from sdl.history import Control
from sdl.instruments.claude_light.twin import Twin

REBOUND = "rebound.example"
"""A name that a stranger's name server leads to this machine."""
ATTACK = """
(async () => {
  const tell = async (what) => { try { return await what() } catch (error) { return String(error) } }
  const body = JSON.stringify({state: {type: "SCHEDULED"}, parameters: {settings: {R: 1, G: 1, B: 1}}})
  const run = API + "/deployments/" + DEPLOYMENT + "/create_flow_run"
  const told = []
  for (const mode of ["cors", "no-cors"]) for (const type of ["application/json", "text/plain"])
    told.push(await tell(async () => {
      const answer = await fetch(run, {method: "POST", mode, headers: {"Content-Type": type}, body})
      return answer.type + " " + answer.status }))
  told.push(await tell(async () => (await (await fetch(API + "/csrf-token?client=stranger")).json()).token))
  told.push(await tell(async () => (await fetch(API + "/health")).status))
  told.push(await tell(async () => (await fetch(TWIN + "?R=1&G=1&B=1", {mode: "no-cors"})).type))
  for (const element of ["img", "iframe", "script"]) told.push(await new Promise((done) => {
    const made = document.createElement(element)
    made.onload = made.onerror = () => done(element); made.src = TWIN + "?R=1&G=1&B=" + element.length
    document.body.append(made) }))
  told.push(await new Promise((done) => {
    const frame = document.createElement("iframe"); frame.name = "there"; document.body.append(frame)
    const form = document.createElement("form")
    form.action = run; form.method = "POST"; form.enctype = "text/plain"; form.target = "there"
    const field = document.createElement("input"); field.name = body.slice(0, -1) + ', "name": "'; field.value = '"}'
    form.append(field); document.body.append(form)
    frame.onload = () => done("form"); form.submit() }))
  const ask = JSON.stringify({campaign: "white", what: "stop", token: ""})
  for (const mode of ["cors", "no-cors"]) for (const type of ["application/json", "text/plain"])
    told.push(await tell(async () => {
      const answer = await fetch(WALL + "/api/ask", {method: "POST", mode, headers: {"Content-Type": type}, body: ask})
      return answer.type + " " + answer.status }))
  told.push(await tell(async () => (await (await fetch(WALL + "/api/news")).json()).life))
  told.push(await new Promise((done) => {
    const events = new WebSocket(API.replace("http", "ws") + "/events/in")
    events.onopen = () => done("events taken"); events.onerror = () => done("events refused") }))
  return told
})()
"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A page about cats</title><body></body>")

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def page():
    """The port of a stranger's page."""
    with HTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    made = Lab(tmp_path / "home")
    made.home.mkdir(mode=0o700)
    made.up("--twin", "--twin-port", 0)
    yield made
    made.sdl("down")


@pytest.fixture
def hall(lab):
    """A campaign at work in the ledger of the laboratory."""
    made = Hall(lab.home / "ledger.sqlite")
    made.begin("white", "lamp")
    yield made
    made.close()


def runs(lab, deployment):
    return len(lab.ask("/flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}}))


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: install Debian's package 'chromium' to run this")
@pytest.mark.fault("N-11")
def test_no_page_of_another_origin_reaches_an_instrument_and_our_own_does(lab, hall, page, tmp_path):
    deployment = lab.deployment("measure")["id"]
    for name in ("127.0.0.1", "localhost", REBOUND):
        for target in ("127.0.0.1", REBOUND):
            known = {"API": lab.service["api"], "TWIN": lab.service["twin"], "WALL": lab.service["wall"]}
            known = {key: address.replace("127.0.0.1", target) for key, address in known.items()}
            known["DEPLOYMENT"] = deployment
            given = "".join(f"const {key} = {json.dumps(value)};" for key, value in known.items())
            with browsing(tmp_path / f"{name}-{target}", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as browser:
                browser.open(f"http://{name}:{page}/")
                result = browser.run(given + ATTACK)
            assert not any(str(each).startswith(("cors", "basic")) for each in result), result
            assert result[5] == "TypeError: Failed to fetch", result
            assert result[-2:] == ["TypeError: Failed to fetch", "events refused"], result
            assert browser.console, "Chromium says what it was refused"
    assert runs(lab, deployment) == 0
    assert hall.ledger.entry("white").control is Control.RUN
    first = Twin().measure({"R": 0.0, "G": 0.0, "B": 0.0}).readings
    assert requests.get(lab.service["twin"], timeout=60).json()["out"] == first, "nobody has measured before"
    with browsing(tmp_path / "rebound", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as browser:
        for ours in (lab.service["ui"], lab.service["wall"]):
            browser.open(ours.replace("127.0.0.1", REBOUND))
            assert "this machine has no such name" in browser.run("document.body.innerText")
    with browsing(tmp_path / "own") as browser:
        browser.open(lab.service["ui"])
        started = browser.run(
            f"""(async () => {{
              const secret = await (await fetch("/api/csrf-token?client=page")).json()
              const headers = {{"Content-Type": "application/json", "Prefect-Csrf-Token": secret.token,
                                "Prefect-Csrf-Client": "page"}}
              const body = JSON.stringify({{state: {{type: "SCHEDULED"}}}})
              const path = "/api/deployments/{deployment}/create_flow_run"
              return (await fetch(path, {{method: "POST", headers, body}})).status
            }})()"""
        )
        browser.open(lab.service["wall"])
        body = json.dumps({"campaign": "white", "what": "stop", "token": ""})
        options = f"{{method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: {body!r}}}"
        stopped = browser.run(f"fetch('/wall/api/ask', {options}).then((answer) => answer.status)")
        refused = [line for line in browser.console if "403" in line or "CORS" in line]
    assert (started, stopped) == (201, 200)
    assert hall.ledger.entry("white").control is Control.STOP
    assert not refused, "our own page needs nothing that it is not given"
    assert runs(lab, deployment) == 1


@pytest.mark.slow
@pytest.mark.fault("N-11")
def test_forged_headers_and_a_missing_secret_are_refused(lab):
    api = lab.service["api"]
    secret = secret_headers(api)
    assert secret
    for headers in (
        {},
        secret | {"Host": "evil.example"},
        secret | {"Host": "127.0.0.1.evil.example:4200"},
        secret | {"Host": f"evil.example:80@{api.split('/')[2]}"},
        secret | {"Origin": "http://evil.example"},
        secret | {"Origin": "null"},
        secret | {"Origin": "http://127.0.0.1:1"},
        secret | {"Sec-Fetch-Site": "cross-site"},
        secret | {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"},
    ):
        answer = requests.post(f"{api}/deployments/filter", json={}, headers=headers, timeout=20)
        assert answer.status_code == 403, headers
        if headers not in ({}, secret):  # the wall asks for no secret that any program may fetch, but for a token
            asked = requests.post(f"{lab.service['wall']}/api/ask", json={}, headers=headers, timeout=20)
            assert asked.status_code == 403, headers
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert requests.get(lab.service["twin"], headers=headers, timeout=20).status_code == 403
    assert requests.post(f"{api}/deployments/filter", json={}, headers=secret, timeout=20).ok
