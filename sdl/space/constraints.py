"""What settings have to keep, as a person writes it: ``A + 2*B <= 0.8``, ``A + B + C = 1``, ``T >= 80 and flow < 0.2``.

>>> Constraints(always=("a + b <= 1",), never=("a > 0.8 and b < 0.1",)).knobs
('a', 'b')
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value
from sdl.space.formula import Formula
from sdl.space.knob import Knob, Value

Array: TypeAlias = NDArray[np.float64]
Truth: TypeAlias = NDArray[np.bool_]

AND = re.compile(r"""\s+and\s+(?=(?:[^'"]|'[^']*'|"[^"]*")*$)""")
OR = re.compile(AND.pattern.replace("and", "or"))
SIGN = re.compile(r"(<=|>=|!=|==|≤|≥|=|<|>)")
SIGNS = {"≤": "<=", "≥": ">=", "==": "="}
COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "!=": operator.ne,
}
CLOSE = 1e-9
"""Share of what a linear comparison adds up by which rounding may spoil it."""


@dataclass(frozen=True)
class Comparison:
    """Two formulas of knobs with a sign between them."""

    left: str
    sign: str
    right: str

    @cached_property
    def sides(self) -> tuple[Formula | float | str, Formula | float | str]:
        """Each side as a formula or a number; a single word stays one, which may name a knob or one of its values."""
        return _side(self.left), _side(self.right)

    @property
    def words(self) -> tuple[str, ...]:
        """The names in it."""
        parts = [(side,) if isinstance(side, str) else getattr(side, "names", ()) for side in self.sides]
        return tuple(dict.fromkeys(word for part in parts for word in part))

    def category(self, knobs: Mapping[str, Knob]) -> tuple[str, str] | None:
        """The knob and the name of a comparison such as ``solvent = water``; None of another one."""
        for word, other in (self.sides, self.sides[::-1]):
            if isinstance(word, str) and word in knobs and knobs[word].names:
                return word, other if isinstance(other, str) else str(other)
        return None

    def fault(self, knobs: Mapping[str, Knob]) -> str:
        """Why it says nothing of these knobs, in words; empty if it does."""
        if (pair := self.category(knobs)) is not None:
            knob, name = knobs[pair[0]], pair[1]
            if self.sign not in ("=", "!="):
                return f"{knob.name} has names, which are = or != to one of them"
            return "" if name in knob.names else f"{knob.name} is {knob.span}{suggest_nearest(name, knob.names)}"
        if unknown := [word for word in self.words if word not in knobs]:
            said = (f"{word!r}{suggest_nearest(word, knobs)}" for word in unknown)
            return f"there is no knob {', '.join(said)}"
        if named := [word for word in self.words if knobs[word].names]:
            return f"{named[0]} has names, with which nothing is computed"
        return "" if self.words else "needs the name of a knob"

    def linear(self, knobs: Sequence[Knob]) -> tuple[Array, float] | None:
        """Slopes ``(d,)`` and constant of the left side less the right one; None if it is not linear."""
        if self.category({knob.name: knob for knob in knobs}) is not None:
            return None
        total, constant = np.zeros(len(knobs)), 0.0
        names = [knob.name for knob in knobs]
        for side, weight in zip(self.sides, (1.0, -1.0), strict=True):
            if isinstance(side, float):
                constant += weight * side
                continue
            parts = ({side: 1.0}, 0.0) if isinstance(side, str) else side.linear
            if parts is None:
                return None
            for name, slope in parts[0].items():
                total[names.index(name)] += weight * slope
            constant += weight * parts[1]
        return (total, constant) if total.any() else None

    def holds(self, knobs: Sequence[Knob], settings: Array) -> Truth:
        """Which settings ``(m, d)`` keep it, ``(m,)``; none where there is no value."""
        by_name = {knob.name: knob for knob in knobs}
        columns = {knob.name: settings[:, place] for place, knob in enumerate(knobs)}
        if (pair := self.category(by_name)) is not None:
            same = np.rint(columns[pair[0]]) == by_name[pair[0]].names.index(pair[1])
            return np.asarray(same if self.sign == "=" else ~same)
        left, right = (
            np.full(len(settings), side)
            if isinstance(side, float)
            else columns[side]
            if isinstance(side, str)
            else side.values(columns)
            for side in self.sides
        )
        return np.asarray(COMPARED[self.sign](left, right) & np.isfinite(left) & np.isfinite(right))


@cache
def read_comparisons(text: str) -> tuple[Comparison, ...]:
    """Read comparisons that ``and`` joins; one may have two signs, as in ``0.2 <= a <= 0.4``.

    Raises:
        InvalidInput: for anything else, saying what.
    """
    if OR.search(text):
        raise InvalidInput(
            f"has no 'or': write what must not be as lines of 'never', one for each; got {format_value(text)}"
        )
    found = list[Comparison]()
    for part in AND.split(text):
        pieces = [piece.strip() for piece in SIGN.split(part)]
        if len(pieces) < 3 or not all(pieces):
            raise InvalidInput(
                f"needs comparisons such as 'a + 2*b <= 0.8' or 'T >= 80 and flow < 0.2', got {format_value(text)}"
            )
        for at in range(1, len(pieces), 2):
            found.append(Comparison(pieces[at - 1], SIGNS.get(pieces[at], pieces[at]), pieces[at + 1]))
            _ = found[-1].sides
    return tuple(found)


def _check(text: str) -> str:
    try:
        read_comparisons(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from None
    return text


ComparisonText: TypeAlias = Annotated[str, AfterValidator(_check)]
"""Comparisons as a person writes them."""


class Constraints(Value):
    """What settings have to keep, whoever asks for them."""

    always: tuple[ComparisonText, ...] = Field(default=())
    """Each has to be so in every setting, as ``A + B + C = 1`` or ``A + 2*B <= 0.8``."""
    never: tuple[ComparisonText, ...] = Field(default=())
    """None may be so in any setting, as ``T >= 80 and flow <= 0.2`` or ``solvent = water and T > 95``."""

    def __bool__(self) -> bool:
        return bool(self.always or self.never)

    def __add__(self, others: "Constraints") -> "Constraints":
        """These and others."""
        both = {name: tuple(dict.fromkeys(getattr(self, name) + getattr(others, name))) for name in ("always", "never")}
        return Constraints(**both)

    @property
    def knobs(self) -> tuple[str, ...]:
        """Words in them: of knobs, and of names of categories."""
        texts = (comparison for text in self.always + self.never for comparison in read_comparisons(text))
        return tuple(dict.fromkeys(word for comparison in texts for word in comparison.words))

    def faults(self, knobs: Sequence[Knob]) -> list[str]:
        """Why they say nothing of these knobs, as sentences with the key; none as a rule."""
        by_name, found = {knob.name: knob for knob in knobs}, list[str]()
        for key, texts in (("always", self.always), ("never", self.never)):
            for place, text in enumerate(texts):
                for comparison in read_comparisons(text):
                    fault = comparison.fault(by_name)
                    equal = key == "always" and comparison.sign == "="
                    if not fault and equal and not comparison.category(by_name) and comparison.linear(knobs) is None:
                        fault = "an equality needs sums of knobs with constant factors"
                    shared = [
                        word for word in comparison.words if word in by_name and by_name[word].constant_within_batch
                    ]
                    if not fault and shared:
                        fault = f"{shared[0]} is constant within a batch, and its low and high alone bound it"
                    found += [f"constraints.{key}.{place}: {fault}"] if fault else []
        return found


UNCONSTRAINED = Constraints()
"""Every setting within the ends of the knobs is allowed."""


def _side(text: str) -> Formula | float | str:
    """One side of a comparison."""
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return _finite(number, text)
    quoted = re.fullmatch(r"""'([^']+)'|"([^"]+)"|(\w+)""", text)
    if quoted is not None:
        return next(group for group in quoted.groups() if group is not None)
    formula = Formula.parse(text)
    if formula.words:
        return formula
    return _finite(formula.value({}), text)


def _finite(number: float, text: str) -> float:
    if not np.isfinite(number):
        raise InvalidInput(f"needs finite numbers, got {format_value(text)}")
    return number
