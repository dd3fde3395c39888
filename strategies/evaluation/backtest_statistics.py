"""From the runs of a back-test to how the strategies stand on a problem, with intervals over seeds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap

from strategies.evaluation.backtest import OURS, BacktestRun

RESAMPLES = 2000
CONFIDENCE = 0.95

Array = NDArray[np.float64]
Figure = dict[str, float | None]
"""A figure with its interval: ``value``, ``low`` and ``high``; None where there is none."""


def sum_up_strategy(
    strategy: str, by_seed: Mapping[int, BacktestRun], length: int, ours: Mapping[int, BacktestRun] | None = None
) -> dict[str, Any]:
    """How a strategy did on a problem, as plain data.

    Args:
        strategy: Its name.
        by_seed: Its runs; those that crashed left out.
        length: Requests over which the learning curve goes.
        ours: Those of our own loop, to be compared with seed by seed; None for that loop itself, or without it.
    """
    runs = list(by_seed.values())
    judged, known = sum(each.judged for each in runs), [each.true for each in runs if each.true is not None]
    return {
        "strategy": strategy,
        "runs": len(runs),
        "verified": share_interval(sum(each.verified for each in runs), len(runs)),
        "false": share_interval(sum(each.false for each in runs), judged),
        "falsely verified": share_interval(len(known) - sum(known), len(known)),
        "median": bootstrap_interval([each.requests for each in runs], np.median),
        "p95": bootstrap_interval([each.requests for each in runs], _p95),
        "more": bootstrap_interval(paired_differences(by_seed, ours or {}), np.mean),
        "exams": float(np.mean([each.exams for each in runs])) if runs else None,
        "learned": float(np.mean([each.learned for each in runs])) if runs else None,
        "curve": summarise_curves([each.curve for each in runs], length),
    }


def paired_differences(one: Mapping[int, BacktestRun], other: Mapping[int, BacktestRun]) -> list[float]:
    """By how many requests one strategy needed more than another on the seeds that both ran."""
    return [float(one[seed].requests - other[seed].requests) for seed in sorted(one.keys() & other.keys())]


def rank_standings(standings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, the fewest requests in the median first; of equals, the larger share VERIFIED."""
    answered = [each for each in standings if each["runs"]]
    return sorted(answered, key=lambda each: (each["median"]["value"], -each["verified"]["value"]))


def say_ranking(order: Sequence[Mapping[str, Any]], budget: int) -> list[str]:
    """What a ranking says, whoever wins; it names where intervals overlap.

    Args:
        order: As ``rank_standings`` has it, at least one.
        budget: Requests that a run counts for that was never VERIFIED.
    """
    return [*_ranked(order, budget), *_never_asked(order)]


def _never_asked(order: Sequence[Mapping[str, Any]]) -> list[str]:
    """That acquisitions are not compared which chose no reading in any run."""
    idle = [row for row in order if str(row["strategy"]).startswith(f"{OURS}:") and not row["learned"]]
    if not idle:
        return []
    return [f"{_listed(idle)}: the acquisition chose no reading in any run, so nothing is said of how good it is."]


def _ranked(order: Sequence[Mapping[str, Any]], budget: int) -> list[str]:
    first, *rest = order
    if first["median"]["value"] >= budget:
        return [f"No strategy is VERIFIED within {budget} requests in the median."]
    said = [f"{_named(first)} needs the fewest requests: {_in_words(first['median'])} in the median."]
    level = [each for each in rest if intervals_overlap(first["median"], each["median"])]
    if level:
        said.append(f"Its interval overlaps with that of {_listed(level)}: with these seeds they cannot be told apart.")
    if behind := [each for each in rest if each not in level]:
        said.append(f"It does better than {_listed(behind)} by intervals that do not overlap.")
    ours = next((each for each in rest if each["strategy"] == OURS), None)
    if ours is not None and not str(first["strategy"]).startswith(OURS):
        words = "cannot be told from it" if ours in level else "is clearly behind"
        said.append(f"A peer is ahead here: our own loop needs {_in_words(ours['median'])} and {words}.")
    return said


def bootstrap_interval(values: Sequence[float], statistic: Callable[..., Any]) -> Figure:
    """A statistic of values with its interval by bootstrap; without one for fewer than two values."""
    if not values:
        return {"value": None, "low": None, "high": None}
    value = float(statistic(values))
    if len(values) < 2:
        return {"value": value, "low": None, "high": None}
    found = bootstrap(
        (np.asarray(values, float),),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {"value": value, "low": float(found.low), "high": float(found.high)}


def share_interval(k: int, n: int) -> Figure:
    """A share with Wilson's interval; None of nothing.

    References:
        Wilson (1927), doi:10.1080/01621459.1927.10502953
    """
    if not n:
        return {"value": None, "low": None, "high": None}
    found = binomtest(k, n).proportion_ci(CONFIDENCE, "wilson")
    return {"value": k / n, "low": float(found.low), "high": float(found.high)}


def intervals_overlap(one: Figure, other: Figure) -> bool:
    """Whether two intervals have a value in common; without an interval nothing can be told apart."""
    bounds = (one["low"], one["high"], other["low"], other["high"])
    if any(bound is None for bound in bounds):
        return True
    low, high, other_low, other_high = (float(bound) for bound in bounds if bound is not None)
    return low <= other_high and other_low <= high


def summarise_curves(curves: Sequence[Sequence[float | None]], length: int) -> dict[str, list[float | None]]:
    """Median and quartiles over the seeds after each request; a run that has ended stays where it ended."""
    if not curves:
        return {"median": [], "low": [], "high": []}
    rows = np.full((len(curves), length), np.nan)
    for row, each in zip(rows, curves, strict=True):
        known = np.array([np.nan if value is None else value for value in each[:length]], float)
        row[: known.size], row[known.size :] = known, known[-1] if known.size else np.nan
    begun = np.isfinite(rows).all(axis=0)
    quartiles = np.quantile(np.where(begun, rows, 0.0), (0.25, 0.5, 0.75), axis=0)
    low, median, high = ([v if b else None for v, b in zip(q, begun, strict=True)] for q in quartiles.tolist())
    return {"median": median, "low": low, "high": high}


def _p95(values: Any, axis: int = -1) -> Any:
    return np.percentile(values, 95, axis=axis)


def _named(row: Mapping[str, Any]) -> str:
    return "Our own loop" if row["strategy"] == OURS else str(row["strategy"])


def _in_words(figure: Mapping[str, float | None]) -> str:
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:g}"
    return f"{figure['value']:g} ({figure['low']:g} to {figure['high']:g})"


def _listed(rows: Sequence[Mapping[str, Any]]) -> str:
    *names, last = [str(row["strategy"]) for row in rows]
    return f"{', '.join(names)} and {last}" if names else last
