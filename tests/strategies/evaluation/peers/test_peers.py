"""Every peer that is installed keeps the contract; those that are not say what to install."""

import logging
import sys
import warnings

import numpy as np
import pytest

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.space import Constraints, Knob, Space, Window
from strategies.evaluation.backtest import why_lacking
from strategies.evaluation.families.drawing import draw
from strategies.evaluation.peers import shares
from strategies.evaluation.peers.library_guard import contained, must_be_installed
from strategies.evaluation.peers.pls import HypercubePLS
from strategies.evaluation.peers.protocol import Peer, Seen
from strategies.evaluation.population import why_beyond
from strategies.plan.plan import Plan

NAMES = plugins.names("sdl.peers")
KINDS = (
    *("whole-numbers", "listed-values", "logarithmic", "categories", "described-categories"),
    *("fractions", "linear-constraints", "forbidden-regions"),
)
SLOPES = np.array([[20.0, 3.0, 1.0], [2.0, 30.0, 4.0], [1.0, 5.0, 25.0]])
ANSWER = np.array([0.4, 0.6, 0.3])
PLAIN = Space.unit("A", "B", "C", channels=("a", "b", "c"))


def seen(n=6, noise=0.1):
    """Rows of three slopes, in tolerances; the last ones lie about the answer."""
    rng = np.random.default_rng(1)
    settings = np.concatenate((rng.random((n, 3)), ANSWER + 0.05 * rng.standard_normal((3, 3))))
    readings = settings @ SLOPES + noise * rng.standard_normal((n + 3, 3))
    return Seen(PLAIN, settings, readings, Window.about(ANSWER @ SLOPES, np.ones(3)), np.full(readings.shape, noise))


@pytest.fixture(params=NAMES)
def peer(request):
    if why := why_lacking(request.param):
        pytest.skip(why)
    return plugins.build("sdl.peers", request.param)


def test_a_peer_begins_in_the_box_and_asks_within_it(peer):
    assert isinstance(peer, Peer)
    design = peer.design(3, np.random.default_rng(0))
    assert design.shape[1:] == (3,)
    assert ((design >= 0) & (design <= 1)).all()


@pytest.mark.slow
def test_a_peer_depends_on_rng_alone_and_leaves_the_world_as_it_was(peer):
    states = np.random.get_state()[1].copy(), logging.root.manager.disable  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        first, second = (peer.propose(seen(), np.random.default_rng(7)) for _ in range(2))
    assert first.shape == (3,)
    assert ((first >= 0) & (first <= 1)).all()
    assert np.allclose(first, second, atol=1e-6)
    assert np.array_equal(states[0], np.random.get_state()[1])  # noqa: NPY002
    assert logging.root.manager.disable == states[1]


@pytest.mark.slow
def test_a_peer_of_one_channel_is_served(peer):
    rows = seen()
    alone = Seen(PLAIN, rows.settings, rows.readings[:, :1], rows.window.at([0]), np.full((9, 1), np.nan))
    assert peer.propose(alone, np.random.default_rng(0)).shape == (3,)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("random", "hypercube-pls")])
def test_a_peer_asks_for_settings_that_its_kinds_of_knobs_and_constraints_allow(name):
    """Of all kinds of ``families.kinds``, an instrument of each that it takes, and of sides and maxima."""
    if why := why_lacking(name):
        pytest.skip(why)
    peer = plugins.build("sdl.peers", name)
    for family in (*KINDS, "at-least", "between", "largest-beside"):
        case = draw(family, 1)
        if why_beyond(name, case):
            continue
        plan, space, rng = Plan(case.campaign("kind", 1), case.instrument.space), case.instrument.space, one()
        unit = space.spread(peer.design(space.u, rng))
        readings = case.instrument.truth(space.from_unit(unit))[:, plan.columns]
        window = plan.targets[0].window
        asked = peer.propose(Seen(space, unit, readings, window, np.full(readings.shape, np.nan)), rng)
        assert np.abs(space.applied(asked) - asked).max() < 0.03, family  # a list of levels misses a sum by some


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
def test_a_peer_comes_nearer_to_the_target_than_its_rows(name):
    """In three proposals, each told of the ones before; by chance a proposal is off by some ten tolerances."""
    if why := why_lacking(name):
        pytest.skip(why)
    peer, rows = plugins.build("sdl.peers", name), seen()
    nearest = np.inf
    for round_ in range(3):
        asked = peer.propose(rows, np.random.default_rng(round_))
        settings = np.concatenate((rows.settings, asked[None]))
        readings = np.concatenate((rows.readings, (asked @ SLOPES)[None]))
        rows = Seen(PLAIN, settings, readings, rows.window, np.full(readings.shape, 0.1))
        nearest = min(nearest, float(rows.distance[-1]))
    assert nearest < 3


# ---------------------------------------------------------------------- knobs as libraries take them


def one():
    return np.random.default_rng(1)


@pytest.mark.parametrize("family", KINDS)
def test_points_are_shares_and_names_by_knob_and_back(family):
    space = draw(family, 0).instrument.space
    unit = space.spread(one().random((20, space.u)))
    found = shares.columns(space, unit)
    assert list(found) == list(space.knob_names)
    back = [shares.point(space, dict(zip(found, row, strict=True))) for row in zip(*found.values(), strict=True)]
    assert np.array(back) == pytest.approx(space.applied(unit), abs=1e-9)


@pytest.mark.parametrize("family", ["fractions", "linear-constraints"])
def test_sums_hold_of_what_is_allowed_and_of_nothing_else(family):
    space = draw(family, 0).instrument.space
    lines, everywhere = shares.lines(space), one().random((2000, space.u))
    assert not shares.bent(space)
    for points, allowed in ((space.spread(everywhere[:200]), True), (everywhere, False)):
        by_knob = {name: np.array(column) for name, column in zip(space.knob_names, points.T, strict=True)}
        sums = [sum(slope * by_knob[name] for name, slope in line.slopes.items()) - line.bound for line in lines]
        kept = np.all(
            [np.abs(total) < 1e-9 if line.equal else total < 1e-9 for line, total in zip(lines, sums, strict=True)],
            axis=0,
        )
        assert (kept == (np.ones(200, bool) if allowed else space.contains(space.settings_at(points)))).all()


def test_what_is_no_sum_is_said_to_be_bent():
    assert shares.bent(draw("forbidden-regions", 0).instrument.space)
    logarithmic = Space(
        knobs=(Knob(name="a", low=0.01, scale="log"), Knob(name="b")),
        channels=PLAIN.channels,
        constraints=Constraints(always=("a + b <= 1",)),
    )
    assert shares.bent(logarithmic), "of logarithms it is none"


def test_partial_least_squares_answers_a_line_exactly():
    rows = seen(noise=0.0)
    assert HypercubePLS().propose(rows, np.random.default_rng(0)) == pytest.approx(ANSWER, abs=1e-6)


def test_what_is_not_installed_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy_of_another_world", None)
    with pytest.raises(InvalidInput, match=r"no_such_package not installed: pip install 'inverse-sdl\[peers\]'"):
        must_be_installed("numpy", "no_such_package")


def test_containment_seeds_and_puts_back():
    torch = pytest.importorskip("torch")
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    drawn = []
    for _ in range(2):
        with contained(np.random.default_rng(3)):
            drawn.append((np.random.random(), torch.rand(1).item()))  # noqa: NPY002
    assert drawn[0] == drawn[1]
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(torch_before, torch.get_rng_state())
