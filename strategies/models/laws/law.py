"""A physical law with hidden parameters, as an inverse model: whoever has a formula writes ten lines."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats.qmc import Sobol

from sdl.errors import InvalidInput
from sdl.history import LawFacts
from sdl.space import NamedColumns, Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.laws.lack_of_fit import lack_of_fit
from strategies.models.laws.parameter import Array, Parameter
from strategies.models.laws.parameter_posterior import MOST_NUMBERS, ParameterPosterior
from strategies.models.laws.what_rows_tell import what_rows_tell
from strategies.numerics.blas_threads import one_thread
from strategies.numerics.gauss_newton import gauss_newton
from strategies.numerics.jacobian import tangent
from strategies.numerics.localisation import ARRIVED

Index = NDArray[np.intp]
MOST_ROWS = 400
"""Rows that the posterior of the parameters stands on at most; of more, some are taken at random."""
FEW = 64
"""Draws of the parameters whose mean is expected."""
TABLE = 14
"""Draws begin at the nearest of 2 to the power of this many settings, each with parameters of its own."""
NEAR = 4
"""Nearest settings, at least, of which one is drawn."""
STEPS = 30
"""Of localisation."""
STEP = 1e-3
"""Width of a difference, as a share of the box."""


class Law(ABC):
    """Readings by a formula whose parameters are not known: fitted, it is an inverse model.

    A subclass names its ``parameters`` and gives the ``readings``. Their posterior is drawn (``ParameterPosterior``),
    and with each draw of them settings that read as wanted are found by Gauss-Newton, for a target as much off as a
    reading is; so what is not known of the parameters widens both the settings and the readings that are foretold. It
    knows what its columns mean once ``in_units`` was called, which whoever builds models does.

    Raises:
        InvalidInput: by ``in_units``, for knobs or channels that the formula does not go with.

    References:
        Tarantola (2005), doi:10.1137/1.9780898717921, for the posterior;
        Oliver, He, Reynolds (1996), Conditioning permeability fields to pressure data, for draws by localisation
    """

    parameters: ClassVar[Sequence[Parameter]]
    """What the formula has besides settings."""
    seed: ClassVar[int] = 0
    """Of the draws of the parameters."""

    @abstractmethod
    def readings(self, settings: Mapping[str, Array], parameters: Mapping[str, Array]) -> Mapping[str, Array]:
        """What is read, by channel, at settings by knob with parameters by name; noise and background left out.

        All are arrays, in their units, that go together by NumPy's rules of broadcasting: ``(m,)`` settings and
        ``(s, 1)`` parameters make ``(s, m)`` readings. Settings a little beyond their bounds may be asked for.
        """

    def in_units(self, columns: NamedColumns) -> Self:
        """Say what the columns are; see ``NeedsUnits``."""
        self.columns_ = columns
        middle, name = np.full((1, columns.axes), 0.5), type(self).__name__
        try:
            given = self._read(columns.settings(middle), np.full((2, len(self.parameters)), 0.5), paired=False)
        except KeyError as error:
            knobs, known = ", ".join(columns.knobs), ", ".join(each.name for each in self.parameters)
            raise InvalidInput(
                f"the law {name} asks for {error}, which is no knob here ({knobs}), no parameter ({known}) and no "
                f"channel that it gives; needed are {', '.join(columns.channels)}"
            ) from error
        if not np.isfinite(given).all():
            raise InvalidInput(f"the law {name} gives no number with all knobs and parameters in the middle")
        return self

    def rows_needed(self, d: int, p: int) -> int:
        """One for each parameter."""
        return len(self.parameters)

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Draw the parameters from their posterior.

        Raises:
            TooFewRows: with the number that is needed.
            InvalidInput: for a value that is not finite, rows that do not match, or if the columns have no names yet.
        """
        if not hasattr(self, "columns_"):
            raise InvalidInput(f"the law {type(self).__name__} knows no units yet: call in_units first")
        readings, settings = complete_rows(self, readings, settings)
        if (shape := (settings.shape[1], readings.shape[1])) != (self.columns_.axes, len(self.columns_.channels)):
            raise InvalidInput(
                f"a fit needs rows in the columns that were named, got {shape[0]} knobs, {shape[1]} read"
            )
        self.domain_, rng = Domain(readings, settings), np.random.default_rng(self.seed)
        if len(readings) > MOST_ROWS:
            some = np.sort(rng.permutation(len(readings))[:MOST_ROWS])
            readings, settings = readings[some], settings[some]
        shared = float(self.columns_.off is not None)
        with one_thread():
            self.posterior_ = ParameterPosterior.of(
                lambda places: self._expected(settings, places), readings, self.parameters, shared, rng
            )
            self.misfit_ = lack_of_fit(self.posterior_.left, self.posterior_.slopes, settings)
            self._tabulate(rng)
        return self

    @property
    def law_facts(self) -> LawFacts:
        """The parameters with their intervals, what the rows do not tell, and whether the law holds for them.

        Raises:
            NotFittedError: before ``fit``.
        """
        must_be_fitted(self, "posterior_")
        return what_rows_tell(self.parameters, self.posterior_, self.misfit_, self.columns_.channels)

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` in the unit box, each with parameters of its own."""
        must_be_fitted(self, "posterior_")
        fixed = fixed_columns(target, len(self.columns_.channels))
        wanted, unit = np.asarray(target, float)[fixed], np.median(self.posterior_.noise, axis=0)[fixed]
        near = ((self.table_readings_[:, fixed] - wanted) / unit) ** 2
        count = min(max(NEAR * n, FEW), len(near))
        nearest = np.argpartition(near.sum(axis=1), count - 1)[:count]
        chosen = nearest[rng.permutation(count)[:n]] if n <= count else nearest[rng.integers(count, size=n)]
        draw, at = self.table_draws_[chosen], self.table_settings_[chosen].copy()
        off = (self._noise(draw, rng) + self.posterior_.error[draw])[:, fixed]
        places = self.posterior_.places[draw]

        def look(settings: Settings, rows: Index) -> tuple[Array, Array]:
            copies = np.repeat(places[rows], 2 * settings.shape[1] + 1, axis=0)
            read, slopes = tangent(lambda some: self._expected(some, copies, paired=True)[:, fixed], settings, STEP)
            return (read + off[rows] - wanted) / unit, slopes / unit[:, None]

        with one_thread():
            misses = gauss_newton(look, at, STEPS)
        slack = np.linalg.norm(off / unit, axis=1)  # of more channels than knobs, not all are met
        arrived = np.flatnonzero(misses <= ARRIVED + slack)
        return at[np.resize(arrived, n)] if arrived.size else at

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)``: the mean over draws of the parameters."""
        must_be_fitted(self, "posterior_")
        some = np.arange(0, len(self.posterior_.places), len(self.posterior_.places) // FEW)
        settings, error = np.asarray(settings, float), self.posterior_.error[some].mean(axis=0)
        chunk = max(int(MOST_NUMBERS / (len(some) * len(error))), 1)
        parts = [
            self._expected(settings[first : first + chunk], self.posterior_.places[some]).mean(axis=0)
            for first in range(0, len(settings), chunk)
        ]
        return np.asarray(np.concatenate(parts) + error) if parts else np.empty((0, len(error)))

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)``, each of the n with parameters of its own, and with noise."""
        must_be_fitted(self, "posterior_")
        draw = rng.integers(len(self.posterior_.places), size=n)
        noise = self._noise(np.repeat(draw, len(settings)), rng).reshape(n, len(settings), -1)
        read = self._expected(np.asarray(settings, float), self.posterior_.places[draw])
        return np.asarray(read + self.posterior_.error[draw][:, None] + noise)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "posterior_")
        return self.domain_.remoteness(target)

    # ------------------------------------------------------------------ the formula in columns

    def _expected(self, settings: Settings, places: Array, paired: bool = False) -> Array:
        """Readings ``(s, m, p)`` at points ``(m, d)`` with each of the parameters ``(s, k)``.

        Or ``(m, p)`` with those of its own each, ``paired``.
        """
        read = self._read(self.columns_.settings(settings), places, paired)
        off = self.columns_.off
        return read if off is None else read - self._read(off[None], places, paired)

    def _read(self, settings: Settings, places: Array, paired: bool) -> Array:
        named = dict(zip(self.columns_.knobs, settings.T, strict=True))
        columns = places.T if paired else places.T[:, :, None]
        hidden = {each.name: each.values(at) for each, at in zip(self.parameters, columns, strict=True)}
        shape = (len(places),) if paired else (len(places), len(settings))
        with np.errstate(all="ignore"):
            given = self.readings(named, hidden)
            read = [np.broadcast_to(np.asarray(given[name], float), shape) for name in self.columns_.channels]
        return np.stack(read, axis=-1)

    def _noise(self, draw: Index, rng: np.random.Generator) -> Readings:
        """Errors of a reading ``(m, p)`` for the draws of the parameters with these numbers ``(m,)``."""
        noise = self.posterior_.noise[draw]
        return np.asarray(noise * rng.standard_t(self.posterior_.dof, noise.shape))

    def _tabulate(self, rng: np.random.Generator) -> None:
        """Settings all over the box with what they would read, each with a draw of the parameters."""
        self.table_settings_ = Sobol(self.columns_.axes, rng=rng).random_base2(TABLE)
        self.table_draws_ = rng.integers(len(self.posterior_.places), size=len(self.table_settings_))
        read = self._expected(self.table_settings_, self.posterior_.places[self.table_draws_], paired=True)
        self.table_readings_ = np.nan_to_num(read + self.posterior_.error[self.table_draws_], nan=np.inf)
