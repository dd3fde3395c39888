"""A forward model learned from rows, separate from any inverse one: small networks and what they leave."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from sdl.space import Readings, Settings
from strategies.models.base.noise import Noise, residual_noise, span
from strategies.models.base.scaling import Standard
from strategies.models.base.time_budget import Allowance, TimeBox
from strategies.models.forward.deep_network import Layers
from strategies.models.forward.levenberg_marquardt import trained
from strategies.models.forward.network import Array, Network
from strategies.numerics.blas_threads import one_thread

BENDS = (1.0, 1.5, 2.5)
"""How sharply the cells of each small network bend at the start: readings may change once over the box, or often."""
DEEP = 2
"""Large networks, where there are any."""
WORSE = 4.0
"""Times the least squared error of a member, from which on another one is left out: it went astray, or cannot do it."""
HELD_OUT = 10
"""Each member is judged by its own part of the rows, one in so many, that it does not learn from."""
CELLS = 24
"""Of a hidden layer of a small one; fewer with many knobs and channels, as a step costs the square of the weights."""
WEIGHTS = 1000
"""Most weights of a small network."""
READINGS = 3
"""For each weight, at least."""
WIDE = 60
"""Knobs and channels from which on the steps of the small networks would cost too much."""
MANY, ROUGH = 2000, 3e-3
"""Rows, and the share of the variance that small networks leave, from which on large ones are tried too."""
STEPS = 150


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Readings as the mean of networks that differ in where they began and in which rows they learned from.

    Small ones follow a smooth response to many digits. Where they fail, rows are many and the response is rough, or has
    more inputs than they can take, deep ones stand beside them or in their place.
    """

    networks: tuple[Network | Layers, ...]
    settings: Standard
    readings: Standard
    noise: Noise
    """What the members leave of rows that they have not seen."""

    @classmethod
    def of(
        cls,
        readings: Readings,
        settings: Settings,
        rng: np.random.Generator,
        seconds: float = np.inf,
        steps: int = STEPS,
        tell: Callable[[int, int], object] = lambda done, of: None,
    ) -> Self:
        """Learn from readings ``(n, p)`` at settings ``(n, d)``.

        Args:
            readings: Of which none is NaN.
            settings: In the unit box.
            rng: The only source of randomness.
            seconds: For all networks together.
            steps: Of the training of each.
            tell: Called with the number of steps done, and of how many.
        """
        x, y = Standard.of(settings), Standard.of(readings)
        inputs, outputs = x.to(settings), y.to(readings)
        fold, allowance = rng.permutation(len(readings)) % HELD_OUT, Allowance(seconds)

        def member(number: int, bend: float | None, of: int) -> tuple[Network | Layers, Array]:
            """A network, and what it leaves of its part of the rows."""
            out = fold == number
            learned, tried = (inputs[~out], outputs[~out]), (inputs[out], outputs[out])
            told = partial(_told, tell, number, of)
            network = _network(learned, tried, bend, steps, allowance.share(of - number), rng, told)
            return network, tried[1] - network.outputs(tried[0])

        small = 0 if inputs.shape[1] + outputs.shape[1] > WIDE else len(BENDS)
        with one_thread():
            members = [member(number, BENDS[number], small) for number in range(small)]
            if not small or (len(readings) >= MANY and min(_square(left) for _, left in members) > ROUGH):
                members += [member(number, None, small + DEEP) for number in range(small, small + DEEP)]
        best = min(_square(left) for _, left in members)
        sound = [(network, left) for network, left in members if _square(left) <= WORSE * best]
        unseen = np.concatenate([left for _, left in sound]) * y.width
        return cls(tuple(network for network, _ in sound), x, y, residual_noise(unseen, span(readings), 0))

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings in the unit box ``(n, d)``."""
        inputs = self.settings.to(np.asarray(settings, float))
        with one_thread():
            return self.readings.back(np.mean([network.outputs(inputs) for network in self.networks], axis=0))

    def disagreement(self, settings: Settings) -> Readings:
        """Standard deviation of what the networks say, ``(n, p)``: how unsure they are; 0 if there is one alone."""
        inputs = self.settings.to(np.asarray(settings, float))
        with one_thread():
            return np.asarray(
                np.std([network.outputs(inputs) for network in self.networks], axis=0) * self.readings.width
            )

    def tangent(self, settings: Settings) -> tuple[Readings, Array]:
        """Expected readings ``(n, p)`` and their slopes ``(n, p, d)``, in readings per width of the box."""
        inputs = self.settings.to(np.asarray(settings, float))
        with one_thread():
            outputs, slopes = zip(*(network.tangent(inputs) for network in self.networks), strict=True)
        unit = self.readings.width[:, None] / self.settings.width
        return self.readings.back(np.mean(outputs, axis=0)), np.asarray(np.mean(slopes, axis=0) * unit)

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Fresh readings ``(n, m, p)`` at settings ``(m, d)``."""
        expected = self.predict(settings)
        return expected + self.noise.draw((n, len(expected)), rng)


def _network(
    learned: tuple[Array, Array],
    tried: tuple[Array, Array],
    bend: float | None,
    steps: int,
    seconds: float,
    rng: np.random.Generator,
    tell: Callable[[int, int], object],
) -> Network | Layers:
    """A small network whose cells bend as told, or a deep one."""
    if bend is None:
        from strategies.models.forward.deep_training import (
            trained_wide,  # a second of imports, and few problems need it
        )

        return trained_wide(learned, tried, steps, seconds, int(rng.integers(2**63)), tell)
    cells = _cells(learned[0].shape[1], learned[1].shape)
    return trained(learned, tried, cells, bend, TimeBox(steps, seconds), rng, lambda done: tell(done, steps))


def _square(left: Array) -> float:
    return float((left**2).mean())


def _told(tell: Callable[[int, int], object], member: int, of: int, done: int, steps: int) -> None:
    tell(member * steps + done, of * steps)


def _cells(d: int, shape: tuple[int, ...]) -> int:
    """Cells of a hidden layer for ``d`` knobs and readings of this shape."""
    n, p = shape
    most, ends = min(WEIGHTS, n * p // READINGS), d + p + 2
    return int(np.clip((np.sqrt(ends**2 + 4 * most) - ends) / 2, 3, CELLS))
