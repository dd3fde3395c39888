"""Deep generative inverse models: a network that turns noise and readings into settings."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.models.base.scaling import Coordinates, Standard, Walled, Whitened
from strategies.models.base.time_budget import TimeBox
from strategies.models.deep.free_channels import Completion
from strategies.models.deep.with_forward import Array, WithForward
from strategies.models.forward.early_stopping import Taught, teach
from strategies.models.forward.torch_seed import alone, device

HELD_OUT = 10
"""One row in so many is held out to judge the training."""
RATE = 2e-3
"""Highest rate of learning."""
CHUNK = 100_000
"""Draws that are made at once."""


@dataclass(eq=False)
class Deep(WithForward):
    """A network between settings of size 1 and readings along the directions that settings move.

    Channels that a target leaves free are taken from rows that agree with it in the others, so that a network is
    trained for complete readings alone.

    Args:
        steps: Of the training, at most.
    """

    steps: int = 5000

    walled: ClassVar[bool] = False
    """Whether settings are drawn within walls where the rows stop at them."""
    exact: ClassVar[bool] = False
    """Whether the network knows of no noise; draws are then for a target that is as much off as a reading is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise InvalidInput(f"training needs steps >= 1, got {self.steps}")

    def _learn(self, readings: Readings, settings: Settings, rng: np.random.Generator) -> None:
        self.completion_ = Completion(readings)
        self.whitened_ = Whitened.of(readings)
        self.places_: Coordinates = (Walled if self.walled else Standard).of(settings)
        places, told = self.places_.to(settings), self.whitened_.to(readings)
        self.range_ = places.min(axis=0), places.max(axis=0)
        held, kept = np.split(rng.permutation(len(places)), [max(len(places) // HELD_OUT, 1)])
        learned, tried = ((tensor(places[rows]), tensor(told[rows])) for rows in (kept, held))
        with alone(self.seed):
            self.network_ = self._network(places.shape[1], told.shape[1])
            box = TimeBox(self.steps, (1 - self.share) * self.seconds)
            self.taught_: Taught = teach(self.network_, self._loss, learned, tried, box, RATE, self.progress)

    def _draws(self, targets: Readings, n: int, rng: np.random.Generator) -> Array:
        completed = np.stack([self.completion_.of(target, n, rng) for target in targets])
        if self.exact:
            completed = completed - self.surrogate_.noise.draw(completed.shape[:2], rng)
        told = self.whitened_.to(completed)
        most = max(CHUNK // n, 1)
        with alone(int(rng.integers(2**63))), torch.no_grad():
            parts = [self._draw(told[first : first + most], rng) for first in range(0, len(told), most)]
        return np.asarray(self.places_.back(np.concatenate(parts)))

    @abstractmethod
    def _network(self, d: int, q: int) -> nn.Module:
        """A network that has not learned anything, for ``d`` coordinates of settings and ``q`` of readings."""

    @abstractmethod
    def _loss(self, places: Tensor, told: Tensor, share: float) -> Tensor:
        """Of settings ``(b, d)`` and readings ``(b, q)`` when a share of the training is over."""

    @abstractmethod
    def _draw(self, told: Array, rng: np.random.Generator) -> Array:
        """Settings ``(m, n, d)`` for readings ``(m, n, q)``, in coordinates; torch's generator is seeded."""


def tensor(array: Array) -> Tensor:
    """In single precision, where networks learn."""
    return torch.as_tensor(array, dtype=torch.float32, device=device())


def flat(told: Array) -> Tensor:
    """Readings ``(m, n, q)`` as a tensor ``(m * n, q)``."""
    return tensor(told.reshape(-1, told.shape[-1]))


def unfolded(drawn: Tensor, told: Array) -> Array:
    """Draws ``(m * n, d)`` as an array ``(m, n, d)``, as the readings ``(m, n, q)`` lie."""
    return np.asarray(drawn.cpu().numpy().reshape(*told.shape[:2], -1), float)
