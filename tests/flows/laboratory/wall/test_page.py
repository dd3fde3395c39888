"""The wall in a browser: three widths, two themes, words of strangers, and what a person asks of it by hand."""

import time
from pathlib import Path

import pytest
import requests
from hall import STRANGER, Hall, busy_hall, served
from pages import PROGRAM, browsing

from sdl.history import Control
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.tokens import Kind, Role, Tokens

SOON_S = 60
SIZES = [(390, 844), (768, 1024), (1920, 1080)]
FAULTS = (Path(__file__).parent / "page_faults.js").read_text()
COUNT = """
window.jumps = window.heard = 0
const jump = (list) => list.getEntries().forEach((entry) => { window.jumps += entry.value })
new PerformanceObserver(jump).observe({type: "layout-shift"})
const hear = (list) => { window.heard += list.length }
new MutationObserver(hear).observe(byId("heard"), {childList: true, characterData: true, subtree: true})
"""
CHOOSE = "document.querySelector('dialog menu button.main').click()"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: install Debian's package 'chromium' to run this"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A laboratory on a busy afternoon, and the address of its wall."""
    home = tmp_path_factory.mktemp("busy")
    hall = busy_hall(home / "ledger.sqlite")
    with served(home / "ledger.sqlite", home) as (url, _):
        yield hall, f"{url}/wall"
    hall.close()


@pytest.fixture
def quiet(tmp_path):
    """A laboratory with one campaign that asks, and the address of its wall."""
    hall = Hall(tmp_path / "ledger.sqlite")
    hall.begin("white", "lamp", title="White")
    hall.reading("white", 1)
    with served(tmp_path / "ledger.sqlite", tmp_path) as (url, _):
        yield hall, f"{url}/wall"
    hall.close()


def seen(browser, condition):
    """Wait until something is so on the page."""
    until = time.monotonic() + SOON_S
    while not browser.run(condition):
        assert time.monotonic() < until, (condition, browser.run("document.body.innerText"))
        time.sleep(0.05)


def look(browser, address, size=(1280, 900), theme="light"):
    width, height = size
    browser.resize(width, height, theme)
    browser.open(f"{address}?{theme}{width}")
    seen(browser, "document.querySelectorAll('.channel .value.in, .channel .value.out').length > 0")


def press(browser, words):
    """Press the first button on show of these words."""
    shown = f"[...document.querySelectorAll('button')].find((b) => b.checkVisibility() && b.textContent === {words!r})"
    seen(browser, f"{shown} && !{shown}.disabled")
    browser.run(f"{shown}.click()")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}px")
def test_nothing_is_cut_or_lies_over_another_thing_and_all_can_be_read(browser, busy, size, theme):
    look(browser, busy[1], size, theme)
    assert browser.run(f"{FAULTS}('body')") == []
    press(browser, "Approve…")
    seen(browser, "document.querySelector('dialog').open && document.querySelectorAll('dialog td').length")
    assert browser.run(f"{FAULTS}('dialog')") == []


def test_a_strangers_name_is_text(browser, busy):
    look(browser, busy[1])
    assert browser.run("document.querySelectorAll('main img, main script, main b b').length") == 0
    assert browser.run("document.title") == "Laboratory"
    titles = browser.run("[...document.querySelectorAll('.title a')].map((a) => a.textContent)")
    assert STRANGER.replace("\u202e", "\\u202e") in titles
    assert not browser.console, "it asks for nothing that its policy refuses"


def test_readings_come_without_a_jump_and_without_a_word_to_who_listens(browser, busy):
    hall, address = busy
    look(browser, address, (1920, 1080))
    browser.run(COUNT)
    last = "document.querySelector('#arm-today .value').textContent"
    for number in range(40, 46):
        before = browser.run(last)
        hall.reading("arm-today", number, off=5.0, purpose="learning")
        seen(browser, f"{last} !== {before!r}")
    assert browser.run("window.jumps") < 0.01
    assert browser.run("window.heard") == 0


def test_a_person_without_a_token_pauses_where_nobody_has_one(browser, quiet):
    hall, address = quiet
    look(browser, address)
    press(browser, "Pause")
    assert browser.run("document.querySelector('#token-label').checkVisibility()") is False
    browser.run(CHOOSE)
    seen(browser, "document.querySelector('.pill').textContent.includes('Paused')")
    assert hall.ledger.entry("white").control is Control.PAUSE


def test_an_approval_takes_a_persons_token_which_the_page_forgets(browser, quiet):
    hall, address = quiet
    tokens = Tokens(hall.ledger)
    ada = tokens.issue("Ada", Kind.PERSON, Role.APPROVER)
    reader = tokens.issue("reader", Kind.PERSON, Role.VIEWER, tokens.identify(ada))
    hall.wait_for_approval("white")
    look(browser, address)
    press(browser, "Approve…")
    seen(browser, "document.querySelector('dialog').open")
    for token, words in (("", "Your token, please"), ("sdl-1-guess", "nobody"), (reader, "reader")):
        browser.run(f"byId('token').value = {token!r}; byId('fault').textContent = ''; {CHOOSE}")
        seen(browser, f"document.querySelector('#fault').textContent.includes({words!r})")
        assert Controls(hall.ledger).pending_approval(hall.ledger.entry("white").id) is not None
    browser.run(f"byId('token').value = {ada!r}; {CHOOSE}")
    seen(browser, "!document.querySelector('dialog').open")
    assert Controls(hall.ledger).pending_approval(hall.ledger.entry("white").id) is None
    assert browser.run("document.querySelector('#who').textContent") == "Sign out Ada"
    kept = "JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie])"
    assert ada[6:] not in browser.run(kept)
    browser.open(f"{address}?again")
    assert browser.run("document.querySelector('#who').textContent") == "Sign in"


def test_a_page_whose_server_is_gone_says_so(browser, tmp_path):
    with Hall(tmp_path / "ledger.sqlite").stack, served(tmp_path / "ledger.sqlite", tmp_path) as (url, _):
        assert requests.get(f"{url}/wall", timeout=SOON_S).ok
        browser.open(f"{url}/wall")
        seen(browser, "document.querySelector('#live').dataset.state === 'live'")
        assert "'sdl run' brings one" in browser.run("document.querySelector('#sum').textContent")
    seen(browser, "document.querySelector('#live').textContent.includes('no answer for')")
