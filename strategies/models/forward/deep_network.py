"""A deep forward network, of which nothing but arrays is left: its readings, and their slopes in closed form."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from strategies.models.forward.network import Array

Single: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layers:
    """Hidden layers of sigmoid-weighted linear cells, in single precision: inputs ``(n, d)`` to outputs ``(n, p)``.

    References:
        Elfwing, Uchibe, Doya (2018), doi:10.1016/j.neunet.2017.12.012, for the cells
    """

    weights: tuple[Single, ...]
    """Of each layer, ``(cells before, cells)``."""
    biases: tuple[Single, ...]
    """Of each layer, ``(cells,)``."""

    def outputs(self, inputs: Array) -> Array:
        """Outputs ``(n, p)``."""
        return self._run(inputs)[0]

    def tangent(self, inputs: Array) -> tuple[Array, Array]:
        """Outputs ``(n, p)`` and their slopes ``(n, p, d)``."""
        outputs, bends = self._run(inputs)
        slopes = np.broadcast_to(self.weights[-1].T, (len(inputs), *self.weights[-1].T.shape))
        for weights, bend in zip(reversed(self.weights[:-1]), reversed(bends), strict=True):
            slopes = np.asarray((slopes * bend[:, None]) @ weights.T, np.float32)
        return outputs, slopes.astype(float)

    def _run(self, inputs: Array) -> tuple[Array, list[Single]]:
        """Outputs, and the slope of each hidden cell."""
        cells, bends = inputs.astype(np.float32), list[Single]()
        for weights, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            entered = cells @ weights + bias
            open_ = np.asarray(expit(entered), np.float32)
            cells = entered * open_
            bends.append(open_ * (1 + entered - cells))
        return (cells @ self.weights[-1] + self.biases[-1]).astype(float), bends
