"""How far readings go together along each knob: by such distances kriging learns from fewer rows where knobs differ."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from sdl.space import Settings
from strategies.correction.rows import TrainingRows
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.distinct_rows import distinct_rows

MOST = 5.0
"""Times that readings may go together farther, or less far, along a knob than along the others."""
FIRST = 0.5
LENGTHS, SIZES = (0.1, 10.0), (1e-2, 1e3)
"""Limits of the search, in the unit box and in variances of the readings."""


def length_scales(rows: TrainingRows) -> NDArray[np.float64]:
    """By what each knob is divided before distances are taken, for each channel, ``(p, d)``; their product is 1.

    The likeliest lengths of a Gaussian process for each channel; how long they are together is left to kriging, which
    weighs several. Noise is that of a reading, the error of the background left out.

    References:
        Neal (1996), doi:10.1007/978-1-4612-0745-0, for one length a knob
    """
    first, place = distinct_rows(rows.settings)
    at, times = rows.settings[first], np.bincount(place)
    means, noises = (np.bincount(place, each) / times for each in rows.readings.T), rows.noise[:, None] / np.sqrt(times)
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its limit says that the knob does nothing
        return np.array([_channel(at, mean, noise) for mean, noise in zip(means, noises, strict=True)])


def _channel(settings: Settings, readings: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one channel, ``(d,)``; readings are the means at distinct settings and noise is theirs."""
    d, scatter = settings.shape[1], float(readings.std()) or 1.0
    kernel = ConstantKernel(1.0, SIZES) * RBF(np.full(d, FIRST), LENGTHS)
    process = GaussianProcessRegressor(kernel, alpha=(noise / scatter) ** 2 + _JITTER, normalize_y=True)
    lengths = np.broadcast_to(process.fit(settings, readings).kernel_.k2.length_scale, (d,))
    apart = np.clip(lengths / np.exp(np.log(lengths).mean()), 1 / MOST, MOST)
    return np.asarray(apart / np.exp(np.log(apart).mean()))


_JITTER = 1e-6
