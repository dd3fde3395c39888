"""Conditions: what nobody chooses and is known of each row, such as a temperature, and what will hold for the answers.

They are further inputs of the posterior of the rows, held at what is given. Models know settings alone, so they learn
from readings as these would have been then: each is moved by what the posterior says of the difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from sdl.analysis.conditions import find_gap
from sdl.errors import InvalidInput
from sdl.formatting import format_number
from sdl.space import Settings, Space

APART = 0.25
"""Part of the range of conditions by which those given may lie outside all that was seen together."""
STIFF = 100.0
"""How much more it counts that the weights of a mean add up to 1 than where that mean lies."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Conditions:
    """The ``k`` conditions of ``n`` rows, and those in which the settings are to be used."""

    names: Sequence[str]
    rows: Array
    """In their units, ``(n, k)``; NaN where unknown."""
    given: Array
    """In their units, ``(k,)``."""
    low: Array
    high: Array
    """What there is among all rows of the file, ``(k,)``."""
    unseen: bool = False
    """Whether what is given lies beyond what these have, each by itself or all together."""
    warnings: Sequence[Mapping[str, str]] = ()
    """What a person should know before any figure, each a ``text`` and its ``tone``."""

    @classmethod
    def of(cls, space: Space, rows: Array, given: Mapping[str, float]) -> Self:
        """Those of rows ``(n, k)``, and what a person says will hold; the middle of the rows where nobody does.

        Raises:
            InvalidInput: for every condition that no row knows.
        """
        names = space.condition_names
        silent = [name for name, some in zip(names, np.isfinite(rows).T, strict=True) if not some.any()]
        if silent:
            raise InvalidInput([f"no row says its {name}: leave out that column" for name in silent])
        columns = [column[np.isfinite(column)] for column in rows.T]
        values = [given.get(name, float(np.median(column))) for name, column in zip(names, columns, strict=True)]
        low, high = (np.array([end(column) for column in columns]) for end in (np.min, np.max))
        odd = [_oddity(name, column, given.get(name)) for name, column in zip(names, columns, strict=True)]
        warnings = [{"tone": tone, "text": text} for tone, text in odd if text]
        found = cls(names, rows, np.array(values), low, high, any(tone == "bad" for tone, _ in odd), warnings)
        if found.unseen or not (strange := found._strange()):
            return found
        return replace(found, unseen=True, warnings=[*warnings, {"tone": "bad", "text": strange}])

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows say all of them, ``(n,)``."""
        return np.asarray(np.isfinite(self.rows).all(axis=1))

    @property
    def varied(self) -> NDArray[np.bool_]:
        """Which of them are not the same in all rows, ``(k,)``: of the others nothing can be learned."""
        return self.high > self.low

    def at(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """The same of some rows."""
        return replace(self, rows=self.rows[places])

    def and_given(self) -> Self:
        """The same with one row more, the first, in which what is given holds."""
        return replace(self, rows=np.vstack((self.given, self.rows)))

    @property
    def scaled(self) -> Array:
        """Those that varied, in parts of what there is among all rows, ``(n, v)``."""
        return self._scaled(self.rows)

    @property
    def scaled_given(self) -> Array:
        """What is given of them, ``(v,)``."""
        return self._scaled(self.given)

    def beside(self, settings: Settings) -> Array:
        """Settings ``(n, d)`` of the unit box, and in further columns what held in their rows."""
        return np.hstack((settings, self.scaled)) if self.varied.any() else settings

    def held(self, settings: Settings) -> Array:
        """Settings ``(m, d)`` of the unit box, and in further columns what is given."""
        given = np.tile(self.scaled_given, (len(settings), 1))
        return np.hstack((settings, given)) if self.varied.any() else settings

    def _strange(self) -> str:
        """What is to be said where each of them was seen, but nothing like all of them together; else nothing."""
        if self.varied.sum() < 2 or _outside(self.scaled[self.known], self.scaled_given) <= APART:
            return ""
        given = ", ".join(
            f"{self.names[k]} = {format_number(self.given[k])}" for k in np.flatnonzero(self.varied).tolist()
        )
        return f"no row had anything near {given} together, so an answer is a guess"

    def _scaled(self, values: Array) -> Array:
        low, high = self.low[self.varied], self.high[self.varied]
        return np.asarray((values[..., self.varied] - low) / (high - low))

    @property
    def notes(self) -> list[str]:
        """What was done to the rows for their sake, in sentences."""
        which = [k for k, varied in enumerate(self.varied.tolist()) if varied]
        there = ", ".join(f"{format_number(self.given[k])}" for k in which)
        names = ", ".join(self.names[k] for k in which)
        differ = "differs" if len(which) == 1 else "differ"
        sentence = f"{names} {differ} between the rows, so readings were moved to what they would be at {there}"
        return [sentence] if which else []

    def plain(self) -> dict[str, dict[str, float | bool]]:
        """By name what is ``given``, what the rows had, ``low`` and ``high``, and whether that was ``seen``."""
        together = not self._strange()
        return {
            name: {"given": given, "low": low, "high": high, "seen": low <= given <= high and (together or low == high)}
            for name, given, low, high in zip(
                self.names, self.given.tolist(), self.low.tolist(), self.high.tolist(), strict=True
            )
        }


def _outside(known: Array, given: Array) -> float:
    """How far a point ``(v,)`` lies outside the convex hull of others ``(n, v)``."""
    points = np.unique(known, axis=0)
    weights = nnls(np.vstack((points.T, np.full((1, len(points)), STIFF))), np.append(given, STIFF))[0]
    return float(np.linalg.norm(weights @ points - given))


def _oddity(name: str, known: Array, given: float | None) -> tuple[str, str]:
    """What is to be said of one condition of rows ``(n,)``, by tone and text; nothing is an empty text."""
    low, high = float(known.min()), float(known.max())
    had = f"{format_number(low)} to {format_number(high)}" if high > low else format_number(low)
    if given is None:
        middle = f"{format_number(float(np.median(known)))}, the middle of what the rows had ({had})"
        text = f"{name} is not given, so the answers are for {middle}: say what will hold, as --given {name}=VALUE"
        return "open", text if high > low else ""
    if gap := find_gap(known, given):
        between = f"between {format_number(gap[0])} and {format_number(gap[1])}, where there is no row"
        return "open", f"{name} = {format_number(given)} lies {between}, so it is guessed from both sides"
    if low <= given <= high:
        return "open", ""
    return "bad", f"{name} = {format_number(given)} lies beyond what the rows had ({had}), so an answer is a guess"


NO_CONDITIONS = Conditions((), np.empty((0, 0)), np.empty(0), np.empty(0), np.empty(0))
