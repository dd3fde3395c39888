"""Which settings the constraints of a space allow, and the nearest of these to any others.

What is linear is kept by projection; everything else, and what steps spoil, by going from a setting that is known to be
allowed towards the one that was meant, as far as that is allowed. Each answer was tried, so none is forbidden.

References:
    Boyle, Dykstra (1986), doi:10.1007/978-1-4613-9940-7_3, for the projection; Smith (1984),
    doi:10.1287/opre.32.6.1296, for points all over a polytope ("hit and run")
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sdl.errors import InvalidInput
from sdl.space.constraints import CLOSE, Comparison, Constraints, read_comparisons
from sdl.space.knob import Array, Knob

Truth = NDArray[np.bool_]

TRIED = 4096
"""Settings at random among which those are sought that are allowed ..."""
KNOWN = 1024
"""... and how many of these are kept."""
ENDS = 0.2
"""Shape of the beta distribution of settings near the ends of their knobs, which are tried last."""
SEED = 17
"""Of these: the same space has the same ones wherever it is asked."""
MOVES = 16
"""Moves of each point of hit and run."""
SWEEPS = 80
"""Rounds of Dykstra's projection."""
TOWARDS = 4
"""Known settings from which the way to forbidden ones is tried, the nearest."""
HALVINGS = 20
"""Of the way from an allowed setting to a forbidden one."""
FLAT = 1e-6
"""Room, in the unit of the ranges, below which an inequality is an equality."""


@dataclass(frozen=True, eq=False)
class Allowed:
    """The settings ``(..., d)`` of some knobs that constraints allow, in the units of the knobs."""

    knobs: Sequence[Knob]
    constraints: Constraints

    def holds(self, settings: Array) -> Truth:
        """Which settings ``(m, d)`` keep all constraints, ``(m,)``; the ends of the knobs are not asked."""
        kept = np.ones(len(settings), bool)
        for rows, offsets, equal in self._stated:
            apart = settings @ rows - offsets
            close = CLOSE * (np.abs(settings) @ np.abs(rows) + abs(offsets))
            kept &= (np.abs(apart) <= close) if equal else (apart <= close)
        for comparison in self._others:
            kept &= comparison.holds(self.knobs, settings)
        for region in self._regions:
            kept &= ~np.all([part.holds(self.knobs, settings) for part in region], axis=0)
        return np.asarray(kept)

    def broken(self, settings: Array) -> list[str]:
        """The constraints that settings ``(d,)`` do not keep, each as it was written."""
        alone = (
            *(Constraints(always=(text,)) for text in self.constraints.always),
            *(Constraints(never=(text,)) for text in self.constraints.never),
        )
        return [
            f"never {each.never[0]}" if each.never else f"always {each.always[0]}"
            for each in alone
            if not Allowed(self.knobs, each).holds(settings[None])[0]
        ]

    def nearest(self, settings: Array) -> Array:
        """The nearest settings ``(m, d)`` that the knobs can stand at and that are allowed, nearly; itself if it is.

        Raises:
            InvalidInput: no settings were found that are allowed.
        """
        found = self._standing(settings)
        if not self.constraints or not (wrong := ~self.holds(found)).any():
            return found
        meant = self._balanced(self._kept(found[wrong]))
        lost = ~(self.holds(meant) & self._inside(meant))
        if lost.any():
            meant[lost] = self._reached(meant[lost])
        found[wrong] = meant
        return found

    def spread(self, settings: Array) -> Array:
        """Settings ``(m, d)`` all over what is allowed, for some all over the box: of the forbidden ones others.

        Each forbidden one is replaced by that of the known ones, all over what is allowed, which is nearest and not
        taken yet.
        """
        found = self._standing(settings)
        lost = np.flatnonzero(~self.holds(found))
        if not len(lost):
            return found
        apart = self._apart(found[lost])
        for row, place in enumerate(lost):
            taken = int(apart[row].argmin())
            found[place] = self.known[taken]
            apart[:, taken] += 1e3  # taken again when no other is left
        return found

    @cached_property
    def known(self) -> Array:
        """Settings all over what is allowed, ``(k, d)``.

        Raises:
            InvalidInput: none were found.
        """
        rng = np.random.default_rng(SEED)
        points = np.column_stack([self._drawn(knob, rng) for knob in self.knobs])
        if self._equal[0].size or self.holds(self._standing(points)).sum() < KNOWN:
            points = self._all_over(self._kept(points[: 2 * KNOWN]), rng)
        points = self._tried(points)
        if not len(points):  # what is allowed may be a sliver beside the ends of knobs
            shares = rng.beta(ENDS, ENDS, (4 * TRIED, len(self.knobs)))
            near_ends = np.column_stack([knob.at_share(shares[:, k]) for k, knob in enumerate(self.knobs)])
            points = np.concatenate((self._tried(near_ends), self._tried(self._kept(near_ends))))
        if not len(points):
            words = "; ".join((*self.constraints.always, *(f"never {text}" for text in self.constraints.never)))
            raise InvalidInput(f"constraints: no settings were found that keep them all: {words}")
        return points[:KNOWN]

    def _tried(self, settings: Array) -> Array:
        """Of settings ``(m, d)``, on the steps of their knobs, those that are allowed."""
        points = self._balanced(settings)
        return points[self.holds(points) & self._inside(points)]

    # ------------------------------------------------------------------ what is linear

    @cached_property
    def _comparisons(self) -> list[Comparison]:
        return [each for text in self.constraints.always for each in read_comparisons(text)]

    @cached_property
    def _stated(self) -> list[tuple[Array, float, bool]]:
        """Every linear constraint, ``rows @ x <= offset``, or equal to it."""
        found = []
        for comparison in self._comparisons:
            if (parts := self._linear(comparison)) is not None:
                sign = -1.0 if comparison.sign == ">=" else 1.0
                found.append((sign * parts[0], -sign * parts[1], comparison.sign == "="))
        return found

    def _linear(self, comparison: Comparison) -> tuple[Array, float] | None:
        return comparison.linear(self.knobs) if comparison.sign in ("<=", ">=", "=") else None

    @cached_property
    def _others(self) -> list[Comparison]:
        """What always has to be so and is not linear."""
        return [comparison for comparison in self._comparisons if self._linear(comparison) is None]

    @cached_property
    def _regions(self) -> list[tuple[Comparison, ...]]:
        return [read_comparisons(text) for text in self.constraints.never]

    @cached_property
    def _low(self) -> Array:
        return np.array([knob.low for knob in self.knobs])

    @cached_property
    def _width(self) -> Array:
        return np.array([knob.high - knob.low for knob in self.knobs])

    @cached_property
    def _scaled(self) -> tuple[Array, Array, Truth]:
        """The linear constraints for settings from 0 to 1: rows ``(k, d)`` of length 1, offsets, which are equal."""
        d = len(self.knobs)
        if not self._stated:
            return np.empty((0, d)), np.empty(0), np.empty(0, bool)
        rows = np.array([rows * self._width for rows, _, _ in self._stated])
        offsets = np.array([offset - rows @ self._low for rows, offset, _ in self._stated])
        length = np.linalg.norm(rows, axis=1)
        equal = np.array([equal for _, _, equal in self._stated])
        return rows / length[:, None], offsets / length, equal

    @cached_property
    def _parts(self) -> tuple[tuple[Array, Array], tuple[Array, Array], Array]:
        """Equalities and inequalities, rows and offsets each, and a point in the middle of what they allow, ``(d,)``.

        Two inequalities that leave no room between them are equalities.
        """
        rows, offsets, equal = self._scaled
        points = np.random.default_rng(SEED).random((64, len(self.knobs)))
        for _ in range(2):
            parts = (rows[equal], offsets[equal]), (rows[~equal], offsets[~equal])
            middle = _onto(_dykstra(points, *parts, sweeps=4 * SWEEPS), *parts[0]).mean(axis=0)
            narrow = ~equal & (offsets - rows @ middle < FLAT)
            if not narrow.any():
                break
            equal = equal | narrow
        return (*parts, middle)

    @property
    def _equal(self) -> tuple[Array, Array]:
        return self._parts[0]

    def _kept(self, settings: Array) -> Array:
        """The nearest settings ``(m, d)`` that keep what is linear; on no step."""
        equalities, (rows, offsets), middle = self._parts
        if not len(self._scaled[0]):
            return settings
        shares = (settings - self._low) / self._width
        shares = _onto(_dykstra(shares, equalities, (rows, offsets), sweeps=SWEEPS), *equalities)
        walls = np.concatenate((rows, np.eye(len(self.knobs)), -np.eye(len(self.knobs))))
        ends = np.concatenate((offsets, np.ones(len(self.knobs)), np.zeros(len(self.knobs))))
        over, room = shares @ walls.T - ends, np.maximum(ends - walls @ middle, 0.0)
        part = np.where(over > 0, over / np.maximum(over + room, 1e-300), 0.0).max(axis=1, initial=0.0)
        towards = np.where(self._scaled[0].any(axis=0), middle - shares, 0.0)  # no other knob is to move
        return np.asarray(self._low + self._width * (shares + part[:, None] * towards))

    def _all_over(self, settings: Array, rng: np.random.Generator) -> Array:
        """Allowed settings ``(m, d)`` moved about, evenly within what is linear; categories stay."""
        (flat, _), (rows, offsets), middle = self._parts
        d = len(self.knobs)
        free = np.array([not knob.names for knob in self.knobs], float)
        shares = (settings - self._low) / self._width
        shares = shares + 0.5 * free * (middle - shares)  # from a corner hardly any way leads on
        walls = np.concatenate((rows, np.eye(d), -np.eye(d)))
        ends = np.concatenate((offsets, np.ones(d), np.zeros(d)))
        along = np.eye(d) * free
        along = along - along @ np.linalg.pinv(flat * free) @ (flat * free) if len(flat) else along
        for _ in range(MOVES):
            step = rng.standard_normal(shares.shape) @ along.T
            speed, room = step @ walls.T, np.maximum(ends - shares @ walls.T, 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                times = np.where(np.abs(speed) > 1e-12, room / speed, np.inf)
            most = np.where(times > 0, times, np.inf).min(axis=1, initial=np.inf)
            least = np.where(times < 0, times, -np.inf).max(axis=1, initial=-np.inf)
            blocked = ((room <= 0) & (speed > 1e-12)).any(axis=1), ((room <= 0) & (speed < -1e-12)).any(axis=1)
            most, least = np.where(blocked[0], 0.0, most), np.where(blocked[1], 0.0, least)
            length = rng.uniform(np.nan_to_num(least, neginf=0.0), np.nan_to_num(most, posinf=0.0))
            shares = shares + length[:, None] * step
        return np.asarray(self._low + self._width * shares)

    # ------------------------------------------------------------------ what is not

    def _drawn(self, knob: Knob, rng: np.random.Generator) -> Array:
        if knob.choices is not None:
            return rng.choice(knob.choices, TRIED)
        return knob.from_unit(rng.random((TRIED, 1)))

    def _standing(self, settings: Array) -> Array:
        """Where the knobs stand for settings ``(m, d)``: on their steps, within their ends."""
        return np.column_stack([knob.nearest(settings[:, place]) for place, knob in enumerate(self.knobs)])

    def _inside(self, settings: Array) -> Truth:
        return np.asarray(np.all([knob.takes(settings[:, place]) for place, knob in enumerate(self.knobs)], axis=0))

    def _balanced(self, settings: Array) -> Array:
        """Settings ``(m, d)`` on the steps of their knobs, of which one makes up for what the steps of others miss."""
        found = self._standing(settings)
        for rows, offset, equal in self._stated:
            if not equal:
                continue
            missed = offset - found @ rows
            best, least = found.copy(), np.where(np.abs(missed) <= CLOSE * abs(offset), 0.0, np.inf)
            for place in np.flatnonzero(rows).tolist():
                moved = found.copy()
                moved[:, place] = self.knobs[place].nearest(found[:, place] + missed / rows[place])
                left = np.abs(offset - moved @ rows) <= CLOSE * (np.abs(moved) @ np.abs(rows) + abs(offset))
                way = np.where(left, np.abs(moved[:, place] - found[:, place]) / self._width[place], np.inf)
                best, least = np.where((way < least)[:, None], moved, best), np.minimum(way, least)
            found = best
        return found

    def _reached(self, settings: Array) -> Array:
        """Allowed settings ``(m, d)`` on the way from known ones to those that are meant, as near as can be."""
        apart = self._apart(settings)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :TOWARDS]
        starts = self.known[nearest.ravel()]
        ends = np.repeat(settings, nearest.shape[1], axis=0)
        low, high, found = np.zeros(len(starts)), np.ones(len(starts)), starts.copy()
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            there = self._balanced(starts + middle[:, None] * (ends - starts))
            good = self.holds(there)
            found[good] = there[good]
            low, high = np.where(good, middle, low), np.where(good, high, middle)
        away = (((self._placed(found) - self._placed(ends)) ** 2).sum(axis=1)).reshape(nearest.shape)
        best = away.argmin(axis=1)
        return np.asarray(found.reshape(*nearest.shape, -1)[np.arange(len(settings)), best])

    def _placed(self, settings: Array) -> Array:
        """Settings ``(m, d)`` in the unit box, ``(m, u)``."""
        return np.concatenate([knob.to_unit(settings[:, place]) for place, knob in enumerate(self.knobs)], axis=1)

    @cached_property
    def _known_placed(self) -> Array:
        return self._placed(self.known)

    def _apart(self, settings: Array) -> Array:
        """Squared distances ``(m, k)`` of settings from the known ones, in the unit box."""
        one, other = self._placed(settings), self._known_placed
        squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
        return np.asarray(np.maximum(squares, 0.0))


def _onto(points: Array, rows: Array, offsets: Array) -> Array:
    """The nearest points ``(m, d)`` with ``rows @ x = offsets``."""
    return points - (points @ rows.T - offsets) @ np.linalg.pinv(rows).T if len(rows) else points


def _dykstra(
    points: Array, equalities: tuple[Array, Array], inequalities: tuple[Array, Array], *, sweeps: int
) -> Array:
    """The nearest points ``(m, d)`` in the unit box that keep equalities and inequalities, nearly."""
    rows, offsets = inequalities
    if not len(rows) and not len(equalities[0]):
        return np.clip(points, 0.0, 1.0)
    pulled = np.zeros((len(rows) + 1, *points.shape))
    for _ in range(sweeps):
        before = points
        for place, (row, offset) in enumerate(zip(rows, offsets, strict=True)):
            asked = points + pulled[place]
            points = asked - np.maximum(asked @ row - offset, 0.0)[:, None] * row
            pulled[place] = asked - points
        asked = points + pulled[-1]
        points = np.clip(asked, 0.0, 1.0)
        pulled[-1] = asked - points
        points = _onto(points, *equalities)
        if np.abs(points - before).max(initial=0.0) < 1e-12:
            break
    return points
