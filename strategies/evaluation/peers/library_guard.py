"""What every library for Bayesian optimisation needs round it: its seeds, its threads and its warnings."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
from scipy.stats import qmc

from sdl.errors import InvalidInput
from sdl.space import Settings
from strategies.numerics.blas_threads import one_thread


def must_be_installed(*packages: str) -> None:
    """See to it that packages are there, without the seconds that their import takes.

    Raises:
        InvalidInput: naming those that are not.
    """
    if lacking := [name for name in packages if find_spec(name) is None]:
        raise InvalidInput(f"{', '.join(lacking)} not installed: pip install 'inverse-sdl[peers]'")


@contextmanager
def contained(rng: np.random.Generator) -> Iterator[int]:
    """Run a library that draws from the global generators of NumPy and torch: seeded, and put back as they were.

    It may use one thread, since matrices are small here, and its warnings go nowhere.

    Args:
        rng: What the seed that it yields, for the library's own use, is drawn from.
    """
    import torch

    seed, threads = int(rng.integers(2**31)), torch.get_num_threads()
    before = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]), one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield seed
        finally:
            np.random.set_state(before)  # noqa: NPY002
            torch.set_num_threads(threads)


def spread(n: int, d: int, rng: np.random.Generator) -> Settings:
    """The first points of a scrambled Sobol sequence in the unit box, ``(n, d)``: where these libraries begin."""
    return np.asarray(qmc.Sobol(d, rng=rng).random_base2((n - 1).bit_length())[:n])


def channels(c: int) -> list[str]:
    """Names of channels for libraries that want some."""
    return [f"y{channel}" for channel in range(1, c + 1)]
