"""Offers: what a model stands for, corrected by the rows around, in the light of this moment."""

import numpy as np
import pytest
from problems import Line, twin_answer, twin_rows

from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from strategies.answers.candidates import corrected, expected_readings
from strategies.answers.clustering import cluster_draws, refused
from strategies.correction.rows import TrainingRows, unshared
from strategies.models.linear.linear_program import LinearProgram

DRAWS = 512
COLUMNS = SPACE.columns(["445nm", "515nm", "630nm"])
NOISE = SPACE.noise[COLUMNS]
TARGETS = [
    np.array(each, float) for each in ([16384] * 3, [12000, 25000, 9000], [20000, 15000, 20000], [8000, 12000, 5000])
]


def truth(settings):
    return Twin(session_gain=False).truth(settings)[..., COLUMNS]


def seen(n=60, seed=0):
    """Rows of the twin and a linear model of them; the dark counts as its background."""
    readings, settings = twin_rows(n, seed)
    readings = readings[:, COLUMNS] - truth(np.zeros(3))
    return LinearProgram().fit(readings, settings), TrainingRows(settings, readings, NOISE, np.zeros(3), unshared)


def drawn(model, target, background, seed=0):
    """What the model offers by itself, the likeliest first, and the part of its draws that lay outside the box."""
    draws = model.sample(target - background, DRAWS, np.random.default_rng(seed))
    return cluster_draws(draws), refused(draws)


def offer(model, target, background, rows, seed=0):
    """The likeliest of these, set right by the rows around it."""
    clusters, lost = drawn(model, target, background, seed)
    return corrected(model, target, background, rows, clusters[0], lost)


def missed(settings, target):
    return float(np.abs((truth(settings) - target) / target).max())


def test_the_local_correction_beats_the_bare_model_on_the_twin():
    dark, mended, bare = truth(np.zeros(3)), [], []
    for seed in range(4):
        model, rows = seen(seed=seed)
        for target in TARGETS:
            best = offer(model, target, dark, rows, seed)
            mended.append(missed(best.settings, target))
            bare.append(missed(drawn(model, target, dark, seed)[0][0].settings, target))
    assert np.mean(mended) < 0.7 * np.mean(bare)
    assert np.median(mended) < 0.005


@pytest.mark.fault("M-12")
def test_replicates_of_a_failed_exam_mend_the_next_offer():
    model, rows = seen(12, seed=3)
    target, dark = TARGETS[1], truth(np.zeros(3))
    first = offer(model, target, dark, rows).settings
    fresh = Twin(seed=9, session_gain=False)
    exam = [fresh.measure(SPACE.named_settings(first)).readings for _ in range(9)]
    replicates = np.array([list(each.values()) for each in exam], float)[:, COLUMNS] - dark
    more = TrainingRows(
        np.vstack((rows.settings, np.tile(first, (9, 1)))),
        np.vstack((rows.readings, replicates)),
        NOISE,
        np.zeros(3),
        unshared,
    )
    second = offer(model, target, dark, more)
    before, after = expected_readings(model, first, dark, rows)[1], expected_readings(model, first, dark, more)[1]
    assert (after < before).all()
    assert missed(second.settings, target) < max(missed(first, target), 0.004)


def test_what_is_expected_of_an_offer_is_what_is_measured_there_within_its_uncertainty():
    dark, off = truth(np.zeros(3)), []
    for seed in range(4):
        model, rows = seen(seed=seed)
        for target in TARGETS:
            found = offer(model, target, dark, rows, seed)
            off.append((truth(found.settings) - found.readings) / found.uncertainty)
    assert (np.abs(off) < 2).mean() > 0.85
    assert np.abs(off).max() < 5


def test_a_background_is_subtracted_before_the_model_is_asked():
    model, rows = seen()
    target, dark, day = TARGETS[0], truth(np.zeros(3)), np.array([1500.0, 2000.0, 3000.0])
    found = offer(model, target, dark + day, rows)
    same = offer(model, target - day, dark, rows)
    np.testing.assert_allclose(found.settings, same.settings, atol=1e-3)
    np.testing.assert_allclose(found.readings, same.readings + day, atol=100)


def test_a_free_channel_is_left_free():
    model, rows = seen()
    target = np.array([16384, np.nan, 16384])
    found = offer(model, target, truth(np.zeros(3)), rows)
    assert np.abs(truth(found.settings) / target - 1)[[0, 2]].max() < 0.01
    assert np.isfinite(found.readings).all()


def test_the_offer_is_near_the_answer_of_the_twin():
    model, rows = seen(100)
    whole = np.full(10, np.nan)
    whole[COLUMNS] = TARGETS[0]
    found = offer(model, TARGETS[0], truth(np.zeros(3)), rows)
    np.testing.assert_allclose(found.settings, twin_answer(whole), atol=0.01)


class Fold(Line):
    """Readings that are the same on both sides of the middle."""

    def predict(self, settings):
        return np.abs(settings - 0.5)


def two_heaps(low, high):
    """Draws about two places, and some outside the box."""
    draws = np.concatenate((np.tile([low, low], (60, 1)), np.tile([high, high], (30, 1)), np.tile([1.2, 0.5], (10, 1))))
    return draws + 1e-3 * np.random.default_rng(0).standard_normal(draws.shape)


@pytest.mark.fault("M-08")
def test_each_heap_of_draws_is_set_right_by_itself_and_those_outside_are_counted():
    model, target, here = Fold(1.0, two_heaps(0.22, 0.78)), np.full(2, 0.3), np.full((1, 2), 0.1)
    rows = TrainingRows(here, model.predict(here), np.full(2, 1e-3), np.zeros(2), unshared)
    clusters, lost = drawn(model, target, np.zeros(2))
    found = [corrected(model, target, np.zeros(2), rows, cluster, lost) for cluster in clusters]
    assert [each.settings.round(3).tolist() for each in found] == [[0.2, 0.2], [0.8, 0.8]]
    assert found[0].share == pytest.approx(2 / 3, abs=0.06)
    assert found[0].refused == pytest.approx(0.1, abs=0.04)
