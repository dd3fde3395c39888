"""Whether a law holds for its rows: residuals that still go with the settings say that it does not."""

from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from strategies.numerics.distinct_rows import distinct_rows

Array = NDArray[np.float64]
DEGREE = 3
"""Of the polynomials of the settings that residuals are held against."""


def lack_of_fit(left: Array, slopes: Array, settings: Array) -> Array:
    """Chance that residuals ``(n, p)`` go so well with polynomials of the settings by accident, ``(p,)``.

    An F test of each channel by itself: the law, linearised at its fit, against the law and polynomials as many as
    half of the distinct settings that are to spare. 1 where there are too few rows to tell.

    Args:
        left: Residuals at the fit.
        slopes: Of the readings in the parameters there, ``(n, p, k)``.
        settings: In the unit box, ``(n, d)``.

    References:
        Seber, Wild (2003), Nonlinear Regression, section 2.8, for tests of a fit by further terms
    """
    n, k = len(settings), slopes.shape[2]
    spare = (len(distinct_rows(settings)[0]) - k) // 2
    terms = _polynomials(settings)[:, : max(spare, 0)]
    chances = np.ones(left.shape[1])
    for channel in range(left.shape[1]):
        law = _basis(slopes[:, channel])
        rest = left[:, channel] - law @ (law.T @ left[:, channel])
        more = _basis(terms - law @ (law.T @ terms))
        explained = float(((more.T @ rest) ** 2).sum())
        q, dof = more.shape[1], n - law.shape[1] - more.shape[1]
        unexplained = float((rest**2).sum()) - explained
        if q and dof > 0 and unexplained > 0:
            chances[channel] = f_distribution.sf(explained / q / (unexplained / dof), q, dof)
    return chances


def _polynomials(settings: Array) -> Array:
    """Products of the settings up to a degree, the lowest first, ``(n, terms)``; the constant is one."""
    middle, d = 2 * settings - 1, settings.shape[1]
    powers = [
        np.prod(middle[:, list(which)], axis=1)
        for degree in range(DEGREE + 1)
        for which in combinations_with_replacement(range(d), degree)
    ]
    return np.column_stack(powers)


def _basis(columns: Array) -> Array:
    """Orthonormal columns that span the same, ``(n, r)``, those left out that rounding made."""
    if not columns.size:
        return columns[:, :0]
    size = np.linalg.norm(columns, axis=0)
    kept = columns[:, size > 1e-9 * max(float(size.max()), 1e-300)]
    vectors, widths, _ = np.linalg.svd(kept / np.linalg.norm(kept, axis=0), full_matrices=False)
    return np.asarray(vectors[:, widths > 1e-6])
