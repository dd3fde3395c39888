"""In a gap of the rows every model's intervals hold what is there, elsewhere they stay, and whoever asks is warned.

``SDL_GAPS=6`` measures so many seeds of every problem, and ``-s`` shows the figures.
"""

import os
from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from flows.studies.solve import solve
from sdl import plugins
from strategies.solving.gaps import Gaps, WidenedModel
from strategies.solving.model_answer import GROUP, choose_models, collect_warnings
from strategies.solving.row_posterior import RowPosterior

MEASURED = int(os.environ.get("SDL_GAPS", "0"))
SEEDS = range(300, 300 + MEASURED) if MEASURED else [100]
TRUTHS, DRAWS, NOISE = 20, 300, 0.005


def hill(x):
    return x**2 / (0.3**2 + x**2)


def bent(x):
    return np.column_stack((x[:, 0] * (1 + x[:, 1]), x[:, 1] - 0.4 * x[:, 0] ** 2))


def mirrored(x):
    return np.column_stack(((2 * x[:, 0] - 1) ** 2, x[:, 1] + 0.2 * x[:, 0]))


def saturating(x):
    light = x @ np.array([[1.0, 0.2, 0.0], [0.1, 1.0, 0.3], [0.0, 0.2, 1.0]])
    return light - 0.15 * light**2


PROBLEMS = {
    "hill": (hill, 1, 30, (0, 0.3, 0.6)),
    "bent": (bent, 2, 70, (0, 0.35, 0.65)),
    "mirrored": (mirrored, 2, 80, (0, 0.65, 0.9)),
    "saturating": (saturating, 3, 120, (1, 0.3, 0.6)),
}
"""A response, its knobs, rows, and the knob that has a gap, with where it is; none was looked at in tuning."""


def read(respond, settings, rng):
    exact = respond(settings)
    return exact + NOISE * np.ptp(respond(rng.random((1000, settings.shape[1]))), axis=0) * rng.standard_normal(
        exact.shape
    )


def rows(name, seed):
    """Settings and readings of rows outside the gap, of fresh rows like them, and of truths within the gap."""
    respond, d, n, (knob, low, high) = PROBLEMS[name]
    rng = np.random.default_rng(seed)
    settings = rng.random((4 * n, d))
    outside = settings[(settings[:, knob] < low) | (settings[:, knob] > high)]
    within = rng.random((TRUTHS, d))
    within[:, knob] = rng.uniform(low, high, TRUTHS)
    return [(part, read(respond, part, rng)) for part in (outside[:n], outside[n : n + TRUTHS], within)]


@cache
def fitted(name, seed, model):
    (settings, readings), fresh, within = rows(name, seed)
    return plugins.build(GROUP, model).fit(readings, settings), gaps(name, seed), fresh, within


@cache
def gaps(name, seed):
    settings, readings = rows(name, seed)[0]
    return Gaps.of(settings, RowPosterior.of(readings, settings))


def held(draws, truth):
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return (low <= truth) & (truth <= high)


def shares(model, settings, readings):
    """Of truths that lie in the 90 % intervals of a model: forward, and inverse."""
    rng = np.random.default_rng(0)
    forward = held(model.simulate(settings, DRAWS, rng), readings).mean()
    inverse = [held(model.sample(target, DRAWS, rng), truth) for target, truth in zip(readings, settings, strict=True)]
    return forward, np.mean(inverse)


MODELS = choose_models((), 60)


@pytest.mark.parametrize("model", MODELS)
def test_truths_in_a_gap_lie_in_the_intervals_of_every_model(model):
    worst = []
    for name in PROBLEMS if MEASURED else ("bent", "mirrored"):
        found = defaultdict(list)
        for seed in SEEDS:
            plain, where, fresh, within = fitted(name, seed, model)
            widened = WidenedModel(plain, where)
            found["gap"].append(shares(widened, *within))
            if MEASURED:
                found["gap before"].append(shares(plain, *within))
                found["rows"].append(shares(widened, *fresh))
                found["rows before"].append(shares(plain, *fresh))
                found["warned"].append(
                    [(where.domain.remoteness(settings) > 1).mean() for settings in (within[0], fresh[0])]
                )
        print(name, model, {part: np.mean(each, axis=0).round(3).tolist() for part, each in found.items()})
        worst.append(min(np.mean(found["gap"], axis=0)))
    assert min(worst) >= (0.8 if MEASURED else 0.85)  # of 9 models on 4 problems some are unlucky


def test_rows_away_from_gaps_are_held_as_before():
    """By every model together: one of them on twenty rows says little."""
    before, after = [], []
    for model in ("mixture", "pls", "gaussian-process"):
        for name in ("bent", "mirrored"):
            plain, where, fresh, _ = fitted(name, 100, model)
            before.append(shares(plain, *fresh))
            after.append(shares(WidenedModel(plain, where), *fresh))
    assert np.abs(np.mean(after, axis=0) - np.mean(before, axis=0)).max() <= 0.05
    assert (np.mean(after, axis=0) >= 0.85).all()


def test_where_the_rows_are_dense_a_model_is_left_as_it_is():
    rng = np.random.default_rng(0)
    settings = rng.random((200, 1))
    readings = read(hill, settings, rng)
    model = plugins.build(GROUP, "mixture").fit(readings, settings)
    widened = WidenedModel(model, Gaps.of(settings, RowPosterior.of(readings, settings)))
    near = settings[:20] + 1e-4
    both = [each.simulate(near, 50, np.random.default_rng(1)) for each in (model, widened)]
    assert np.array_equal(*both)
    both = [each.sample(readings[0], 200, np.random.default_rng(1)) for each in (model, widened)]
    assert (both[0] != both[1]).any(axis=1).mean() <= 0.05


def test_a_target_that_nothing_in_the_box_reads_leaves_the_draws_as_they_are():
    settings, readings = rows("bent", 100)[0]
    where = gaps("bent", 100)
    model = plugins.build(GROUP, "linear").fit(readings, settings)
    beyond = readings.max(axis=0) + 2 * np.ptp(readings, axis=0)
    both = [each.sample(beyond, 100, np.random.default_rng(1)) for each in (model, WidenedModel(model, where))]
    assert np.array_equal(*both)


@pytest.mark.parametrize("name", ["bent", "mirrored"])
def test_an_answer_in_a_gap_is_warned_of(name, tmp_path):
    (settings, readings), _, (truths, wanted) = rows(name, 100)
    knobs, channels = [f"in.k{k}" for k in range(settings.shape[1])], [f"c{c}" for c in range(readings.shape[1])]
    head = ",".join([*knobs, *(f"out.{channel}" for channel in channels)])
    np.savetxt(tmp_path / "a.csv", np.hstack((settings, readings)), delimiter=",", header=head, comments="")
    knob, low, high = PROBLEMS[name][3]
    middle = np.abs(truths[:, knob] - (low + high) / 2).argmin()
    targets = [f"{channel}={value:.6g}" for channel, value in zip(channels, wanted[middle].tolist(), strict=True)]
    found = solve(tmp_path / "a.csv", targets, knobs=[f"k{k}=0:1" for k in range(settings.shape[1])])
    near = [
        offer["remote"]
        for row in found["models"]
        for offer in row["candidates"]
        if abs(offer["settings"][f"k{knob}"] - truths[middle, knob]) < 0.05
    ]
    assert len(near) >= len(found["models"]) / 2
    assert min(near) > 1
    if name == "bent":  # where another branch was measured, its offer comes first and nothing is wrong with it
        warned = " ".join(each["text"] for each in collect_warnings(found["models"]))
        for row in found["models"]:
            assert row["model"] in warned.partition("SETTINGS IN A GAP")[2]
