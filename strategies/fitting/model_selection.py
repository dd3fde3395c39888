"""Which model of a campaign to use: the preferred one, unless another is clearly better on rows it has not seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FEWEST = 10
"""Distinct settings that two models must be compared on; with fewer the order of the campaign decides."""
MARGIN = 0.1
"""Part of the present model's score that another one must save."""
CERTAINTY = 2.0
"""Standard errors of that saving that it must exceed."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """The model of a round, and why."""

    name: str
    reason: str
    """In words that follow its name."""
    held_out: int = 0
    """Distinct settings that models were compared on; 0 if they were not."""
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Mean energy scores of each model that could be judged: of ``readings``, in spans, and of ``settings``."""


@dataclass(frozen=True)
class _Gain:
    """By how much a model is better than the present one, as part of that one's score."""

    name: str
    mean: float
    error: float
    """Standard error of the mean."""
    n: int

    @property
    def clear(self) -> bool:
        return self.mean > MARGIN and self.mean > CERTAINTY * self.error


def keep_model(present: str, settings: int) -> Choice:
    """The present model, where models are not compared anew.

    Args:
        present: Model of the round before.
        settings: Distinct settings that there were at the last comparison.
    """
    return Choice(
        present, f"as found with {settings} settings; models are compared again when there are a quarter more"
    )


def choose_model(order: Sequence[str], scores: Mapping[str, Array], present: str, settings: int) -> Choice:
    """Choose a model; the present one stays unless another is better by a clear margin.

    Scores of readings and of settings count alike, each as part of the present model's mean, so that neither their
    units nor settings that the readings do not determine outweigh the rest. Differences are taken setting by
    setting, where what makes a setting difficult for both models cancels.

    Args:
        order: Models that may be chosen, at least one, the preferred first.
        scores: Energy scores of those that were judged, each ``(k, 2)`` over the same settings, NaN where not known.
        present: Model of the round before; the first of ``order`` stands in for one that may not be chosen.
        settings: Distinct settings that there are.

    References:
        Gneiting, Raftery (2007), doi:10.1198/016214506000001437, for the score
    """
    if len(order) == 1:
        return Choice(order[0], "no other model can be chosen")
    if settings < FEWEST:
        few = f"the first of the campaign that can be fitted; {settings} settings are too few to compare models by"
        return Choice(order[0], f"{few}, which takes {FEWEST}")
    base = present if present in order else order[0]
    gains = [
        _gain(scores[base], scores[name], name) for name in order if name != base and {base, name} <= scores.keys()
    ]
    gains = [gain for gain in gains if gain.n >= FEWEST]
    if not gains:
        return Choice(base, "preferred; it cannot be compared with another one on rows that both have not seen")
    means = {
        name: dict(zip(("readings", "settings"), np.nanmean(each, axis=0).tolist(), strict=True))
        for name, each in scores.items()
        if np.isfinite(each).any(axis=0).all()
    }
    best = max(gains, key=lambda gain: gain.mean)
    clear = max((gain for gain in gains if gain.clear), key=lambda gain: gain.mean, default=None)
    if clear is not None:
        return Choice(clear.name, f"better than {base} by {_percent(clear)}", clear.n, means)
    if best.mean <= 0:
        return Choice(base, f"no other is better: {best.name} is worse by {_percent(best)}", best.n, means)
    return Choice(base, f"kept, as {best.name} is better by no clear margin: {_percent(best)}", best.n, means)


def _gain(base: Array, other: Array, name: str) -> _Gain:
    known = np.isfinite(base).all(axis=1) & np.isfinite(other).all(axis=1)
    n = int(known.sum())
    if n < 2:
        return _Gain(name, 0.0, np.inf, n)
    unit = np.maximum(np.abs(base[known].mean(axis=0)), _TINY)
    saved = ((base[known] - other[known]) / unit).mean(axis=1)
    return _Gain(name, float(saved.mean()), float(saved.std(ddof=1) / np.sqrt(n)), n)


def _percent(gain: _Gain) -> str:
    return f"{100 * abs(gain.mean):.0f} ± {100 * gain.error:.0f} % of the energy score on {gain.n} held-out settings"


_TINY = 1e-12
