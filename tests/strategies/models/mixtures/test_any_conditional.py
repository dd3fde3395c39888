"""One model for every question: gaps in the rows, gaps in the question, and a network that only ever corrects."""

import json

import numpy as np
import pytest
import torch
from places import RECORDS
from problems import CHANNELS, PAPER, linear, twin_answer, twin_rows, two_branches

from flows.benchmarks.decisions import missing_cells as incomplete
from sdl.errors import InvalidInput, TooFewRows
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from strategies.answers.clustering import cluster_draws
from strategies.contract import learns_from_gaps
from strategies.models.mixtures.any_conditional import AnyConditional
from strategies.models.mixtures.incomplete_data_em import Gaussians, Regressions, conditioned
from strategies.models.mixtures.mixture import Mixture

FREE = np.nan
GREEN = CHANNELS.index("515nm")
LIGHT = SPACE.readings({"445nm": 549.0, "515nm": 956.0, "630nm": 2074.0})
TARGET = np.array([0.36, 0.5])  # two_branches gives it at (0.2, 0.5) and at (0.8, 0.5)


def rng(seed=0):
    return np.random.default_rng(seed)


def noisy(problem, n, d, seed=0, noise=0.002):
    chance = rng(seed)
    settings = chance.random((n, d))
    expected = problem(settings)
    return expected + noise * np.ptp(expected, axis=0) * chance.standard_normal(expected.shape), settings


def ring(settings):
    """One reading of two knobs: every target is a circle of settings."""
    return ((2 * settings - 1) ** 2).sum(axis=1, keepdims=True)


def bent(settings):
    """Three readings of three knobs, bent more than eight planes can follow."""
    x, y, z = settings.T
    return np.column_stack((np.exp(2 * x) * (1 + y), np.sin(3 * y) + z**2, x * z))


def lit(n, seed):
    """Readings that a condition, the light, adds to: ``(n, 2)``, settings ``(n, 1)``, conditions ``(n, 1)``."""
    chance = rng(seed)
    settings, light = chance.random((n, 1)), 20 * chance.random((n, 1))
    readings = settings @ [[100.0, 50.0]] + light @ [[1.0, 0.5]] + 0.3 * chance.standard_normal((n, 2))
    return readings, settings, light


def missed(model, problem, d):
    """Error of the forward prediction, and of re-simulated draws, in units of the span."""
    expected = problem(settings := rng(99).random((40, d)))
    span = np.ptp(expected, axis=0)
    drawn = np.stack([problem(model.sample(target, 64, rng(1))) - target for target in expected])
    return np.sqrt((((model.predict(settings) - expected) / span) ** 2).mean()), np.abs(drawn / span).mean()


@pytest.fixture(scope="module")
def curved():
    rows = noisy(bent, 300, 3, noise=0.005)
    return AnyConditional(network=False).fit(*rows), AnyConditional().fit(*rows)


def test_says_that_it_learns_from_gaps():
    assert learns_from_gaps(AnyConditional())
    assert not learns_from_gaps(Mixture())


def test_without_gaps_and_network_it_answers_as_the_mixture():
    rows = twin_rows(60, 1)
    ours, theirs = (model.fit(*rows) for model in (AnyConditional(), Mixture()))
    np.testing.assert_allclose(ours.predict(rows[1]), theirs.predict(rows[1]), atol=60)
    medians = [np.median(model.sample(PAPER, 1000, rng()), axis=0) for model in (ours, theirs)]
    np.testing.assert_allclose(*medians, atol=0.001)


# The network


def test_network_is_left_out_where_the_mixture_says_it_all():
    assert AnyConditional().fit(*noisy(linear, 90, 2)).flow_ is None


@pytest.mark.slow
def test_network_follows_a_bend_that_the_mixture_does_not(curved):
    base, full = (missed(model, bent, 3) for model in curved)
    assert full[0] < 0.6 * base[0]
    assert full[1] < 0.9 * base[1]


@pytest.mark.slow
def test_network_sharpens_a_ring_of_answers():
    rows = noisy(ring, 400, 2, noise=0.005)
    models = AnyConditional(network=False).fit(*rows), AnyConditional().fit(*rows)
    base, full = (missed(model, ring, 2) for model in models)
    assert full[0] < 0.6 * base[0]
    assert full[1] < 0.7 * base[1]
    draws = models[1].sample(np.array([0.5]), 500, rng()) - 0.5
    quarters = np.histogram(np.arctan2(*draws.T), bins=4, range=(-np.pi, np.pi))[0]
    assert (quarters > 50).all(), "the whole circle answers"


@pytest.mark.slow
def test_expectation_is_near_the_mean_of_what_is_simulated(curved):
    """They are two readings of one network, and differ by less than the noise of a reading."""
    settings = rng(5).random((20, 3))
    drawn = curved[1].simulate(settings, 600, rng())
    off = (drawn.mean(axis=0) - curved[1].predict(settings)) / drawn.std(axis=0)
    assert np.abs(off).mean() < 0.6


@pytest.mark.slow
def test_far_away_the_network_still_answers(curved):
    assert np.isfinite(curved[1].sample(np.array([900.0, -70.0, 50.0]), 100, rng())).all()
    assert np.isfinite(curved[1].predict(np.full((1, 3), 30.0))).all()


@pytest.mark.slow
def test_seed_decides_and_global_states_are_left_alone():
    rows = noisy(bent, 300, 3, noise=0.005)
    torch.manual_seed(7)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    numbers = np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = (AnyConditional(seed=3).fit(*rows) for _ in range(2))
    assert one.flow_ is not None
    assert all(np.array_equal(*pair) for pair in zip(one.flow_.weights, other.flow_.weights, strict=True))
    assert np.array_equal(*(model.sample(rows[0][0], 50, rng()) for model in (one, other)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


# Backward


def test_both_branches_and_nothing_between():
    draws = AnyConditional().fit(*noisy(two_branches, 100, 2)).sample(TARGET, 1000, rng(1))
    for branch in (0.2, 0.8):
        assert (np.abs(draws[:, 0] - branch) < 0.05).mean() > 0.2
    assert (np.abs(draws[:, 0] - 0.5) < 0.2).mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_table_of_the_paper(seed):
    target = PAPER - LIGHT
    answer = cluster_draws(AnyConditional().fit(*twin_rows(100, seed)).sample(target, 1000, rng(seed)))[0].settings
    np.testing.assert_allclose(answer, twin_answer(target), atol=0.01)
    np.testing.assert_allclose(answer, [0.466, 0.233, 0.517], atol=0.01)


# Mixed questions


def test_some_settings_and_some_readings_known():
    """Knobs 1 and 2 known, knob 3 from the one channel that shows it best, and the other channels with it."""
    readings, settings = twin_rows(60)
    model = AnyConditional().fit(readings, settings)
    truth = np.array([0.4, 0.3, 0.6])
    expected = model.predict(truth[None])[0]
    known = np.full(13, FREE)
    known[:2], known[3 + CHANNELS.index("445nm")] = truth[:2], expected[CHANNELS.index("445nm")]
    rows = model.complete(known, 300, rng())
    assert np.array_equal(rows[:, :2], np.tile(truth[:2], (300, 1)))
    assert abs(np.median(rows[:, 2]) - 0.6) < 0.01
    assert (np.abs(np.median(rows[:, 3:], axis=0) - expected) < 0.02 * np.ptp(readings, axis=0)).all()


def test_with_nothing_known_it_draws_rows_like_those_of_the_fit():
    readings, settings = noisy(linear, 60, 2)
    rows = AnyConditional().fit(readings, settings).complete(np.full(6, FREE), 400, rng())
    np.testing.assert_allclose(rows[:, 2:], linear(rows[:, :2]), atol=15)
    np.testing.assert_allclose(rows[:, :2].mean(axis=0), settings.mean(axis=0), atol=0.05)


def test_conditions_known_and_not():
    model = AnyConditional().fit(*lit(60, 0))
    truth, light = np.array([[0.5]]), 15.0
    target = np.array([50.0 + light, FREE])
    blind, result = (model.sample(target, 400, rng(), conditions) for conditions in (None, [light]))
    assert abs(np.median(result) - 0.5) < 0.01
    assert result.std() < 0.2 * blind.std()
    np.testing.assert_allclose(model.predict(truth, [light])[0], [65.0, 32.5], atol=0.5)
    blind, result = (model.simulate(truth, 200, rng(), conditions).std(axis=0) for conditions in (None, [light]))
    assert (result < 0.3 * blind).all()
    known = np.array([0.5, 65.0, FREE, FREE])
    assert abs(model.complete(known, 400, rng())[:, 3].mean() - light) < 0.5


# Rows with gaps


def test_conditions_may_have_gaps_too():
    readings, settings, light = lit(80, 1)
    light[::2] = FREE
    assert (
        np.abs(AnyConditional().fit(readings, settings, light).predict(np.array([[0.5]]), [15.0]) - [65, 32.5]).max()
        < 1
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_rows_with_one_channel_improve_that_channel(seed):
    """30 complete rows, and 300 with one channel only: that channel is known better, and the answer no worse."""
    readings, settings = twin_rows(330, seed)
    fresh = rng(seed + 50).random((200, 3))
    few = rng(seed).permutation(330)[:30]
    partly = np.full_like(readings, FREE)
    partly[few], partly[:, GREEN] = readings[few], readings[:, GREEN]
    alone = AnyConditional().fit(readings[few], settings[few])
    joint = AnyConditional().fit(partly, settings)
    truth = Twin(session_gain=False).truth(fresh)
    errors = [np.abs(model.predict(fresh) - truth).mean(axis=0) for model in (alone, joint)]
    assert errors[1][GREEN] < errors[0][GREEN]
    answers = [np.median(model.sample(PAPER, 500, rng()), axis=0) - twin_answer(PAPER) for model in (alone, joint)]
    assert np.abs(answers[1]).max() < max(np.abs(answers[0]).max(), 0.004)


def test_half_of_the_cells_are_enough():
    readings, settings = twin_rows(100, 2)
    readings[rng().random(readings.shape) < 0.5] = FREE
    model = AnyConditional(network=False).fit(readings, settings)
    np.testing.assert_allclose(np.median(model.sample(PAPER, 500, rng()), axis=0), twin_answer(PAPER), atol=0.006)


def test_no_row_needs_to_be_complete():
    readings, settings = noisy(two_branches, 200, 2)
    readings[::2, 0], readings[1::2, 1] = FREE, FREE
    draws = AnyConditional(network=False).fit(readings, settings).sample(TARGET, 500, rng())
    assert min((np.abs(draws[:, 0] - branch) < 0.06).mean() for branch in (0.2, 0.8)) > 0.2


def test_channel_that_no_row_has_stays_unknown():
    readings, settings = noisy(linear, 30, 2)
    readings[:, 2] = FREE
    model = AnyConditional().fit(readings, settings)
    assert np.isnan(model.predict(settings)[:, 2]).all()
    assert np.isfinite(model.predict(settings)[:, [0, 1, 3]]).all()
    assert np.isfinite(model.sample(np.array([50.0, 30.0, FREE, FREE]), 9, rng())).all()
    with pytest.raises(InvalidInput, match=r"columns \[4\]"):
        model.sample(np.array([50.0, FREE, 20.0, FREE]), 9, rng())


def test_gaps_filled_in_are_less_certain_than_readings():
    """A pair of cells of a known Gaussian: what one says of the other is regression."""
    covariance = np.array([[4.0, 2.0], [2.0, 3.0]])
    gain, left = conditioned(covariance, np.array([True, False]))
    np.testing.assert_allclose(gain, [[1, 0], [0.5, 0]])
    np.testing.assert_allclose(left, [[0, 0], [0, 2]])


def test_expectation_maximisation_only_climbs():
    readings, settings = noisy(two_branches, 80, 2)
    readings[rng().random(readings.shape) < 0.4] = FREE
    rows = np.column_stack((settings, readings)) - 0.5
    form = Regressions(np.array([0, 1]), np.array([2, 3]), np.array([], np.intp))
    filled = form.fit(rows, 4)
    assert filled.likelihood > form.fit(rows, 1).likelihood
    np.testing.assert_allclose(filled.shares.sum(axis=1), 1)


# Refusals


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda y, x, c: (y, np.where(x > 0.9, FREE, x), c), InvalidInput, "finite"),
        (lambda y, x, c: (np.where(y > 90, np.inf, y), x, c), InvalidInput, "finite"),
        (lambda y, x, c: (y, x, c[:-1]), InvalidInput, r"\(39, 1\)"),
        (lambda y, x, c: (np.full_like(y, FREE), x, c), InvalidInput, "a channel that was read in"),
        (lambda y, x, c: (y[:2], x[:2], c[:2]), TooFewRows, "needs 3 rows, got 2"),
    ],
    ids=["setting NaN", "reading infinite", "conditions too few", "no reading at all", "two rows"],
)
def test_rows_that_are_refused(spoil, error, message):
    with pytest.raises(error, match=message):
        AnyConditional().fit(*spoil(*lit(40, 0)))


def test_questions_that_are_refused():
    model = AnyConditional().fit(*lit(40, 0))
    with pytest.raises(InvalidInput, match="4 values"):
        model.complete(np.zeros(3), 1, rng())
    with pytest.raises(InvalidInput, match="4 values"):
        model.complete(np.array([0.5, np.inf, FREE, FREE]), 1, rng())
    with pytest.raises(InvalidInput, match="1 conditions"):
        model.sample(np.array([50.0, FREE]), 1, rng(), [1.0, 2.0])
    with pytest.raises(InvalidInput, match="max_components"):
        AnyConditional(max_components=0)


# Calibration


@pytest.mark.slow
@pytest.mark.parametrize("n", [40, 100])
def test_nine_of_ten_are_inside(n):
    """Settings given noisy readings of three channels, and readings given settings, on fresh rows."""
    inside = []
    for seed in range(3):
        readings, settings = twin_rows(n, seed)
        model = AnyConditional().fit(readings, settings)
        fresh, truth = twin_rows(60, seed + 100)
        chance = rng(seed)
        targets = np.where(np.isnan(PAPER), FREE, fresh)
        ranks = np.array([(model.sample(t, 400, chance) < x).mean(axis=0) for t, x in zip(targets, truth, strict=True)])
        drawn = (model.simulate(truth, 400, chance) < fresh).mean(axis=0)
        inside.append([(np.abs(each - 0.5) < 0.45).mean() for each in (ranks, drawn)])
    assert (np.abs(np.mean(inside, axis=0) - 0.9) < 0.05).all()


# Real records


def test_gaps_of_a_run_are_guessed_from_its_other_rows():
    settings, run = rng().random((30, 2)), np.repeat([3, 5, 9], 10)
    whole = linear(settings) + 10.0 * run[:, None]
    gappy = np.where(rng(1).random(whole.shape) < 0.4, FREE, whole)
    np.testing.assert_allclose(incomplete._guessed(gappy, settings, run, rng()), whole, atol=1e-6)


def records(name):
    """Settings ``(n, 3)`` and readings ``(n, 10)``, NaN where a channel was not recorded or clipped."""
    rows = [json.loads(line) for line in (RECORDS / name).read_text("utf-8").splitlines()]
    readings = np.array([[row["out"].get(channel) for channel in CHANNELS] for row in rows], float)
    return np.array([row["in"] for row in rows], float), np.where(readings < 65535, readings, FREE)


@pytest.mark.slow
@pytest.mark.skipif(not RECORDS.is_dir(), reason="the real records are not part of the project")
def test_real_records_of_one_channel_help_the_complete_ones():
    """30 rows of 2025 with all channels, and 300 of 2024 with one: they know the light of that year, those do not."""
    settings, readings = records("daylight_and_dark_2025.jsonl")
    places, green = records("green_channel_2024.jsonl")
    few = rng(0).permutation(len(settings))[:30]
    read = rng(1).permutation(np.flatnonzero(np.isfinite(green[:, GREEN])))
    fresh, more = read[:200], read[200:500]
    partly = np.concatenate((readings[few], green[more])), np.concatenate((settings[few], places[more]))
    score, inside = [], []
    for rows in ((readings[few], settings[few]), partly):
        draws = AnyConditional().fit(*rows).simulate(places[fresh], 200, rng())[:, :, GREEN]
        off, apart = np.abs(draws - green[fresh, GREEN]), np.abs(draws[:100] - draws[100:])
        score.append(off.mean() - apart.mean() / 2)
        inside.append((np.abs((draws < green[fresh, GREEN]).mean(axis=0) - 0.5) < 0.45).mean())
    assert score[1] < 0.95 * score[0]
    assert abs(inside[1] - 0.9) < 0.07 < abs(inside[0] - 0.9)


def test_a_channel_that_too_few_rows_had_is_unknown():
    """Three readings do not tell what three knobs do to a channel; a fit through them would be sure of it."""
    readings, settings = twin_rows(40)
    readings[3:, 1] = FREE
    model = AnyConditional(network=False).fit(readings, settings)
    assert np.isnan(model.predict(settings[:2])[:, 1]).all()
    with pytest.raises(InvalidInput, match="too few rows of the fit know columns"):
        model.sample(PAPER, 5, rng())
    assert np.isfinite(model.sample(np.where(np.arange(10) == 1, FREE, PAPER), 5, rng())).all()


def test_partial_rows_alone_are_a_domain_too():
    readings, settings = twin_rows(90)
    readings = readings[:, [1, 3, 6]]
    for k in range(3):
        readings[k::3, np.arange(3) != k] = FREE
    model = AnyConditional(network=False).fit(readings, settings)
    assert model.remoteness(PAPER[[1, 3, 6]]).score < 1
    assert model.remoteness(np.array([1e6, 16384.0, 16384.0])).score > 1


def test_a_mixture_says_nothing_of_no_rows_and_warns_of_nothing(recwarn):
    filled = Gaussians(np.full(2, 0.5), np.zeros((2, 3)), np.tile(np.eye(3), (2, 1, 1))).fill(np.empty((0, 3)))
    assert (filled.shares.shape, filled.cells.shape, filled.likelihood) == ((0, 2), (0, 2, 3), 0.0)
    assert [part.shape for part in filled.moments] == [(0, 3), (0, 3)]
    assert not recwarn.list
