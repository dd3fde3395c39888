"""Designs: settings chosen before any data. Each is drawn in the unit box and scaled to the units of the space."""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import qmc

from sdl.errors import InvalidInput
from sdl.space import Settings, Space
from strategies.contract import Design
from strategies.numerics.unit_box import spread_points

MOST = 100_000  # points of a full factorial, long before memory ends


@dataclass(frozen=True)
class LatinHypercube:
    """One point in every slice of every knob.

    The points are stratified only as a set, so ask for the whole design at once.

    References:
        McKay, Beckman, Conover (1979), doi:10.2307/1268522

    >>> design = LatinHypercube().propose(Space.unit("R", "G", "B"), 4, np.random.default_rng(0))
    >>> np.sort(np.floor(4 * design), axis=0).astype(int).tolist()
    [[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 3, 3]]
    """

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` of one random hypercube; a number of points is needed."""
        return space.from_unit(space.spread(qmc.LatinHypercube(space.u, rng=rng).random(_given(n, self))))


@dataclass(frozen=True)
class MaximinLatinHypercube:
    """Of many Latin hypercubes the one whose closest two points are farthest apart; points in the middle of slices.

    Args:
        tries: How many hypercubes to choose from.

    References:
        Morris, Mitchell (1995), doi:10.1016/0378-3758(94)00035-T

    >>> design = MaximinLatinHypercube().propose(Space.unit("R", "G"), 4, np.random.default_rng(0))
    >>> round(float(pdist(design).min()), 2)  # the best that there is
    0.56
    """

    tries: int = 500

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise InvalidInput(f"a maximin Latin hypercube needs tries >= 1, got {self.tries}")

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` of that one of ``tries`` hypercubes whose closest points are farthest apart."""
        n = _given(n, self)
        hypercube = qmc.LatinHypercube(space.u, scramble=False, rng=rng)
        return space.from_unit(max((space.spread(hypercube.random(n)) for _ in range(self.tries)), key=_closest))


@dataclass(frozen=True)
class Sobol:
    """The first points of a scrambled Sobol sequence: even at any number, most even at powers of two.

    References:
        Sobol' (1967), doi:10.1016/0041-5553(67)90144-9; Owen (1998), doi:10.1006/jcom.1998.0487, for the scrambling

    >>> design = Sobol().propose(Space.unit("R"), 4, np.random.default_rng(0))
    >>> np.sort(np.floor(4 * design[:, 0])).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """The first ``n`` settings ``(n, d)`` of a scrambled sequence."""
        n = _given(n, self)
        return space.from_unit(space.spread(spread_points(n, space.u, rng)[:n]))


@dataclass(frozen=True)
class OneByOne:
    """Each knob in turn at its high level and the others at their low one: as many points as knobs.

    The fewest points that tell what each knob does where nothing else moves the readings; inside the box, where a
    response that bends at its ends is nearest to a plane.

    Args:
        low: Level of the other knobs, as a share of their range.
        high: Level of the one, above ``low``.

    References:
        Daniel (1973), One-at-a-Time Plans, J. Am. Stat. Assoc. 68(342), 353-360

    >>> OneByOne().propose(Space.unit("R", "G"), None, np.random.default_rng(0)).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """

    low: float = 0.25
    high: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise InvalidInput(f"one by one needs 0 <= low < high <= 1, got low={self.low}, high={self.high}")

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """One setting for each knob, ``(d, d)``; another number of points is refused."""
        _own(n, space.d, f"one by one over {space.d} knobs")
        return space.at_shares(np.where(np.eye(space.d) > 0, self.high, self.low))


@dataclass(frozen=True)
class Random:
    """Independent uniform points, the yardstick for all others.

    >>> Random().propose(Space.unit("R", "G"), 5, np.random.default_rng(0)).shape
    (5, 2)
    """

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """Settings ``(n, d)`` that are independent and uniform over the box."""
        return space.from_unit(space.spread(rng.random((_given(n, self), space.u))))


@dataclass(frozen=True)
class FullFactorial:
    """Every combination of equidistant levels, walls included, in random order.

    Args:
        levels: Levels of each knob, at least 2.

    References:
        Fisher (1935), The Design of Experiments, for the factorial and for the random order, which keeps a drift
        from passing for the effect of a knob

    >>> design = FullFactorial(levels=2).propose(Space.unit("R", "G"), None, np.random.default_rng(0))
    >>> sorted(design.tolist())
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """

    levels: int = 3

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise InvalidInput(f"a full factorial needs levels >= 2, got {self.levels}")

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """Every combination once, ``(n, d)``, in random order; another number of points is refused."""
        points = self.levels**space.d
        _own(n, points, f"a full factorial of {self.levels} levels and {space.d} knobs")
        if points > MOST:
            raise InvalidInput(f"a full factorial of {points} points is not a plan: take fewer levels, or a sequence")
        levels = np.linspace(0, 1, self.levels)
        return _distinct(space, rng.permutation(list(product(levels, repeat=space.d))))


@dataclass(frozen=True)
class BoxBehnken:
    """The middles of the edges of the box, two knobs at a time at their walls, and its centre, in random order.

    Three levels a knob and no corner; for three knobs or more that are no names, where nothing is forbidden.

    Args:
        center: How often the centre is measured.

    References:
        Box, Behnken (1960), doi:10.1080/00401706.1960.10489912

    >>> design = BoxBehnken().propose(Space.unit("R", "G", "B"), None, np.random.default_rng(0))
    >>> len(design), np.unique(design).tolist()
    (13, [0.0, 0.5, 1.0])
    """

    center: int = 1

    def __post_init__(self) -> None:
        if self.center < 0:
            raise InvalidInput(f"a Box-Behnken design needs center >= 0, got {self.center}")

    def propose(self, space: Space, n: int | None, rng: np.random.Generator) -> Settings:
        """The middles of the edges and the centre, ``(n, d)``, in random order; another number of points is refused."""
        if space.d < 3:
            raise InvalidInput(f"a Box-Behnken design needs 3 knobs or more, got {space.d}: take a full factorial")
        if names := [knob.name for knob in space.knobs if knob.names]:
            raise InvalidInput(
                f"a Box-Behnken design needs a middle of each knob, and {', '.join(names)} takes names: take another"
            )
        if space.constraints:
            raise InvalidInput(
                "a Box-Behnken design needs the whole box, and some of it is forbidden: take a Latin hypercube"
            )
        _own(n, 2 * space.d * (space.d - 1) + self.center, f"a Box-Behnken design of {space.d} knobs")
        # pydoe makes the same points by the same pairs; not worth a dependency.
        edges = list(product(combinations(range(space.d), 2), product((0.0, 1.0), repeat=2)))
        points = np.full((len(edges) + self.center, space.d), 0.5)
        for point, (pair, walls) in zip(points, edges, strict=False):
            point[list(pair)] = walls
        return _distinct(space, rng.permutation(points))


def propose_by_seed(design: Design, space: Space, n: int | None, seed: int) -> Settings:
    """Return the settings of a design, ``(n, d)``, that belong to a seed.

    Args:
        design: Any design.
        space: Knobs and their bounds.
        n: Number of points; None for the design's own.
        seed: Equal seeds give equal settings.

    Raises:
        InvalidInput: for a number of points that the design cannot have.
    """
    return design.propose(space, n, np.random.default_rng(seed))


def _distinct(space: Space, shares: Settings) -> Settings:
    """The settings at shares ``(n, d)`` of the ranges; where some of these fall together, each once."""
    settings = space.at_shares(shares)
    if space.plain:
        return settings
    return settings[np.sort(np.unique(settings, axis=0, return_index=True)[1])]


def _closest(points: Settings) -> float:
    """Distance of the closest two points ``(n, d)``, infinite for a single one."""
    return float(pdist(points).min(initial=np.inf))


def _given(n: int | None, design: object) -> int:
    if n is None or n < 1:
        raise InvalidInput(f"{type(design).__name__} has no number of points of its own: give n >= 1, got {n}")
    return n


def _own(n: int | None, own: int, design: str) -> None:
    if n not in (None, own):
        raise InvalidInput(f"{design} has {own} points, got n={n}: give n={own} or leave it out")
