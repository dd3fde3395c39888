"""What is sent, as a person writes it: text with ``{red}`` or ``{value:.3f}`` where a number goes, and secrets."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, SecretStr

PLACE = re.compile(r'\{(?P<name>[^{}:"\']+)(?::(?P<spec>[^{}]*))?\}')
"""A name in braces; braces of JSON stand about quotes or nothing."""
SPEC = re.compile(r"\+?0?\d{0,2}(\.\d{1,2})?[deEfgG]")
CONFIDENTIAL = re.compile(r"auth(?!or\b|ority)|cookie|token|secret|passw|(api|access|private)[-_]?key", re.IGNORECASE)
"""Names whose value belongs in no file."""
VALUE = "value"
"""What the setting of a knob is called in its own ``write``."""

Template = TypeVar("Template")


class NumberPlace(NamedTuple):
    """A place in a text where the setting of a knob goes."""

    name: str
    spec: str


def find_places(template: Any) -> Iterator[NumberPlace]:
    """Yield the places of a text, and of all texts in a table, a list or a model."""
    match template:
        case str():
            yield from (NumberPlace(found["name"], found["spec"] or "") for found in PLACE.finditer(template))
        case Mapping():
            yield from (place for each in template.values() for place in find_places(each))
        case list() | tuple():
            yield from (place for each in template for place in find_places(each))
        case BaseModel():
            yield from (place for _, each in template for place in find_places(each))


def fill_places(template: Template, values: Mapping[str, float | str]) -> Template:
    """Return a template with settings in its places; a text that is nothing but a place becomes a number in JSON."""
    filled: Any = template
    match template:
        case str():
            filled = PLACE.sub(lambda found: written_number(values[found["name"]], found["spec"] or ""), template)
        case Mapping():
            filled = {key: _member(each, values) for key, each in template.items()}
        case list() | tuple():
            filled = type(template)(_member(each, values) for each in template)
        case BaseModel():
            filled = template.model_copy(update={key: fill_places(each, values) for key, each in template})
    return filled  # type: ignore[no-any-return]


def _member(template: Any, values: Mapping[str, float | str]) -> Any:
    filled = fill_places(template, values)
    alone = PLACE.fullmatch(template) if isinstance(template, str) else None
    return filled if alone is None or isinstance(values[alone["name"]], str) else _number(filled)


def write_json(template: Any) -> str:
    """Return a part of an order as JSON, with its secrets in it: for the instrument alone."""
    return json.dumps(template, default=SecretStr.get_secret_value)


def reveal_texts(named: Mapping[str, Any]) -> dict[str, Any]:
    """Return headers, parameters or variables with their secrets in them: for the instrument alone."""
    return {name: text.get_secret_value() if isinstance(text, SecretStr) else text for name, text in named.items()}


def show_json(template: Any) -> str:
    """Return a part of an order as JSON for people, without its secrets."""
    return json.dumps(template, default=str)


def refuse_open_secrets(template: Any) -> Any:
    """Return a part of an order, all of whose secrets are named and not said.

    Raises:
        ValueError: with what is to be written instead.
    """
    match template:
        case Mapping():
            for name, value in template.items():
                if isinstance(value, str) and not PLACE.search(value) and CONFIDENTIAL.search(str(name)):
                    raise ValueError(f'{name} must not stand in the file: write {name} = {{ secret = "lab-token" }}')
                refuse_open_secrets(value)
        case list() | tuple():
            for value in template:
                refuse_open_secrets(value)
    return template


def written_number(value: float | str, spec: str) -> str:
    """Write a setting as the file wants it; without a word exactly, and the name of a category as it is.

    >>> written_number(0.125, ""), written_number(0.125, ".1f"), written_number(2.0, "d")
    ('0.125', '0.1', '2')
    """
    if isinstance(value, str):
        return value
    if spec.endswith("d"):
        return format(round(value), spec)
    return format(value, spec) if spec else repr(value)


def _number(text: str) -> float | int:
    return int(text) if text.lstrip("+-").isdecimal() else float(text)
