"""What a design, an inverse model and an acquisition promise.

Inverse models and acquisitions see settings scaled to the unit box (``Space.to_unit``), so that a distance, a
spread or a bound means the same for every knob. Randomness comes in as a generator and from nowhere else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.history import LawFacts
from sdl.space import Readings, Settings, Space

Target: TypeAlias = NDArray[np.float64]
"""Readings that somebody wants, ``(p,)``; NaN where a channel is left free."""
Noise: TypeAlias = Readings | Callable[[Settings], Readings]
"""Standard deviation of one reading of each channel: everywhere the same, ``(p,)``, or at settings ``(m, d)`` in the
unit box, ``(m, p)``."""


def noise_at(noise: Noise, settings: Settings) -> Readings:
    """The noise of a reading at each of the settings in the unit box ``(m, d)``, ``(m, p)``."""
    deviation = noise(settings) if callable(noise) else noise
    return np.asarray(np.broadcast_to(deviation, (len(settings), np.shape(deviation)[-1])), float)


@dataclass(frozen=True)
class Remoteness:
    """How far a target lies from the data that a model was trained on."""

    score: float
    """0 among the data; above 1 it is out of their domain, and an answer is a guess."""
    reason: str
    """What is most remote about it: ``"beyond all readings"``, ``"in a gap"`` or ``"off the manifold"``."""
    channels: tuple[int, ...] = ()
    """Columns of the channels that show it, where not all do."""


@runtime_checkable
class Design(Protocol):
    """Settings chosen before any data."""

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """Return settings within the bounds of the space, ``(n, d)``, in its units.

        Args:
            space: Knobs to choose for.
            n: How many; None takes the design's own number where it has one.
            rng: The only source of randomness.

        Raises:
            InvalidInput: if the design does not exist for this number of points or knobs, naming what does.
        """


class Predicts(Protocol):
    """Whatever has been fitted and expects readings at settings."""

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings in the unit box ``(n, d)``."""


@runtime_checkable
class InverseModel(Protocol):
    """Readings to settings, as a distribution; a scikit-learn estimator in its manners.

    The constructor only stores, ``fit`` returns the model, and what was learned ends in an underscore. What it draws
    is calibrated: of fresh rows about nine in ten lie within the central nine tenths of the draws.
    """

    def rows_needed(self, d: int, p: int) -> int:
        """Least number of rows for ``d`` knobs and ``p`` channels."""

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Learn from complete rows: readings ``(n, p)``, settings in the unit box ``(n, d)``.

        A reading of NaN says that the channel was not read in that row; see ``learns_from_gaps``.

        Raises:
            TooFewRows: with the number that is needed.
            InvalidInput: for a value that is not finite or rows that do not match.
        """

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Draw settings ``(n, d)`` that give the fixed channels of the target ``(p,)``, as far as is known.

        Draws may leave the unit box: the caller counts and refuses them, nobody clips them.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: for a target without a fixed channel or with an infinite one.
        """

    def predict(self, settings: Settings) -> Readings:
        """Expected readings ``(n, p)`` at settings in the unit box ``(n, d)``.

        Raises:
            NotFittedError: before ``fit``.
        """

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw ``n`` fresh readings at each of the settings in the unit box ``(m, d)``, shape ``(n, m, p)``.

        They scatter by the noise of a reading and by what the model does not know of its expectation.

        Raises:
            NotFittedError: before ``fit``.
        """

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the data of the fit.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: as ``sample``.
        """


@runtime_checkable
class ForwardModel(Predicts, Protocol):
    """Settings to readings, in the manners of an inverse model; what stands for a response that is costly to ask."""

    def fit(self, settings: Settings, readings: Readings) -> Self:
        """Learn from settings in the unit box ``(n, d)`` and readings ``(n, p)``, all finite."""


# ---------------------------------------------------------------------- what a model may have besides


@runtime_checkable
class LearnsFromGaps(Protocol):
    """A model that may take rows in which some readings are NaN."""

    @property
    def learns_from_gaps(self) -> bool:
        """Whether it does, as it was built."""


@runtime_checkable
class SingleValued(Protocol):
    """A model that may know one answer to a target even where there are several."""

    @property
    def single_valued(self) -> bool:
        """Whether that is all that it knows."""


@runtime_checkable
class StandsAside(Protocol):
    """A model that leaves few rows to a simpler one within it."""

    @property
    def fewest(self) -> int:
        """Distinct settings from which on it is itself."""


@runtime_checkable
class Batched(Protocol):
    """A model that draws for many targets at once."""

    def sample_many(self, targets: Readings, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw ``n`` settings for each of many targets ``(m, p)``, shape ``(m, n, d)``."""


@runtime_checkable
class Differentiable(Protocol):
    """A fitted forward model, or the forward half of a model, that knows its slopes."""

    def tangent(self, settings: Settings) -> tuple[Readings, NDArray[np.float64]]:
        """Expected readings ``(n, p)`` and their slopes ``(n, p, d)`` at settings in the unit box ``(n, d)``."""


@runtime_checkable
class HasSurrogate(Protocol):
    """A model with a differentiable forward model of its own."""

    @property
    def surrogate(self) -> Differentiable | None:
        """The forward model; None before ``fit``, and where there were too few rows for one."""


@runtime_checkable
class DrawsRows(Protocol):
    """A model whose draws may be rows of its fit, so that it knows what its forward model missed in each."""

    def draws_and_misses(
        self, targets: Readings, n: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], Readings | None]:
        """Draws as ``sample_many`` has them, ``(m, n, d)``, and the reading of each less what is expected there.

        The second is ``(m, n, p)``, or None for draws that are no rows of the fit.
        """


@runtime_checkable
class SamplesRows(Protocol):
    """A generative model of whole rows, which draws them without being told anything."""

    def sample_rows(self, n: int, rng: np.random.Generator) -> tuple[Settings, Readings]:
        """Draw settings in the unit box and beyond, ``(n, d)``, and a fresh reading of each, ``(n, p)``."""


@runtime_checkable
class ReportsProgress(Protocol):
    """A model whose training takes so long that somebody may want to see a bar."""

    progress: Callable[[int, int], object]
    """Called with the steps of a training that are done, and of how many."""


@runtime_checkable
class KnowsParameters(Protocol):
    """A model that is a law with hidden parameters."""

    @property
    def law_facts(self) -> LawFacts:
        """The parameters as the rows of the fit have them.

        Raises:
            NotFittedError: before ``fit``.
        """


def learns_from_gaps(model: object) -> bool:
    """Whether a model takes rows in which some readings are NaN."""
    return isinstance(model, LearnsFromGaps) and model.learns_from_gaps


def facts_of_law(model: object) -> LawFacts | None:
    """The parameters of a fitted model that is a law; None of any other."""
    return model.law_facts if isinstance(model, KnowsParameters) else None


def is_single_valued(model: object) -> bool:
    """Whether a model knows one answer to a target even where there are several."""
    return isinstance(model, SingleValued) and model.single_valued


def fewest_rows(model: object) -> int:
    """Distinct settings from which on a model is itself and not a simpler one; 0 if it always is."""
    return model.fewest if isinstance(model, StandsAside) else 0


def stands_in(model: object, n: int) -> bool:
    """Whether a model leaves ``n`` distinct settings to a simpler one."""
    return n < fewest_rows(model)


def draws_for(model: InverseModel, targets: Readings, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw ``n`` settings for each of many targets ``(m, p)``, shape ``(m, n, d)``.

    At once, if the model is ``Batched``, else one target after the other.
    """
    if isinstance(model, Batched):
        return np.asarray(model.sample_many(targets, n, rng))
    return np.stack([model.sample(target, n, rng) for target in targets])


@runtime_checkable
class Acquisition(Protocol):
    """Which settings to measure next."""

    def propose(
        self,
        models: Sequence[InverseModel],
        targets: Sequence[Target],
        measured: Settings,
        noise: Noise,
        n: int,
        rng: np.random.Generator,
        ceiling: Readings | None = None,
    ) -> Settings:
        """Return up to ``n`` settings ``(m, d)`` in the unit box, the most instructive first.

        Args:
            models: One kind of inverse model, fitted on all rows and then on resampled ones: an ensemble.
            targets: What is still looked for, less the present background, each ``(p,)``.
            measured: Settings that were measured already, ``(k, d)``.
            noise: Standard deviation of one reading of each channel.
            n: Size of the batch.
            rng: The only source of randomness.
            ceiling: Of each channel, less the present background, ``(p,)``: a reading there says "at least" and teaches
                little. None, or infinite, where there is none.

        An empty answer says that there is nothing left to learn: all that the ensemble disagrees about is
        below the noise.
        """


def fixed_columns(target: Target, p: int) -> NDArray[np.intp]:
    """Columns of the channels that a target ``(p,)`` fixes, at least one.

    Raises:
        InvalidInput: for another shape, an infinite value, or a target without a fixed channel.
    """
    row = np.asarray(target, float)
    if row.shape != (p,):
        raise InvalidInput(f"a target needs one value for each of {p} channels, got shape {row.shape}")
    if np.isinf(row).any():
        raise InvalidInput("a target needs finite readings (NaN leaves a channel free), got an infinite one")
    fixed = np.flatnonzero(~np.isnan(row))
    if not fixed.size:
        raise InvalidInput("a target needs at least one fixed channel, got all channels free")
    return fixed
