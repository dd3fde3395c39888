"""Bayesian training of a small network: Levenberg-Marquardt steps, and as much freedom as the rows bear out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotri

from strategies.models.base.time_budget import TimeBox
from strategies.models.forward.network import Array, Network

MOST = 8192
"""Readings that one step looks at: of more rows a part, another one each time."""
TRIES = 6
"""Dampings that one step tries."""
CALM = 1e-7
"""Least damping: what single precision leaves of the curvature."""
PATIENCE, FEWEST = 0.3, 10
"""Part of all steps, and how many at least, that may pass without a better trial."""
BEGUN = 0.5
"""Share of the variance that a network has to have explained before its size is judged."""
BETTER = 0.995
"""What a trial has to come to, of the best one before, to count as better."""


@dataclass(eq=False)
class _Belief:
    """How certain the weights and the outputs are, by what the rows say (the evidence)."""

    prior: float = 1e-3
    """Precision of the weights."""
    certain: float = 1.0
    """Precision of the outputs."""

    def learn(self, flat: Array, square: float, factor: Array, readings: int) -> None:
        """Weigh anew.

        Nothing is learned as long as the network explains less than half: weights that were held to be small would
        never get it going.

        Args:
            flat: Weights, ``(k,)``.
            square: Mean squared residual.
            factor: Of the posterior precision of the weights, by Cholesky.
            readings: How many there are.
        """
        if square < BEGUN:
            inverse = dpotri(factor, lower=1)[0]
            determined = float(np.clip(flat.size - self.prior * np.trace(inverse), 1.0, flat.size))
            self.prior = determined / (float(flat @ flat) + _TINY)
            self.certain = max(1 - determined / readings, 0.05) / (square + _TINY)


def trained(
    learned: tuple[Array, Array],
    tried: tuple[Array, Array],
    width: int,
    bend: float,
    box: TimeBox,
    rng: np.random.Generator,
    tell: Callable[[int], object] = lambda _: None,
) -> Network:
    """The network that is best on rows held out, of those that its training passes through.

    Args:
        learned: Inputs ``(n, d)`` and outputs ``(n, p)`` to learn from, about 1 in size.
        tried: The same of other rows.
        width: Cells of a hidden layer.
        bend: Of the cells at the start.
        box: How many steps.
        rng: Decides the start, and which of very many rows a step looks at.
        tell: Called with the number of each step.

    References:
        Hagan, Menhaj (1994), doi:10.1109/72.329697, for the steps;
        MacKay (1992), doi:10.1162/neco.1992.4.3.448, for the evidence
    """
    inputs, outputs = learned
    n, p = outputs.shape
    network = Network.random(inputs.shape[1], p, width, bend, rng)
    belief, damping = _Belief(), 1e-2
    best, least, since, step = network, np.inf, 0, 0
    while box.left(step) and since < max(PATIENCE * box.steps, FEWEST):
        some = slice(None) if n * p <= MOST else rng.choice(n, max(MOST // p, 1), replace=False)
        network, damping = _stepped(network, inputs[some], outputs[some], belief, damping, n)
        step, since = step + 1, since + 1
        loss = float(((network.outputs(tried[0]) - tried[1]) ** 2).mean())
        if loss < least:
            since = 0 if loss < BETTER * least else since
            best, least = network, loss
        tell(step)
    return best


def _stepped(
    network: Network, inputs: Array, outputs: Array, belief: _Belief, damping: float, n: int
) -> tuple[Network, float]:
    """The network after a step that is for the better, and the damping to try next; the belief learns from it."""
    flat, share = network.flat, n / len(inputs)
    said, slopes = network.single().by_parameter(inputs.astype(np.float32))
    weight = share * belief.certain
    slopes = slopes.reshape(-1, flat.size)
    curvature = weight * (slopes.T @ slopes).astype(float)
    left = (said - outputs).T.ravel()
    gradient = weight * (slopes.T @ left.astype(np.float32)).astype(float) + belief.prior * flat

    def cost(one: Network) -> float:
        return float(weight * ((one.outputs(inputs) - outputs) ** 2).sum() + belief.prior * one.flat @ one.flat)

    diagonal, before = np.diagonal(curvature).copy(), cost(network)
    base = curvature + belief.prior * np.eye(flat.size)
    for _ in range(TRIES):
        try:
            factor = cho_factor(base + damping * np.diag(diagonal + 1e-6 * diagonal.mean()), lower=True)
        except LinAlgError:
            damping *= 10
            continue
        trial = network.moved(flat - cho_solve(factor, gradient))
        if cost(trial) < before:
            square = float(((trial.outputs(inputs) - outputs) ** 2).mean())
            belief.learn(trial.flat, square, factor[0], n * outputs.shape[1])
            return trial, max(damping / 3, CALM)
        damping *= 3
    return network, min(damping, 1e3)


_TINY = 1e-18
