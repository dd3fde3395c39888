"""Threads of the linear algebra: one is best for matrices as small as ours."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # comes with scikit-learn


def one_thread() -> AbstractContextManager[Any]:
    """Keep linear algebra to one thread.

    Handing a 6 x 6 matrix to a second thread costs up to 7 ms where the processor is busy, and the work 5 microseconds.
    """
    limited: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limited


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # 2 ms, it looks through all libraries that are loaded
