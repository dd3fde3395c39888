"""A new run from one reading of it: on twins that each stand in their own light, and on the real records."""

import json

import numpy as np
import pytest
from places import RECORDS
from problems import CHANNELS, twin_answer
from rich.console import Console
from scipy.stats import qmc
from sklearn.exceptions import NotFittedError

from flows.benchmarks.decisions import real_records as records
from sdl.errors import InvalidInput, TooFewRows, UnknownPlugin
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.anchored_runs import Anchored
from strategies.models.linear.linear_program import LinearProgram
from strategies.models.linear.pls import PartialLeastSquares

KEPT = [c for c, name in enumerate(CHANNELS) if name != "clear"]
PAPER = [KEPT.index(c) for c in SPACE.columns(("445nm", "515nm", "630nm"))]
RUNS, ROWS = 12, 20
MIDDLE = np.full(3, 0.5)


def twin_run(seed, n=ROWS):
    """Readings ``(n, 9)`` of a twin in a light of its own, which does not change, settings ``(n, 3)``, and the twin."""
    light = Twin(seed=seed, daylight=1500.0).ambient()
    twin = Twin(seed=seed, session_gain=False, steady=dict(zip(CHANNELS, light, strict=True)))
    settings = 0.9 * np.random.default_rng(seed).random((n, 3))
    return read(twin, settings), settings, twin


def read(twin, settings):
    replies = [twin.measure(twin.space.named_settings(row)).readings for row in settings]
    return np.array([list(reply.values()) for reply in replies], float)[:, KEPT]


@pytest.fixture(scope="module")
def pooled():
    runs = [twin_run(seed) for seed in range(RUNS)]
    readings, settings, _ = (list(each) for each in zip(*runs, strict=True))
    return np.concatenate(readings), np.concatenate(settings), np.repeat(np.arange(RUNS), ROWS)


def error(sample, readings, settings):
    """Mean absolute error ``(3,)`` of the middle of the draws for the paper's channels."""
    rng = np.random.default_rng(0)
    middle = [np.median(sample(row[PAPER], 64, rng), axis=0) for row in readings]
    return np.abs(np.array(middle) - settings).mean(axis=0)


def anchored_error(model, seed, anchors=1):
    readings, settings, twin = twin_run(seed)
    here = model.at(read(twin, np.tile(MIDDLE, (anchors, 1))), np.tile(MIDDLE, (anchors, 1)))
    return error(here.sample, readings, settings)


NEW = range(100, 130)


@pytest.fixture(scope="module")
def fitted(pooled):
    return Anchored("pls", PAPER).fit(*pooled)


@pytest.fixture(scope="module")
def one_anchor(fitted):
    return np.mean([anchored_error(fitted, seed) for seed in NEW], axis=0)


def test_one_anchor_is_as_good_as_training_within_the_run(pooled, one_anchor):
    readings, settings, _ = pooled
    blind = PartialLeastSquares().fit(readings[:, PAPER], settings)
    without, within = [], []
    for seed in NEW:
        asked, answers, twin = twin_run(seed)
        own = np.random.default_rng(0).random((ROWS, 3))
        without.append(error(blind.sample, asked, answers))
        within.append(error(PartialLeastSquares().fit(read(twin, own)[:, PAPER], own).sample, asked, answers))
    assert one_anchor.mean() < 1.1 * np.mean(within)
    assert (one_anchor < 1.3 * np.mean(within, axis=0)).all()
    assert (one_anchor < 0.15 * np.mean(without, axis=0)).all()


def test_more_anchors_are_no_worse(fitted, one_anchor):
    five = np.mean([anchored_error(fitted, seed, anchors=5) for seed in NEW], axis=0)
    assert (five < 1.03 * one_anchor).all()
    spread = [np.diag(fitted.at(*anchor(0, n)).covariance) for n in (1, 2, 5, 20)]
    assert (np.diff(spread, axis=0) < 0).all()


def anchor(seed, n=1):
    settings = np.tile(MIDDLE, (n, 1))
    return read(twin_run(seed)[2], settings), settings


def test_the_background_is_found_and_its_error_known(fitted):
    off = []
    for seed in range(200, 240):
        _, _, twin = twin_run(seed, 1)
        here = fitted.at(read(twin, MIDDLE[None]), MIDDLE)
        true = twin.truth(np.zeros(3))[KEPT][PAPER]
        off.append((here.background - true) / np.sqrt(np.diag(here.covariance)))
    assert 0.6 < np.std(off) < 1.5


def test_channels_that_no_target_fixes_tell_the_background(pooled, fitted):
    readings, settings, runs = pooled
    alone = Anchored("pls").fit(readings[:, PAPER], settings, runs).at(anchor(0)[0][:, PAPER], MIDDLE)
    together = fitted.at(*anchor(0))
    assert (np.diag(together.covariance) < 0.8 * np.diag(alone.covariance)).all()


def test_an_anchor_of_few_runs_is_taken_at_its_word(pooled):
    readings, settings, runs = (column[pooled[2] < 3] for column in pooled)
    model = Anchored("linear").fit(readings, settings, runs)
    taken, at = anchor(0)
    np.testing.assert_allclose(model.at(taken, at).predict(at), taken, rtol=1e-9)


def test_predict_adds_the_background(fitted):
    here = fitted.at(*anchor(0))
    settings = np.random.default_rng(1).random((4, 3))
    np.testing.assert_allclose(here.predict(settings) - here.model.predict(settings), np.tile(here.background, (4, 1)))
    assert here.sample(np.full(3, 16384.0), 7, np.random.default_rng(0)).shape == (7, 3)


def test_sample_depends_on_rng_alone_and_takes_free_channels(fitted):
    here, target = fitted.at(*anchor(0)), np.array([16384.0, np.nan, 16384.0])
    first, again, other = (here.sample(target, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_labels_and_order_of_the_runs_do_not_matter(pooled, fitted):
    readings, settings, runs = pooled
    order = np.random.default_rng(0).permutation(len(runs))
    named = [f"day {run}" for run in runs[order]]
    shuffled = Anchored(PartialLeastSquares, PAPER).fit(readings[order], settings[order], named)
    np.testing.assert_allclose(shuffled.at(*anchor(0)).background, fitted.at(*anchor(0)).background, rtol=1e-6)


def test_constant_columns_and_runs_without_light_are_no_trouble(pooled):
    settings = pooled[1]
    readings = np.column_stack((settings @ [100.0, 200.0, 300.0], np.zeros(len(settings))))
    here = Anchored("linear").fit(readings, settings, pooled[2]).at([300.0, 0.0], MIDDLE)
    np.testing.assert_allclose(here.background, 0, atol=0.1)


def test_wrong_shapes_are_refused(pooled, fitted):
    readings, settings, runs = pooled
    cases = [
        ("readings", lambda: Anchored("pls").fit(readings[1:], settings, runs)),
        ("run of each", lambda: Anchored("pls").fit(readings, settings, runs[1:])),
        ("run of each", lambda: Anchored("pls").fit(readings, settings, runs[:, None])),
        ("finite", lambda: Anchored("pls").fit(np.where(readings > 6e4, np.nan, readings), settings, runs)),
        ("channels", lambda: Anchored("pls", [0, 9]).fit(*pooled)),
        ("channels", lambda: Anchored("pls", [0, 0]).fit(*pooled)),
        ("channels", lambda: Anchored("pls", []).fit(*pooled)),
        ("anchors need readings", lambda: fitted.at(readings[0, :3], MIDDLE)),
        ("anchors need readings", lambda: fitted.at(readings[:2], MIDDLE)),
        ("anchors need readings", lambda: fitted.at(np.zeros((0, 9)), np.zeros((0, 3)))),
        ("finite", lambda: fitted.at(np.full(9, np.nan), MIDDLE)),
    ]
    for words, refused in cases:
        with pytest.raises(InvalidInput, match=words):
            refused()


def test_too_few_rows_unknown_models_and_use_before_fit_are_refused(pooled):
    readings, settings, runs = pooled
    with pytest.raises(TooFewRows, match="240 runs and 3 knobs need 244 rows"):
        Anchored("pls").fit(readings, settings, np.arange(len(runs)))
    with pytest.raises(UnknownPlugin, match="did you mean 'pls'"):
        Anchored("plss").fit(*pooled)
    with pytest.raises(NotFittedError, match="call fit first"):
        Anchored("pls").at(readings[0], settings[0])


def test_missing_records_are_answered_with_where_they_were_looked_for(tmp_path):
    with pytest.raises(InvalidInput, match=str(tmp_path / records.FILE)):
        records.run_real_records_benchmark(tmp_path)
    (tmp_path / records.FILE).write_text('{"in": [0, 0, 0], "time": 1.0}\n')
    with pytest.raises(InvalidInput, match="'out'"):
        records.run_real_records_benchmark(tmp_path)


@pytest.mark.parametrize("light", records.LIGHTS)
def test_the_exact_answers_are_those_of_the_twin(light):
    background, exact = records.LIGHTS[light]
    target = SPACE.readings(dict(zip(records.TARGET, records.WANTED - np.array(background), strict=True)))
    np.testing.assert_allclose(twin_answer(target), exact, atol=0.0011)


def test_a_linear_program_without_intercept_takes_daylight_for_slopes():
    background, columns = [549, 956, 2074], SPACE.columns(records.TARGET)
    settings = qmc.LatinHypercube(3, rng=np.random.default_rng(0)).random(100)
    seen = np.minimum(Twin(session_gain=False).truth(settings)[:, columns] + background, 65535)
    draws = LinearProgram().fit(seen, settings).sample(np.full(3, records.WANTED), 400, np.random.default_rng(0))
    np.testing.assert_allclose(np.median(draws, axis=0), [0.483, 0.238, 0.523], atol=0.003)


@pytest.mark.skipif(not RECORDS.is_dir(), reason="the real records are not part of the project")
def test_the_bar_holds_on_the_real_records():
    result = records.run_real_records_benchmark(RECORDS)
    errors = {each["method"]: each for each in result["errors"]}
    assert {each["runs"] for each in errors.values()} == {32}
    pooled = errors["pls, pooled, no anchor"]["median"]
    np.testing.assert_allclose(pooled, result["known"]["pooled, no anchor (known before)"], rtol=0.02)
    for model in records.MODELS:
        assert (np.array(errors[f"{model}, anchored"]["median"]) <= result["known"]["anchored"]).all(), model
    assert (np.array(errors["mixture, anchored"]["median"]) <= result["known"]["anchored, later"]).all()
    for answer in result["paper"]["answers"]:
        for model in records.MODELS:
            np.testing.assert_allclose(answer[model], answer["twin, exact"], atol=0.012)
    assert json.loads(json.dumps(result)) == result
    with (shown := Console(width=140)).capture() as text:
        shown.print(*records.real_records_tables(result))
    assert "mixture, anchored" in text.get()
    assert "right for the light of their day" in text.get()
