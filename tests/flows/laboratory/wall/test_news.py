"""What the wall tells a page over HTTP: the board as the ledger has it, each reading once, and faults in a sentence."""

import contextlib
import os
import sqlite3
import time

import pytest
import requests
from hall import STRANGER, Hall, served
from places import ROOT

from sdl.campaign.definition import Target
from sdl.history import Control, State, Verdict
from sdl.ledger.people.controls import Controls

SOON_S = 30


class Wall:
    """A page that asks for what is new, as the one in the browser does."""

    def __init__(self, url):
        self.url, self.life, self.version, self.serial, self.board = url, "", 0, 0, None

    def ask(self):
        asked = {"life": self.life, "board": self.version, "reading": self.serial}
        answer = requests.get(f"{self.url}/wall/api/news", params=asked, timeout=SOON_S)
        assert answer.ok, answer.text
        news = answer.json()
        self.life, self.version, self.serial = news["life"], news["version"], news["serial"]
        self.board = news["board"] or self.board
        return news

    def until(self, true):
        """Ask as a page does until something is so, and return all readings that were told meanwhile."""
        seen, until = [], time.monotonic() + SOON_S
        while time.monotonic() < until:
            news = self.ask()
            seen += news["readings"]
            if true(news):
                return seen
            time.sleep(0.05)
        raise AssertionError(news)


@pytest.fixture
def hall(request, tmp_path):
    """A laboratory on SQLite; on each kind of database for a test that says ``where``."""
    where = request.getfixturevalue("where") if "where" in request.fixturenames else tmp_path / "ledger.sqlite"
    made = Hall(where)
    yield made
    made.close()


@pytest.fixture
def wall(hall, tmp_path):
    (tmp_path / "home").mkdir()
    with served(hall.ledger.url, tmp_path / "home") as (url, _):
        yield lambda: Wall(url)


@pytest.mark.slow
def test_each_reading_is_told_once_and_the_board_when_it_changed(hall, wall, where):
    hall.begin("white", "lamp")
    for number in range(8):
        hall.reading("white", number)
    page = wall()
    news = page.ask()
    known = [reading[0] for reading in news["readings"]]
    assert len(set(known)) == len(known) == 8
    assert [reading[3] for reading in sorted(news["readings"])] == [1, 0, 0, 0, 0, 0, 1, 0], "two read the light"
    (card,) = news["board"]["instruments"]
    campaign = news["board"]["campaigns"][card["campaign"]]
    assert card["holder"] == "this campaign"
    assert f"process {os.getpid()} on" in card["process"]
    assert (card["name"], card["kind"], campaign["sent"], campaign["budget"]) == ("lamp", "measuring", 8, 60)
    assert [each["aim"] for each in campaign["channels"]] == ["16384 ± 164", "9200 ± 92", "12000 ± 120"]
    assert (campaign["channels"][0]["low"], campaign["channels"][0]["high"]) == (16220.16, 16547.84)
    assert page.ask()["readings"] == []
    hall.begin("blue", "another lamp")
    new = hall.reading("white", 8)
    assert [each[0] for each in page.until(lambda news: news["readings"])] == [new]
    assert new not in known
    other = wall()
    assert {reading[0] for reading in other.ask()["readings"]} == {*known, new}
    page.life = "of another process"
    assert {reading[0] for reading in page.ask()["readings"]} == {*known, new}


@pytest.mark.slow
def test_an_answer_that_comes_after_later_ones_is_told_too(hall, wall, where):
    hall.begin("slow", "furnace")
    hall.begin("white", "lamp")
    page = wall()
    page.ask()
    late = hall.sent("slow", 0)
    quick = [hall.reading("white", number) for number in range(70)]
    told = page.until(lambda news: quick[-1] in [each[0] for each in news["readings"]])
    assert late not in [each[0] for each in told]
    hall.answer("slow", late, [1.0, 2.0, float("nan")])
    (reading,) = page.until(lambda news: news["readings"])
    assert (reading[0], reading[4]) == (late, [1.0, 2.0, None])


@pytest.mark.slow
def test_it_says_of_each_campaign_how_it_is_and_what_it_waits_for(hall, wall):
    for name in ("asks", "paused", "suspended", "over", "by-hand"):
        hall.begin(name, f"instrument-{name}", title=STRANGER if name == "paused" else "")
        hall.reading(name, 1)
    hall.wait_for_approval("asks", why="it is the first round")
    Controls(hall.ledger).ask("paused", Control.PAUSE)
    hall.end("suspended", State.SUSPENDED, "the light has changed")
    hall.finding("over", Verdict.NOT_REACHABLE, sentence="nothing gives that")
    hall.end("over")
    hall.begin(
        "sided",
        "instrument-sided",
        targets=[Target(name="bright", readings={"445nm": ">= 12000", "630nm": "maximum ± 150"})],
    )
    page = wall()
    board = page.ask()["board"]
    assert {card["name"]: card["kind"] for card in board["instruments"]} == {
        "instrument-asks": "asks",
        "instrument-by-hand": "measuring",
        "instrument-over": "held",
        "instrument-paused": "paused",
        "instrument-sided": "measuring",
        "instrument-suspended": "suspended",
    }
    assert [card["name"] for card in board["instruments"]] == sorted(card["name"] for card in board["instruments"])
    assert {(alarm["kind"], alarm["campaign"]) for alarm in board["alarms"]} == {
        ("asks", "asks"),
        ("suspended", "suspended"),
    }
    campaigns = {campaign["name"]: campaign for campaign in board["campaigns"].values()}
    assert campaigns["asks"]["waits"] == "approval of round 1 (it is the first round): 'sdl approve asks'"
    assert campaigns["over"]["verdicts"] == [
        {"target": "white", "verdict": "NOT REACHABLE", "sentence": "nothing gives that"}
    ]
    assert campaigns["paused"]["title"] == STRANGER.replace("\u202e", "\\u202e"), "nothing invisible is told"
    least, most = campaigns["sided"]["channels"]
    assert (least["aim"], least["low"], least["high"], least["unit_of"]) == ("at least 12000", 12000, None, 600)
    assert (most["extreme"], most["unit_of"], most["wanted"]) == (1, 150, None)


@pytest.mark.slow
def test_a_ledger_that_cannot_be_read_is_a_sentence_and_it_goes_on_when_it_can(tmp_path):
    (tmp_path / "home").mkdir()
    where = tmp_path / "ledger.sqlite"
    where.write_bytes(b"this is no ledger" * 1000)
    with served(where, tmp_path / "home") as (url, _):
        page = Wall(url)
        news = page.ask()
        assert "check that it is a ledger" in news["fault"]
        assert news["board"] is None
        assert requests.get(f"{url}/wall", timeout=SOON_S).ok
        where.unlink()
        with contextlib.closing(Hall(where)) as hall:
            hall.begin("white", "lamp")
            page.until(lambda news: not news["fault"] and news["board"])
    assert [card["name"] for card in page.board["instruments"]] == ["lamp"]


@pytest.mark.slow
def test_of_many_targets_the_verdicts_are_counted_and_one_is_shown(hall, wall):
    many = [Target(name=f"t{i}", readings={"630nm": 1000.0 + i}) for i in range(31)]
    hall.begin("white", "lamp", targets=many)
    hall.reading("white", 1)
    (campaign,) = wall().ask()["board"]["campaigns"].values()
    assert campaign["tally"] == "31 open"
    assert len(campaign["channels"]) <= 1


@pytest.mark.slow
def test_a_ledger_of_an_earlier_version_is_shown_and_what_is_written_to_it_then(tmp_path):
    where = tmp_path / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(where)) as made:
        made.executescript((ROOT / "tests" / "end_to_end" / "old_ledgers" / "schema-5.sql").read_text())
    with served(where, tmp_path) as (url, _):
        page = Wall(url)
        assert [card["name"] for card in page.ask()["board"]["instruments"]] == ["twin-7"]
        with contextlib.closing(Hall(where)) as hall:
            hall.begin("white", "lamp")
            page.until(lambda _: "lamp" in [card["name"] for card in page.board["instruments"]])
