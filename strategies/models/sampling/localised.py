"""Any inverse model whose draws are localised: moved until its forward half says that they give the target."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from sdl import plugins
from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import (
    DrawsRows,
    ForwardModel,
    InverseModel,
    Remoteness,
    ReportsProgress,
    Target,
    draws_for,
    fewest_rows,
    is_single_valued,
    learns_from_gaps,
)
from strategies.models.base.input_checks import must_be_fitted
from strategies.models.base.noise import span
from strategies.models.base.scaling import Array
from strategies.numerics.localisation import ARRIVED, METHODS, Localised, Method, localise, slopes_of
from strategies.numerics.support import Region

SPARE = 1.1
"""Draws that are made for each that is asked for: some stray."""
PLACES = 4
"""At so many of the draws for a target the noise of readings is looked at."""


@dataclass(eq=False)
class LocalisedModel:
    """Draws of another model, each moved by the shortest way to where a forward model gives the target.

    A draw that ends where the forward model has no data, or that does not arrive, is replaced by one that did;
    ``localise`` tells of all of them. If none arrives the target is out of reach, and the draws stay as they end.

    A row is one noisy reading of what its settings give on average. So that intervals hold for rows, each draw is for
    a target as much off as a reading is; with ``noise`` off all draws are for the target itself, which is what
    somebody wants who will read it often, or without noise. A draw that is a row has a reading of its own, which says
    all that is known of it: what the forward model missed there goes with it on its way, its noise and its fault alike.

    Args:
        model: Name of a registered inverse model.
        options: Of that model.
        method: Of descent: ``gauss-newton``, or ``gradient`` as in the paper, which is slower.
        noise: Whether draws are for what a reading may stand for.
        forward: Name of a registered forward model that the draws are moved through, such as ``small-networks``, from
            ``enough`` distinct settings on; by default the forward half of the model itself.
        enough: Distinct settings.

    References:
        Zhang, Bi, Fung (2023), arXiv:2212.01016
    """

    model: str = "mixture"
    options: dict[str, Any] = field(default_factory=dict)
    method: Method = "gauss-newton"
    noise: bool = True
    forward: str | None = None
    enough: int = 50

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InvalidInput(f"localisation needs the method {' or '.join(METHODS)}, got {self.method!r}")
        self.base_: InverseModel = plugins.build("sdl.inverse_models", self.model, self.options)
        if self.forward is not None:
            plugins.build("sdl.forward_models", self.forward)

    @classmethod
    def around(cls, base: InverseModel, *, noise: bool) -> Self:
        """The same for a model that is no plug-in of its own."""
        made = cls(noise=noise)
        made.base_ = base
        return made

    @property
    def learns_from_gaps(self) -> bool:
        """Whether the model within takes rows with NaN."""
        return learns_from_gaps(self.base_)

    @property
    def single_valued(self) -> bool:
        """Whether the model within knows one answer alone."""
        return is_single_valued(self.base_)

    @property
    def fewest(self) -> int:
        """Distinct settings from which on the model within is itself; 0 if it always is."""
        return fewest_rows(self.base_)

    @property
    def progress(self) -> Callable[[int, int], object]:
        """Of the model within; see there."""
        return self.base_.progress if isinstance(self.base_, ReportsProgress) else lambda done, of: None

    @progress.setter
    def progress(self, tell: Callable[[int, int], object]) -> None:
        if isinstance(self.base_, ReportsProgress):
            self.base_.progress = tell

    def rows_needed(self, d: int, p: int) -> int:
        """As many as the model within needs."""
        return self.base_.rows_needed(d, p)

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Fit the model within, and the named forward model where there are ``enough`` settings without gaps."""
        self.base_.fit(readings, settings)
        self.forward_: ForwardModel | None = None
        whole = np.isfinite(readings).all(axis=1)
        if self.forward is not None and len(np.unique(settings[whole], axis=0)) >= self.enough:
            self.forward_ = plugins.build("sdl.forward_models", self.forward)
            self.forward_.fit(settings[whole], readings[whole])
        self.scale_ = span(np.nan_to_num(readings))
        self.region_ = Region.of(np.array(settings, float))
        return self

    def tangent(self, settings: Settings) -> tuple[Readings, Array]:
        """Readings ``(n, p)`` and slopes ``(n, p, d)`` by the forward model: the named one, or the model's own."""
        return slopes_of(self.forward_ or self.base_)(settings)

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` for one target ``(p,)``; see ``sample_many``."""
        must_be_fitted(self, "region_")
        return np.asarray(self.sample_many(np.asarray(target, float)[None], n, rng)[0])

    def sample_many(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` settings for each of many targets ``(m, p)``, shape ``(m, n, d)``: quicker than one by one."""
        must_be_fitted(self, "region_")
        return self.localise(targets, int(np.ceil(SPARE * n)), rng).chosen(len(targets), n)

    def localise(self, targets: Readings, n: int, rng: np.random.Generator) -> Localised:
        """Where ``n`` draws for each of many targets ``(m, p)`` end, all ``m * n`` of them, those that stray too."""
        must_be_fitted(self, "region_")
        starts, off = self._starts(targets, n, rng)
        tolerance = ARRIVED + np.linalg.norm(off / self.scale_, axis=2)  # of more channels than knobs, not all are met
        starts, goals = (rows.reshape(len(targets) * n, -1) for rows in (starts, targets[:, None] - off))
        return localise(self.tangent, starts, goals, self.scale_, self.region_, self.method, tolerance.ravel())

    def _starts(self, targets: Readings, n: int, rng: np.random.Generator) -> tuple[Array, Readings]:
        """Draws ``(m, n, d)``, and how far off what is expected of each its reading is, ``(m, n, p)``."""
        if self.forward_ is None and isinstance(self.base_, DrawsRows):
            starts, off = self.base_.draws_and_misses(targets, n, rng)
        else:
            starts, off = draws_for(self.base_, targets, n, rng), None
        if off is None:
            off = self._noise(starts, rng) if self.noise else np.zeros((*starts.shape[:2], targets.shape[1]))
        return starts, off

    def _noise(self, starts: Array, rng: np.random.Generator) -> Readings:
        """What readings near starts ``(m, n, d)`` are off their mean, ``(m, n, p)``; seen at a few of them."""
        m, n, d = starts.shape
        some = np.clip(starts[:, :PLACES], 0.0, 1.0).reshape(-1, d)
        off = self.base_.simulate(some, -(-n // PLACES), rng) - self.base_.predict(some)
        by_target = off.reshape(len(off), m, -1, off.shape[2]).transpose(1, 0, 2, 3).reshape(m, -1, off.shape[2])
        return np.asarray(by_target[:, :n])

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` by the forward model that draws are moved through."""
        must_be_fitted(self, "region_")
        return (self.forward_ or self.base_).predict(settings)

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` of the model within, about what the forward model expects."""
        must_be_fitted(self, "region_")
        drawn = self.base_.simulate(settings, n, rng)
        return drawn if self.forward_ is None else drawn - self.base_.predict(settings) + self.predict(settings)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the model within."""
        must_be_fitted(self, "region_")
        return self.base_.remoteness(target)
