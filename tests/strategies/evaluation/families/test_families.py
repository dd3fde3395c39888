"""What the name of a family says is true of its instruments, and its targets can be reached as it claims."""

import numpy as np
import pytest
from scipy.optimize import minimize

from sdl.campaign.validation import target_faults
from sdl.space import Interval
from strategies.evaluation.families.drawing import draw, family_names

OURS = [name for name in family_names() if ":" not in name]
LABORATORIES = [name for name in family_names() if name.startswith("laboratory:")]
NAMES = [*OURS, *LABORATORIES[-1:]]
"""One of the laboratories, where there are any."""
SEEDS = range(8)
EXTREMES = [name for name in OURS if name.startswith("largest")]
"""Where as much as possible is wanted, and no reading in particular."""
SIDES = ["at-least", "at-most", "between"]
"""Where one of many readings is."""
each_family = pytest.mark.parametrize("name", NAMES)
each_of_readings = pytest.mark.parametrize("name", [name for name in NAMES if name not in (*EXTREMES, *SIDES)])


def cases(name, seeds=SEEDS):
    return [draw(name, seed) for seed in seeds]


def columns(case, goal):
    return case.instrument.space.columns(goal.target.readings)


def errors(case, goal, settings):
    """Of readings at settings ``(n, d)``, in tolerances, ``(n, c)``."""
    readings = np.array(list(goal.target.readings.values()))
    allowed = np.array([goal.target.interval(name).above for name in goal.target.readings])
    return (case.instrument.truth(settings)[:, columns(case, goal)] - readings) / allowed


def misses(case, goal, settings):
    """Error of the worst channel at settings ``(n, d)``, in tolerances, ``(n,)``."""
    return np.abs(errors(case, goal, settings)).max(axis=1)


def readings_of(case, settings, n):
    named, space = case.instrument.space.named_settings(settings), case.instrument.space
    return np.array([space.readings(case.instrument.measure(named).readings) for _ in range(n)])


# ---------------------------------------------------------------------- all of them


@each_of_readings
def test_settings_that_are_said_to_come_nearest_miss_by_what_is_said(name):
    for case in cases(name):
        for goal in case.goals:
            assert case.instrument.space.contains(goal.nearest)
            assert misses(case, goal, goal.nearest[None])[0] == pytest.approx(goal.miss, abs=1e-6)
            assert goal.reachable == (goal.miss <= 1)


@pytest.mark.parametrize("name", EXTREMES)
def test_no_settings_give_more_than_those_that_are_said_to_give_most(name):
    for case in cases(name):
        (goal,), space = case.goals, case.instrument.space
        everywhere = space.from_unit(np.random.default_rng(1).random((4000, space.d)))
        readings = case.instrument.truth(np.vstack((goal.nearest, everywhere)))[:, columns(case, goal)]
        highest = [goal.target.interval(channel).high * (1 + 1e-9) for channel in goal.target.readings]
        kept = (readings <= highest).all(axis=1)  # what is wanted as large as possible has no highest reading
        assert kept[0]
        assert readings[kept, 0].max() <= readings[0, 0] + 0.01 * np.ptp(readings[:, 0])
        assert goal.bounds["c1"].low == pytest.approx(readings[0, 0] - goal.target.interval("c1").below)


@pytest.mark.skipif(not LABORATORIES, reason="the tables of laboratories are not here")
@pytest.mark.parametrize("table", ["suzuki", "colors_n9"])
def test_no_settings_of_a_laboratory_give_more_or_less_than_those_that_are_said_to(table):
    case = draw(f"laboratory-extreme:{table}", 0)
    (goal,), space = case.goals, case.instrument.space
    ((channel, bound),) = goal.bounds.items()
    everywhere = space.from_unit(np.random.default_rng(1).random((4000, space.d)))
    readings = case.instrument.truth(np.vstack((goal.nearest, everywhere)))[:, 0]
    upwards = -1 if table == "colors_n9" else 1
    assert goal.target.readings[channel].startswith("minimum" if upwards < 0 else "maximum")
    assert (upwards * readings).max() <= upwards * readings[0] + 0.01 * np.ptp(readings)
    kept = [bound.holds(reading) for reading in readings.tolist()]
    assert kept[0]
    assert np.mean(kept) < 0.5


@pytest.mark.parametrize("name", SIDES)
def test_a_side_is_met_by_some_settings_and_by_few(name):
    shares = []
    for case in cases(name):
        (goal,), space = case.goals, case.instrument.space
        everywhere = space.from_unit(np.random.default_rng(1).random((2000, space.d)))
        readings = case.instrument.truth(np.vstack((goal.nearest, everywhere)))[:, columns(case, goal)]
        intervals = [goal.target.interval(channel) for channel in goal.target.readings]
        held = [all(map(Interval.holds, intervals, row)) for row in readings.tolist()]
        assert held[0]
        assert np.isnan(space.noise).all()
        shares.append(np.mean(held))
    assert 0 < np.median(shares) < 0.25


@each_family
def test_a_target_is_one_that_the_sensor_could_read_and_a_campaign_takes(name):
    for case in cases(name):
        assert not [fault for goal in case.goals for fault in target_faults(case.instrument.space, goal.target)]
        assert len(case.campaign(name, 0).targets) == len(case.goals)


@each_of_readings
def test_a_tolerance_is_one_to_three_standard_deviations_of_a_reading(name):
    if name.startswith("laboratory:"):
        pytest.skip("its tolerance is a share of the span")
    least, most = (1 / 0.9, 1 / 0.3) if name.startswith("edge") else (1.0, 3.0)
    for case in cases(name):
        for goal in case.goals:
            noise = case.instrument.noise_at(goal.nearest[None])[0, columns(case, goal)]
            ratio = np.array([goal.target.interval(channel).above for channel in goal.target.readings]) / noise
            assert (ratio > least - 1e-9).all()
            assert (ratio < most + 1e-9).all()


@each_family
def test_truth_is_the_mean_of_many_readings(name):
    case = draw(name, 0)
    goal, space = case.goals[0], case.instrument.space
    readings, truths = [], []
    for _ in range(2000):
        readings.append(space.readings(case.instrument.measure(space.named_settings(goal.nearest)).readings))
        truths.append(case.instrument.truth(goal.nearest[None])[0])
    noise = case.instrument.noise_at(goal.nearest[None])[0]
    off = np.mean(np.array(readings) - truths, axis=0)[columns(case, goal)] / noise[columns(case, goal)]
    # Of errors that keep 0.9 of themselves nineteen count as one.
    assert np.abs(off).max() < 4.5 / np.sqrt(2000 / (19 if "correlated" in name else 1))


def test_families_span_one_to_eight_knobs_and_one_to_twelve_channels():
    sizes = np.array([(case.instrument.space.d, case.instrument.space.p) for case in cases("linear", range(60))])
    assert sizes.min(axis=0).tolist() == [1, 1]
    assert sizes.max(axis=0).tolist() == [8, 12]


# ---------------------------------------------------------------------- reach


@pytest.mark.parametrize("name", ["edge-1.02", "edge-1.1", "edge-noise-unknown", "far-out", "discrete-grid"])
def test_no_settings_come_nearer_than_those_that_are_said_to(name):
    for case in cases(name):
        (goal,) = case.goals
        space, unit = case.instrument.space, np.random.default_rng(0).random((4000, case.instrument.space.d))
        found = misses(case, goal, space.from_unit(unit)).min()
        if name != "discrete-grid":
            start = space.to_unit(goal.nearest)

            def worst(u, case=case, goal=goal, space=space):
                return misses(case, goal, space.from_unit(u[None]))[0]

            found = min(found, minimize(worst, start, method="Nelder-Mead", bounds=[(0, 1)] * space.d).fun)
        assert found >= min(goal.miss, 1.3 if goal.miss > 1 else 0) - 1e-6


def test_edges_miss_by_two_and_by_ten_percent_of_the_tolerance():
    assert {case.goals[0].miss for case in cases("edge-1.02")} == {1.02}
    assert {case.goals[0].miss for case in cases("edge-1.1")} == {1.1}
    for name in ("edge-noise-stated-too-small", "edge-noise-unknown", "edge-noise-correlated"):
        assert all(1.02 <= case.goals[0].miss <= 1.1 for case in cases(name))
    assert min(case.goals[0].miss for case in cases("far-out")) > 5
    assert {len(case.goals[0].target.readings) for case in cases("edge-1.02", range(20))} == {1, 2, 3, 4}


def test_of_the_grids_a_quarter_is_out_of_reach_and_none_states_its_noise():
    drawn = cases("discrete-grid", range(80))
    assert np.mean([not case.goals[0].reachable for case in drawn]) == pytest.approx(0.25, abs=0.12)
    for case in drawn:
        points = [round((knob.high - knob.low) / knob.resolution) + 1 for knob in case.instrument.space.knobs]
        assert points == [11, 7]
        assert np.isnan(case.instrument.space.noise).all()


def test_several_targets_are_three_to_five_and_some_are_far_out():
    drawn = cases("several-targets", range(40))
    assert {len(case.goals) for case in drawn} == {3, 4, 5}
    assert 0.08 < np.mean([not goal.reachable for case in drawn for goal in case.goals]) < 0.35


def test_a_low_ceiling_is_two_thirds_of_full_drive_and_targets_lie_below_it():
    for case in cases("low-ceiling"):
        space = case.instrument.space
        assert case.instrument.truth(space.high[None])[0] == pytest.approx(1.5 * space.ceiling)
        target = np.array(list(case.goals[0].target.readings.values())) / space.ceiling[:3]
        assert (target >= 0.3 - 1e-9).all()
        assert (target <= 0.9 + 1e-9).all()


def test_floor_and_ceiling_cut_off_a_part_of_what_the_knobs_give():
    for case in cases("floor-and-ceiling"):
        space = case.instrument.space
        ends = case.instrument.truth(np.array([space.low, space.high]))
        assert (ends[0] < 0).all()
        assert (ends[1] > space.ceiling).all()


# ---------------------------------------------------------------------- shapes


def slopes(case):
    """Of the readings over the range of each knob, ``(d, p)``, in shares of the largest."""
    space = case.instrument.space
    lit = case.instrument.truth(space.from_unit(0.4 + 0.2 * np.eye(space.d)))
    change = lit - case.instrument.truth(space.from_unit(np.full((1, space.d), 0.4)))
    return change / np.abs(change).max(axis=0)


def bend(case):
    """By how much a diagonal is off a straight line in its middle, in shares of the span, ``(p,)``."""
    space = case.instrument.space
    low, middle, high = case.instrument.truth(space.from_unit(np.repeat([[0.0], [0.5], [1.0]], space.d, axis=1)))
    return np.abs(middle - (low + high) / 2) / np.abs(high - low)


@pytest.mark.parametrize("name", ["linear", "cross-talk", "collinear", "dead-knobs", "low-ceiling", "gain-drift"])
def test_what_is_linear_has_no_bend(name):
    assert max(bend(case).max() for case in cases(name)) < 1e-9


@pytest.mark.parametrize("name", ["curved", "bent-six-knobs", "saturating", "products", "synthesis", "threshold"])
def test_what_is_curved_is_bent_in_most_cases(name):
    assert np.median([bend(case).max() for case in cases(name)]) > 0.02


def test_two_knobs_of_a_collinear_instrument_do_nearly_the_same():
    for case in cases("collinear"):
        change = slopes(case)[:2]
        cosine = change[0] @ change[1] / np.linalg.norm(change[0]) / np.linalg.norm(change[1])
        assert cosine > 0.98


def test_a_dead_knob_moves_nothing_and_some_knob_moves_each_channel():
    for case in cases("dead-knobs"):
        moved = np.abs(slopes(case)) > 1e-9
        assert 1 <= (~moved.any(axis=1)).sum() <= 2
        assert moved.any(axis=0).all()


def test_cross_talk_is_that_of_every_knob_in_every_channel():
    assert np.median([np.sort(slopes(case), axis=0)[:-1].max() for case in cases("cross-talk")]) > 0.4


def test_steps_are_stated_or_silent_as_the_name_says():
    assert all(knob.resolution for case in cases("stepped-knobs") for knob in case.instrument.space.knobs)
    for case in cases("silent-8-bit-knobs"):
        space = case.instrument.space
        assert not any(knob.resolution for knob in space.knobs)
        near = space.from_unit(np.array([[100.0 / 255], [100.3 / 255]]) * np.ones(space.d))
        assert np.ptp(case.instrument.truth(near), axis=0).max() == 0


def test_a_sensor_of_8_bits_tells_few_values():
    for case in cases("sensor-of-8-bits"):
        assert len(np.unique(readings_of(case, case.goals[0].nearest, 300)[:, 0])) < 20


def test_units_are_of_any_size():
    sizes = [abs(next(iter(case.goals[0].target.readings.values()))) for case in cases("extreme-units", range(40))]
    assert min(sizes) < 1e-10
    assert max(sizes) > 1e10


# ---------------------------------------------------------------------- noise


def standard_deviations(case, settings, n=400):
    return readings_of(case, settings, n).std(axis=0)


def stated_shares(name):
    return np.concatenate(
        [case.instrument.space.noise / standard_deviations(case, case.goals[0].nearest) for case in cases(name)]
    )


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("linear", 0.85, 1.2),
        ("dark-noise", 0.85, 1.2),
        ("noise-stated-too-small", 0.2, 0.8),
        ("noise-stated-too-large", 1.3, 4.6),
        ("edge-noise-stated-too-small", 0.2, 0.8),
        ("noise-correlated", 0.6, 2.0),
        ("noise-growing", 0.4, 3.0),
    ],
)
def test_noise_is_stated_as_the_name_says(name, least, most):
    assert stated_shares(name).min() > least
    assert stated_shares(name).max() < most


@pytest.mark.parametrize(
    "name", ["noise-unknown", "dark-noise-unknown", "edge-noise-unknown", "synthesis", "discrete-grid"]
)
def test_noise_that_is_unknown_is_not_stated(name):
    assert all(np.isnan(case.instrument.space.noise).all() for case in cases(name))


@pytest.mark.parametrize(("name", "share"), [("dark-noise", 1.0), ("photometer", 1.0), ("linear", 0.0)])
def test_noise_in_the_dark_is_there_or_not(name, share):
    for case in cases(name, range(3)):
        lit, dark = (standard_deviations(case, at) for at in (case.goals[0].nearest, case.instrument.space.off))
        assert dark / lit == pytest.approx(np.full(len(lit), share), abs=0.2)


def test_noise_grows_at_least_twofold_over_the_range():
    for case in cases("noise-growing"):
        space = case.instrument.space
        least, most = case.instrument.noise_at(space.from_unit(np.array([[0.001], [1.0]]) * np.ones(space.d)))
        assert (most / least > 1.9).all()
        assert (most / least < 8.1).all()


def test_only_what_has_a_background_says_where_it_is_off():
    assert all(
        knob.off is None for name in ("synthesis",) for case in cases(name) for knob in case.instrument.space.knobs
    )
    assert all(knob.off == knob.low for case in cases("linear") for knob in case.instrument.space.knobs)


# ---------------------------------------------------------------------- conditions


def levels(case, n):
    """Background after each of ``n`` requests, in tolerances of the first channel, ``(n,)``."""
    (goal,) = case.goals
    allowed, space, found = goal.target.interval("c1").above, case.instrument.space, []
    for _ in range(n):
        case.instrument.measure(space.named_settings(space.off))
        found.append(case.instrument.truth(space.off[None])[0, 0] / allowed)
    return np.array(found)


def test_a_steady_background_stays_as_it_is_and_others_do_not():
    assert all(np.ptp(levels(case, 50)) == 0 for case in cases("background-steady"))
    slow, fast = ([levels(case, 300) for case in cases(name)] for name in ("background-slow", "background-fast"))
    steps = [np.median([np.abs(np.diff(each)).mean() / each.std() for each in some]) for some in (slow, fast)]
    assert steps[0] < steps[1]


def test_a_lamp_is_switched_every_12_requests_by_some_tolerances():
    for case in cases("background-switched"):
        change = np.flatnonzero(np.abs(np.diff(levels(case, 60))) > 1e-9) + 1
        assert change.tolist() == [12, 24, 36, 48]


def test_gain_falls_by_20_percent_in_100_requests():
    for case in cases("gain-drift"):
        space, settings = case.instrument.space, case.goals[0].nearest

        def lit(case=case, space=space, settings=settings):
            ends = case.instrument.truth(np.array([settings, space.off]))
            return ends[0] - ends[1]

        readings_of(case, settings, 1)
        first = lit()
        readings_of(case, settings, 100)
        assert lit() == pytest.approx(0.8 * first)


@pytest.mark.parametrize("name", ["background-slow", "background-fast", "background-switched", "gain-drift"])
def test_a_target_stays_within_reach_whatever_the_conditions_become(name):
    for case in cases(name):
        (goal,), space = case.goals, case.instrument.space
        reached = []
        for place in range(101):
            case.instrument.measure(space.named_settings(space.off))
            if place % 20 == 0:
                start = space.to_unit(goal.nearest)

                def squares(u, case=case, goal=goal, space=space):
                    return float((errors(case, goal, space.from_unit(u[None]))[0] ** 2).sum())

                best = minimize(squares, start, bounds=[(0, 1)] * space.d, method="L-BFGS-B", options={"ftol": 1e-14}).x
                reached.append(misses(case, goal, space.from_unit(best[None]))[0])
        assert max(reached) < 0.5


def test_a_photometer_has_six_targets_and_four_knobs():
    for case in cases("photometer"):
        assert (len(case.goals), case.instrument.space.d) == (6, 4)
