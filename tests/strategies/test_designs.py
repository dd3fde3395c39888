import numpy as np
import pytest
from scipy.spatial.distance import pdist

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.space import Knob, Space
from sdl.space.constraints import Constraints
from strategies.contract import Design

SPACE = Space(
    knobs=(Knob(name="power", low=-5, high=5), Knob(name="flow", low=10, high=30), Knob(name="heat")),
    channels=Space.unit("a").channels,
)
NAMES = plugins.names("sdl.designs")
OWN = {"full-factorial": 27, "box-behnken": 13, "one-by-one": 3}
FIXED = {"one-by-one"}
"""Designs without anything random."""
SLICED = ["latin-hypercube", "maximin-latin-hypercube", "sobol"]


def propose(name, n=12, seed=0, space=SPACE, **options):
    return plugins.build("sdl.designs", name, options).propose(
        space, n and OWN.get(name, n), np.random.default_rng(seed)
    )


@pytest.mark.parametrize("name", NAMES)
def test_within_bounds_in_units_of_the_space(name):
    design = propose(name)
    assert isinstance(plugins.build("sdl.designs", name), Design)
    assert design.shape == (OWN.get(name, 12), 3)
    assert SPACE.contains(design).all()
    assert np.ptp(design[:, 1]) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_rng_alone_decides(name):
    assert np.array_equal(propose(name, seed=7), propose(name, seed=7))
    assert np.array_equal(propose(name, seed=7), propose(name, seed=8)) == (name in FIXED)


@pytest.mark.parametrize("name", NAMES)
def test_global_generator_is_left_alone(name):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    propose(name)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(OWN)))
@pytest.mark.parametrize("n", [None, 0])
def test_designs_of_any_size_ask_for_one(name, n):
    with pytest.raises(InvalidInput, match="give n >= 1"):
        propose(name, n=n)


@pytest.mark.parametrize("name", sorted(OWN))
def test_designs_of_their_own_size_name_it(name):
    design, rng = plugins.build("sdl.designs", name), np.random.default_rng(0)
    assert len(design.propose(SPACE, None, rng)) == OWN[name]
    with pytest.raises(InvalidInput, match=f"give n={OWN[name]}"):
        design.propose(SPACE, OWN[name] + 1, rng)


@pytest.mark.parametrize("name", SLICED)
def test_one_point_in_every_slice(name):
    slices = np.floor(8 * SPACE.to_unit(propose(name, n=8)))
    assert (np.sort(slices, axis=0) == np.arange(8)[:, None]).all()


@pytest.mark.parametrize("n", [1, 3, 6, 100])
def test_sobol_of_any_number_without_warning(n, recwarn):
    assert propose("sobol", n=n).shape == (n, 3)
    assert not recwarn.list


def test_maximin_keeps_points_apart():
    def closest(name):
        return np.median([pdist(SPACE.to_unit(propose(name, seed=seed))).min() for seed in range(10)])

    assert closest("maximin-latin-hypercube") > 1.5 * closest("latin-hypercube")


def test_factorial_has_every_combination_once():
    design = SPACE.to_unit(propose("full-factorial"))
    assert len(np.unique(design, axis=0)) == 27
    assert set(design.ravel()) == {0.0, 0.5, 1.0}


def test_factorial_too_large_to_plan_is_refused():
    with pytest.raises(InvalidInput, match="fewer levels"):
        plugins.build("sdl.designs", "full-factorial", {"levels": 100}).propose(SPACE, None, np.random.default_rng(0))


@pytest.mark.parametrize(("d", "points"), [(3, 13), (4, 25), (5, 41)])
def test_box_behnken_is_edges_and_centre(d, points):
    space = Space.unit(*"abcde"[:d])
    design = plugins.build("sdl.designs", "box-behnken").propose(space, None, np.random.default_rng(0))
    at_walls = (design != 0.5).sum(axis=1)
    assert sorted(at_walls) == [0] + [2] * (points - 1)
    assert len(np.unique(design, axis=0)) == points


def test_one_by_one_moves_each_knob_once():
    design = plugins.build("sdl.designs", "one-by-one", {"low": 0.0, "high": 1.0}).propose(
        Space.unit("a", "b"), None, np.random.default_rng(0)
    )
    assert design.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_box_behnken_needs_three_knobs():
    with pytest.raises(InvalidInput, match="3 knobs"):
        propose("box-behnken", space=Space.unit("a", "b"))


NAMES_OF = Knob(name="solvent", values=("water", "ethanol"))
NEVER = Constraints(never=("power > 2 and flow > 20",))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (Space(knobs=(*SPACE.knobs, NAMES_OF), channels=SPACE.channels), "and solvent takes names"),
        (SPACE.with_constraints(NEVER), "some of it is forbidden"),
    ],
    ids=["names", "constraints"],
)
def test_box_behnken_is_refused_where_it_would_be_no_such_design(space, said):
    with pytest.raises(InvalidInput, match=said):
        propose("box-behnken", n=None, space=space)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("full-factorial", {"levels": 1}),
        ("box-behnken", {"center": -1}),
        ("maximin-latin-hypercube", {"tries": 0}),
        ("one-by-one", {"low": 0.8}),
    ],
)
def test_options_out_of_range_are_refused(name, option):
    with pytest.raises(InvalidInput, match=next(iter(option))):
        plugins.build("sdl.designs", name, option)
