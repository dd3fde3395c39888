"""A plate: its wells, and in which order they are filled."""

import numpy as np
import pytest
from pydantic import ValidationError

from sdl.errors import InvalidInput
from sdl.space import Constraints, Knob, Plate, Space, refuse_batch, split_into_batches


def place(well):
    return ord(well[0]) - ord("A"), int(well[1:])


def test_a_plate_of_96_has_as_many_wells_each_once():
    plate = Plate()
    wells = plate.fill([False] * 96)
    assert plate.capacity == len(set(wells)) == 96
    assert {"A1", "H12"} <= set(wells)


def test_replicates_stay_inside_and_far_apart_as_long_as_there_is_room():
    plate = Plate()
    wells = plate.fill([number % 2 == 0 for number in range(90)])
    replicates = wells[::2]
    assert not any(map(plate.at_rim, replicates))
    assert any(map(plate.at_rim, wells[1::2]))  # what is learned from takes what is left
    places = np.array([place(well) for well in replicates])
    neighbours = np.abs(np.diff(places, axis=0)).max(axis=1)
    assert np.median(neighbours) >= 3


def test_a_few_samples_leave_the_rim_empty():
    plate = Plate()
    assert not any(map(plate.at_rim, plate.fill([False] * 60)))


def test_a_rim_that_is_unused_takes_nothing_and_one_that_is_alike_is_none():
    assert Plate(rim="unused").capacity == 60
    alike = Plate(rows=1, columns=24, rim="alike")
    assert alike.capacity == 24
    assert not any(map(alike.at_rim, alike.fill([True] * 24)))


def test_more_than_a_plate_takes_is_refused():
    with pytest.raises(ValueError, match="a plate of 6 wells does not take 7"):
        Plate(rows=2, columns=3).fill([False] * 7)
    with pytest.raises(ValidationError, match="less than or equal to 32"):
        Plate(rows=33)


def test_a_space_keeps_its_plate_and_one_without_says_nothing_of_it():
    plain = Space.unit("x")
    plated = Space(**{**dict(plain), "plate": Plate(rows=2, columns=2)})
    assert "plate" not in plain.model_dump(mode="json")
    assert Space.model_validate(plated.model_dump(mode="json")) == plated != plain
    assert plated.with_formulas({"z": ("y * 2", "")}).plate == plated.measured.plate == plated.plate


OVEN = Knob(name="oven", low=20, high=60, constant_within_batch=True)


def oven_space(**parts):
    channels = Space.unit("x").channels
    return Space(**{"knobs": (Knob(name="a"), OVEN), "channels": channels, "plate": Plate(rows=2, columns=2), **parts})


def test_what_differs_in_a_knob_that_is_constant_within_a_batch_goes_on_plates_of_its_own():
    settings = np.array([[0.1, 30], [0.2, 50], [0.3, 30], [0.4, 30], [0.5, 30], [0.6, 30]])
    assert split_into_batches(oven_space(), settings) == [[0, 2, 3, 4], [5], [1]]
    with pytest.raises(InvalidInput, match=r"knob 'oven' is constant within a batch, and this one has 30.0, 50.0"):
        refuse_batch(oven_space(), settings)
    refuse_batch(oven_space(), settings[2:])


def test_a_reference_is_one_wherever_a_knob_stands_that_is_constant_within_a_batch():
    assert oven_space().at_off([[0.0, 50.0], [0.1, 20.0]]).tolist() == [True, False]


def test_a_knob_is_constant_within_a_batch_only_where_there_are_batches_and_no_constraint_moves_it():
    with pytest.raises(ValidationError, match="constant_within_batch of oven goes with a plate"):
        oven_space(plate=None)
    with pytest.raises(InvalidInput, match=r"constraints.always.0: oven is constant within a batch"):
        oven_space().with_constraints(Constraints(always=("a + oven <= 40",)))
