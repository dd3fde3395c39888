"""Looking the answer up: settings of the rows whose readings come nearest to the target."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import span
from strategies.models.linear.local_regression import LocalLine

STEPS = 3
LONGEST = 0.3
"""Of one step, in the unit box."""
NULL = 1e-3
"""Directions in which a move says less of the readings, relative to the best, count as free."""
Array = NDArray[np.float64]
Columns = NDArray[np.intp]


@dataclass(eq=False)
class Nearest:
    """One of the rows whose readings come nearest to the target, at random; by default moved on to the target.

    A row as it stands is the yardstick of every model that learns: with thousands of rows its reading is nearly that
    of the target, and all that it lacks is other answers. With few rows it is some way off, and is moved along the
    straight line through the rows around it, as far as needed and no farther, and scattered as readings scatter.

    Args:
        neighbours: How many rows to draw from, but at most a fifth of all; 1 answers with the nearest alone.
        corrected: Whether to move the row. Without that, draws are rows and no better than they lie.

    Raises:
        InvalidInput: for less than one neighbour.

    References:
        Beaumont, Zhang, Balding (2002), doi:10.1093/genetics/162.4.2025, for rows nearby that are moved by a line

    >>> settings = np.linspace(0, 1, 101)[:, None]
    >>> model = Nearest(neighbours=1, corrected=False).fit(settings**2, settings)
    >>> model.sample(np.array([0.1602]), 2, np.random.default_rng(0)).tolist()
    [[0.4], [0.4]]
    """

    neighbours: int = 20
    corrected: bool = True

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise InvalidInput(f"a look-up needs neighbours >= 1, got {self.neighbours}")

    def rows_needed(self, d: int, p: int) -> int:
        """One; three more than there are knobs if rows are corrected."""
        return d + 3 if self.corrected else 1

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Keep the rows, and how readings change about each of them."""
        self.readings_, self.settings_ = complete_rows(self, readings, settings)
        self.unit_ = span(self.readings_)
        self.line_ = LocalLine(self.readings_, self.settings_)
        self.domain_ = Domain(self.readings_, self.settings_)
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` of the rows that read most like the target, moved by their slopes if corrected."""
        must_be_fitted(self, "line_")
        fixed = fixed_columns(target, self.readings_.shape[1])
        goal = np.asarray(target, float)[fixed]
        off = (((self.readings_[:, fixed] - goal) / self.unit_[fixed]) ** 2).sum(axis=1)
        some = min(self.neighbours, max(len(off) // 5, 1))
        nearest = np.argpartition(off, some - 1)[:some]
        drawn = self.settings_[nearest[np.argsort(off[nearest], kind="stable")][rng.integers(some, size=n)]]
        return self._moved(drawn, goal, fixed, rng) if self.corrected else drawn

    def predict(self, settings: Settings) -> Readings:
        """Readings ``(n, p)`` by a line through the rows near each setting."""
        must_be_fitted(self, "line_")
        return self.line_.at(np.asarray(settings, float))[0]

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` with the noise that the lines left over."""
        must_be_fitted(self, "line_")
        return np.asarray(self.predict(settings) + self.line_.noise.draw((n, len(settings)), rng))

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "line_")
        return self.domain_.remoteness(target)

    def _moved(
        self, settings: Settings, wanted: Readings, fixed: NDArray[np.intp], rng: np.random.Generator
    ) -> Settings:
        """Settings ``(n, d)`` at which the line has the readings wanted, less what a reading scatters."""
        wanted = wanted - self.line_.noise.draw((len(settings),), rng)[:, fixed]
        whiten = np.linalg.inv(np.linalg.cholesky(self.line_.noise.covariance[np.ix_(fixed, fixed)]))
        for _ in range(STEPS):
            expected, slopes = self.line_.at(settings)
            left = (wanted - expected[:, fixed]) @ whiten.T
            step = (np.linalg.pinv(whiten @ slopes[:, fixed], rcond=NULL) @ left[..., None])[..., 0]
            settings = settings + np.clip(step, -LONGEST, LONGEST)
        return settings
