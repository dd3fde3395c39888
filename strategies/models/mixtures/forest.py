"""Flow matching with gradient-boosted trees, on what a mixture of linear answers leaves unexplained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ForestDiffusion import ForestDiffusionModel
from scipy.special import softmax
from xgboost import config_context

from sdl.errors import InvalidInput
from sdl.space import Readings, Settings
from strategies.contract import Remoteness, Target, fixed_columns
from strategies.models.base.input_checks import complete_rows, must_be_fitted
from strategies.models.base.noise import span
from strategies.models.mixtures.conditionals import Array, Branches, Columns
from strategies.models.mixtures.mixture import Mixture
from strategies.numerics.blas_threads import one_thread

FOLDS = 4  # of the rows, each answered by a backbone and judging a forest that have not seen it
WORTH = 4  # times the rows that a mixture needs: with fewer there is nothing to hold out
STAND_INS = 30  # rows drawn from the backbone itself, among which a few real ones change little
SAMPLES = 4000  # noisy copies of rows for one forest: up to so many, whatever the number of rows
DUPLICATES = 10  # most noisy copies of one row
LEAST_LEAF = 3  # rows
DAMPING = (0.25, 0.5, 0.75, 1.0)  # of what the forests change, for the better as a rule only with many rows
JUDGED = 64  # draws for each row held out
NOMINAL = 0.9  # intervals that the forests must not make narrower than they should be


@dataclass(eq=False)
class Forest:
    """ForestDiffusion: trees turn normal noise into draws, conditioned on the channels that the target fixes.

    Trees answer in steps and learn few rows by heart. So they do not learn settings but residuals: a mixture of
    linear components, as in ``Mixture``, answers each row from the others, and the trees learn what that leaves, in
    units of the component's scatter, where they may find a bend, a skew or the wall of the box. One forest for each
    fold of the rows learns from the others, and a draw takes one of the forests. What they say about the rows they
    have not seen decides how much of their change to a draw is applied, a quarter at least, and by how much it must
    be widened again. With fewer than four times the rows that are needed the backbone answers alone.

    There is a set of forests for each set of fixed channels, made when it is first asked for, and one forward for
    ``simulate``. ``predict`` is the backbone's, which has slopes.

    Args:
        levels: Noise levels of the flow, 2 or more.
        trees: Boosting rounds at each level.
        depth: Of a tree.
        max_components: Most components of the backbone.
        seed: Of the noise that the forests are trained with.

    References:
        Jolicoeur-Martineau, Fatras, Kachman (2024), arXiv:2309.09968, for the flow;
        Gneiting, Raftery (2007), doi:10.1198/016214506000001437, for the energy score that judges it
    """

    levels: int = 8
    trees: int = 10
    depth: int = 3
    max_components: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.levels < 2 or min(self.trees, self.depth, self.max_components) < 1:
            raise InvalidInput(
                "a forest needs levels >= 2, and trees, depth and max_components >= 1, "
                f"got {self.levels}, {self.trees}, {self.depth} and {self.max_components}"
            )

    def rows_needed(self, d: int, p: int) -> int:
        """As many as the Gaussian mixture behind the trees needs."""
        return self._mixture().rows_needed(d, p)

    def fit(self, readings: Readings, settings: Settings) -> Self:
        """Fit the mixture; trees are grown for the channels that a target fixes, when it is asked for."""
        readings, settings = complete_rows(self, readings, settings)
        self.d_, self.rows_ = settings.shape[1], np.column_stack((settings, readings))
        self.backbone_ = self._mixture().fit(readings, settings)
        self.held_out_: list[tuple[Mixture, Columns]] | None = None
        self.conditional_: dict[tuple[int, ...], _Conditional] = {}
        return self

    def sample(self, target: Target, n: int, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` of the mixture given the fixed channels, corrected by trees."""
        must_be_fitted(self, "backbone_")
        fixed = fixed_columns(target, self.rows_.shape[1] - self.d_)
        backward = self._conditional(self.d_ + fixed, np.arange(self.d_))
        return backward.draw(np.tile(np.asarray(target, float)[fixed], (n, 1)), rng)

    def predict(self, settings: Settings) -> Readings:
        """Readings ``(n, p)`` of the mixture given the settings."""
        must_be_fitted(self, "backbone_")
        return self.backbone_.predict(settings)

    def simulate(self, settings: Settings, n: int, rng: np.random.Generator) -> Array:
        """Readings ``(n, m, p)`` of the mixture given the settings, corrected by trees."""
        must_be_fitted(self, "backbone_")
        places = np.asarray(settings, float)
        forward = self._conditional(np.arange(self.d_), np.arange(self.d_, self.rows_.shape[1]))
        return forward.draw(np.tile(places, (n, 1)), rng).reshape(n, len(places), -1)

    def remoteness(self, target: Target) -> Remoteness:
        """How far the target ``(p,)`` lies from the rows of the fit; see ``Domain``."""
        must_be_fitted(self, "backbone_")
        return self.backbone_.remoteness(target)

    def _mixture(self) -> Mixture:
        return Mixture(self.max_components)

    def _conditional(self, known: Columns, asked: Columns) -> "_Conditional":
        key = tuple(known.tolist())
        if key not in self.conditional_:
            with one_thread():
                self.conditional_[key] = self._learned(known, asked)
        return self.conditional_[key]

    def _learned(self, known: Columns, asked: Columns) -> "_Conditional":
        """The rows' answer to one question, with a correction by forests if there are rows enough."""
        places = _Places(self.rows_[:, known], self.d_)
        made = _Conditional(Branches(self.backbone_, known, asked), places)
        if len(self.rows_) < WORTH * self.rows_needed(self.d_, 0):
            return made
        rng = np.random.default_rng(self.seed)
        folds = [
            (places(self.rows_[np.ix_(out, known)]), Branches(mixture, known, asked).residuals(self.rows_[out]))
            for mixture, out in self._folds()
        ]
        for i in range(FOLDS):
            where, left = (np.concatenate(pieces) for pieces in zip(*folds[:i], *folds[i + 1 :], strict=True))
            made.flows.append(self._flow(where, left, rng))
        made.judge(folds, rng)
        return made

    def _folds(self) -> list[tuple[Mixture, Columns]]:
        """Mixtures of all rows but some, and those."""
        if self.held_out_ is None:
            order = np.random.default_rng(self.seed).permutation(len(self.rows_))
            y, x = self.rows_[:, self.d_ :], self.rows_[:, : self.d_]
            self.held_out_ = [
                (self._mixture().fit(np.delete(y, part, axis=0), np.delete(x, part, axis=0)), part)
                for part in np.array_split(order, FOLDS)
            ]
        return self.held_out_

    def _flow(self, places: Array, left: Array, rng: np.random.Generator) -> "_Flow":
        stand_ins = rng.standard_normal((STAND_INS, left.shape[1]))
        places = np.vstack((places, places[rng.integers(len(places), size=STAND_INS)]))
        duplicates = int(np.clip(SAMPLES // len(places), 1, DUPLICATES))
        forest = library_forest(
            np.vstack((left, stand_ins)),
            places,
            n_t=self.levels,
            duplicate_K=duplicates,
            n_estimators=self.trees,
            max_depth=self.depth,
            min_child_weight=LEAST_LEAF * duplicates,
            multi_strategy="multi_output_tree",
            n_batch=0,
            seed=self.seed,
        )
        return _Flow(forest)


class _Places:
    """Known values ``(m, q)`` as what trees ask about, ``(m, d)`` at most.

    d knobs move the readings in d directions; in any more, a tree would tell rows apart by their noise.
    """

    def __init__(self, known: Array, d: int) -> None:
        self._centre, self._width = known.mean(axis=0), span(known)
        directions = np.linalg.svd((known - self._centre) / self._width, full_matrices=False)[2]
        self._directions = directions[:d].T if known.shape[1] > d else np.eye(known.shape[1])

    def __call__(self, values: Array) -> Array:
        return np.asarray((values - self._centre) / self._width @ self._directions)


class _Flow:
    """The trees of a forest as a map from normal noise to residuals; with the right backbone the identity.

    The library's own ``generate`` draws from the global generator and clips to the range of the training rows.
    """

    def __init__(self, forest: Any) -> None:
        self._steps = [model.get_booster() for model in forest.regr[0][:-1]]
        self._scaler = forest.scaler

    def __call__(self, noise: Array, places: Array) -> Array:
        """Residuals ``(m, a)`` of noise ``(m, a)`` at places ``(m, d)``, by Euler's method."""
        at = noise
        for step in self._steps:
            at = at + step.inplace_predict(np.hstack((at, places))).reshape(at.shape) / len(self._steps)
        return np.asarray(self._scaler.inverse_transform(at))


class _Conditional:
    """Draws of the columns asked for: the backbone's, changed by forests."""

    def __init__(self, backbone: Branches, places: _Places) -> None:
        self._backbone, self._places = backbone, places
        self.flows: list[_Flow] = []
        self.damping, self.width = 1.0, 1.0

    def draw(self, values: Array, rng: np.random.Generator) -> Array:
        """One draw ``(m, a)`` for each of the values ``(m, q)``."""
        weights, answers = self._backbone.answers(values)
        shares = softmax(weights, axis=1).cumsum(axis=1)
        component = (rng.random((len(values), 1)) > shares[:, :-1]).sum(axis=1)
        noise = rng.standard_normal((len(values), answers.shape[2]))
        left = self._changed(noise, self._places(values), rng)
        spread = np.einsum("mij,mj->mi", self._backbone.roots[component], left)
        return np.asarray(answers[np.arange(len(values)), component] + spread)

    def judge(self, unseen: Sequence[Sequence[Array]], rng: np.random.Generator) -> None:
        """Set damping and width by places ``(m, d)`` and residuals ``(m, a)`` that each of the flows has not seen."""
        before, after = [], []
        for flow, (places, left) in zip(self.flows, unseen, strict=True):
            before.append(rng.standard_normal((len(left), JUDGED, left.shape[1])))
            moved = flow(before[-1].reshape(-1, left.shape[1]), np.repeat(places, JUDGED, axis=0))
            after.append(moved.reshape(before[-1].shape))
        plain, full, truth = (np.concatenate(pieces) for pieces in (before, after, [left for _, left in unseen]))
        draws = {damping: plain + damping * (full - plain) for damping in DAMPING}
        self.damping = min(DAMPING, key=lambda damping: _energy_score(draws[damping], truth))
        self.width = _stretch(draws[self.damping], truth) / _stretch(plain, truth)

    def _changed(self, noise: Array, places: Array, rng: np.random.Generator) -> Array:
        """Residuals ``(m, a)``, each by one of the forests: where these disagree, the draws spread."""
        if not self.flows:
            return noise
        left, forest = noise.copy(), rng.integers(len(self.flows), size=len(noise))
        for i in np.unique(forest):
            rows = forest == i
            left[rows] += self.damping * (self.flows[i](noise[rows], places[rows]) - noise[rows])
        return self.width * left


def _energy_score(draws: Array, truth: Array) -> float:
    """Mean energy score of draws ``(m, n, a)`` for each true row ``(m, a)``; the less, the better."""
    missed = np.linalg.norm(draws - truth[:, None], axis=2).mean()
    return float(missed - np.linalg.norm(draws - np.roll(draws, 1, axis=1), axis=2).mean() / 2)


def _stretch(draws: Array, truth: Array) -> float:
    """Factor by which draws ``(m, n, a)`` must be stretched to hold the nominal share of true values ``(m, a)``."""
    low, high = np.quantile(draws, [(1 - NOMINAL) / 2, (1 + NOMINAL) / 2], axis=1)
    middle = (low + high) / 2
    return float(np.quantile(np.abs(truth - middle) / (high - middle), NOMINAL))


def library_forest(rows: Array, conditions: Array, **options: Any) -> Any:
    """The library's forest of rows ``(n, a)`` given conditions ``(n, c)``, on one core; options by its names."""
    with contained():
        return ForestDiffusionModel(rows, X_covs=conditions, n_jobs=1, nthread=1, **options)


@contextmanager
def contained() -> Iterator[None]:
    """Give NumPy's global generator its state back, which the library seeds and draws from, and keep to one core."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        with config_context(nthread=1):  # or xgboost reads its rows with all cores, ten times slower where one is busy
            yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
