"""A small forward network, of which nothing but arrays is left: its readings, and their slopes in closed form."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Network:
    """Two hidden layers of tanh cells between inputs ``(n, d)`` and outputs ``(n, p)``, both about 1 in size."""

    first: Array
    """Weights ``(d, w)``."""
    lift: Array
    """Biases ``(w,)``."""
    second: Array
    """Weights ``(w, w)``."""
    shift: Array
    """Biases ``(w,)``."""
    last: Array
    """Weights ``(w, p)``."""
    level: Array
    """Biases ``(p,)``."""

    @classmethod
    def random(cls, d: int, p: int, width: int, bend: float, rng: np.random.Generator) -> Self:
        """A network to begin with, whose cells bend at places all over the inputs, as sharply as told."""
        first = bend * rng.standard_normal((d, width)) / np.sqrt(d)
        second = rng.standard_normal((width, width)) / np.sqrt(width)
        last = rng.standard_normal((width, p)) / np.sqrt(width)
        return cls(
            first, bend * rng.standard_normal(width), second, 0.1 * rng.standard_normal(width), last, np.zeros(p)
        )

    @property
    def flat(self) -> Array:
        """All parameters in a row, ``(k,)``."""
        return np.concatenate([part.ravel() for part in self._parts])

    def moved(self, flat: Array) -> "Network":
        """A network of the same form with other parameters ``(k,)``."""
        ends = np.cumsum([part.size for part in self._parts])[:-1]
        return Network(*(new.reshape(old.shape) for new, old in zip(np.split(flat, ends), self._parts, strict=True)))

    def outputs(self, inputs: Array) -> Array:
        """Outputs ``(n, p)``."""
        return self._cells(inputs)[1] @ self.last + self.level

    def tangent(self, inputs: Array) -> tuple[Array, Array]:
        """Outputs ``(n, p)`` and their slopes ``(n, p, d)``."""
        one, two = self._cells(inputs)
        inner = self._inner(one, two)[1]
        return two @ self.last + self.level, inner @ self.first.T

    def by_parameter(self, inputs: Array) -> tuple[Array, Array]:
        """Outputs ``(n, p)`` and their derivatives by the parameters ``(p, n, k)``."""
        one, two = self._cells(inputs)
        outer, inner = (each.transpose(1, 0, 2) for each in self._inner(one, two))  # (p, n, w)
        p, n, _ = outer.shape
        same = np.eye(p, dtype=inputs.dtype)[:, None]
        parts = (
            inputs[:, :, None] * inner[:, :, None],
            inner,
            one[:, :, None] * outer[:, :, None],
            outer,
            two[:, :, None] * same[:, :, None],
            np.broadcast_to(same, (p, n, p)),
        )
        return two @ self.last + self.level, np.concatenate([each.reshape(p, n, -1) for each in parts], axis=2)

    def single(self) -> "Network":
        """The same in single precision, which is twice as fast."""
        return Network(*(np.asarray(part, np.float32) for part in self._parts))  # type: ignore[arg-type]

    @property
    def _parts(self) -> tuple[Array, ...]:
        return self.first, self.lift, self.second, self.shift, self.last, self.level

    def _cells(self, inputs: Array) -> tuple[Array, Array]:
        one = np.tanh(inputs @ self.first + self.lift)
        return one, np.tanh(one @ self.second + self.shift)

    def _inner(self, one: Array, two: Array) -> tuple[Array, Array]:
        """Derivatives of the outputs by what enters the second and the first layer, ``(n, p, w)``."""
        outer = (1 - two**2)[:, None] * self.last.T
        return outer, (outer @ self.second.T) * (1 - one**2)[:, None]
