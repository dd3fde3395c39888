"""A few of many points that stand for all of them: one of each of as many parts, all of one size."""

import numpy as np
from numpy.typing import NDArray

from strategies.models.base.scaling import Array


def stratified(places: Array, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose ``n`` of ``k`` points in each of many sets, ``(m, n)``.

    Points are sorted by halving them again and again, each time across the direction in which a half is widest, so
    that neighbours in the order are neighbours in space; then one is drawn of each ``n``-th part of the order. What
    they say of the whole set is so much less left to chance. They come in no order, so that the first of them stand
    for all as well.

    Args:
        places: Sets of points ``(m, k, d)``, with ``k`` a power of two, in units in which distances mean something.
        n: How many, at most ``k``.
        rng: The only source of randomness.

    References:
        Bentley (1975), doi:10.1145/361002.361007, for the halving; Cochran (1977), "Sampling Techniques", chapter 8,
        for systematic sampling
    """
    m, k, d = places.shape
    order = np.broadcast_to(np.arange(k), (m, k))
    halves = 1
    while halves < min(n, k):
        parts = np.take_along_axis(places, order[..., None], axis=1).reshape(m, halves, k // halves, d)
        widest = parts.var(axis=2).argmax(axis=2)
        along = np.take_along_axis(parts, widest[:, :, None, None], axis=3)[..., 0]
        inner = np.argsort(along, axis=2)
        order = np.take_along_axis(order.reshape(m, halves, -1), inner, axis=2).reshape(m, k)
        halves *= 2
    at = (np.arange(n) + rng.random((m, n))) * k / n
    return rng.permuted(np.take_along_axis(order, at.astype(np.intp), axis=1), axis=1)
