"""An inverse model as somebody else would bring it, in as few words as the contract allows."""

from typing import ClassVar

import numpy as np
from scipy.linalg import lstsq

from strategies.contract import fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted


class Stranger:
    """A line with Gaussian noise."""

    single_valued: ClassVar[bool] = True

    def __init__(self, width: float = 1.0) -> None:
        self.width = width

    def rows_needed(self, d, p):
        return d + 3

    def fit(self, readings, settings):
        y, x = complete_rows(self, readings, settings)
        inputs = np.column_stack((np.ones(len(x)), x))
        self.slopes_ = lstsq(inputs, y)[0]
        left = y - inputs @ self.slopes_
        scale = np.ptp(y, axis=0) + np.abs(y).max(axis=0) * 1e-3 + 1e-9
        self.noise_ = np.sqrt((left**2).sum(axis=0) / (len(x) - x.shape[1] - 1) + (1e-4 * scale) ** 2)
        self.domain_ = Domain(y)
        return self

    def sample(self, target, n, rng):
        must_be_fitted(self, "noise_")
        fixed = fixed_columns(target, len(self.noise_))
        slopes = self.slopes_[1:, fixed] / self.noise_[fixed]
        wanted = (np.asarray(target)[fixed] - self.slopes_[0, fixed]) / self.noise_[fixed]
        wanted = wanted + self.width * rng.standard_normal((n, fixed.size))
        near = rng.random((n, len(slopes)))  # what the target leaves free stays where it is
        return near + (wanted - near @ slopes) @ np.linalg.solve(
            slopes.T @ slopes + 1e-4 * np.eye(fixed.size), slopes.T
        )

    def predict(self, settings):
        must_be_fitted(self, "noise_")
        return self.slopes_[0] + np.asarray(settings) @ self.slopes_[1:]

    def simulate(self, settings, n, rng):
        expected = self.predict(settings)
        return expected + self.width * self.noise_ * rng.standard_normal((n, *expected.shape))

    def remoteness(self, target):
        must_be_fitted(self, "noise_")
        return self.domain_.remoteness(target)
