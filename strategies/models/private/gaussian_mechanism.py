"""How much noise makes sums differentially private: the analytic Gaussian mechanism.

diffprivlib has one as well, and cannot be imported beside scikit-learn 1.9.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr

from sdl.errors import InvalidInput

LEAST, MOST = 1e-4, 1e8
"""Between which the noise is sought, in units of the sensitivity."""


@dataclass(frozen=True)
class PrivacyBudget:
    """How much one row may change what is given away.

    The chance of anything that is given away changes by a factor of at most ``exp(epsilon)`` when a row is added to
    the others or taken from them, but for a chance of ``delta``.

    Raises:
        InvalidInput: for an epsilon that is not above 0, or a delta that is not between 0 and 1.

    References:
        Balle, Wang (2018), Improving the Gaussian mechanism for differential privacy, arXiv:1805.06530, theorem 8;
        Dong, Roth, Su (2022), doi:10.1111/rssb.12454, for parts of a budget and for the advantage
    """

    epsilon: float = 1.0
    delta: float = 1e-5

    def __post_init__(self) -> None:
        faults = []
        if not 0 < self.epsilon < math.inf:
            faults.append(f"epsilon needs a number above 0, such as 1, got {self.epsilon}")
        if not 0 < self.delta < 1:
            faults.append(f"delta needs a number between 0 and 1, such as 1e-5, got {self.delta}")
        if faults:
            raise InvalidInput(faults)

    @property
    def noise(self) -> float:
        """Least standard deviation of normal noise, in units of the sensitivity: how far a row can move the sums."""

        def excess(log_noise: float) -> float:
            half, shift = 1 / (2 * math.exp(log_noise)), self.epsilon * math.exp(log_noise)
            return float(ndtr(half - shift) - np.exp(self.epsilon + log_ndtr(-half - shift))) - self.delta

        if excess(math.log(LEAST)) < 0 or excess(math.log(MOST)) > 0:
            raise InvalidInput(f"no noise can be found for epsilon {self.epsilon:g} and delta {self.delta:g}")
        return math.exp(brentq(excess, math.log(LEAST), math.log(MOST), xtol=1e-12))

    def part(self, share: float) -> float:
        """The noise of one of several releases that together spend the budget, by shares that add up to 1."""
        return self.noise / math.sqrt(share)

    @property
    def most_advantage(self) -> float:
        """What no attack on membership exceeds, even by somebody who knows every other row."""
        return float(2 * ndtr(1 / (2 * self.noise)) - 1)
