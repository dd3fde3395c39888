"""One joint model of settings, readings and conditions that answers every question from whatever is known."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.applicability_domain import Domain
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import span
from strategies.models.mixtures.incomplete_data_em import Filled, Regressions, root
from strategies.models.mixtures.masked_flow import Flow, ask, context, pick
from strategies.numerics.blas_threads import one_thread

NETWORK_ROWS = 80
"""Fewer rows are the mixture's alone: they show no more than it can say, and campaigns fit them often."""
FOLDS = 10
"""Rows are judged by mixtures that have not seen them: a tenth is left out in turn."""
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(eq=False)
class AnyConditional:
    """Any cells of a row given any others, learned from rows with gaps.

    A row is settings, readings and conditions (what nobody chooses: a background, a temperature). Its base is a
    Gaussian mixture by expectation maximisation, which answers every question in closed form. A network corrects
    what that leaves: it learns, from random questions about the rows, a flow from the normal distribution to the
    whitened rest of the asked cells, and is kept only if it answers better about rows held out. It brings curvature
    and shapes that no few Gaussians have; where the mixture says it all, the model is the mixture.

    Args:
        max_components: Most components of the mixture to try.
        network: Whether to train one, from ``NETWORK_ROWS`` rows.
        seed: Decides the random questions and the training.

    References:
        Lipman, Chen, Ben-Hamu, Nickel, Le (2023), arXiv:2210.02747, for flow matching;
        Gloeckler et al. (2024), arXiv:2404.09636, for one model of every conditional by random masks

    >>> rng = np.random.default_rng(0)
    >>> settings = rng.random((60, 2))
    >>> readings = settings @ [[100.0, 20.0], [0.0, 50.0]]
    >>> readings[::2, 1] = np.nan  # every other row lacks a channel
    >>> model = AnyConditional().fit(readings, settings)
    >>> known = [0.5, np.nan, np.nan, 35.0]  # the first knob and the second channel
    >>> model.complete(known, 99, rng).mean(axis=0).round(1).tolist()
    [0.5, 0.5, 50.0, 35.0]
    """

    max_components: int = 8
    network: bool = True
    seed: int = 0
    learns_from_gaps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.max_components < 1:
            raise InvalidInput(f"a mixture needs max_components >= 1, got {self.max_components}")

    def rows_needed(self, d: int, p: int) -> int:
        """Two more than there are knobs."""
        return d + 2

    def fit(self, readings: Readings, settings: Settings, conditions: ArrayLike | None = None) -> Self:
        """Learn from readings ``(n, p)``, settings ``(n, d)`` and conditions ``(n, c)``.

        NaN says that a channel was not read, or a condition not known, in that row. A channel that fewer rows have than
        a fit needs stays unknown: no target can fix it, and it is NaN in every answer.

        Raises:
            TooFewRows: with the number that is needed.
            InvalidInput: for a setting that is not finite, an infinite value, rows that do not match, or no reading.
        """
        context = np.empty((len(settings), 0)) if conditions is None else np.array(conditions, float)
        for cells in (context, readings):
            _, places = complete_rows(self, np.where(np.isnan(cells), 0.0, cells), settings)
        rows = np.column_stack((places, readings, context))
        self.d_, self.p_, self.width_ = places.shape[1], np.shape(readings)[1], rows.shape[1]
        needed = np.where(np.arange(self.width_) < self.d_ + self.p_, self.rows_needed(self.d_, self.p_), 1)
        self.seen_: NDArray[np.intp] = np.flatnonzero(np.isfinite(rows).sum(axis=0) >= needed)
        kinds = [self.seen_ < self.d_, self.seen_ < self.d_ + self.p_]
        kind = np.select(kinds, [0, 1], 2)
        self.form_ = Regressions(*(np.flatnonzero(kind == role) for role in range(3)))
        if not self.form_.readings.size:
            raise InvalidInput(f"a fit needs a channel that was read in {needed[0]} rows, got none: measure more")
        self.domain_ = Domain(rows[:, self.d_ : self.d_ + self.p_], rows[:, : self.d_])
        with one_thread():
            self._learn(rows[:, self.seen_])
        return self

    def _learn(self, rows: Array) -> None:
        self.centre_: Array = np.nanmean(rows, axis=0)
        self.unit_: Array = np.array([span(column[~np.isnan(column), None])[0] for column in rows.T])
        self.unit_[self.form_.settings] = 1.0
        rows = (rows - self.centre_) / self.unit_
        distinct = len(np.unique(np.nan_to_num(rows[:, self.form_.inputs]), axis=0))
        most = distinct // self.rows_needed(self.d_, self.p_)
        filled = self.form_.fit(rows, max(min(self.max_components, most), 1))
        rng = np.random.default_rng(self.seed)
        fold = rng.permutation(len(rows)) % FOLDS
        surprise = self.form_.surprise(rows, filled, fold)
        self.mixture_ = self.form_.mixture(filled, surprise=surprise)
        self.flow_: Flow | None = None
        if self.network and len(rows) >= NETWORK_ROWS:
            from strategies.models.mixtures.masked_flow_training import (
                trained,  # a second of imports, and few rows need it not
            )

            others = [self.form_.mixture(filled, (fold != part).astype(float), surprise) for part in range(FOLDS)]
            self.flow_ = trained(*ask(rows, others, fold, self.form_, rng), self.seed)

    def complete(self, known: ArrayLike, n: int, rng: np.random.Generator) -> Array:
        """Draw ``n`` rows ``(n, d + p + c)`` that agree with what is known of one.

        Args:
            known: Settings, readings and conditions, ``(d + p + c,)``; NaN where unknown.
            n: How many.
            rng: The only source of randomness.

        Raises:
            NotFittedError: before ``fit``.
            InvalidInput: for another shape, an infinite value, or a reading of a channel that too few rows had.
        """
        must_be_fitted(self, "mixture_")
        row = np.asarray(known, float)
        if row.shape != (self.width_,) or np.isinf(row).any():
            raise InvalidInput(
                f"a row needs {self.width_} values, settings, readings and conditions, each finite or NaN if unknown, "
                f"got {row.tolist()}"
            )
        return self._draw(row[None], np.ones(self.width_, bool), n, rng)[:, 0]

    def sample(self, target: Target, n: int, rng: np.random.Generator, conditions: ArrayLike | None = None) -> Settings:
        """As in the contract, under conditions ``(c,)`` as far as they are known."""
        must_be_fitted(self, "mixture_")
        fixed_columns(target, self.p_)
        rows = self._rows(np.full((1, self.d_), np.nan), conditions)
        rows[:, self._readings] = target
        return self._draw(rows, np.arange(self.width_) < self.d_, n, rng)[:, 0, : self.d_]

    def predict(self, settings: Settings, conditions: ArrayLike | None = None) -> Readings:
        """As in the contract, under conditions ``(c,)`` as far as they are known; no draws are needed."""
        must_be_fitted(self, "mixture_")
        rows = self._rows(settings, conditions)
        questioned = np.zeros(self.width_, bool)
        questioned[self._readings] = True
        with one_thread():
            filled, questioned = self._filled(rows, questioned)
            cells = filled.cells
            if self.flow_ is not None:
                k = cells.shape[1]
                component = np.tile(np.arange(k), len(cells))
                mean = self.flow_.mean(self._context(filled, questioned, cells, component), questioned).reshape(
                    cells.shape
                )
                cells = cells + np.einsum("kij,nkj->nki", root(filled.covariances[0], questioned), mean)
            expected = np.einsum("nk,nkd->nd", filled.shares, cells)
        return self._whole(expected)[:, self._readings]

    def simulate(
        self, settings: Settings, n: int, rng: np.random.Generator, conditions: ArrayLike | None = None
    ) -> Array:
        """As in the contract, under conditions ``(c,)`` as far as they are known."""
        must_be_fitted(self, "mixture_")
        questioned = np.zeros(self.width_, bool)
        questioned[self._readings] = True
        return self._draw(self._rows(settings, conditions), questioned, n, rng)[:, :, self._readings]

    def sample_rows(self, n: int, rng: np.random.Generator) -> tuple[Settings, Readings]:
        """Whole rows ``(n, d)`` and ``(n, p)``: all cells are asked and none is told."""
        must_be_fitted(self, "mixture_")
        rows = self.complete(np.full(self.width_, np.nan), n, rng)
        return rows[:, : self.d_], rows[:, self._readings]

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "mixture_")
        return self.domain_.remoteness(target)

    @property
    def _readings(self) -> slice:
        return slice(self.d_, self.d_ + self.p_)

    def _rows(self, settings: Settings, conditions: ArrayLike | None) -> Array:
        """Rows ``(m, d + p + c)`` of which settings ``(m, d)`` and conditions ``(c,)`` are known."""
        rows = np.full((len(settings), self.width_), np.nan)
        rows[:, : self.d_] = settings
        if conditions is not None:
            context, c = np.asarray(conditions, float), self.width_ - self.d_ - self.p_
            if context.shape != (c,) or np.isinf(context).any():
                raise InvalidInput(f"a question needs {c} conditions, finite or NaN if unknown, got {context.tolist()}")
            rows[:, self.d_ + self.p_ :] = context
        return rows

    def _filled(self, rows: Array, asked: Mask) -> tuple[Filled, Mask]:
        """What the mixture says of rows ``(m, d + p + c)`` with the same gaps, and which of its columns are asked."""
        unseen = np.setdiff1d(np.arange(self.width_), self.seen_)
        if lost := unseen[np.isfinite(rows[:, unseen]).any(axis=0)].tolist():
            raise InvalidInput(
                f"too few rows of the fit know columns {lost} of settings, readings and conditions: leave them free"
            )
        rows = (rows[:, self.seen_] - self.centre_) / self.unit_
        return self.mixture_.fill(rows), asked[self.seen_] & np.isnan(rows[0])

    def _draw(self, rows: Array, asked: Mask, n: int, rng: np.random.Generator) -> Array:
        """Draws ``(n, m, d + p + c)`` of the asked cells of rows ``(m, d + p + c)`` with the same gaps.

        What is neither known nor asked is left out of the question.
        """
        with one_thread():
            filled, asked = self._filled(rows, asked)
            component = pick(filled.shares, rng.random((n, len(rows))))
            cells = filled.cells[np.arange(len(rows)), component]
            rest = rng.standard_normal(cells.shape) * asked
            if self.flow_ is not None:
                told = self._context(filled, asked, cells, component.ravel())
                rest = self.flow_.draw(rest.reshape(-1, asked.size), told, asked).reshape(rest.shape)
            spread = root(filled.covariances[0], asked)
            for each in range(len(spread)):
                mine = component == each
                cells[mine] += rest[mine] @ spread[each].T
        return self._whole(cells)

    def _context(self, filled: Filled, asked: Mask, cells: Array, component: NDArray[np.intp]) -> Array:
        cells = cells.reshape(-1, asked.size)
        known, asked = (np.broadcast_to(each, cells.shape) for each in (filled.known[0], asked))
        return context(cells, known, asked, component, filled.shares.shape[1])

    def _whole(self, cells: Array) -> Array:
        """Cells ``(..., D)`` of the mixture in their own units and with the columns that too few rows have, as NaN."""
        whole = np.full((*cells.shape[:-1], self.width_), np.nan)
        whole[..., self.seen_] = cells * self.unit_ + self.centre_
        return whole
