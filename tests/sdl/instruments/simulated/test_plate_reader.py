"""A simulated reader of plates: its truth, its wells, and what goes wrong with them."""

import numpy as np
import pytest

from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument, KnowsTruth, MeasuresMany
from sdl.instruments.simulated.plate_reader import PlateReader
from sdl.space import Plate

SETTINGS = {"yellow": 20.0, "red": 10.0, "blue": 5.0}


def answers(reader, wells):
    return {well: np.array(list(reply.readings.values())) for well, reply in reader.measure_many(wells)}


def everywhere(plate):
    return dict.fromkeys(plate.fill([False] * plate.capacity), SETTINGS)


def test_it_is_an_instrument_of_plates():
    reader = PlateReader()
    assert isinstance(reader, Instrument)
    assert isinstance(reader, MeasuresMany)
    assert isinstance(reader, KnowsTruth)
    assert reader.space.plate == Plate()
    assert PlateReader(plate=None).space.plate is None


def test_absorbance_grows_with_each_dye_and_less_where_stray_light_counts():
    reader = PlateReader(1)
    low, middle, high = reader.truth(np.array([[0.0] * 3, [30.0] * 3, [60.0] * 3]))
    assert np.allclose(low, 0.0)
    assert (middle > 0.5).all()
    assert (high < 2 * middle).all()


def test_noise_is_a_share_of_the_reading():
    read = np.array(list(answers(PlateReader(2), everywhere(Plate())).values()))
    truth = PlateReader(2).truth(np.array([list(SETTINGS.values())]))[0]
    assert np.allclose(read.mean(axis=0), truth, rtol=0.02)
    assert np.allclose(read.std(axis=0) / truth, 0.02, rtol=0.35)


def test_wells_at_the_rim_read_more_and_some_bring_nothing():
    plate = Plate()
    read = answers(PlateReader(3, rim=0.2, missing=0.25), everywhere(plate))
    assert 50 < len(read) < 90
    inside, rim = ([row for well, row in read.items() if plate.outermost(well) is at] for at in (False, True))
    assert np.allclose(np.mean(rim, axis=0) / np.mean(inside, axis=0), 1.2, atol=0.03)


def test_plates_differ_where_they_are_said_to():
    reader = PlateReader(4, between=0.2, noise=0.0)
    first, second = (answers(reader, {"B2": SETTINGS})["B2"] for _ in range(2))
    assert np.abs(first - second).max() > 0.02


@pytest.mark.parametrize("option", ["noise", "rim", "between", "missing"])
def test_shares_that_are_none_are_refused(option):
    with pytest.raises(InvalidInput, match=f"{option}: needs a number from 0 on and below 1"):
        PlateReader(**{option: 1.5})
