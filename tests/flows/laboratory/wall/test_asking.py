"""What may be asked from the wall, over HTTP: without tokens by anybody, else by the rules of 'sdl approve'."""

import pytest
import requests
from hall import Hall, served

from sdl.history import Control, NoticeKind
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.proposals import Proposals
from sdl.ledger.people.tokens import Kind, Role, Tokens

SOON_S = 30
WALL = "the page on the wall"


class Room:
    """A laboratory with a wall, and who is in it."""

    def __init__(self, hall, url):
        self.hall, self.url, self.tokens = hall, url, {}

    def let_in(self):
        book = Tokens(self.hall.ledger)
        self.tokens["Ada"] = book.issue("Ada", Kind.PERSON, Role.APPROVER)
        ada = book.identify(self.tokens["Ada"])
        for name, kind, role in (
            ("Bob", Kind.PERSON, Role.OPERATOR),
            ("reader", Kind.PERSON, Role.VIEWER),
            ("bot", Kind.AGENT, Role.OPERATOR),
        ):
            self.tokens[name] = book.issue(name, kind, role, ada)

    def ask(self, what, by=None, campaign="white", headers=None, **more):
        asked = {"campaign": campaign, "what": what, "token": self.tokens.get(by, by or ""), **more}
        return requests.post(f"{self.url}/wall/api/ask", json=asked, headers=headers, timeout=SOON_S)

    def refused(self, status, *asked, **more):
        answer = self.ask(*asked, **more)
        assert answer.status_code == status, answer.text
        return answer.json()["fault"]

    def control(self, name="white"):
        return self.hall.ledger.entry(name).control

    def last(self, name="white"):
        return Controls(self.hall.ledger).notices(self.hall.ledger.entry(name).id)[-1]


@pytest.fixture
def room(request, tmp_path):
    """A laboratory on SQLite; on each kind of database for a test that says ``where``."""
    (tmp_path / "home").mkdir()
    where = request.getfixturevalue("where") if "where" in request.fixturenames else tmp_path / "ledger.sqlite"
    hall = Hall(where)
    hall.begin("white", "lamp", title="White")
    hall.begin("blue", "furnace")
    hall.wait_for_approval("blue")
    with served(where, tmp_path / "home") as (url, _):
        yield Room(hall, url)
    hall.close()


@pytest.mark.slow
def test_where_nobody_has_a_token_nobody_is_asked_for_one_and_the_record_says_so(room):
    for what, control in (("pause", Control.PAUSE), ("resume", Control.RUN), ("stop", Control.STOP)):
        assert room.ask(what, note="a leak").ok
        assert room.control() is control
        assert (room.last().by, room.last().known) == (WALL, "no name was given there")
    assert room.last().text == "asked to stop: a leak"
    shown = requests.get(f"{room.url}/wall/api/approval", params={"campaign": "blue"}, timeout=SOON_S).json()
    assert (shown["round"], shown["takes_token"]) == (1, False)
    assert shown["rows"][1] == ["learning", "0.2", "0.3", "0.4", "1"]
    for round_ in ({}, {"round": 0}):
        room.refused(400, "approve", campaign="blue", **round_)
    assert room.ask("approve", campaign="blue", round=1).json()["said"] == "blue goes on"
    assert room.last("blue").kind is NoticeKind.APPROVED
    assert "waits for no approval" in room.refused(400, "approve", campaign="blue", round=1)


@pytest.mark.slow
def test_where_persons_have_tokens_whatever_is_asked_takes_one_of_its_role(room, where):
    room.let_in()
    for what in ("pause", "stop", "resume", "approve", "decline"):
        assert "takes your token" in room.refused(403, what, campaign="blue", round=1)
        assert "nobody's" in room.refused(403, what, by="sdl-1-" + "x" * 43, campaign="blue", round=1)
        if what not in ("decline",):
            assert "reader" in room.refused(403, what, by="reader", campaign="blue", round=1)
    assert room.control("blue") is Control.RUN
    assert Controls(room.hall.ledger).pending_approval(room.hall.ledger.entry("blue").id) is not None
    for by in ("Bob", "bot"):
        assert "a person's token of the role approver" in room.refused(403, "approve", by=by, campaign="blue", round=1)
    assert "may not ask for that" in room.refused(403, "resume", by="bot")
    assert room.ask("pause", by="bot").ok
    assert (room.control(), room.last().by) == (Control.PAUSE, "bot")
    assert room.ask("resume", by="Bob").ok
    assert room.ask("approve", by="Ada", campaign="blue", round=1).ok
    assert room.last("blue").who == f"Ada (token 1 of a person, approver, shown to {WALL})"
    Tokens(room.hall.ledger).end("Bob", Tokens(room.hall.ledger).identify(room.tokens["Ada"]))
    assert "was ended" in room.refused(403, "pause", by="Bob")
    assert room.control() is Control.RUN


@pytest.mark.slow
def test_what_an_agent_proposed_takes_another_persons_token_and_is_shown_whole(room):
    room.let_in()
    tokens, space = Tokens(room.hall.ledger), room.hall.ledger.entry("white").space
    gate = Proposals(room.hall.ledger, tokens.identify(room.tokens["bot"]))
    config = {"budget": 5, "settings": [{"R": 0.1, "G": 0.2, "B": 0.3}]}
    gate.enter("asked", "lamp", space, config, {}, title="bot: asked", why="<b>approve</b> me")
    shown = requests.get(f"{room.url}/wall/api/approval", params={"campaign": "asked"}, timeout=SOON_S).json()
    assert (shown["round"], shown["what"], shown["takes_token"]) == (-1, "the proposal", True)
    assert shown["lines"] == ["at most 5 requests on lamp", "proposed: <b>approve</b> me"], (
        "text, which a page shows so"
    )
    assert shown["rows"] == [["reading", "0.1", "0.2", "0.3", "1"]]
    for by in (None, "bot", "Bob"):
        room.refused(403, "approve", by=by, campaign="asked", round=-1)
    assert room.ask("approve", by="Ada", campaign="asked", round=-1).json()["said"].startswith("approved")


@pytest.mark.slow
@pytest.mark.fault("N-11")
def test_pages_of_strangers_forged_hosts_and_forms_ask_nothing(room):
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"},
    ):
        assert room.ask("stop", headers=headers).status_code == 403, headers
        for path in ("news", "approval?campaign=blue"):
            asked = f"{room.url}/wall/api/{path}"
            assert requests.get(asked, headers=headers, timeout=SOON_S).status_code == 403, headers
    text = '{"campaign": "white", "what": "stop", "token": ""}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = requests.post(f"{room.url}/wall/api/ask", data=text, headers={"Content-Type": kind}, timeout=SOON_S)
        assert (answer.status_code, "an object in JSON" in answer.text) == (400, True)
    for path in ("/wall/api/ask?campaign=white&what=stop", "/wall/api/who"):
        assert requests.get(room.url + path, timeout=SOON_S).status_code == 405
    assert "at most 20000 bytes" in room.refused(400, "stop", note="x" * 30_000)
    assert "what: " in room.refused(400, "extend")
    assert "no campaign 'blu'" in room.refused(400, "stop", campaign="blu")
    assert room.control() is Control.RUN
    page = requests.get(f"{room.url}/wall", timeout=SOON_S)
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert requests.get(f"{room.url}/wall", headers=link, timeout=SOON_S).ok, "somebody may link to it"
    assert requests.get(f"{room.url}/wall/../app.py", timeout=SOON_S).status_code == 404


@pytest.mark.slow
def test_who_has_to_show_a_name_and_a_secret_to_prefect_shows_them_here_too(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "ada:secret")
    Ledger(tmp_path / "ledger.sqlite").close()
    with served(tmp_path / "ledger.sqlite", tmp_path) as (url, _):
        for auth, status in ((None, 401), (("ada", "guess"), 401), (("ada", "secret"), 200)):
            answer = requests.get(f"{url}/wall/api/news", auth=auth, timeout=SOON_S)
            assert answer.status_code == status
        assert requests.post(f"{url}/wall/api/ask", json={}, timeout=SOON_S).status_code == 401
        assert requests.get(f"{url}/wall/report/white", timeout=SOON_S).status_code == 401
