"""One response behind the instrument and a source: what is found of the bias, and when a source is not listened to."""

from dataclasses import replace

import numpy as np
import pytest

from strategies.fusion.fused import fuse
from strategies.posterior.posterior import learn_all
from strategies.posterior.rows import Rows, Statement

ABOUT = replace(Statement.unstated(2, 1), noise=np.array([0.02]))
PLACES = np.random.default_rng(5).random((50, 2))


def response(places):
    return np.sin(2 * places[:, :1]) + 2 * places[:, 1:]


def instrument(n):
    rng, rows = np.random.default_rng(1), Rows.empty(2, 1)
    for place in np.vstack((np.zeros(2), rng.random((n - 1, 2)))):
        read = response(place[None])[0] + 0.02 * rng.standard_normal(1)
        rows = rows.with_row(place, read, ABOUT, reference=not place.any())
    return rows


def source(of, n=16, number=1):
    rng, rows = np.random.default_rng(2), Rows.empty(2, 1)
    for place in rng.random((n, 2)):
        rows = rows.with_row(place, of(place[None])[0] + 0.02 * rng.standard_normal(1), ABOUT)
    elsewhere = {"apart": np.full(n, 0.03), "source": np.full(n, number), "order": np.arange(n) * 10.0 - 20_000}
    return replace(rows, **elsewhere)


def fused(rows, sources, *names):
    return fuse(learn_all(rows, ABOUT), rows, sources, ABOUT, names)


def off(found):
    return float(np.sqrt(np.mean((found.at(PLACES)[0] - response(PLACES)) ** 2)))


def test_a_source_that_reads_a_tenth_more_tells_the_response_that_few_readings_do_not():
    rows = instrument(4)
    both = fused(rows, source(lambda at: 1.1 * response(at)), "cheap")
    assert off(both.posterior) < 0.5 * off(learn_all(rows, ABOUT))
    assert not both.beliefs["cheap"].dropped
    factor = float(both.facts(["y"], ["cheap"])["cheap"].bias["y"].split()[0])
    assert factor == pytest.approx(1.1, abs=0.05)


def test_a_single_reading_of_the_instrument_tells_by_how_much_a_source_is_off_nearby():
    place, near = np.array([0.5, 0.6]), np.array([[0.55, 0.66]])
    rows = Rows.empty(2, 1).with_row(place, response(place[None])[0], ABOUT)
    both = fuse(None, rows, source(lambda at: 1.1 * response(at)), ABOUT, ["cheap"])
    assert abs(both.posterior.at(near)[0] - response(near)) < 0.2 * abs(0.1 * response(near))


def test_a_source_that_sees_something_else_is_dropped_and_the_posterior_is_that_of_the_instrument():
    rows = instrument(12)
    both = fused(rows, source(lambda at: 3 * np.cos(9 * at[:, :1]) - 2 * at[:, 1:]), "wrong")
    assert both.beliefs["wrong"].dropped
    assert not both.listens_to("wrong")
    assert both.cautious is None
    np.testing.assert_array_equal(both.posterior.at(PLACES), learn_all(rows, ABOUT).at(PLACES))
    assert str(both.facts(["y"], ["wrong"])["wrong"]).startswith("dropped, since its readings do not go with those")


def test_of_two_sources_the_wrong_one_is_dropped_alone():
    good, wrong = source(lambda at: 0.9 * response(at)), source(lambda at: -2 * at[:, 1:], number=2)
    both = fused(instrument(12), good.followed_by(wrong), "good", "wrong")
    assert [name for name, belief in both.beliefs.items() if belief.dropped] == ["wrong"]
    assert set(both.posterior.rows.source) == {0, 1}


def test_a_source_says_nothing_of_the_noise_of_the_instrument():
    """A simulation without noise must not make a verdict surer than the instrument's own readings do."""
    rows, quiet = instrument(8), source(lambda at: response(at), n=40)
    loud = replace(rows, readings=rows.readings + 0.2 * np.random.default_rng(3).standard_normal((8, 1)))
    alone, both = learn_all(loud, ABOUT), fused(loud, quiet, "simulation").posterior
    assert both.channels[0].noise(1.0)[0] > 0.7 * alone.channels[0].noise(1.0)[0]


def test_verdicts_take_slopes_of_a_source_as_if_it_were_a_tenth_off():
    rows = instrument(8)
    both = fused(rows, source(response), "twin")
    assert both.beliefs["twin"].apart < 0.1
    assert set(both.cautious.rows.apart[both.cautious.rows.source > 0]) == {0.1}
    assert (both.cautious.at(PLACES)[1] >= both.posterior.at(PLACES)[1] * 0.99).all()
