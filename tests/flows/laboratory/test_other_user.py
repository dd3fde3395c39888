"""An agent that has a shell of this machine as another user: what it reads, writes and asks makes nothing measure."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from services import Lab

from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.tokens import Kind, Role, Tokens

NOBODY = 65534
SECRET = "lab:hush-hush-laboratory"
PYTHON = "/usr/bin/python3"
"""One that anybody may run, whoever's the tests' own is."""
WHY_NOT = (
    "only root can become another user"
    if os.geteuid()
    else next((f"no {each} here" for each in (PYTHON, "setpriv", "sh") if shutil.which(each) is None), "")
)
SHELL = r"""
import json, os, sqlite3, sys, urllib.error, urllib.request
given = json.load(sys.stdin)
found = {"read": [], "written": [], "seen": [], "ended": [], "asked": {}}

def attempt(word, what, act):
    try:
        if act() is not False:
            found[word].append(what)
    except (OSError, sqlite3.Error):
        pass

home = given["home"]
for place in [home, *given["files"]]:
    attempt("read", place, lambda: os.listdir(place) if place == home else open(place, "rb").read())
    attempt("written", place, lambda: open(place + "/mine" if place == home else place, "ab").write(b"mine"))
attempt("written", "ledger", lambda: sqlite3.connect(given["ledger"]).execute("UPDATE campaigns SET control = 'run'"))
attempt("written", "moved", lambda: os.rename(home, home + "-mine"))
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("environ", "cmdline"):
        def look():
            content = open(f"/proc/{pid}/{name}", "rb").read()
            return any(secret.encode() in content for secret in given["secrets"])
        attempt("seen", f"{pid} {name}", look)
for pid in given["service"]:
    attempt("ended", pid, lambda: os.kill(pid, 9))
for name, (url, body, token) in given["questions"].items():
    headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer " + token} if token else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        found["asked"][name] = urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60).status
    except urllib.error.HTTPError as error:
        found["asked"][name] = error.code
print(json.dumps(found))
"""


@pytest.fixture
def lamp():
    with InstrumentServer(Twin(seed=3)) as served:
        yield served


@pytest.fixture
def shared():
    """A folder that all users of the machine may look into; what pytest gives is its owner's."""
    with tempfile.TemporaryDirectory(prefix="sdl-shared-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def lab(shared, lamp, monkeypatch):
    """A laboratory whose Prefect asks for a secret."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    made = Lab(shared / "home")
    made.environment |= {"PREFECT_SERVER_API_AUTH_STRING": SECRET, "PREFECT_API_AUTH_STRING": SECRET}
    made.home.mkdir(mode=0o700)
    file = made.home / "lab.toml"
    part = f'{{ plugin = "claude-light", url = "{lamp.url}", allow_private = true }}'
    file.write_text(f"[instruments]\nlamp = {part}\n")
    made.up(file)
    yield made
    made.sdl("down")


@pytest.mark.slow
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.fault("N-10")
def test_nothing_that_another_user_reaches_makes_anything_measure(lab, lamp, shared):
    with Ledger(lab.home / "ledger.sqlite") as book:
        tokens = Tokens(book)
        person = tokens.issue("Ada", Kind.PERSON, Role.APPROVER)
        agent = tokens.issue("bot", Kind.AGENT, Role.OPERATOR, tokens.identify(person))
        book.register("white", "lamp", Twin().space, {"budget": 20, "targets": []}, {})
    api, wall = lab.service["api"], lab.service["wall"]
    measure = lab.deployment("measure", "lamp")["id"]
    run = {"state": {"type": "SCHEDULED"}, "parameters": {"settings": {"R": 1.0, "G": 0.0, "B": 0.0}}}
    asked = {"campaign": "white", "what": "resume", "note": "", "token": ""}
    questions = {
        "health": (f"{api}/health", None, ""),
        "csrf": (f"{api}/csrf-token?client=bot", None, ""),
        "start": (f"{api}/deployments/{measure}/create_flow_run", run, ""),
        "start with a token": (f"{api}/deployments/{measure}/create_flow_run", run, agent),
        "wall": (f"{wall}/api/news", None, ""),
        "resume": (f"{wall}/api/ask", asked, ""),
        "resume with a token": (f"{wall}/api/ask", asked | {"token": agent}, ""),
    }
    files = [str(path) for path in lab.home.rglob("*") if path.is_file()]
    notice = shared / "notice.txt"  # what anybody may read is read
    notice.write_text("Please knock.")
    notice.chmod(0o644)
    given = {
        "home": str(lab.home),
        "files": [*files, str(notice)],
        "ledger": str(lab.home / "ledger.sqlite"),
        "secrets": [SECRET, SECRET.partition(":")[2], person, agent],
        "service": [lab.service["pid"]] if "pid" in lab.service else [],
        "questions": questions,
    }
    other = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", PYTHON, "-I", "-c", SHELL]
    done = subprocess.run(
        other, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=300, cwd="/", env={}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert files
    assert {word: found[word] for word in ("read", "written", "seen", "ended")} == {
        "read": [str(notice)], "written": [], "seen": [], "ended": [],
    }  # fmt: skip
    answers = found["asked"]
    assert answers["health"] == 200
    assert all(answers[name] in (401, 403) for name in answers if name != "health"), answers
    assert lamp.requests == 0
    runs = lab.ask("/flow_runs/filter", {"deployments": {"id": {"any_": [measure]}}})
    assert runs == []
