"""Cholesky factors of small matrices, by LAPACK itself: SciPy's own checks take as long as a matrix of fifty rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotrs

Array = NDArray[np.float64]


def factor(matrix: Array) -> Array:
    """The lower factor of a symmetric matrix ``(n, n)``; above its diagonal stands whatever was there.

    Raises:
        LinAlgError: if the matrix is not positive definite.
    """
    found, failed = dpotrf(matrix, lower=1, clean=0)
    if failed:
        raise LinAlgError(f"a covariance of {len(matrix)} rows needs to be positive definite, got one that is not")
    return np.asarray(found)


def solve(lower: Array, right: Array) -> Array:
    """``x`` in ``matrix @ x = right``, shape ``(n,)`` or ``(n, m)``, by the factor of the matrix."""
    return np.asarray(dpotrs(lower, right, lower=1)[0]).reshape(right.shape)
