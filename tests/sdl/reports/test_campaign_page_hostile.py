"""The report of a campaign in which strangers wrote every string: all of it is shown, and nothing acts."""

import numpy as np
import pytest
from hostile import HOSTILE
from pages import check, svg

from sdl.formatting import escape_invisible
from sdl.history import Finding, FindingFacts, Purpose, ReplyClass, Round, RoundFacts, RoundKind, Verdict
from sdl.ledger.imported_rows import ImportedRows
from sdl.reports.campaign_page import render_campaign_page
from sdl.space import Channel, Knob, Space


@pytest.fixture
def hostile(ledger):
    """A campaign in which every string is somebody's trap."""
    space = Space(
        knobs=tuple(Knob(name=f"{trap}{i}", unit=trap) for i, trap in enumerate(HOSTILE[:3])),
        channels=tuple(Channel(name=trap, unit=trap, floor=None, integral=False) for trap in HOSTILE),
    )
    target = {"name": HOSTILE[0], "readings": dict.fromkeys(HOSTILE, 5.0)}
    config = {"name": "trap", "instrument": {"plugin": "twin", "note": HOSTILE}, "targets": [target]}
    rows = []
    for index, trap in enumerate(HOSTILE * 2):
        out = {name: trap if name == trap else float(index) for name in HOSTILE}
        row = {
            "round": 0,
            "index": index,
            "replicate": 0,
            "purpose": Purpose.REFERENCE,
            "settings": [0.0, 0.5, index / 20],
        }
        row |= {"attempt": 1, "state": "DONE", "reason": trap, "raw": trap, "applied": {}, "out": out, "seconds": None}
        verdict, readings = (
            (ReplyClass.SUSPECT, None) if index % 2 else (ReplyClass.OK, [1e308, None, *map(float, range(6))])
        )
        row |= {"verdict": verdict, "readings": readings, "censored": readings and [True] + [False] * 7}
        rows.append(row | {"sent_at": (1e300, -1e18, None)[index % 3], "done_at": None})
    entry = ImportedRows(HOSTILE[5], space, rows, config).enter(ledger, "trap", HOSTILE[0])
    facts = {"model": HOSTILE[0], "why": HOSTILE[1], "skipped": {HOSTILE[2]: HOSTILE[5]}}
    facts |= {"chosen": HOSTILE[3], "scores": {HOSTILE[4]: {"readings": HOSTILE[5], "settings": None}}}
    facts |= {"uncertainty": dict.fromkeys(HOSTILE, 1.0), "chance of passing": None, "rows": HOSTILE[0]}
    numbers = [[1.0] * 8, [None] * 8]
    facts |= {"parity": {"channels": HOSTILE, "train": {"measured": numbers, "predicted": numbers}}}
    with ledger.hold(HOSTILE[5], "test") as lease:
        ledger.plan(lease, entry.id, Round(1, RoundKind.EXAM, HOSTILE[0], RoundFacts.from_json(facts)), [])
        facts = {
            "channels": HOSTILE,
            "target": [5.0] * 8,
            "tolerance": [0.1] * 8,
            "mean": [5.0] * 8,
            "margin": [0.01] * 8,
        }
        numbers = FindingFacts.from_json(facts)
        ledger.find(lease, entry.id, Finding(1, HOSTILE[0], Verdict.REFUTED, HOSTILE[5], np.zeros(3), numbers))
    return "trap"


@pytest.mark.fault("N-05")
@pytest.mark.filterwarnings("error")
def test_nothing_that_strangers_wrote_runs_or_hides(ledger, hostile):
    html = render_campaign_page(ledger, hostile)
    page = check(html)
    assert len(page.pictures) == 7
    assert "{{7*7}}" in page.text
    assert "49{%" not in html
    assert "<script>alert(1)</script>" in page.text
    assert "\\x1b[31mred" in page.text
    assert "\\u202etxet" in page.text
    assert {"\x1b", "\u202e", "\x00"}.isdisjoint(html)
    for address in page.pictures:
        words = " ".join(svg(address).itertext())
        assert {"\x1b", "\u202e"}.isdisjoint(words)
    assert "$\\frac{1}{0}$" in " ".join(word for address in page.pictures for word in svg(address).itertext())


def test_what_cannot_be_seen_is_written_out():
    assert escape_invisible("a\x7f\u200bb\ud800\u2028ü\n") == "a\\x7f\\u200bb\\ud800\\u2028ü\n"
