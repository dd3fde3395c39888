import numpy as np
import pytest
from problems import PAPER, twin_answer, twin_rows, two_branches

from flows.benchmarks.decisions import forest as benchmark
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin
from strategies.answers.clustering import cluster_draws
from strategies.models.mixtures import forest
from strategies.models.mixtures.forest import Forest

FIXED = ~np.isnan(PAPER)
LIGHT = Twin().space.readings({"445nm": 549, "515nm": 956, "590nm": 1900, "630nm": 2074})
FOLDED = np.array([0.36, 0.5])  # two_branches gives it at (0.2, 0.5) and at (0.8, 0.5)


def rng(seed=0):
    return np.random.default_rng(seed)


def folded(n=100, seed=0, noise=0.002):
    settings = rng(seed).random((n, 2))
    return two_branches(settings) + noise * rng(seed + 1).standard_normal((n, 2)), settings


def channels(n, seed=0):
    readings, settings = twin_rows(n, seed)
    return readings[:, FIXED], settings


def corners(n, seed=0):
    """The reading is the first knob; the second is at one of two ends, and at which a line cannot say."""
    settings = rng(seed).random((n, 2))
    settings[:, 1] = np.where(settings[:, 1] < 0.5, 0.02, 0.98) + 0.005 * rng(seed).standard_normal(n)
    return settings[:, :1] + 0.01 * rng(seed + 1).standard_normal((n, 1)), settings


def conditional(model):
    (made,) = model.conditional_.values()
    return made


@pytest.fixture(scope="module")
def model():
    made = Forest().fit(*channels(60))
    made.sample(PAPER[FIXED], 1, rng())
    return made


@pytest.mark.parametrize("seed", range(3))
def test_paper_is_answered(seed):
    target = (PAPER - LIGHT)[FIXED]
    draws = Forest().fit(*channels(100, seed)).sample(target, 1000, rng(seed))
    np.testing.assert_allclose(cluster_draws(draws)[0].settings, twin_answer(PAPER - LIGHT), atol=0.01)


def test_draws_in_both_branches_and_hardly_one_between():
    draws = Forest().fit(*folded()).sample(FOLDED, 1000, rng(1))
    for branch in (0.2, 0.8):
        assert (np.abs(draws[:, 0] - branch) < 0.05).mean() > 0.2
    assert (np.abs(draws[:, 0] - 0.5) < 0.2).mean() < 0.01


@pytest.mark.slow
def test_intervals_of_settings_and_readings_hold_on_fresh_rows():
    inside = {"settings": [], "readings": []}
    for seed in range(3):
        model = Forest().fit(*channels(40, seed))
        readings, settings = channels(60, seed + 50)
        backward = np.array([model.sample(each, 400, rng(1)) for each in readings])
        forward = model.simulate(settings, 400, rng(2)).swapaxes(0, 1)
        for name, draws, truth in (("settings", backward, settings), ("readings", forward, readings)):
            low, high = np.quantile(draws, [0.05, 0.95], axis=1)
            inside[name].append(((low <= truth) & (truth <= high)).mean())
    for shares in inside.values():
        assert 0.85 < np.mean(shares) < 0.95


@pytest.mark.parametrize("target", [PAPER[FIXED], np.array([np.nan, 16384.0, np.nan])], ids=["all", "one"])
def test_fits_with_one_seed_agree_and_with_another_differ(target):
    rows = channels(30)
    one, other, third = (Forest(levels=4, seed=seed).fit(*rows).sample(target, 50, rng()) for seed in (1, 1, 2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, third)


def test_order_of_questions_does_not_matter():
    one, other = (Forest(levels=4).fit(*channels(30)) for _ in range(2))
    forward = one.simulate(np.full((1, 3), 0.5), 5, rng())
    backward = one.sample(PAPER[FIXED], 5, rng())
    assert np.array_equal(backward, other.sample(PAPER[FIXED], 5, rng()))
    assert np.array_equal(forward, other.simulate(np.full((1, 3), 0.5), 5, rng()))


def test_trees_change_what_the_backbone_draws(model):
    made = conditional(model)
    values = np.tile(PAPER[FIXED], (200, 1))
    changed = made.draw(values, rng())
    flows, made.flows = made.flows, []
    plain = made.draw(values, rng())
    made.flows = flows
    assert not np.array_equal(changed, plain)
    np.testing.assert_allclose(np.median(changed, axis=0), np.median(plain, axis=0), atol=0.003)


def test_trees_find_what_a_linear_backbone_cannot():
    def between(model):
        draws = model.sample(np.array([0.5]), 1000, rng())
        return (np.abs(draws[:, 1] - 0.5) < 0.3).mean()

    trees = Forest(max_components=1).fit(*corners(400))
    share = between(trees)
    assert conditional(trees).damping == 1
    conditional(trees).flows = []
    assert share < between(trees) / 3


def test_few_rows_are_answered_by_the_backbone_alone():
    few = Forest().fit(*channels(19))
    few.sample(PAPER[FIXED], 1, rng())
    assert not conditional(few).flows


def test_global_state_is_kept_even_if_the_library_fails(monkeypatch):
    def broken(*_, **__):
        np.random.seed(5)  # noqa: NPY002
        raise RuntimeError("broken")

    import torch

    def state():
        numpy = np.random.get_state()  # noqa: NPY002
        return (*(each.tobytes() if hasattr(each, "tobytes") else each for each in numpy), torch.initial_seed())

    before = state()
    chance, settings = torch.get_rng_state(), (torch.get_default_dtype(), torch.get_num_threads())
    model = Forest(levels=3).fit(*channels(24))
    model.simulate(model.sample(PAPER[FIXED], 3, rng()), 2, rng())
    assert state() == before
    assert torch.equal(chance, torch.get_rng_state())
    assert settings == (torch.get_default_dtype(), torch.get_num_threads())
    monkeypatch.setattr(forest, "ForestDiffusionModel", broken)
    with pytest.raises(RuntimeError, match="broken"):
        Forest().fit(*channels(24)).sample(PAPER[FIXED], 1, rng())
    assert state() == before


def test_nothing_is_printed(capfd):
    Forest().fit(*channels(24)).sample(PAPER[FIXED], 3, rng())
    assert capfd.readouterr() == ("", "")


def test_one_knob_and_one_channel():
    settings = rng().random((30, 1))
    model = Forest().fit(100 * settings, settings)
    assert model.sample(np.array([50.0]), 1, rng()).shape == (1, 1)
    assert model.simulate(settings[:4], 7, rng()).shape == (7, 4, 1)


@pytest.mark.parametrize("wrong", [{"levels": 1}, {"trees": 0}, {"depth": 0}, {"max_components": 0}])
def test_forest_that_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidInput, match="a forest needs levels >= 2"):
        Forest(**wrong)


@pytest.mark.slow
def test_benchmark_holds_its_bars():
    result = benchmark.run_forest_benchmark(repeats=1)
    assert set(result["figures"]) == {"forest", "library"}
    assert result["bars"][1]["met"]  # the other one is about time
    assert benchmark.forest_table(result).row_count == 2
