"""A recorded run played again: at its own settings it reads what was read, elsewhere as its light would have it."""

import json

import numpy as np
import pytest

from sdl.errors import InvalidInput
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.claude_light.run_twin import RecordedRun
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.protocol import Instrument

N = 20


def measured(twin, settings, start):
    """Rows of a file, a second apart."""
    result = [(row.tolist(), twin.measure(SPACE.named_settings(row)).readings) for row in settings]
    return [{"in": asked, "out": out, "time": start + i} for i, (asked, out) in enumerate(result)]


@pytest.fixture
def rows():
    """Two runs, the brighter one first, and a short one."""
    settings = np.random.default_rng(0).uniform(size=(N, 3)) * 0.4
    bright, dark = Twin(seed=1, daylight=700.0), Twin(seed=2)
    return measured(bright, settings, 0) + measured(dark, settings, 1000) + measured(dark, settings[:5], 2000)


@pytest.fixture
def played(rows, tmp_path):
    def made(seed=0):
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(map(json.dumps, rows[::-1])))
        return RecordedRun(path, seed)

    return made


def readings_of(run, rows):
    return [dict(run.measure(SPACE.named_settings(np.array(row["in"]))).readings) for row in rows]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_its_own_settings_it_reads_what_was_read_forwards_and_backwards(played, rows, seed):
    run, own = played(seed), rows[N * (seed % 2) :][:N]
    assert isinstance(run, Instrument)
    there_and_back = own + own[-2:0:-1]
    assert readings_of(run, there_and_back + own[:3]) == [row["out"] for row in there_and_back + own[:3]]


def usual(run, settings):
    """Mean of what it reads there, all of the run."""
    return np.mean(
        [list(run.measure(SPACE.named_settings(settings)).readings.values()) for _ in range(2 * N - 2)], axis=0
    )


def test_the_light_of_its_room_is_added_to_the_lamp(played):
    lamp = Twin(noise=0.0, session_gain=False).truth
    at = np.array([[0.1, 0.1, 0.1], [0.3, 0.2, 0.1]])
    light = np.array([usual(played(0), row) - lamp(row) for row in at])
    assert (light[:, 3] > 100).all()
    np.testing.assert_allclose(light[0], light[1], atol=1)
    assert np.abs(usual(played(1), at[0]) - lamp(at[0]))[:8].max() < 60  # at night


def test_a_reading_at_its_ceiling_tells_nothing_of_the_light(played, rows):
    before = usual(played(0), np.full(3, 0.1))
    rows[3]["out"]["clear"] = 65535
    assert abs(usual(played(0), np.full(3, 0.1)) - before)[8] < 500
    assert readings_of(played(0), rows[:4])[3]["clear"] < 65535


def test_no_reading_leaves_what_the_sensor_can_tell(played):
    read = [played(0).measure({"R": 1.0, "G": 1.0, "B": 1.0}).readings["clear"] for _ in range(3)]
    assert read == [65535] * 3


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda row: row.pop("time"), "every row needs 'in' with 3 numbers, 'out' with 415nm, .* and 'time'"),
        (lambda row: row["out"].pop("nir"), "KeyError.*nir"),
        (lambda row: row.update({"in": [1, 2]}), "every row needs"),
        (lambda row: row.update(time="noon"), "noon"),
    ],
)
def test_rows_that_lack_something_are_refused(played, rows, spoil, fault):
    spoil(rows[7])
    with pytest.raises(InvalidInput, match=fault):
        played()


def test_without_a_run_that_is_long_enough_there_is_nothing_to_play(played, rows, tmp_path):
    del rows[: 2 * N]
    with pytest.raises(InvalidInput, match="no run of 15 rows without a pause of 300 s, in 5 rows"):
        played()
    with pytest.raises(InvalidInput, match=r"not part of the project, and .*nothing\.jsonl' is not there"):
        RecordedRun(tmp_path / "nothing.jsonl")
