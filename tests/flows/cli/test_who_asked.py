"""Who approved of something is written down with how that was known; nobody takes another's name by a variable."""

import io
import json
import os
import platform
import pwd
import zipfile

import pytest

from flows.engine.opening import open_session
from sdl.errors import ApprovalWanted
from sdl.history import NoticeKind
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.reports.campaign_page import render_campaign_page

ME, HERE = pwd.getpwuid(os.getuid()).pw_name, platform.node()


@pytest.fixture
def waiting(paper, home, drive):
    """A campaign that waits for approval, and its ledger."""
    written = paper | {"instrument": {"plugin": "twin", "seed": 2}, "approval": {"when": "first-round"}}
    home.mkdir(mode=0o700)
    with open_session(written, home, str(home / "ledger.sqlite")) as session, pytest.raises(ApprovalWanted):
        drive(session)
    with Ledger(home / "ledger.sqlite") as book:
        yield book


def last(book):
    return Controls(book).notices(book.entry("paper").id)[-1]


@pytest.mark.fault("O-50")
def test_variables_of_the_environment_give_nobody_another_name(sdl, waiting, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(name, "the-boss")
    assert sdl("approve", "paper", "--yes").code == 0
    assert (last(waiting).by, last(waiting).known) == (ME, f"login on {HERE}, --yes")


@pytest.mark.fault("O-50")
def test_an_answer_through_a_pipe_is_told_from_one_at_a_terminal(sdl, waiting, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert sdl("approve", "paper").code == 0
    assert last(waiting).kind == NoticeKind.DECLINED
    assert last(waiting).who == f"{ME} (login on {HERE}, through a pipe)"
    sdl("resume", "paper")
    assert last(waiting).who == f"{ME} (login on {HERE})"
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert sdl("approve", "paper").code == 0
    assert last(waiting).kind == NoticeKind.APPROVED
    assert last(waiting).who == f"{ME} (login on {HERE}, at a terminal)"


@pytest.mark.fault("O-50")
def test_a_user_without_a_name_is_told_by_the_number(sdl, waiting, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    sdl("approve", "paper", "--decline")
    assert last(waiting).who == f"user 987654 (a user without a name on {HERE}, --decline)"


@pytest.mark.fault("O-50")
@pytest.mark.parametrize("name", ["Ada <b>", ""], ids=["a name", "no name"])
def test_report_bundle_and_status_say_what_the_ledger_says(sdl, waiting, tmp_path, name):
    who = "Ada <b> (a name typed into Prefect's UI)" if name else "Prefect's UI (no name was given there)"
    Controls.of_form(waiting, name).answer("paper", True, "seen")
    assert f"paper: round 0 was approved by {who}" in sdl("status").said
    assert sdl("status", "--json").json[0]["approved"] == f"round 0 was approved by {who}"
    shown = sdl("watch", "paper", "--once").said
    assert "approved by Ada <b>" in shown if name else "approved by Prefect's UI (no name was given there)" in shown
    page = render_campaign_page(waiting, "paper")
    assert who.replace("<b>", "&lt;b&gt;").replace("'", "&#39;") in page
    assert sdl("bundle", "paper", tmp_path / "paper.zip").code == 0
    with zipfile.ZipFile(tmp_path / "paper.zip") as bundle:
        lines = [json.loads(line) for line in bundle.read("steering.jsonl").decode().splitlines()]
    assert f"{lines[-1]['by']} ({lines[-1]['known']})" == who


def test_what_was_written_before_that_was_kept_has_a_name_alone(waiting):
    Controls(waiting, "Ada").answer("paper", True)
    with waiting.writing() as connection:
        connection.exec_driver_sql("UPDATE notices SET known = NULL")
    assert last(waiting).who == "Ada"
