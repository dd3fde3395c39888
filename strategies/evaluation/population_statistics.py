"""From many campaigns on a family of instruments to a row of figures, each with its 95 % interval."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from strategies.evaluation.backtest_statistics import Figure, bootstrap_interval, share_interval
from strategies.evaluation.population import PopulationRun, TargetOutcome


def family_row(family: str, strategy: str, runs: Sequence[PopulationRun], budget: int) -> dict[str, Any]:
    """How a strategy did on a family, as plain data.

    Args:
        family: Its name.
        strategy: Its name.
        runs: A campaign a seed; those that crashed left out.
        budget: Requests that a campaign counts for that did not end as it should.

    Returns:
        ``family``, ``strategy``, ``campaigns``; shares with Wilson's intervals: ``verified`` (of the targets that can
        be reached), ``right`` (of all campaigns), ``false_verified`` and ``false_not_reachable`` (of all campaigns:
        those with such a verdict), ``false_refuted`` (of the verdicts REFUTED), ``silent`` (of all campaigns: those
        with a target that ended without an exam or a reason); and with intervals by bootstrap: requests in the
        ``median``, ``mean`` and ``p95``, the median of those after which it was ``reached``, ``references`` (share of
        the requests), ``decision_ms`` and ``slowest_ms``.
    """
    n, targets = len(runs), [target for run in runs for target in run.targets]
    reachable = [target for target in targets if target.reachable]
    requests = [float(run.requests if run.right else budget) for run in runs]

    def with_some(fact: Callable[[TargetOutcome], bool]) -> Figure:
        """Share of the campaigns in which it is so of some target."""
        return share_interval(sum(any(map(fact, run.targets)) for run in runs), n)

    return {
        "family": family,
        "strategy": strategy,
        "campaigns": n,
        "verified": share_interval(sum(target.verified for target in reachable), len(reachable)),
        "right": share_interval(sum(run.right for run in runs), n),
        "false_verified": with_some(lambda target: target.falsely_verified),
        "false_refuted": share_interval(sum(t.falsely_refuted for t in targets), sum(t.refuted for t in targets)),
        "false_not_reachable": share_interval(
            sum(any(t.falsely_not_reachable for t in run.targets) for run in runs), n
        ),
        "silent": with_some(lambda target: target.silent),
        "median": bootstrap_interval(requests, np.median),
        "mean": bootstrap_interval(requests, np.mean),
        "reached": bootstrap_interval([float(run.reached or budget) for run in runs], np.median),
        "p95": bootstrap_interval(requests, _p95),
        "references": bootstrap_interval([run.references / max(run.requests, 1) for run in runs], np.mean),
        "decision_ms": _milliseconds([run.decision_s / max(run.requests, 1) for run in runs]),
        "slowest_ms": _milliseconds([run.slowest_s for run in runs]),
    }


def _milliseconds(seconds: Sequence[float]) -> Figure:
    return bootstrap_interval([1000 * value for value in seconds], np.mean)


def _p95(values: Any, axis: int = -1) -> Any:
    return np.percentile(values, 95, axis=axis)
