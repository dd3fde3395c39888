"""Where in an answer a number stands: at a place in JSON, in a field of a line, or where a pattern finds it."""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sdl.campaign.section import Section
from sdl.errors import suggest_nearest
from sdl.formatting import format_value, parse_json

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.ASCII | re.IGNORECASE)
INFINITE = 9.9e37
"""SCPI's infinity; 9.91E37 is its word for "no number" (SCPI 1999, volume 1, 7.2.1.4)."""


class MissingPart(Exception):
    """An answer is JSON and has nothing at the place."""


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


Expression = Annotated[str, AfterValidator(_expression)]
"""A regular expression."""
Place = str | tuple[str | int, ...]
"""A place in JSON: keys and places in lists, which count from 0, with dots between them, or as a list of them."""


def _pattern(text: str) -> str:
    groups = re.compile(text).groups
    if groups != 1:
        raise ValueError(f"needs one pair of brackets about the number, such as 'T=(.*) K', got {groups}")
    return text


class Pick(Section):
    """Where the number stands in an answer; by default the answer is the number."""

    at: Place | None = None
    """Where in JSON."""
    field: int | None = Field(default=None, ge=0)
    """Which of the values between commas, counted from 0."""
    pattern: Annotated[Expression, AfterValidator(_pattern)] | None = None
    """A regular expression with one pair of brackets about the number, in the answer or in the text at the place."""
    decimal: Literal[".", ","] = "."
    """What stands before the decimals of a number that is text."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.field is not None and (self.at is not None or self.pattern is not None):
            raise ValueError(
                "give field alone, or at, pattern or both: the pattern then looks into the text at the place"
            )
        if self.field is not None and self.decimal == ",":
            raise ValueError(
                "needs a pattern in the place of field: where decimals have a comma, none parts the values"
            )
        return self

    def read(self, answer: str, names: Sequence[str] = ()) -> Any:
        """Return what stands there: of JSON a value of whatever kind, of text a number; of names the place.

        Args:
            answer: As it came.
            names: Those of a category, one of which may stand there.

        Raises:
            MissingPart: the answer is JSON, and nothing is at the place.
            ValueError: saying what it is instead.
        """
        text = answer.removeprefix("\ufeff")
        if self.at is not None:
            value = _value_at(_parsed(text), self.at)
            if isinstance(value, str) and value in names:
                return names.index(value)
            if not isinstance(value, str) or (self.pattern is None and self.decimal == "."):
                return _finite(value) if isinstance(value, float) else value
            text = value
        if self.field is not None:
            fields = text.split(",")
            if self.field >= len(fields):
                raise ValueError(f"expected a value in field {self.field}, got {format_value(answer)}")
            text = fields[self.field]
        elif self.pattern is not None:
            found = re.search(self.pattern, text)
            if found is None:
                raise ValueError(f"expected {self.pattern!r}, got {format_value(text)}")
            text = found[1] or ""
        return _place(text.strip(), names) if names else _number(self._pointed(text))

    def _pointed(self, text: str) -> str:
        """A number with a point before its decimals."""
        return text.strip().replace(",", ".", 1 if self.decimal == "," and "." not in text else 0)


class Awaited(Section):
    """What an answer has to say before a reading begins."""

    answer: Expression
    """For all of the answer, or for all that stands at the place."""
    at: Place | None = None
    """Where in JSON; by default the answer is looked at as it came."""

    def is_said(self, answer: str) -> bool:
        """Return whether an answer says so; one that has nothing at the place does not.

        Raises:
            ValueError: an answer is to be JSON and is none.
        """
        said: Any = answer.removeprefix("\ufeff")
        if self.at is not None:
            try:
                said = _value_at(_parsed(said), self.at)
            except MissingPart:
                return False
            said = said if isinstance(said, str) else json.dumps(said)
        return re.fullmatch(self.answer, said.strip()) is not None


def _place(text: str, names: Sequence[str]) -> int | float:
    """The place of a name, which SCPI has in quotation marks, or the number that says it."""
    name = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
    if name not in names and NUMBER.fullmatch(text) is None:
        raise ValueError(f"expected one of {', '.join(names)}, got {format_value(text)}{suggest_nearest(name, names)}")
    return names.index(name) if name in names else _number(text)


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        lines = text.strip().splitlines()
        logs = any(line.startswith("{") and line.endswith("}") for line in lines)
        where = "; what a program logs belongs in its standard error" if logs and len(lines) > 1 else ""
        raise ValueError(f"expected JSON and nothing else, got {format_value(text)}: {error}{where}") from error


def _value_at(value: Any, place: Place) -> Any:
    path = place.split(".") if isinstance(place, str) else place
    for part in path:
        try:
            value = value[int(part)] if isinstance(value, list) else value[str(part)]
        except (KeyError, IndexError, TypeError, ValueError):
            raise MissingPart(".".join(map(str, path))) from None
    return value


def _number(text: str) -> float:
    if NUMBER.fullmatch(text) is None:
        amid = "; a number amid other words takes a 'pattern' or a 'field'" if re.search(r"\d", text, re.ASCII) else ""
        raise ValueError(f"expected a number, got {format_value(text)}{amid}")
    return _finite(float(text))


def _finite(number: float) -> float:
    """The number, or what SCPI means by it, through however many hands it came."""
    if not abs(number) >= INFINITE:
        return number
    return float("nan") if number == 9.91e37 else float("inf") * (1 if number > 0 else -1)
