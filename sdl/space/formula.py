"""A quantity computed from channels: a formula that a person writes, read as a tree and walked, never executed.

>>> Formula.read("445nm / (445nm + 630nm)").value({"445nm": 3.0, "630nm": 1.0})
0.75
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import add, mul, neg, pos, sub, truediv
from typing import Annotated, TypeAlias

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
    "exp": math.exp,
    "log": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
SEVERAL = ("max", "min")
"""Functions of two numbers or more; the others are of one."""


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
        if not words:
            raise InvalidInput(f"needs a formula with a channel in it, got {format_value(text)}")
        return cls(tree, tuple(words))

    def value(self, readings: Mapping[str, float]) -> float:
        """The value for readings of its channels; NaN where there is none, as with a division by 0."""
        try:
            value = _value(self.tree, {f"_{place}": readings[word] for place, word in enumerate(self.words)})
        except (ArithmeticError, ValueError):
            return math.nan
        return value if math.isfinite(value) else math.nan


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


def _value(node: ast.expr, readings: Mapping[str, float]) -> float:
    match node:
        case ast.Name(id=name):
            return readings[name]
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](_value(operand, readings))
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_value(left, readings), _value(right, readings))
        case ast.Call(func=ast.Name(id=function), args=args):
            return FUNCTIONS[function](*(_value(part, readings) for part in args))
    raise AssertionError("a formula that was read has no other parts")


def _refuse_large(number: float) -> None:
    try:
        float(number)
    except OverflowError:
        raise InvalidInput("a number in a formula is larger than any that can be computed with") from None
