"""Every peer that is installed keeps the contract; those that are not say what to install."""

import logging
import sys
import warnings

import numpy as np
import pytest

from sdl import plugins
from sdl.errors import InvalidInput
from strategies.evaluation.backtest import why_lacking
from strategies.evaluation.peers.library_guard import contained, must_be_installed
from strategies.evaluation.peers.pls import HypercubePLS
from strategies.evaluation.peers.protocol import Peer, Seen

NAMES = plugins.names("sdl.peers")
SLOPES = np.array([[20.0, 3.0, 1.0], [2.0, 30.0, 4.0], [1.0, 5.0, 25.0]])
ANSWER = np.array([0.4, 0.6, 0.3])


def seen(n=6, noise=0.1):
    """Rows of three slopes, in tolerances; the last ones lie about the answer."""
    rng = np.random.default_rng(1)
    settings = np.concatenate((rng.random((n, 3)), ANSWER + 0.05 * rng.standard_normal((3, 3))))
    readings = settings @ SLOPES + noise * rng.standard_normal((n + 3, 3))
    return Seen(settings, readings, ANSWER @ SLOPES, np.ones(3), np.full(readings.shape, noise))


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
    alone = Seen(rows.settings, rows.readings[:, :1], rows.target[:1], rows.tolerance[:1], np.full((9, 1), np.nan))
    assert peer.propose(alone, np.random.default_rng(0)).shape == (3,)


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
        rows = Seen(settings, readings, rows.target, rows.tolerance, np.full(readings.shape, 0.1))
        nearest = min(nearest, float(rows.distance[-1]))
    assert nearest < 3


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
