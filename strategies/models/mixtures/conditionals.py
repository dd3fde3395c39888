"""A mixture asked one question, for many rows at once: each component gives a linear answer, with a weight."""

import numpy as np
from gmr import GMM
from numpy.typing import NDArray

from strategies.models.mixtures.mixture import Mixture

Array = NDArray[np.float64]
Columns = NDArray[np.intp]


class Branches:
    """The linear answers of a mixture's components to one question, for many rows at once.

    Args:
        mixture: Fitted.
        known: Columns of (settings, readings) that are given, ``(q,)``.
        asked: Columns that are asked for, ``(a,)``.
    """

    def __init__(self, mixture: Mixture, known: Columns, asked: Columns) -> None:
        joint: GMM = mixture.joint_
        means, scatter = joint.means * mixture.unit_, joint.covariances * np.outer(mixture.unit_, mixture.unit_)
        between = scatter[:, asked][:, :, known]
        self._known, self._asked = known, asked
        self._whiten = np.linalg.inv(np.linalg.cholesky(scatter[:, known][:, :, known]))
        self._gain = between @ self._whiten.mT @ self._whiten
        self._level = np.log(joint.priors) + np.log(np.diagonal(self._whiten, axis1=1, axis2=2)).sum(axis=1)
        self._given, self._answer = means[:, known], means[:, asked]
        self.roots: Array = np.linalg.cholesky(scatter[:, asked][:, :, asked] - self._gain @ between.mT)

    def answers(self, values: Array) -> tuple[Array, Array]:
        """Logarithm of the weight of each component, ``(m, k)``, and its answer ``(m, k, a)`` to values ``(m, q)``."""
        off = values[:, None] - self._given
        far = np.einsum("kij,mkj->mki", self._whiten, off)
        return self._level - (far**2).sum(axis=-1) / 2, self._answer + np.einsum("kij,mkj->mki", self._gain, off)

    def residuals(self, rows: Array) -> Array:
        """Of rows ``(m, d + p)`` from the likeliest component, in units of its scatter, ``(m, a)``."""
        weights, answers = self.answers(rows[:, self._known])
        left = np.linalg.solve(self.roots, (rows[:, None, self._asked] - answers)[..., None])[..., 0]
        scatter = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        best = (weights - scatter - (left**2).sum(axis=-1) / 2).argmax(axis=1)
        return np.asarray(left[np.arange(len(rows)), best])
