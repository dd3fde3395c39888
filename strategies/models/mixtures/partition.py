"""Rows shared out among the components of a mixture, one split after another."""

import warnings
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.models.base.noise import span

Labels = NDArray[np.intp]
THIN = 0.005  # of the span: what is narrower holds noise, and no component is
PATIENCE = 2  # splits in a row that may fail to improve the criterion


def shares(readings: Readings, settings: Settings, most: int) -> NDArray[np.float64]:
    """How much of each row belongs to each component, ``(n, k)`` with rows of sum 1.

    The number of components, up to ``most``, has the least Bayesian information criterion. Expectation
    maximisation starts each of them from the last one, with that component cut in two whose readings become most
    linear by it: a start at random mostly ends in cuts across a direction in which nothing bends.

    References:
        Schwarz (1978), doi:10.1214/aos/1176344136;
        Ueda, Nakano, Ghahramani, Hinton (2000), doi:10.1162/089976600300015088, for splitting
    """
    bent = white(readings, settings.shape[1])
    joint = np.column_stack((white(settings), bent))
    labels: Labels = np.zeros(len(joint), np.intp)
    best, least, failed = np.ones((len(joint), 1)), np.inf, 0
    for _ in range(most):
        mixture = _maximised(joint, labels)
        criterion = mixture.bic(joint)
        failed = failed + 1 if criterion >= least else 0
        if criterion < least:
            best, least = mixture.predict_proba(joint), criterion
        finer = _split(_labels(mixture, joint, labels), settings, bent)
        if failed == PATIENCE or finer is None:
            break
        labels = finer
    return best


def white(columns: NDArray[np.float64], most: int | None = None) -> NDArray[np.float64]:
    """The leading principal components of columns ``(n, m)``, each with variance 1; at most ``most``.

    d knobs move the readings in d directions; the others hold only noise and would hide the clusters.
    """
    left, size, _ = np.linalg.svd((columns - columns.mean(axis=0)) / span(columns), full_matrices=False)
    kept = np.flatnonzero(size > THIN * max(size[0], THIN))[:most]
    return np.asarray(left[:, kept] * np.sqrt(len(columns)))


def _maximised(joint: NDArray[np.float64], labels: Labels) -> Any:
    """Mixture by expectation maximisation from a component for each label."""
    from sklearn.exceptions import ConvergenceWarning  # a third of a second of imports, for who fits a mixture
    from sklearn.mixture import GaussianMixture

    floor = THIN**2
    parts = [joint[labels == label] for label in np.unique(labels)]
    scatter = [np.atleast_2d(np.cov(part.T, bias=True)) + floor * np.eye(joint.shape[1]) for part in parts]
    precision = np.linalg.inv(scatter)
    mixture = GaussianMixture(
        len(parts),
        reg_covar=floor,
        weights_init=[len(part) / len(joint) for part in parts],
        means_init=[part.mean(axis=0) for part in parts],
        precisions_init=(precision + precision.mT) / 2,  # to the last digit, or it is refused
        random_state=0,  # it draws nothing from a start that is complete, and must not touch the global generator
    )
    with warnings.catch_warnings():  # a mixture that is not quite settled is judged by its criterion all the same
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(joint)


def _labels(mixture: Any, joint: NDArray[np.float64], before: Labels) -> Labels:
    """The likeliest component of each row, or those before if one of the components is nobody's."""
    after: Labels = mixture.predict(joint)
    return after if len(np.unique(after)) == mixture.n_components else before


def _split(labels: Labels, settings: Settings, bent: Readings) -> Labels | None:
    """Cut one component at the median of one knob, where a linear fit gains most by it; None if all are small."""
    best, gain = None, 0.0
    for label, knob in product(range(labels.max() + 1), range(settings.shape[1])):
        whole = labels == label
        right = whole & (settings[:, knob] > np.median(settings[whole, knob]))
        left = whole & ~right
        if min(left.sum(), right.sum()) > settings.shape[1] + 1:
            gained = _bend(settings, bent, whole) - _bend(settings, bent, left) - _bend(settings, bent, right)
            if gained > gain:
                best, gain = np.where(right, labels.max() + 1, labels), gained
    return best


def _bend(settings: Settings, readings: Readings, rows: NDArray[np.bool_]) -> float:
    """Sum of squares that a linear fit of the readings to the settings leaves on some rows."""
    inputs = np.column_stack((np.ones(rows.sum()), settings[rows]))
    left = readings[rows] - inputs @ np.linalg.lstsq(inputs, readings[rows])[0]
    return float((left**2).sum())
