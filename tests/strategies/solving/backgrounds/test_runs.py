"""Which rows were measured together, and that rows of several days are said to have been pooled."""

import numpy as np
import pytest

from strategies.solving.backgrounds.runs import find_runs, say_pooled

NIGHT = 1.7e9


def test_a_pause_ends_a_run_whatever_the_order_of_the_rows():
    times = NIGHT + np.array([0.0, 4, 8, 5000, 5004, 90_000])
    shuffled = [5, 1, 3, 0, 4, 2]
    runs = find_runs(times[shuffled], [])
    assert runs.tolist() == [0, 1, 2, 1, 2, 1]


def test_a_slow_instrument_has_longer_pauses():
    """One row in twenty minutes: that is its pace and no pause, and a night is."""
    times = np.concatenate((np.arange(20) * 1200.0, 86_400 + np.arange(20) * 1200.0))
    assert find_runs(times, []).tolist() == [0] * 20 + [1] * 20


def test_another_source_is_another_run():
    assert find_runs(np.full(4, np.nan), ["a", "b", "a", ""]).tolist() == [0, 1, 0, 2]
    assert find_runs(np.full(3, np.nan), []).tolist() == [0, 0, 0]


def test_what_goes_on_for_hours_is_in_several_lights():
    runs = find_runs(np.arange(0, 4 * 3600, 30.0), [])
    assert runs.max() == 3
    assert np.bincount(runs).tolist() == [120] * 4


@pytest.mark.parametrize(
    ("times", "sources", "said"),
    [
        ([0.0, 100], [], None),
        ([np.nan, np.nan], ["a", "a"], None),
        ([NIGHT, NIGHT + 7_200], [], None),  # past midnight
        ([NIGHT, NIGHT + 86_400], [], "rows of 2 days (2023-11-14 to 2023-11-15) were taken together"),
        ([np.nan, np.nan], ["a", "b"], "rows of 2 sources were taken together"),
        ([-1e300, 1e300], [], "rows of 2 days (day "),
    ],
)
def test_rows_of_several_days_or_sources_are_said_to_be_pooled(times, sources, said):
    result = say_pooled(np.array(times), sources)
    assert bool(result) == (said is not None)
    assert all(each.startswith(said) for each in result)
