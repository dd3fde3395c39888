"""A fault names the section about such things, and there is one of that name."""

import re

import pytest
from places import ROOT

from flows.cli.documentation import REFERENCE, SECTIONS, pages_about


def anchors(text):
    """Those of a page's headings, as a forge makes them."""
    return {re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines()
            if line.startswith("#")}  # fmt: skip


def test_every_section_is_there():
    assert set(SECTIONS.values()) <= anchors((ROOT / REFERENCE).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("words", "anchor"),
    [
        (("run", "{file}", "--set", "targets.0.readings.445nm='bright'"), "what-a-target-wants"),
        (("run", "{file}", "--set", "constraints.always=['R = 7']"), "kinds-of-knobs-and-what-settings-have-to-keep"),
        (("run", "{file}", "--set", "max_step.red=1"), "kinds-of-knobs-and-what-settings-have-to-keep"),
        (("run", "{file}", "--set", "models=['mixtrue']"), "inverse-models"),
        (("run", "{file}", "--set", "instrument.plugin='twinn'"), "instruments"),
        (("run", "{file}", "--set", "price.request=-1"), "plates-prices-and-deadlines"),
        (("solve", "{rows}", "--target", "445nm=much"), "rows-from-elsewhere"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_a_person_got_wrong_is_followed_by_where_to_read_about_it(sdl, home, tmp_path, words, anchor):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    places = {"file": ROOT / "deployments" / "quickest.toml", "rows": tmp_path / "rows.csv"}
    result = sdl(*(word.format(**places) for word in words))
    assert result.code == 2
    assert f"more in {REFERENCE}#{anchor}" in result.err.splitlines()[-1]


def test_nothing_is_said_where_nothing_fits():
    assert pages_about(["budgte: unknown key; did you mean 'budget'?", ""]) == []
