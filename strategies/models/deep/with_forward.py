"""What deep inverse models share before any network inverts: a forward model, or a mixture where rows are few."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.forward.surrogate import Surrogate
from strategies.models.mixtures.mixture import Mixture

Array: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[int, int], object]


@dataclass(eq=False)
class WithForward(ABC):
    """An inverse model beside a forward model of its own.

    The forward model is for ``predict`` and ``simulate``, and for whoever localises draws. It is separate from what
    inverts: the forward half of an invertible network is 1 to 85 times worse. Networks need hundreds of rows; with
    fewer distinct settings than ``fewest`` the model is a Gaussian mixture. A subclass has its own idea alone.

    Args:
        seconds: That the training may take, the forward model's included. It is planned by steps, so that two fits
            agree; where this time is over before, it ends early.
        forward_steps: Of the training of each network of the forward model, at most.
        fewest: Distinct settings from which on there are networks.
        seed: Decides the training.
    """

    seconds: float = 180.0
    forward_steps: int = 150
    fewest: int = 200
    seed: int = 0
    progress: Progress = field(default_factory=lambda: _silent, init=False, repr=False)
    """Called with the steps of a training that are done, and of how many; set it to see a bar."""

    share: ClassVar[float] = 0.35
    """Part of the seconds that the forward model may take."""

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.fewest < 2 or self.forward_steps < 1:
            raise InvalidInput(
                f"training needs seconds above 0, fewest >= 2 and forward_steps >= 1, "
                f"got {self.seconds}, {self.fewest} and {self.forward_steps}"
            )

    def rows_needed(self, d: int, p: int) -> int:
        """As many as a Gaussian mixture needs, which stands in where rows are few."""
        return Mixture().rows_needed(d, p)

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Train the forward model and what inverts; a Gaussian mixture if there are fewer settings than ``fewest``."""
        readings, settings = complete_rows(self, readings, settings)
        self.d_, self.domain_ = settings.shape[1], Domain(readings, settings)
        self.mixture_: Mixture | None = None
        if len(np.unique(settings, axis=0)) < self.fewest:
            self.mixture_ = Mixture().fit(readings, settings)
            return self
        rng = np.random.default_rng(self.seed)
        seconds = self.share * self.seconds
        self.surrogate_ = Surrogate.of(readings, settings, rng, seconds, self.forward_steps, self.progress)
        self._learn(readings, settings, rng)
        return self

    @property
    def surrogate(self) -> Surrogate | None:
        """The forward model with its slopes, if there were rows enough for one."""
        return getattr(self, "surrogate_", None)

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` for one target ``(p,)``; see ``sample_many``."""
        must_be_fitted(self, "domain_")
        return np.asarray(self.sample_many(np.asarray(target, float)[None], n, rng)[0])

    def sample_many(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` settings for each of many targets ``(m, p)``, shape ``(m, n, d)``: quicker than one by one."""
        self._asked(targets)
        if self.mixture_ is not None:
            return np.stack([self.mixture_.sample(target, n, rng) for target in targets])
        return self._draws(np.asarray(targets, float), n, rng)

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` by the forward model."""
        must_be_fitted(self, "domain_")
        return (self.mixture_ or self.surrogate_).predict(settings)

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` with the noise that the forward model left over."""
        must_be_fitted(self, "domain_")
        return (self.mixture_ or self.surrogate_).simulate(np.asarray(settings, float), n, rng)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "domain_")
        return self.domain_.remoteness(target)

    def _asked(self, targets: Readings) -> None:
        """Refuse targets ``(m, p)`` that cannot be answered."""
        must_be_fitted(self, "domain_")
        for target in targets:
            fixed_columns(target, self.domain_.readings.shape[1])

    @abstractmethod
    def _learn(self, readings: Readings, settings: Settings, rng: np.random.Generator) -> None:
        """Learn to invert rows that are complete and enough."""

    @abstractmethod
    def _draws(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        """Settings ``(m, n, d)`` for targets ``(m, p)``, NaN where free."""


def _silent(done: int, of: int) -> None:
    """Who is told of the progress unless somebody asks."""
