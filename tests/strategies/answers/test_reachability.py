import numpy as np
import pytest
from problems import CHANNELS, MODELS, PAPER, Line, twin_answer, twin_rows

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.space import Window
from strategies.answers.reachability import reach

CERTAIN = np.full(10, 40.0)


def target(**counts):
    return np.array([counts.get(f"at_{name}", np.nan) for name in CHANNELS], float)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return plugins.build("sdl.inverse_models", request.param).fit(*twin_rows(40))


def sought(model, wanted, uncertainty=CERTAIN):
    return reach(
        model, Window.about(wanted, np.maximum(0.01 * wanted, 100)), np.maximum(0.01 * wanted, 100), uncertainty, 3
    )


def test_target_of_the_paper_is_reachable(model):
    found = sought(model, PAPER)
    assert found.reachable
    np.testing.assert_allclose(found.settings, twin_answer(PAPER), atol=0.01)
    assert np.array_equal(np.isnan(found.excess), np.isnan(PAPER))
    assert np.nansum(found.excess) == 0
    np.testing.assert_allclose(found.readings, model.predict(found.settings[None])[0])


@pytest.mark.fault("M-05")
@pytest.mark.parametrize(
    "wanted",
    [
        target(at_590nm=1024, at_630nm=16384),
        target(at_445nm=16384, at_480nm=100),
        target(at_515nm=30000, at_555nm=2000),
    ],
    ids=["red without its neighbour", "blue without its neighbour", "green without its neighbour"],
)
def test_each_channel_in_its_range_but_not_together(model, wanted):
    assert not sought(model, wanted).reachable
    for column in np.flatnonzero(~np.isnan(wanted)):
        alone = np.where(np.arange(10) == column, wanted, np.nan)
        assert sought(model, alone).reachable


@pytest.mark.fault("M-04")
def test_beyond_full_drive(model):
    found = sought(model, target(at_445nm=45000))
    assert not found.reachable
    assert found.settings[2] == pytest.approx(1, abs=0.01)
    assert found.excess[CHANNELS.index("445nm")] > 10
    assert ((found.settings >= 0) & (found.settings <= 1)).all()


def test_uncertainty_of_the_model_is_to_the_benefit_of_the_target(model):
    wanted = target(at_445nm=45000)
    assert sought(model, wanted, uncertainty=np.full(10, 10_000.0)).reachable


def test_miss_in_one_channel_is_not_the_price_of_another():
    """Least squares alone would settle at 0.467, within tolerance of two channels and beyond that of the first."""
    model = Line([1.0, 1.0, 1.0], [[0.5]])
    wanted, tolerance = np.array([0.40, 0.50, 0.50]), np.array([0.06, 0.06, 0.06])
    found = reach(model, Window.about(wanted, tolerance), tolerance, np.zeros(3), 1)
    assert found.reachable
    assert not reach(model, Window.about(wanted, 0.8 * tolerance), 0.8 * tolerance, np.zeros(3), 1).reachable


def test_search_is_deterministic(model):
    assert np.array_equal(sought(model, PAPER).settings, sought(model, PAPER).settings)


@pytest.mark.parametrize(
    ("wanted", "tolerance"), [(np.full(10, np.nan), np.ones(10)), (PAPER, np.zeros(10))], ids=["free", "exact"]
)
def test_senseless_questions_are_refused(model, wanted, tolerance):
    with pytest.raises(InvalidInput, match="tolerance"):
        reach(model, Window.about(wanted, tolerance), tolerance, CERTAIN, 3)
