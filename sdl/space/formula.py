"""A quantity computed from channels: a formula that a person writes, read as a tree and walked, never executed.

>>> Formula.read("445nm / (445nm + 630nm)").value({"445nm": 3.0, "630nm": 1.0})
0.75
"""

import ast
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from operator import add, mul, neg, pos, sub, truediv
from typing import Annotated, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value

LONGEST = 300
"""Characters of a formula."""
WORD = re.compile(r"""'([^']*)'|"([^"]*)"|(?<![\w.])(\d+(?![eE][+-]?\d)[^\W\d]\w*|[^\W\d]\w*)\b(?!\s*\()""")
"""A name: in quotes, or a word with no parenthesis after it, which may begin with a digit, as channels do."""
UNARY: Mapping[type[ast.unaryop], Callable[[float], float]] = {ast.USub: neg, ast.UAdd: pos}
BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
    ast.Pow: math.pow,
}
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "cbrt": math.cbrt,
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
SEVERAL = ("max", "min")
"""Functions of two numbers or more; the others are of one."""
ON_ARRAYS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("abs", "cbrt", "exp", "log", "log10", "sqrt")},
    "max": lambda *parts: np.maximum.reduce(np.broadcast_arrays(*parts)),
    "min": lambda *parts: np.minimum.reduce(np.broadcast_arrays(*parts)),
    "pow": np.power,
}
"""The same for many values at once."""


@dataclass(frozen=True, eq=False)
class Formula:
    """A formula of channels."""

    tree: ast.expr
    """In which ``_0``, ``_1`` and so on stand for the names."""
    words: tuple[str, ...]
    """The names of channels, in the order in which they stand there."""

    @property
    def names(self) -> tuple[str, ...]:
        """The channels that it is computed from, each once."""
        return tuple(dict.fromkeys(self.words))

    @classmethod
    @cache
    def read(cls, text: str) -> "Formula":
        """Read a formula: numbers, channels, ``+ - * / **``, parentheses, and ``FUNCTIONS``.

        A name of several words, such as ``clear sky``, stands in quotes.

        Raises:
            InvalidInput: for anything else, saying what.
        """
        found = cls.parse(text)
        if not found.words:
            raise InvalidInput(f"needs a formula with a channel in it, got {format_value(text)}")
        if found.linear is not None and not any(found.linear[0].values()):
            raise InvalidInput(f"needs a formula that is not the same whatever is read, got {format_value(text)}")
        return found

    @classmethod
    @cache
    def parse(cls, text: str) -> "Formula":
        """The same for a formula that may have no names in it."""
        if len(text) > LONGEST:
            raise InvalidInput(f"a formula has at most {LONGEST} characters, got {len(text)}")
        words = list[str]()

        def placeholder(found: re.Match[str]) -> str:
            words.append(next(group for group in found.groups() if group is not None))
            return f" _{len(words) - 1} "

        try:
            tree = ast.parse(WORD.sub(placeholder, text).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise InvalidInput(
                f"needs a formula such as '445nm / 630nm', names of several words in quotes, got {format_value(text)}"
            ) from None
        _check(tree, text)
        _refuse_valueless(tree, text)
        return cls(tree, tuple(words))

    def value(self, readings: Mapping[str, float]) -> float:
        """The value for readings of its channels; NaN where there is none, as with a division by 0."""
        try:
            value = _value(self.tree, {f"_{place}": readings[word] for place, word in enumerate(self.words)})
        except (ArithmeticError, ValueError):
            return math.nan
        return value if math.isfinite(value) else math.nan

    def values(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The values ``(n,)`` for many of each name, ``(n,)``; not finite where there is none."""
        with np.errstate(all="ignore"):
            places = {f"_{place}": columns[word] for place, word in enumerate(self.words)}
            return np.asarray(_value(self.tree, places, ON_ARRAYS), float)

    @property
    def linear(self) -> tuple[Mapping[str, float], float] | None:
        """By name its constant factor, and what is added to them all; None if it is no sum of that kind."""
        found = _linear(self.tree)
        if found is None:
            return None
        factors = dict.fromkeys(self.names, 0.0)
        for place, factor in found[0].items():
            factors[self.words[int(place.removeprefix("_"))]] += factor
        return factors, found[1]


def check_formula(text: str) -> str:
    """Return a formula as it is written, for a field of a model.

    Raises:
        ValueError: it is none, saying why.
    """
    try:
        Formula.read(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from None
    return text


FormulaText: TypeAlias = Annotated[str, AfterValidator(check_formula)]
"""A formula as a person writes it."""


def _check(node: ast.expr, text: str) -> None:
    """Refuse what is no part of a formula."""
    match node:
        case ast.Name():
            pass
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            _refuse_large(number)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            _check(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            _check(left, text)
            _check(right, text)
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]) if function in FUNCTIONS:
            if len(args) < 2 if function in SEVERAL else len(args) != 1:
                few = "two numbers at least" if function in SEVERAL else "one number"
                raise InvalidInput(f"{function}(...) needs {few}, got {len(args)}")
            for part in args:
                _check(part, text)
        case ast.Call(func=ast.Name(id=function)) if function not in FUNCTIONS:
            raise InvalidInput(f"unknown function {function!r}{suggest_nearest(function, FUNCTIONS)}")
        case _:
            parts = f"numbers, channels, + - * / ** and {', '.join(FUNCTIONS)}"
            raise InvalidInput(f"a formula has {parts}, got {format_value(text)}")


def _refuse_valueless(tree: ast.expr, text: str) -> None:
    """Refuse what has no value anywhere: a division by 0, or a part without names such as ``log(0)``."""
    for node in filter(_is_constant, ast.walk(tree)):
        assert isinstance(node, ast.expr)
        try:
            defined = math.isfinite(_value(node, {}))
        except (ArithmeticError, ValueError):
            defined = False
        if not defined:
            raise InvalidInput(
                f"needs a formula with a value, and {ast.unparse(node)} has none, got {format_value(text)}"
            )
    divisors = (node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    if any(_value(node, {}) == 0 for node in divisors if _is_constant(node)):
        raise InvalidInput(f"needs a formula with a value, and this divides by 0, got {format_value(text)}")


def _is_constant(node: ast.AST) -> bool:
    """Whether a node is a number, or is computed from numbers alone."""
    return isinstance(node, ast.Constant | ast.UnaryOp | ast.BinOp | ast.Call) and not any(
        isinstance(part, ast.Name) and part.id not in FUNCTIONS for part in ast.walk(node)
    )


def _value(node: ast.expr, known: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] = FUNCTIONS) -> Any:
    """The value of a formula that was read, of numbers or of arrays as its functions are."""
    match node:
        case ast.Name(id=name):
            return known[name]
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](_value(operand, known, functions))
        case ast.BinOp(left=left, op=op, right=right):
            combine = functions.get("pow", math.pow) if isinstance(op, ast.Pow) else BINARY[type(op)]
            return combine(_value(left, known, functions), _value(right, known, functions))
        case ast.Call(func=ast.Name(id=function), args=args):
            return functions[function](*(_value(part, known, functions) for part in args))
    raise AssertionError("a formula that was read has no other parts")


def _linear(node: ast.expr) -> tuple[dict[str, float], float] | None:
    """Factors of the names and what is added, of a sum; None of anything else."""
    match node:
        case ast.Name(id=name):
            return {name: 1.0}, 0.0
        case ast.Constant(value=int() | float() as number):
            return {}, float(number)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _times(_linear(operand), -1.0)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _linear(operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            one, other = _linear(left), _times(_linear(right), 1.0 if isinstance(op, ast.Add) else -1.0)
            if one is None or other is None:
                return None
            factors = {name: one[0].get(name, 0.0) + other[0].get(name, 0.0) for name in one[0] | other[0]}
            return factors, one[1] + other[1]
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            one, other = _linear(left), _linear(right)
            if isinstance(op, ast.Mult) and ({}, 0.0) in (one, other):
                return {}, 0.0
            if one is None or other is None:
                return None
            if not other[0] and (isinstance(op, ast.Mult) or other[1]):
                return _times(one, other[1] if isinstance(op, ast.Mult) else 1 / other[1])
            return _times(other, one[1]) if not one[0] and isinstance(op, ast.Mult) else None
    return None


def _times(parts: tuple[dict[str, float], float] | None, factor: float) -> tuple[dict[str, float], float] | None:
    return None if parts is None else ({name: factor * by for name, by in parts[0].items()}, factor * parts[1])


def _refuse_large(number: float) -> None:
    try:
        float(number)
    except OverflowError:
        raise InvalidInput("a number in a formula is larger than any that can be computed with") from None


def formula_faults(names: Mapping[str, Sequence[str]], known: Iterable[str]) -> dict[str, str]:
    """Why some quantities cannot be computed, by their names, as sentences that follow these; none as a rule.

    Args:
        names: What each is computed from.
        known: Channels that there are, these quantities among them.
    """
    known, faults = list(known), dict[str, str]()
    for quantity, sources in names.items():
        if unknown := [name for name in sources if name not in known]:
            others = [name for name in known if name != quantity]
            said = ", ".join(f"{name!r}{suggest_nearest(name, others)}" for name in unknown)
            faults[quantity] = f"is computed from a channel that there is not, {said}"
    try:
        TopologicalSorter(names).prepare()
    except CycleError as error:
        cycle = list(map(str, error.args[1]))
        faults[cycle[0]] = f"is computed from itself: {' from '.join(reversed(cycle))}"
    return faults
