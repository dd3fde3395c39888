"""Gaussian processes forward, one a channel: what BoTorch learns of them, and exact predictions given that."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gpytorch
import numpy as np
import torch
from botorch.exceptions.errors import BotorchError
from botorch.models import SingleTaskGP
from botorch.optim.fit import fit_gpytorch_mll_scipy
from botorch.settings import validate_input_scaling
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import LinearKernel, RBFKernel, ScaleKernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import ZeroMean
from gpytorch.priors import LogNormalPrior
from linear_operator.utils.errors import NotPSDError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from strategies.models.base.noise import PRIOR_NOISE

Array = NDArray[np.float64]
VAGUE = 9.0
"""Prior variance of the coefficients of the linear part, where places and values reach from -1 to 1."""
NOISE = (2 * PRIOR_NOISE, 0.5)
"""Standard deviation of the noise that the prior takes for likeliest, and by how much its logarithm scatters."""
BEND = (0.05, 1.0)
"""The same for the part of the response that is not linear."""
LENGTH = (1.5, 0.7)
"""The same for the distance over which that part changes."""
STEPS = 75
"""Most steps of the search for these."""


class ChannelProcess:
    """A Gaussian process: a linear function and a smooth bend, both unknown, and noise.

    Args:
        places: Of the rows, ``(n, d)``, from -1 to 1.
        values: At these, ``(n,)``, from -1 to 1.
        lengths: Distances over which the bend changes, ``(d,)``.
        bend: Its variance.
        noise: Variance of the noise.

    References:
        Rasmussen, Williams (2006), ISBN 0-262-18253-X, equations 2.25, 2.26 and 5.12
    """

    def __init__(self, places: Array, values: Array, lengths: Array, bend: float, noise: float) -> None:
        self._places, self._lengths, self._bend, self._noise = places, lengths, bend, noise
        factor = cho_factor(self._kernel(places)[0] + noise * np.eye(len(places)), lower=True)
        self._precision = cho_solve(factor, np.eye(len(places)))
        self._weights = cho_solve(factor, values)
        self._slope = VAGUE * places.T @ self._weights
        self.left_out: Array = self._weights / np.sqrt(np.diagonal(self._precision))
        """Error at each row if it is left out, in units of its predicted standard deviation, ``(n,)``."""

    def at(self, places: Array) -> tuple[Array, Array, Array]:
        """Mean ``(m,)``, standard deviation of a fresh value ``(m,)`` and slopes of the mean ``(m, d)``."""
        kernel, bend = self._kernel(places)
        mean = kernel @ self._weights
        prior = VAGUE * (1 + (places**2).sum(axis=1)) + self._bend
        variance = np.maximum(prior - np.einsum("mn,mn->m", kernel @ self._precision, kernel), 0.0) + self._noise
        bend *= self._weights
        slopes = (bend @ self._places - bend.sum(axis=1, keepdims=True) * places) / self._lengths**2
        return mean, np.sqrt(variance), self._slope + slopes

    def _kernel(self, places: Array) -> tuple[Array, Array]:
        """Covariance with the rows, ``(m, n)``, and the bend's part of it."""
        bend = self._bend * np.exp(-0.5 * cdist(places / self._lengths, self._places / self._lengths, "sqeuclidean"))
        return VAGUE * (1 + places @ self._places.T) + bend, bend


def channels(places: Array, values: Array) -> list[ChannelProcess]:
    """A process for each column of ``values`` ``(n, p)``, from -1 to 1, at places ``(n, d)``, from -1 to 1.

    Lengths and variances are those of the highest posterior; where none is found, those that the prior takes for
    likeliest. The search is deterministic and leaves PyTorch as it was: generator, threads, default type, settings.
    """
    with _contained():
        model = _model(places, values)
        start = {name: value.clone() for name, value in model.state_dict().items()}
        try:
            evidence = gpytorch.ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll_scipy(evidence, options={"maxiter": STEPS})
            learned = _learned(model)
        except (BotorchError, NotPSDError, RuntimeError, ValueError):
            model.load_state_dict(start)
            learned = _learned(model)
    return [
        ChannelProcess(places, values=column, lengths=lengths, bend=bend, noise=noise)
        for column, lengths, bend, noise in zip(values.T, *learned, strict=True)
    ]


def _learned(model: Any) -> tuple[Array, list[float], list[float]]:
    """Lengths ``(p, d)``, variances of the bend ``(p,)`` and of the noise ``(p,)``."""
    bend = model.covar_module.kernels[1]
    found = (bend.base_kernel.lengthscale, bend.outputscale, model.likelihood.noise)
    if not all(bool(torch.isfinite(each).all()) for each in found):
        raise ValueError("the search for lengths and variances ended in a value that is not finite")
    lengths, bends, noises = (each.detach().numpy().copy() for each in found)
    return lengths.reshape(bends.size, -1), bends.ravel().tolist(), noises.ravel().tolist()


def _model(places: Array, values: Array) -> Any:
    """BoTorch's model of all channels at once; its first input is the constant of the linear part."""
    (n, d), p = places.shape, values.shape[1]
    batch = torch.Size([p] if p > 1 else [])
    linear = LinearKernel(batch_shape=batch)
    linear.variance = VAGUE
    linear.raw_variance.requires_grad_(False)
    bent = RBFKernel(d, batch, active_dims=tuple(range(1, d + 1)), lengthscale_prior=_prior(*LENGTH))
    bend = ScaleKernel(bent, outputscale_prior=_prior(BEND[0] ** 2, 2 * BEND[1]), batch_shape=batch)
    bent.lengthscale, bend.outputscale = LENGTH[0], BEND[0] ** 2
    noise = GaussianLikelihood(_prior(NOISE[0] ** 2, 2 * NOISE[1]), GreaterThan(1e-8), batch_shape=batch)
    noise.noise = NOISE[0] ** 2
    return SingleTaskGP(
        torch.from_numpy(np.column_stack((np.ones(n), places))),
        torch.from_numpy(values),
        likelihood=noise.double(),
        covar_module=(linear + bend).double(),
        mean_module=ZeroMean(batch_shape=batch),
        outcome_transform=None,
    )


def _prior(likeliest: float, scatter: float) -> LogNormalPrior:
    """Prior with its mode at a value, about which the logarithm costs as it would in a normal distribution."""
    return LogNormalPrior(float(np.log(likeliest)) + scatter**2, scatter)


@contextmanager
def _contained() -> Iterator[None]:
    """Leave PyTorch as it was, and keep its libraries from warnings of what is handled here."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]), validate_input_scaling(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
