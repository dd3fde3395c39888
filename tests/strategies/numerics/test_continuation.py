"""A path of settings along a straight line of readings: it arrives, or says clearly where and why it cannot."""

import numpy as np
import pytest
from problems import CHANNELS, PAPER, twin_answer, twin_rows, two_branches

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin
from strategies.models.mixtures.mixture import Mixture
from strategies.numerics.continuation import follow

NOISE = np.full(10, 130.0)
TRUTH = Twin(session_gain=False).truth
SLOPES = np.array([[100.0, 40.0, 0.0], [0.0, 30.0, 80.0]])


def line(settings):
    return 5 + settings @ SLOPES


def bowl(settings):
    return (2 * settings - 1) ** 2


def array(*values):
    return np.array(values, float)


def test_a_linear_instrument_is_followed_straight():
    start, end = array(0.2, 0.7), array(0.9, 0.1)
    path = follow(line, start, line(end[None])[0], np.ones(3))
    assert path.reached
    assert path.share == 1
    np.testing.assert_allclose(path.settings, start + path.shares[:, None] * (end - start), atol=1e-6)
    np.testing.assert_allclose(path.readings, line(end[None])[0], rtol=1e-6)
    assert "the target was reached" in path.reason


@pytest.mark.parametrize("seed", range(5))
def test_every_reading_of_the_twin_is_found_from_every_other(seed):
    start, end = np.random.default_rng(seed).uniform(0.05, 0.95, (2, 3))
    path = follow(TRUTH, start, np.where(np.isnan(PAPER), np.nan, TRUTH(end)), NOISE)
    assert path.reached
    np.testing.assert_allclose(path.settings[-1], end, atol=1e-4)
    on_line = TRUTH(start) + path.shares[:, None] * (TRUTH(end) - TRUTH(start))
    off = (TRUTH(path.settings) - on_line)[:, ~np.isnan(PAPER)]
    assert np.abs(off).max() < 0.1 * NOISE[0]


def test_a_line_that_leaves_what_the_twin_can_give_is_followed_to_the_end():
    start, end = np.array([[0.8, 0.3, 0.2], [0.2, 0.6, 0.7]])
    path = follow(TRUTH, start, TRUTH(end), NOISE)
    assert path.reached
    np.testing.assert_allclose(path.settings[-1], end, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_a_fitted_model_needs_only_its_slopes_from_a_pair_that_was_measured(seed):
    model, start = Mixture().fit(*twin_rows(100, seed)), array(0.4, 0.3, 0.4)
    path = follow(model.predict, start, PAPER, NOISE, TRUTH(start))
    assert path.reached
    np.testing.assert_allclose(path.settings[-1], twin_answer(PAPER), atol=0.01)
    moved = follow(lambda settings: model.predict(settings) + 3000, start, PAPER, NOISE, TRUTH(start))
    np.testing.assert_allclose(moved.settings, path.settings, atol=1e-7)


@pytest.mark.parametrize(
    ("forward", "start", "target", "share", "end"),
    [
        (bowl, array(0.9), array(-0.64), 0.5, array(0.5)),
        (bowl, array(0.1), array(-0.64), 0.5, array(0.5)),
        (lambda settings: settings**2, array(0.8), array(-0.2), 0.64 / 0.84, array(0.0)),
        (two_branches, array(0.9, 0.2), array(-0.16, 0.7), 0.8, array(0.5, 0.6)),
        (lambda settings: np.sin(6 * settings), array(0.1), array(1.5), None, array(np.pi / 12)),
    ],
    ids=["from above", "from below", "at the wall of the box", "one of two knobs", "a crest"],
)
@pytest.mark.parametrize("pull", [0.0, 10.0])
def test_a_fold_ends_the_path_where_it_is(forward, start, target, share, end, pull):
    path = follow(forward, start, target, np.full(target.size, 0.01), pull=pull)
    assert not path.reached
    assert "a fold" in path.reason
    assert "another branch" in path.reason
    np.testing.assert_allclose(path.settings[-1], end, atol=0.002)
    assert share is None or path.share == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(("start", "end"), [(0.9, 0.6), (0.1, 0.4)])
def test_a_path_stays_on_its_branch(start, end):
    path = follow(two_branches, array(start, 0.2), array(0.04, 0.8), np.full(2, 0.01))
    assert path.reached
    np.testing.assert_allclose(path.settings[-1], [end, 0.8], atol=1e-4)


def test_a_fold_at_the_target_itself_is_reached_within_the_noise():
    path = follow(bowl, array(0.9), array(0.0), array(0.01))
    assert path.reached
    assert path.settings[-1] == pytest.approx(0.5, abs=0.002)


def test_a_wall_ends_the_path_and_is_named():
    path = follow(line, array(0.5, 0.5), np.array([120.0, np.nan, np.nan]), np.ones(3), knobs=["R", "G"])
    assert not path.reached
    assert path.reason.startswith("After 76.9 % of the way R reaches its upper bound")
    assert path.settings[-1, 0] == pytest.approx(1, abs=1e-5)
    assert path.readings[0] == pytest.approx(105, abs=0.01)
    assert path.share == pytest.approx(50 / 65, abs=1e-3)


def test_a_path_may_begin_and_run_on_a_wall():
    path = follow(line, array(0.0, 1.0), line(array(0.6, 1.0)[None])[0], np.ones(3))
    assert path.reached
    assert ((path.settings >= 0) & (path.settings <= 1)).all()


def test_free_channels_do_not_steer():
    start, wanted = array(0.3, 0.6, 0.2), np.where(np.arange(10) == CHANNELS.index("445nm"), 16384.0, np.nan)
    path = follow(TRUTH, start, wanted, np.where(np.isnan(wanted), np.nan, 130.0))
    assert path.reached
    assert path.readings[CHANNELS.index("445nm")] == pytest.approx(16384, abs=1)
    assert np.isfinite(path.readings).all()


def test_with_more_knobs_than_channels_the_move_is_the_shortest():
    slopes = array(3.0, 4.0, 0.0)[:, None]
    path = follow(lambda settings: settings @ slopes, array(0.2, 0.2, 0.2), array(3.9), array(1.0))
    np.testing.assert_allclose(path.settings[-1], [0.5, 0.6, 0.2], atol=1e-6)


def test_with_more_channels_than_knobs_the_noise_weighs():
    start, wanted, noise = array(0.3, 0.3), array(60.0, 45.0, 40.0), array(1.0, 2.0, 5.0)
    path = follow(line, start, wanted, noise)
    best = np.linalg.lstsq((SLOPES / noise).T, (wanted - 5) / noise, rcond=None)[0]
    known = line(start[None])[0]
    shift = np.linalg.lstsq((SLOPES / noise).T, (wanted - known) / noise, rcond=None)[0]
    np.testing.assert_allclose(start + shift, best)
    np.testing.assert_allclose(path.settings[-1], best, atol=1e-6)
    assert not path.reached
    assert "do not go together" in path.reason


def test_the_pull_makes_up_for_coarse_slopes():
    def steep(settings):
        return np.exp(4 * settings)

    ends = [
        follow(steep, array(0.1), np.exp(array(3.4)), array(0.1), pull=pull, step=0.1).settings[-1, 0]
        for pull in (0.0, 10.0)
    ]
    assert abs(ends[0] - 0.85) > 5 * abs(ends[1] - 0.85)
    assert ends[1] == pytest.approx(0.85, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_steps_and_kinks_end_in_a_sentence(seed):
    rng = np.random.default_rng(seed)
    steps = rng.normal(1, 1, 40).cumsum()
    path = follow(lambda x: steps[(39 * x[:, 0]).astype(int)][:, None], array(0.5), array(steps[35]), array(0.5))
    assert path.reason.startswith(("After", "The path ended at its start"))
    assert np.isfinite(path.settings).all()


def test_a_path_that_rattles_is_given_up_and_kept(monkeypatch):
    monkeypatch.setattr("strategies.numerics.continuation.LOOKS", 60)
    path = follow(line, array(0.2, 0.7), line(array(0.9, 0.1)[None])[0], np.ones(3))
    assert not path.reached
    assert 0 < path.share < 1
    assert "start from a nearer pair" in path.reason
    assert np.isfinite(path.settings).all()


def test_a_start_where_nothing_moves():
    path = follow(lambda settings: np.full((len(settings), 1), 3.0), array(0.5), array(4.0), array(1.0))
    assert not path.reached
    assert path.share == 0
    assert "start from another pair" in path.reason


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"settings": array(0.5, 1.2)}, "unit box"),
        ({"settings": np.full((1, 2), 0.5)}, "shape"),
        ({"target": np.full(3, np.nan)}, "fixed channel"),
        ({"target": array(1, np.inf, 2)}, "finite"),
        ({"target": array(1, 2)}, "noise needs the shape"),
        ({"noise": array(1, 0, 1)}, "positive"),
        ({"readings": array(1, np.nan, 1)}, "known readings"),
        ({"forward": lambda settings: settings}, "forward model"),
        ({"forward": lambda settings: np.full((len(settings), 3), np.nan)}, "finite"),
        ({"pull": -1.0}, "pull"),
        ({"fold": 0.0}, "fold"),
        ({"step": 0.6}, "step"),
    ],
)
def test_senseless_questions_are_refused(change, word):
    question = {"forward": line, "settings": array(0.5, 0.5), "target": array(50, 40, 40), "noise": np.ones(3)} | change
    with pytest.raises(InvalidInput, match=word):
        follow(**question)
