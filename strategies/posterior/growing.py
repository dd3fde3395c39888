"""Posteriors of rows that grow: each is learned from one of fewer rows, and is the same whoever asks first.

A campaign that was killed learns its rows again from the first on, by the same steps, and so decides the same.
"""

from dataclasses import dataclass, field
from math import ceil

import numpy as np

from strategies.posterior.posterior import EVERY, OFTEN, Posterior, learn
from strategies.posterior.rows import Rows, Statement

FEWEST = 2
"""Readings of every channel from which on there is a posterior."""


@dataclass(frozen=True, eq=False)
class GrowingPosterior:
    """The posteriors of a campaign."""

    statement: Statement
    _kept: dict[int, Posterior] = field(default_factory=dict, init=False)
    """By the number of rows, those whose hyperparameters were learned anew."""

    def of(self, rows: Rows, earlier: Rows | None = None) -> Posterior:
        """The posterior of some rows, which are enough together with those of ``earlier``, which come before them."""
        whole = rows if earlier is None else earlier.followed_by(rows)
        lag, n = len(whole) - len(rows), len(rows)
        steps = _steps(n, max(_needed(whole) - lag, 0))
        before: Posterior | None = None
        for step in steps:
            before = self._learned(step, whole.first(lag + step), before)
        assert before is not None, f"a posterior is of {FEWEST} readings of every channel at least"
        return before if steps[-1] == n else learn(whole, self.statement, before, anew=False)

    def _learned(self, step: int, rows: Rows, before: Posterior | None) -> Posterior:
        kept = self._kept.get(step)
        if kept is None or not _same(kept.rows, rows):
            kept = self._kept[step] = learn(rows, self.statement, before, anew=True)
        return kept


def are_enough(rows: Rows, earlier: Rows | None = None) -> bool:
    """Whether there is a posterior of some rows, with those of ``earlier`` before them."""
    whole = rows if earlier is None else earlier.followed_by(rows)
    return _needed(whole) <= len(whole)


def _needed(rows: Rows) -> int:
    """How many of the rows, the first ones, a posterior needs; more than there are if all do not suffice."""
    known = (np.isfinite(rows.readings) | (rows.censored != 0)).cumsum(axis=0).min(axis=1, initial=len(rows))
    return 1 + int(np.searchsorted(known, FEWEST))


def _steps(n: int, first: int) -> list[int]:
    """Numbers of rows, up to ``n``, at which hyperparameters are learned anew."""
    steps = list(range(first, min(n, EVERY) + 1))
    while steps and (following := max(ceil(OFTEN * steps[-1]), steps[-1] + 1)) <= n:
        steps.append(following)
    return steps


def _same(one: Rows, other: Rows) -> bool:
    return all(np.array_equal(values, vars(other)[name], equal_nan=True) for name, values in vars(one).items())
