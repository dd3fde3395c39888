"""Torch with a seed of its own: what the process had before comes back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def alone(seed: int) -> Iterator[torch.Generator]:
    """A generator of one's own, one thread and gradients; torch's own generators start from the same seed."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield torch.Generator().manual_seed(seed)
        finally:
            torch.set_num_threads(threads)


def device() -> torch.device:
    """The first GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
