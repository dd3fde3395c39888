"""What all pages share: tables that fold where they have no room, two clocks, colours that everybody can tell apart."""

import re
import time
from itertools import combinations

import numpy as np
import pytest

from sdl.formatting import format_local_time, format_moment
from sdl.reports.figures import LINES, MARKS, PURPOSES, line_looks
from sdl.reports.html import TABLE, WIDTHS, _fold_table

NOON = 1767614400.0
"""2026-01-05 12:00:00 UTC."""


@pytest.fixture
def zone(monkeypatch):
    def move(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "seconds", "local"),
    [
        ("Europe/Berlin", NOON, "13:00:00 CET"),
        ("Europe/Berlin", NOON + 181 * 86400, "14:00:00 CEST"),
        ("Asia/Tokyo", NOON + 4 * 3600, "2026-01-06 01:00:00 JST"),
        ("UTC", NOON, ""),
        ("Europe/Berlin", None, ""),
        ("Europe/Berlin", 1e300, ""),
    ],
)
def test_the_clock_on_the_wall_stands_beside_utc(zone, name, seconds, local):
    zone(name)
    assert format_local_time(seconds) == local
    assert format_moment(seconds).endswith(f"UTC ({local})" if local else "UTC")


def table(columns, cell="1234"):
    heads = "".join(f'<th class="n">column {i}</th>' for i in range(columns))
    cells = f'<td class="n">{cell}</td>' * columns
    return TABLE.sub(_fold_table, f"<table><tr>{heads}</tr><tr>{cells}</tr></table>")


def test_a_table_says_how_much_room_it_needs_and_its_cells_what_they_are():
    rooms = [int(re.search(r'class="w(\d+)"', table(columns))[1]) for columns in (2, 6, 30)]
    assert rooms == sorted(set(rooms))
    assert rooms[0] == WIDTHS[0]
    assert rooms[-1] == WIDTHS[-1]
    assert '<td class="n" data-label="column 1">1234</td>' in table(2)
    assert "data-label" not in table(2, cell="")
    hostile = table(1, cell="&#34; onclick=&#34;")
    assert TABLE.sub(_fold_table, "<table><tr><th>a &#34;b&#34;</th></tr><tr><td>1</td></tr></table>").count('"') == 4
    assert "onclick=&#34;" in hostile


# ---------------------------------------------------------------------- colours

BLIND = {
    "nobody": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What people see who lack one kind of cones (Machado, Oliveira, Fernandes 2009, doi:10.1109/TVCG.2009.113)."""
XYZ = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07217], [0.01933, 0.11919, 0.95030]])
TOLD_APART, VISIBLE = 20.0, 3.0
"""Distance in CIELAB, of which 2.3 can just be seen beside each other, and WCAG's contrast of a graphic with paper."""


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(light):
    parts = XYZ @ np.clip(light, 0, 1) / np.array([0.95047, 1, 1.08883])
    x, y, z = np.where(parts > 0.008856, np.cbrt(parts), 7.787 * parts + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("who", BLIND)
def test_lines_are_told_apart_by_people_who_see_no_red_green_or_blue(who):
    for one, other in combinations(LINES, 2):
        assert np.linalg.norm(lab(BLIND[who] @ linear(one)) - lab(BLIND[who] @ linear(other))) > TOLD_APART
    assert all(1.05 / ((XYZ @ linear(colour))[1] + 0.05) > VISIBLE for colour in LINES)


def test_no_colour_says_anything_alone():
    looks = line_looks(len(LINES))
    assert len({look["marker"] for look in looks}) == len(LINES) == len(MARKS)
    marks = [mark for _, mark in PURPOSES.values()]
    assert len(set(marks)) == len(marks)
