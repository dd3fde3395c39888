"""What a registered forward model promises."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sdl import plugins
from sdl.errors import InvalidInput
from strategies.contract import ForwardModel

NAMES = plugins.names("sdl.forward_models")


def bowl(n, seed=0):
    settings = np.random.default_rng(seed).random((n, 2))
    return settings, np.column_stack((((settings - 0.5) ** 2).sum(axis=1), 1000 * settings[:, 0]))


@pytest.fixture(params=NAMES)
def made(request):
    return lambda: plugins.build("sdl.forward_models", request.param)


def test_it_follows_a_bent_response_in_units_of_any_size(made):
    model = made()
    assert isinstance(model, ForwardModel)
    assert model.fit(*bowl(600)) is model
    settings, readings = bowl(200, seed=1)
    off = np.sqrt(((model.predict(settings) - readings) ** 2).mean(axis=0))
    assert (off < 0.05 * readings.std(axis=0)).all()


def test_two_fits_agree_and_leave_the_global_generator_alone(made):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    one, other = (made().fit(*bowl(60)).predict(bowl(5)[0]) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_columns_that_never_move_are_no_exception(made):
    settings, readings = bowl(60)
    settings[:, 1], readings[:, 0] = 0.5, 7.0
    np.testing.assert_allclose(made().fit(settings, readings).predict(settings)[:, 0], 7.0, atol=0.5)


def test_rows_that_are_no_numbers_are_named(made):
    settings, readings = bowl(60)
    readings[4, 1] = np.nan
    with pytest.raises(InvalidInput, match="4"):
        made().fit(settings, readings)
    with pytest.raises(InvalidInput, match="needs settings"):
        made().fit(settings, readings[:-1])
    with pytest.raises(NotFittedError, match="call fit first"):
        made().predict(settings)
