"""What a design, an inverse model and an acquisition promise.

Inverse models and acquisitions see settings scaled to the unit box (``Space.to_unit``), so that a distance, a
spread or a bound means the same for every knob. Randomness comes in as a generator and from nowhere else.
"""

from collections.abc import Sequence
from typing import Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings, Space

Target: TypeAlias = NDArray[np.float64]
"""Readings that somebody wants, ``(p,)``; NaN where a channel is left free."""


@runtime_checkable
class Design(Protocol):
    """Settings chosen before any data."""

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """Return settings within the bounds of the space, ``(n, d)``, in its units.

        Args:
            space: Knobs to choose for.
            n: How many; None takes the design's own number where it has one.
            rng: The only source of randomness.

        Raises:
            InvalidInput: if the design does not exist for this number of points or knobs, naming what does.
        """


@runtime_checkable
class InverseModel(Protocol):
    """Readings to settings, as a distribution; a scikit-learn estimator in its manners.

    The constructor only stores, ``fit`` returns the model, and what was learned ends in an underscore.
    """

    def rows_needed(self, d: int, p: int) -> int:
        """Least number of rows for ``d`` knobs and ``p`` channels."""

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Learn from complete rows: readings ``(n, p)``, settings in the unit box ``(n, d)``.

        Raises:
            TooFewRows: with the number that is needed.
            InvalidInput: for a value that is not finite or rows that do not match.
        """

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` that give the fixed channels of the target ``(p,)``, as far as is known.

        Draws may leave the unit box: the caller counts and refuses them, nobody clips them.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: for a target without a fixed channel or with an infinite one.
        """

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings in the unit box ``(n, d)``.

        Raises:
            NotFittedError: before ``fit``.
        """


@runtime_checkable
class Acquisition(Protocol):
    """Which settings to measure next."""

    def propose(
        self,
        models: Sequence[InverseModel],
        targets: Sequence[Target],
        measured: Settings,
        noise: Readings,
        n: int,
        rng: np.random.Generator,
    ) -> Settings:
        """Return up to ``n`` settings ``(m, d)`` in the unit box, the most instructive first.

        Args:
            models: One kind of inverse model, fitted on all rows and then on resampled ones: an ensemble.
            targets: What is still looked for, each ``(p,)``.
            measured: Settings that were measured already, ``(k, d)``.
            noise: Standard deviation of one reading of each channel, ``(p,)``.
            n: Size of the batch.
            rng: The only source of randomness.

        An empty answer says that there is nothing left to learn: all that the ensemble disagrees about is
        below the noise.
        """
