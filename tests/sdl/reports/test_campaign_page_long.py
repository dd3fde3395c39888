"""The report of a long campaign: its ends, its troubles and its verdicts, and it says what it leaves out."""

import numpy as np
import pytest
from pages import check, svg
from stages import WRITTEN

from sdl.history import Purpose, ReplyClass
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.imported_rows import ImportedRows
from sdl.reports import figures
from sdl.reports.campaign_log import request_rows, round_chapters
from sdl.reports.campaign_page import render_campaign_page
from sdl.reports.campaign_summary import CampaignSummary


def many(n):
    """A trail of n requests, one in fifty of no use."""
    rng = np.random.default_rng(0)
    for index in range(n):
        settings = rng.random(3)
        out = {name: int(50000 * settings @ rng.random(3) / 3) for name in Twin().space.channel_names}
        row = {"round": index // 20, "index": index, "replicate": 0, "attempt": 1, "settings": settings.tolist()}
        row |= {"purpose": Purpose.LEARNING, "state": "DONE", "reason": "", "raw": "", "applied": {}, "out": out}
        usable = index % 50 != 7
        row |= {
            "verdict": ReplyClass.OK if usable else ReplyClass.SUSPECT,
            "readings": list(out.values()) if usable else None,
        }
        yield row | {
            "censored": [False] * 10 if usable else None,
            "sent_at": 1.7e9 + index,
            "done_at": None,
            "seconds": 1,
        }


def render_of(ledger, n):
    ImportedRows("twin", Twin().space, list(many(n)), WRITTEN).enter(ledger, f"short-{n}")
    return render_campaign_page(ledger, f"short-{n}")


def test_a_long_campaign_shows_its_ends_and_its_troubles(ledger):
    ImportedRows("twin", Twin().space, list(many(1000)), WRITTEN).enter(ledger, "long")
    story = CampaignSummary.of(ledger, "long")
    table = request_rows(story)
    places = [row.place for row in table.rows]
    assert places == [*range(1, 101), *(p for p in range(101, 901) if p % 50 == 8), *range(901, 1001)]
    assert table.note.startswith("Of 1000 requests these are the first and last 100, and all 16 others")
    check(render_campaign_page(ledger, "long"))


def test_figures_of_a_very_long_campaign_are_thinned_and_say_so(ledger):
    ImportedRows("twin", Twin().space, list(many(2500)), WRITTEN).enter(ledger, "longer")
    page = check(render_campaign_page(ledger, "longer"))
    assert "Of 2450 readings 2000 are drawn, evenly from the first to the last." in page.text
    assert "Of 125 rounds" not in page.text
    assert "are drawn" not in check(render_of(ledger, 100)).text


def test_of_very_many_rounds_the_ends_and_the_verdicts_are_told(ledger):
    ImportedRows("twin", Twin().space, [row | {"round": row["index"]} for row in many(600)], WRITTEN).enter(
        ledger, "rounds"
    )
    result = list(round_chapters(CampaignSummary.of(ledger, "rounds")))
    assert result[0].paragraphs == [
        "Of 600 rounds these are the first and last 100 and those with a verdict, 200 in all."
    ]
    assert [result[1].title, result[-1].title] == ["Round 0: imported", "Round 599: imported"]


@pytest.mark.filterwarnings("error")
def test_the_background_of_forty_channels_leaves_room_for_its_legend():
    ones = np.ones(3)
    lights = [figures.Light(f"band {400 + 10 * i} nm (counts)", [1.0, 1.0, 1.0], ones, ones) for i in range(40)]
    drawn = svg(figures.draw_background([1, 2, 3], [1, 2, 3], lights, [], ["one", "two", "three"]).address)
    assert {f"band {400 + 10 * i} nm (counts)" for i in range(40)} <= {word.strip() for word in drawn.itertext()}


def test_names_that_differ_at_their_end_differ_when_they_are_shortened():
    long = "intensity of the reference detector behind the second filter, band "
    assert len({figures.shorten(f"{long}{i}", 24) for i in range(5)}) == 5
    assert len(figures.shorten(long, 24)) == 24
    assert figures.shorten("445nm (counts)", 24) == "445nm (counts)"
