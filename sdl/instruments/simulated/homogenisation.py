"""Effective Young's modulus of periodic square cells of pixels, plane stress, by sparse finite elements.

Every pixel is one bilinear element. Of a cell that equals its mirror images a quarter is enough, whose matrix is a
narrow band: that takes half a millisecond, and a whole cell twenty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

POISSON = 0.3
CELLS_AT_ONCE = 256
Array = NDArray[np.float64]
Numbers = NDArray[np.intp]
CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
STRAINS = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], [[0.0, 0.5], [0.5, 0.0]]])
"""Along the first axis, along the second, and shear."""


def effective_modulus(cells: Array) -> Array:
    """Return Young's modulus along the first axis, ``(n,)``, of cells ``(n, k, k)`` of pixel moduli; ``k`` is even.

    References:
        Andreassen, Andreasen (2014), doi:10.1016/j.commatsci.2013.09.006

    >>> layers = np.ones((1, 4, 4))
    >>> layers[:, :, :2] = 0.1
    >>> effective_modulus(layers).round(9).tolist()  # side by side along the load: the mean
    [0.55]
    """
    mirrored = _equal(cells, cells[:, ::-1]) & _equal(cells, cells[:, :, ::-1])
    moduli = np.empty(len(cells))
    k = cells.shape[1]
    for which, mesh, solve in (
        (np.flatnonzero(mirrored), _quarter(k // 2), _by_band),
        (np.flatnonzero(~mirrored), _whole(k), _by_elimination),
    ):
        part = cells[:, : mesh.size, : mesh.size].reshape(len(cells), -1)
        for first in range(0, len(which), CELLS_AT_ONCE):
            chunk = which[first : first + CELLS_AT_ONCE]
            moduli[chunk] = 1 / np.linalg.inv(_elasticity(mesh, part[chunk], solve))[:, 0, 0]
    return moduli


@dataclass(frozen=True, eq=False)
class Mesh:
    """Square elements and the displacements that are unknown."""

    size: int
    """Elements along a side."""
    places: Numbers
    """Number of the unknown at each displacement of each element, ``(size * size, 8)``; -1 where it is held at 0."""
    strains: int
    """How many of ``STRAINS`` it can undergo: mirrors allow no shear, and what they mirror does not couple with it."""

    @property
    def unknowns(self) -> int:
        """Number of displacements that the equations are solved for."""
        return int(self.places.max()) + 1


Solver: TypeAlias = Callable[[Mesh, Array, Array], Array]
"""Mesh, pixels ``(n, size * size)`` and forces ``(n, unknowns, s)`` to displacements of that shape."""


def _elasticity(mesh: Mesh, pixels: Array, solve: Solver) -> Array:
    """Elasticity ``(n, s, s)`` of pixels ``(n, size * size)``: least energy over displacements that fluctuate."""
    element, strained = _element(), _strained()[:, : mesh.strains]
    forces = -_scattered(mesh, pixels, element @ strained)
    moved = solve(mesh, pixels, forces)
    stiff = pixels.mean(axis=1)[:, None, None] * (strained.T @ element @ strained)
    return np.asarray(stiff - forces.mT @ moved / pixels.shape[1])


def _scattered(mesh: Mesh, pixels: Array, values: Array) -> Array:
    """Sums ``(n, unknowns, s)`` over the elements of values ``(8, s)`` times the pixel, at their places."""
    from scipy.sparse import csr_array

    element, row = np.nonzero(mesh.places >= 0)
    where = (mesh.places[element, row], len(mesh.places) * row + element)
    spread = csr_array((np.ones(len(row)), where), (mesh.unknowns, mesh.places.size))
    loads = values[None, :, None, :] * pixels[:, None, :, None]
    loads = loads.reshape(len(pixels), mesh.places.size, -1)
    return np.stack([np.asarray(spread @ load) for load in loads])


def _by_band(mesh: Mesh, pixels: Array, forces: Array) -> Array:
    """Displacements ``(n, unknowns, s)``; unknowns that are coupled have numbers close by."""
    from scipy.linalg import solveh_banded

    row, column, of, at = _entries(mesh)
    lower = row >= column
    row, column, of, at = (entries[lower] for entries in (row, column, of, at))
    width = int((row - column).max()) + 1
    place, values = (row - column) * mesh.unknowns + column, _element().ravel()[at]
    moved = np.empty_like(forces)
    for number, cell in enumerate(pixels):
        band = np.bincount(place, values * cell[of], width * mesh.unknowns).reshape(width, -1)
        moved[number] = solveh_banded(band, forces[number], overwrite_ab=True, lower=True, check_finite=False)
    return moved


def _by_elimination(mesh: Mesh, pixels: Array, forces: Array) -> Array:
    """Displacements ``(n, unknowns, s)`` by sparse elimination, in an order that leaves little to fill in."""
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    row, column, of, at = _entries(mesh)
    values = _element().ravel()[at]
    moved = np.empty_like(forces)
    for number, cell in enumerate(pixels):
        matrix = csc_array((values * cell[of], (row, column)), (mesh.unknowns, mesh.unknowns))
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        moved[number] = factors.solve(forces[number])
    return moved


@cache
def _whole(size: int) -> Mesh:
    """All elements of a cell, opposite sides joined; one corner is held."""
    x, y = _corners(size)
    node = x % size * size + y % size
    return Mesh(size, np.maximum(np.stack((2 * node, 2 * node + 1), axis=-1).reshape(len(node), -1) - 2, -1), 3)


@cache
def _quarter(size: int) -> Mesh:
    """The elements between two pairs of mirrors, which nothing crosses."""
    x, y = _corners(size)
    on_edge = np.stack((x % size == 0, y % size == 0), axis=-1).reshape(len(x), -1)
    node = x * (size + 1) + y
    number = np.stack((2 * node, 2 * node + 1), axis=-1).reshape(len(x), -1)
    free = np.unique(number[~on_edge])
    return Mesh(size, np.where(on_edge, -1, np.searchsorted(free, number)), 2)


def _corners(size: int) -> tuple[Numbers, Numbers]:
    """Nodes of each element, ``(size * size, 4)``, along both axes."""
    x, y = np.divmod(np.arange(size * size), size)
    return x[:, None] + CORNERS[:, 0], y[:, None] + CORNERS[:, 1]


@cache
def _entries(mesh: Mesh) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Of the matrix: row, column, element and entry of that, of each of the unknown ones, ``(m,)``."""
    row, column = np.repeat(mesh.places, 8, axis=1), np.tile(mesh.places, (1, 8))
    of, at = np.nonzero((row >= 0) & (column >= 0))
    return row[of, at], column[of, at], of, at


@cache
def _element() -> Array:
    """Stiffness ``(8, 8)`` of a square element of Young's modulus 1, integrated exactly."""
    elastic = np.array([[1, POISSON, 0], [POISSON, 1, 0], [0, 0, (1 - POISSON) / 2]]) / (1 - POISSON**2)
    stiffness = np.zeros((8, 8))
    for x, y in 0.5 + (CORNERS - 0.5) / np.sqrt(3):
        along = np.array([[y - 1, 1 - y, y, -y], [x - 1, -x, x, 1 - x]])
        strain = np.zeros((3, 8))
        strain[0, ::2], strain[1, 1::2] = along
        strain[2, ::2], strain[2, 1::2] = along[1], along[0]
        stiffness += strain.T @ elastic @ strain / 4
    return stiffness


@cache
def _strained() -> Array:
    """Displacements ``(8, 3)`` of an element in each of the strains."""
    return np.asarray(np.einsum("sij,cj->cis", STRAINS, CORNERS).reshape(8, 3))


def _equal(first: Array, second: Array) -> NDArray[np.bool_]:
    """Which cells agree, ``(n,)``, but for rounding."""
    return np.asarray(np.abs(first - second).max(axis=(1, 2), initial=0.0) < 1e-9)
