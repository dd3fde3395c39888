"""A finding says what the channels left free were to read at its settings, and what an exam read of them."""

from dataclasses import replace

import numpy as np
import pytest
from rehearsing import NOT_REACHABLE, WHITE, rehearsed

from sdl.history import Purpose, Verdict
from sdl.instruments.claude_light.twin import Twin
from strategies.plan.free_channels import with_free_channels

FREE = [name for name in Twin().space.channel_names if name not in WHITE]


@pytest.fixture(scope="module")
def white():
    return rehearsed(seed=1)


def test_an_exam_tells_of_every_channel_left_free(white):
    (finding,) = [each for each in white.findings if each.verdict is Verdict.VERIFIED]
    fresh = white.history.of_round(finding.round, Purpose.VERIFICATION)
    assert list(finding.facts.free) == FREE
    for name, foretold in finding.facts.free.items():
        readings = [each.readings[Twin().space.columns([name])[0]] for each in fresh]
        assert foretold.mean == pytest.approx(np.mean(readings))
        assert foretold.low < foretold.high
        assert foretold.level == 0.9
        assert foretold.held is (foretold.low <= foretold.mean <= foretold.high)


def test_what_an_exam_reads_does_not_move_what_was_foretold(white):
    finding, plan = white.findings[-1], white.plan
    moved = [
        replace(each, readings=each.readings + 500.0)
        if (each.round, each.purpose) == (finding.round, Purpose.VERIFICATION)
        else each
        for each in white.history.observations
    ]
    history = replace(white.history, observations=moved)
    again = with_free_channels(plan.campaign, plan.space, history, finding).facts.free
    for name, foretold in finding.facts.free.items():
        assert (again[name].low, again[name].high) == (foretold.low, foretold.high)
        assert again[name].mean == pytest.approx(foretold.mean + 500.0)
        assert again[name].held is False


def test_the_nearest_settings_of_a_target_out_of_reach_are_foretold_and_not_measured():
    (finding,) = [each for each in rehearsed(NOT_REACHABLE, seed=1).findings if each.verdict is Verdict.NOT_REACHABLE]
    assert set(finding.facts.free) == set(Twin().space.channel_names) - set(NOT_REACHABLE)
    assert {foretold.held for foretold in finding.facts.free.values()} == {None}


def test_a_channel_that_was_never_read_is_not_foretold(white):
    finding, plan = white.findings[-1], white.plan
    blind = [
        replace(each, readings=np.where(np.array(plan.space.channel_names) == "590nm", np.nan, each.readings))
        for each in white.history.observations
    ]
    result = with_free_channels(plan.campaign, plan.space, replace(white.history, observations=blind), finding)
    assert "590nm" not in result.facts.free
    assert "480nm" in result.facts.free


@pytest.mark.slow
@pytest.mark.parametrize("light", [{}, {"daylight": 1500.0, "memory_h": 1.0}], ids=["dark", "day"])
def test_intervals_hold_in_the_exams_of_campaigns(light):
    held = [
        foretold.held
        for seed in range(20, 35)
        for finding in rehearsed(instrument=Twin(seed=seed, **light), seed=seed).findings
        for foretold in (finding.facts.free or {}).values()
        if foretold.held is not None
    ]
    assert np.mean(held) >= 0.82
