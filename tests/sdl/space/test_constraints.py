"""What settings have to keep: how it is written, what is refused, and the nearest settings that keep it."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import minimize

from sdl.errors import InvalidInput
from sdl.space import Channel, Constraints, Knob, Space

CHANNELS = (Channel(name="y"),)
AMOUNTS = tuple(Knob(name=name) for name in "ABC")
LAB = (
    Knob(name="T", low=20, high=120),
    Knob(name="flow", low=0.01, high=10, scale="log"),
    Knob(name="solvent", values=("water", "ethanol", "toluene")),
)


def space(knobs, always=(), never=()):
    return Space(knobs=knobs, channels=CHANNELS, constraints=Constraints(always=always, never=never))


@pytest.mark.parametrize(
    ("always", "never", "words"),
    [
        ("A + D <= 1", None, "constraints.always.0: there is no knob 'D'"),
        ("A + B", None, "needs comparisons such as"),
        ("A <= ", None, "needs comparisons such as"),
        (None, "A > 1 or B > 1", "has no 'or': write what must not be as lines of 'never', one for each"),
        ("A * B = 1", None, "an equality needs sums of knobs"),
        (None, "2 > 1", "constraints.never.0: needs the name of a knob"),
        (None, "__import__('os').system('x') > 1", "formula"),
        ("A <= 1e999", None, "finite"),
    ],
)
def test_what_says_nothing_of_the_knobs_is_refused(always, never, words):
    with pytest.raises(ValidationError, match=words):
        space(AMOUNTS, (always,) if always else (), (never,) if never else ())


@pytest.mark.parametrize("text", ["solvent > water", "solvent = wather", "solvent + T > 3"])
def test_a_name_is_one_of_its_category_and_nothing_is_computed_with_it(text):
    with pytest.raises(
        ValidationError, match=r"which are = or != |did you mean 'water'|with which nothing is computed"
    ):
        space(LAB, never=(text,))


def test_what_no_settings_keep_is_refused_when_they_are_asked_for():
    with pytest.raises(InvalidInput, match="no settings were found that keep them all: A >= 2"):
        _ = space(AMOUNTS, ("A >= 2",)).off


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"T": 90, "flow": 0.1, "solvent": "ethanol"}, "is not allowed: never T >= 80 and flow <= 0.2"),
        (
            {"T": 90, "flow": 8, "solvent": "ethanol"},
            r"flow = 8\.0, solvent = ethanol is not allowed: always",
        ),
        ({"T": 96, "flow": 1, "solvent": "water"}, "never solvent = water and T > 95"),
    ],
)
def test_settings_of_a_person_are_refused_with_what_they_break(named, words):
    lab = space(LAB, ("T*flow <= 500",), ("T >= 80 and flow <= 0.2", "solvent = water and T > 95"))
    with pytest.raises(InvalidInput, match=words):
        lab.settings(named)
    assert lab.settings({"T": 90, "flow": 1, "solvent": "water"}).tolist() == [90, 1, 0]


@pytest.mark.parametrize(
    "always", [("A + B + C = 1",), ("A + B + C = 1", "A + 2*B <= 0.8"), ("0.2 <= A <= 0.4", "B - C >= 0.1 + A")]
)
def test_what_is_linear_is_kept_by_the_nearest_settings(always):
    mix, rng = space(AMOUNTS, always), np.random.default_rng(5)
    asked = rng.random((12, 3))
    found = mix.from_unit(asked)
    assert mix.contains(found).all()
    for point, row in zip(asked, found, strict=True):
        conditions = {
            "A + B + C = 1": {"type": "eq", "fun": lambda x: x.sum() - 1},
            "A + 2*B <= 0.8": {"type": "ineq", "fun": lambda x: 0.8 - x[0] - 2 * x[1]},
            "0.2 <= A <= 0.4": {"type": "ineq", "fun": lambda x: min(x[0] - 0.2, 0.4 - x[0])},
            "B - C >= 0.1 + A": {"type": "ineq", "fun": lambda x: x[1] - x[2] - 0.1 - x[0]},
        }
        best = minimize(
            lambda x, point=point: ((x - point) ** 2).sum(),
            np.array([0.25, 0.4, 0.04]),
            jac=lambda x, point=point: 2 * (x - point),
            bounds=[(0, 1)] * 3,
            constraints=[conditions[text] for text in always],
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert np.linalg.norm(row - point) <= np.linalg.norm(best.x - point) + 1e-3


def test_steps_add_up_to_the_whole_as_well():
    knobs = [Knob(name=name, resolution=step) for name, step in zip("ABC", (0.001, 0.01, 0.05), strict=True)]
    mix = space(knobs, ("A + B + C = 1",))
    found = mix.from_unit(np.random.default_rng(1).random((200, 3)))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)
    for column, step in enumerate((0.001, 0.01, 0.05)):
        np.testing.assert_allclose(found[:, column] / step, np.rint(found[:, column] / step), atol=1e-6)


def test_what_is_forbidden_is_left_by_a_short_way():
    disk = space(AMOUNTS[:2], ("(A - 0.5)**2 + (B - 0.5)**2 <= 0.09",))
    asked = np.random.default_rng(2).random((300, 2))
    found, off = disk.from_unit(asked), asked - 0.5
    length = np.linalg.norm(off, axis=1)
    shortest = np.maximum(length - 0.3, 0)
    assert (np.linalg.norm(found - asked, axis=1) <= shortest + 0.02).all()
    np.testing.assert_array_equal(found[length < 0.3], asked[length < 0.3])


def test_points_all_over_the_box_become_points_all_over_what_is_allowed():
    mix = space([Knob(name=name) for name in "ABCDEF"], ("A + B + C + D + E + F = 1",))
    points = mix.spread(np.random.default_rng(3).random((500, 6)))
    assert mix.contains(mix.from_unit(points)).all()
    np.testing.assert_allclose(points.mean(axis=0), 1 / 6, atol=0.03)
    assert np.unique(points.round(6), axis=0).shape[0] == 500
    assert (points < 1e-9).mean() < 0.05, "nor are they heaped where an amount is 0"


def test_a_reference_is_taken_at_allowed_settings_next_to_off():
    np.testing.assert_allclose(space(AMOUNTS, ("A + B + C = 1",)).off, 1 / 3)


def test_constraints_of_a_campaign_come_on_top_of_those_of_the_instrument():
    both = space(AMOUNTS, ("A + B + C = 1",)).with_constraints(Constraints(always=("A <= 0.1",)))
    assert both.constraints.always == ("A + B + C = 1", "A <= 0.1")
    assert not both.contains([0.5, 0.25, 0.25])
    with pytest.raises(InvalidInput, match=r"constraints\.always\.0: there is no knob 'Q'"):
        both.with_constraints(Constraints(always=("Q <= 1",)))
