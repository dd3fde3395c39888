"""README.md, paper.md and paper.toml say what the loop does: rounds by kind and model, and requests, are counted."""

import re
import tomllib
from collections import Counter

import pytest
from places import DEPLOYMENTS, PAPER, ROOT
from rehearsing import campaign, rehearsed

from sdl.history import Purpose, RoundKind, Verdict
from sdl.instruments.claude_light.twin import Twin

SEEDS = range(4)
SLACK = 3
"""Requests by which a campaign of other seeds may leave the range that stands in a document."""


def daylight(seed):
    return Twin(seed=seed, daylight=1500.0, memory_h=1.0)


def counted(**changes):
    """Rounds by kind and by model, readings of the design, and requests of a few campaigns in daylight."""
    kinds, models, designs, sent = Counter(), set(), set(), []
    for seed in SEEDS:
        done = rehearsed(instrument=daylight(seed), **{**changes, "seed": seed})
        assert any(finding.verdict is Verdict.VERIFIED for finding in done.findings)
        kinds.update(each.kind for each in done.history.rounds)
        models |= {each.facts.model for each in done.history.rounds if each.facts.model}
        designs.add(len(done.history.of_round(0, Purpose.DESIGN)))
        sent.append(done.history.sent)
    return kinds, models, designs, sent


def requests_said(text):
    low, high = map(int, re.search(r"(\d+) to (\d+) requests", text).groups())
    return low, high


@pytest.mark.slow
def test_by_default_it_learns_from_exams_alone():
    said = " ".join((ROOT / "README.md").read_text("utf-8").split())
    kinds, models, designs, sent = counted()
    assert "a design of 5 settings" in said
    assert designs == {5}
    assert "By default it learns from its exams alone, with the model `linear`" in said
    assert kinds[RoundKind.LEARNING] == 0
    assert models == {"linear"}
    low, high = requests_said(said)
    assert all(low - SLACK <= each <= high + SLACK for each in sent)


@pytest.mark.slow
def test_the_paper_takes_a_learning_round_by_its_mixture():
    written = {key: value for key, value in tomllib.loads(PAPER.read_text("utf-8")).items() if key != "instrument"}
    file, page = (" ".join((DEPLOYMENTS / name).read_text("utf-8").split()) for name in ("paper.toml", "paper.md"))
    kinds, models, designs, sent = counted(**written)
    assert "a design of 5, a learning round by the mixture, and about three exams" in file.replace("# ", "")
    assert "begins with five, takes one learning round where its `mixture` is uncertain" in page
    assert designs == {5}
    assert kinds[RoundKind.LEARNING] == len(SEEDS)
    assert 2 <= kinds[RoundKind.EXAM] / len(SEEDS) <= 4
    assert models == {"mixture"}
    for text in (file, page):
        low, high = requests_said(text)
        assert all(low - SLACK <= each <= high + SLACK for each in sent)


def test_a_file_without_models_and_acquisition_has_the_defaults_that_are_described():
    part = campaign()
    assert part.acquisition.plugin == "likeliest"
    assert part.models[0].plugin == "linear"
