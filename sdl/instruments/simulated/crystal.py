"""A benchmark of inverse problems from records: which lattice of MoS2, in which field, has a band gap as wanted?"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.instruments.simulated.base import Simulated
from sdl.space import Knob, Readings, Settings

SOURCE = "https://github.com/jxzhangjhu/MatDesINNe"
LENGTH, ANGLE = "angstrom", "degrees"


class StandIn(Protocol):
    """A forward model that is fitted on all records and then stands for the truth."""

    def fit(self, settings: Settings, readings: Readings) -> Self:
        """Learn from settings in the unit box ``(n, d)`` and readings ``(n, p)``."""

    def predict(self, settings: Settings) -> Readings:
        """Return the expected readings ``(n, p)`` at settings in the unit box ``(n, d)``."""


class Crystal(Simulated):
    """Band gap of a monolayer, by a model of all records, which stands for the truth.

    Nobody computes the gap of another lattice here, so a forward model that is fitted on all records answers. It is
    fitted when the first reading is asked for, which takes a minute: its error for
    records that it has not seen is 0.046 eV (root mean square).

    Args:
        path: Folder with ``data_x.csv`` and ``data_y.csv``.
        stand_in: The forward model, not fitted yet.
        seed: Of the noise.
        noise: Standard deviation of one reading, eV.

    References:
        Fung, Zhang, Hu, Ganesh, Sumpter (2021), doi:10.1038/s41524-021-00670-x, who made the records
    """

    NAME = "crystal"
    KNOBS = (
        Knob(name="a", low=2.5, high=3.8, unit=LENGTH),
        Knob(name="b", low=2.5, high=3.8, unit=LENGTH),
        Knob(name="c", low=9.8, high=14.8, unit=LENGTH),
        Knob(name="alpha", low=72, high=108, unit=ANGLE),
        Knob(name="beta", low=72, high=108, unit=ANGLE),
        Knob(name="gamma", low=96, high=144, unit=ANGLE),
        Knob(name="field", low=-1, high=1, unit="V/angstrom"),
    )
    CHANNELS: ClassVar = {"gap": "eV"}

    def __init__(self, path: str | Path, stand_in: StandIn, seed: int = 0, noise: float = 0.0) -> None:
        super().__init__(seed, noise)
        self._stand_in = stand_in
        self._settings, self._gaps = _records(Path(path))
        if not self.space.contains(self._settings).all():
            raise InvalidInput(f"path: {str(path)!r} has lattices out of bounds: get the records from {SOURCE}")

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free readings ``(n, 1)`` at settings ``(n, 7)``; see ``Simulated``."""
        return np.asarray(np.maximum(0.0, self._fitted.predict(self.space.to_unit(settings))))

    def prior(self, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, 7)`` as they occur; see ``Simulated``."""
        return self._settings[self._some(n, rng)]

    def rows(self, n: int, rng: np.random.Generator) -> tuple[Readings, Settings]:
        """Records, which are not what the stand-in makes of them, as in ``Simulated``."""
        records = self._some(n, rng)
        noise = self._noise * rng.standard_normal((n, 1))
        return self._gaps[records] + noise, self._settings[records]

    def _some(self, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Records, each once as long as there are enough of them."""
        available = len(self._settings)
        return np.asarray(rng.permutation(available)[:n] if n <= available else rng.integers(available, size=n))

    @cached_property
    def _fitted(self) -> StandIn:
        return self._stand_in.fit(self.space.to_unit(self._settings), self._gaps)


def _records(folder: Path) -> tuple[Settings, Readings]:
    """Distinct settings ``(n, 7)`` and their gaps ``(n, 1)``.

    Raises:
        InvalidInput: with where to get the files, if they are not there or not what they should be.
    """
    try:
        settings, gaps = (np.loadtxt(folder / f"data_{letter}.csv", delimiter=",", ndmin=2) for letter in "xy")
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"path: cannot read data_x.csv and data_y.csv in {str(folder)!r}: {error}; get them from {SOURCE}"
        ) from error
    if settings.shape[1] != len(Crystal.KNOBS) or gaps.shape != (len(settings), 1):
        raise InvalidInput(
            f"path: needs 7 columns in data_x.csv and as many gaps in data_y.csv, got {settings.shape} and {gaps.shape}"
        )
    if not (np.isfinite(settings).all() and np.isfinite(gaps).all()):
        raise InvalidInput(f"path: {str(folder)!r} has values that are not finite: get the records from {SOURCE}")
    distinct, first = np.unique(settings, axis=0, return_index=True)
    return distinct, gaps[first]
