"""What is offered first: a draw that the model itself and the rows hold likely to work."""

import numpy as np
import pytest
from problems import two_branches

from sdl.interchange.export_import import Data
from sdl.space import Channel, Interval, Knob, Space
from strategies.solving.offers import choose_offers
from strategies.solving.problem import FixedChannel, pose_problem
from strategies.solving.row_posterior import RowPosterior


def posed(settings, readings, wanted, tolerance, names=("y",)):
    channels = tuple(Channel(name=name, floor=None, integral=False) for name in names)
    space = Space(knobs=tuple(Knob(name=f"x{k}") for k in range(settings.shape[1])), channels=channels)
    data = Data(space, settings, readings, np.zeros(readings.shape, bool), np.full(len(settings), np.nan))
    return pose_problem(
        data,
        [FixedChannel(name, Interval.about(*wish)) for name, *wish in zip(names, wanted, tolerance, strict=True)],
        {},
    )


class Says:
    """A model that predicts by a function."""

    def __init__(self, predict):
        self.predict = predict


def bent(settings):
    return np.sin(5 * settings[:, :1]) + settings[:, 1:] ** 2


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    settings = rng.random((60, 2))
    return posed(settings, bent(settings) + rng.normal(0, 0.02, (60, 1)), [0.9], [0.06])


def test_the_first_offer_works_by_the_word_of_the_model_and_of_the_rows(problem):
    draws = np.random.default_rng(1).random((500, 2))
    offers = choose_offers(Says(bent), problem, draws)
    assert abs(bent(offers[0].answer.settings[None])[0, 0] - 0.9) < 0.06
    assert offers[0].readings == pytest.approx(bent(offers[0].answer.settings[None])[0])
    assert offers[0].chance > 0.9
    assert [offer.chance for offer in offers] == sorted((offer.chance for offer in offers), reverse=True)


def test_rows_overrule_a_model_that_is_right_nowhere(problem):
    """By its own word it works where it does not: the rows' likeliest draw is offered, and told to miss."""
    upside_down = Says(lambda settings: 5 - bent(settings))
    offer = choose_offers(upside_down, problem, np.random.default_rng(1).random((500, 2)))[0]
    assert abs(bent(offer.answer.settings[None])[0, 0] - 0.9) < 0.06
    assert problem.missed(offer.readings) == ["y"]


def test_the_most_central_draw_is_offered_where_nothing_is_against_it():
    settings = np.random.default_rng(0).random((40, 1))
    problem = posed(settings, 3 * settings, [1.5], [0.3])
    draws = np.linspace(0.45, 0.55, 41)[:, None]
    (offer,) = choose_offers(Says(lambda at: 3 * at), problem, draws)
    assert offer.answer.settings == pytest.approx([0.5], abs=0.003)


def test_no_draw_within_the_bounds_is_no_offer(problem):
    assert choose_offers(Says(bent), problem, np.full((20, 2), 1.5)) == []


def test_each_of_several_answers_has_its_own_offer():
    rng = np.random.default_rng(0)
    settings = rng.random((150, 2))
    problem = posed(settings, two_branches(settings), [0.25, 0.5], [0.05, 0.05], ("a", "b"))
    draws = np.vstack([rng.normal((x, 0.5), 0.05, (200, 2)) for x in (0.25, 0.75)])
    found = choose_offers(Says(two_branches), problem, draws)
    assert sorted(offer.answer.settings[0] for offer in found) == pytest.approx([0.25, 0.75], abs=0.02)
    for offer in found:
        assert problem.missed(two_branches(offer.answer.settings[None])[0]) == []


@pytest.mark.parametrize("seed", range(3))
def test_what_the_rows_say_is_as_sure_as_it_claims(seed):
    rng = np.random.default_rng(seed)
    settings, fresh = rng.random((80, 2)), rng.random((400, 2))
    noise = 0.1
    posterior = RowPosterior.of(bent(settings) + rng.normal(0, noise, (80, 1)), settings)
    mean, deviation = posterior.at(fresh)
    assert posterior.noise == pytest.approx([noise], rel=0.35)
    assert 0.75 < (np.abs(bent(fresh) - mean) < 1.645 * deviation).mean() <= 1
    assert np.abs(bent(fresh) - mean).mean() < noise
