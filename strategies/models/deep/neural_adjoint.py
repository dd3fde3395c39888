"""Neural-Adjoint: no network inverts; many starts descend through a forward model, and the best one answers."""

from dataclasses import dataclass

import numpy as np

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.models.base.noise import span
from strategies.models.deep.with_forward import Array, WithForward
from strategies.numerics.adam import adam

OUTSIDE = 1.0
"""Weight of the boundary loss beside squared misses in units of a channel's span."""


@dataclass(eq=False)
class NeuralAdjoint(WithForward):
    """Gradient descent on the squared miss of a forward model, and on a loss for leaving the range of the rows.

    Every draw is the best of ``starts`` settings of random rows after their descent. A row is one noisy reading, so
    each draw is for a target as much off as a reading is.

    Args:
        starts: For each draw.
        descents: Steps of a descent.
        pace: Its rate, as a share of the box.
        noise: Whether draws are for what a reading may stand for; without, they are for the target itself.

    References:
        Ren, Padilla, Malof (2020), arXiv:2009.12919
    """

    starts: int = 8
    descents: int = 100
    pace: float = 1e-2
    noise: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.starts, self.descents, self.pace) <= 0:
            raise InvalidInput(
                "Neural-Adjoint needs starts, descents and pace above 0, "
                f"got {self.starts}, {self.descents} and {self.pace}"
            )

    def _learn(self, readings: Readings, settings: Settings, rng: np.random.Generator) -> None:
        self.rows_, self.scale_ = settings.copy(), span(readings)
        low, high = settings.min(axis=0), settings.max(axis=0)
        self.middle_, self.half_ = (low + high) / 2, (high - low) / 2

    def _draws(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        starts = self.rows_[rng.integers(len(self.rows_), size=len(targets) * n * self.starts)]
        goals = np.repeat(targets, n, axis=0)
        if self.noise:
            goals = goals - self.surrogate_.noise.draw((len(goals),), rng)
        goals = np.repeat(goals, self.starts, axis=0)

        def gradient(at: Settings) -> Array:
            readings, slopes = self.surrogate_.tangent(at)
            left = np.nan_to_num((readings - goals) / self.scale_)
            outside = np.sign(at - self.middle_) * (np.abs(at - self.middle_) > self.half_)
            return np.asarray(2 * ((slopes / self.scale_[:, None]).mT @ left[..., None])[..., 0] + OUTSIDE * outside)

        ends = adam(gradient, starts, self.descents, self.pace)
        loss = (np.nan_to_num((self.surrogate_.predict(ends) - goals) / self.scale_) ** 2).sum(axis=1)
        loss += OUTSIDE * np.maximum(np.abs(ends - self.middle_) - self.half_, 0.0).sum(axis=1)
        best = loss.reshape(-1, self.starts).argmin(axis=1)
        ends = ends.reshape(-1, self.starts, self.d_)[np.arange(len(best)), best]
        return np.asarray(ends.reshape(len(targets), n, self.d_))
