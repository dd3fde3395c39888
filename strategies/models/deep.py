"""What deep inverse models share: their coordinates, a separate forward model, and a mixture where rows are few."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target
from strategies.domain import Domain
from strategies.models.checks import complete_rows, fixed_columns, must_be_fitted
from strategies.models.completion import Completion
from strategies.models.coordinates import Coordinates, Standard, Walled, Whitened
from strategies.models.mixture import Mixture
from strategies.models.seeded import alone, device
from strategies.models.surrogate import Surrogate
from strategies.models.timebox import TimeBox
from strategies.models.training import Taught, teach

HELD_OUT = 10
"""One row in so many is held out to judge the training."""
FORWARD = 0.35
"""Part of the seconds for the forward model."""
CHUNK = 100_000
"""Draws that are made at once."""

Array: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[int, int], object]


@dataclass(eq=False)
class Deep(ABC):
    """An inverse model by a network that turns random numbers and readings into settings.

    A subclass has the network alone: how it learns and how it draws. Here are the coordinates (settings about 1 in
    size, readings along the directions that settings move), the channels that a target leaves free, which are taken
    from rows that agree with it in the others, and the forward model for ``predict`` and ``simulate``, which is
    separate: the forward half of a network that also has to invert is 1 to 85 times worse.

    Networks need hundreds of rows. With fewer distinct settings than ``fewest`` the model is a Gaussian mixture.

    Args:
        steps: Of the training, at most.
        seconds: That the training may take, the forward model's included. It is planned by steps, so that two fits
            agree; ``taught_.cut`` says if this time was over before.
        fewest: Distinct settings from which on there is a network.
        seed: Decides the training.
    """

    steps: int = 6000
    seconds: float = 180.0
    fewest: int = 200
    seed: int = 0
    progress: Progress = field(default_factory=lambda: _silent, init=False, repr=False)
    """Called with the steps of the training that are done, and of how many; set it to see a bar."""

    walled: ClassVar[bool] = True
    """Whether settings are drawn within walls where the rows stop at them."""
    rate: ClassVar[float] = 2e-3
    """Highest rate of learning."""

    def __post_init__(self) -> None:
        if min(self.steps, self.seconds) <= 0 or self.fewest < 2:
            raise InvalidInput(
                "training needs steps and seconds above 0 and fewest >= 2, "
                f"got {self.steps}, {self.seconds} and {self.fewest}"
            )

    def rows_needed(self, d: int, p: int) -> int:
        return Mixture().rows_needed(d, p)

    def fit(self, readings: Readings, settings: Settings) -> Self:
        readings, settings = complete_rows(self, readings, settings)
        self.domain_ = Domain(readings, settings)
        self.mixture_: Mixture | None = None
        if len(np.unique(settings, axis=0)) < self.fewest:
            self.mixture_ = Mixture().fit(readings, settings)
            return self
        self.completion_ = Completion(readings)
        self.whitened_ = Whitened.of(readings)
        self.places_: Coordinates = (Walled if self.walled else Standard).of(settings)
        rng = np.random.default_rng(self.seed)
        self.surrogate_ = Surrogate.of(readings, settings, rng, FORWARD * self.seconds, tell=self.progress)
        self.d_ = settings.shape[1]
        places, told = self.places_.to(settings), self.whitened_.to(readings)
        with alone(self.seed):
            self.network_ = self._network(places.shape[1], told.shape[1])
            order = rng.permutation(len(places))
            held, kept = np.split(order, [max(len(order) // HELD_OUT, 1)])
            learned, tried = ((tensor(places[rows]), tensor(told[rows])) for rows in (kept, held))
            self.taught_: Taught = self._teach(learned, tried)
        return self

    @property
    def surrogate(self) -> Surrogate | None:
        """The forward model with its slopes, if there were rows enough for one."""
        return getattr(self, "surrogate_", None)

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        must_be_fitted(self, "domain_")
        return np.asarray(self.sample_many(np.asarray(target, float)[None], n, rng)[0])

    def sample_many(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` settings for each of many targets ``(m, p)``, shape ``(m, n, d)``: quicker than one by one."""
        must_be_fitted(self, "domain_")
        for target in targets:
            fixed_columns(target, self.domain_.readings.shape[1])
        if self.mixture_ is not None:
            return np.stack([self.mixture_.sample(target, n, rng) for target in targets])
        told = np.stack([self.whitened_.to(self.completion_.of(target, n, rng)) for target in targets])
        most = max(CHUNK // n, 1)
        with alone(int(rng.integers(2**63))), torch.no_grad():
            parts = [self._draw(told[first : first + most], rng) for first in range(0, len(told), most)]
        return np.asarray(self.places_.back(np.concatenate(parts)))

    def predict(self, settings: Settings) -> Readings:
        must_be_fitted(self, "domain_")
        return (self.mixture_ or self.surrogate_).predict(settings)

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        must_be_fitted(self, "domain_")
        return (self.mixture_ or self.surrogate_).simulate(np.asarray(settings, float), n, rng)

    def remoteness(self, target: Target) -> Remoteness:
        must_be_fitted(self, "domain_")
        return self.domain_.remoteness(target)

    @abstractmethod
    def _network(self, d: int, q: int) -> nn.Module:
        """A network that has not learned anything, for ``d`` coordinates of settings and ``q`` of readings."""

    @abstractmethod
    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        """Of settings ``(b, d)`` and readings ``(b, q)`` when a share of the training is over."""

    @abstractmethod
    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        """Settings ``(m, n, d)`` for readings ``(m, n, q)``, in coordinates; torch's generator is seeded."""

    def _teach(self, learned: tuple[Tensor, Tensor], tried: tuple[Tensor, Tensor]) -> Taught:
        box = TimeBox(self.steps, (1 - FORWARD) * self.seconds)
        return teach(self.network_, self._loss, learned, tried, box, self.rate, self.progress)


def tensor(array: Array) -> Tensor:
    """In single precision, where networks learn."""
    return torch.as_tensor(array, dtype=torch.float32, device=device())


def _silent(done: int, of: int) -> None:
    """Who is told of the progress unless somebody asks."""
