"""What is sent, as a person writes it: text with ``{red}`` or ``{value:.3f}`` where a number goes, and secrets."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, SecretStr

from sdl.formatting import CONFIDENTIAL, SECRET_PLACE, has_password
from sdl.plugins import fill_secrets

PLACE = re.compile(r'\{(?!secret:[^{}.]*\})(?P<name>[^{}:"\']+)(?::(?P<spec>[^{}]*))?\}')
"""A name in braces; braces of JSON stand about quotes or nothing, and secrets have places of their own."""
SPEC = re.compile(r"\+?0?\d{0,2}(\.\d{1,2})?[deEfgG]")
SAID = re.compile(rf"({CONFIDENTIAL.pattern}|pwd)[\w.-]*[\"']?\s*[=:]\s*[\"']?(?![\"'\s{{])\S", re.IGNORECASE)
"""Such a name with its value, within a text."""
VALUE = "value"
"""What the setting of a knob is called in its own ``write``."""

SAYS_ONE = (
    "seems to say a secret, and must not stand in the file, got one: write {secret:lab-token} in its place, and set "
    "SDL_SECRET_LAB_TOKEN"
)
"""What is wrong with a text that holds a secret; the text is not repeated."""

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
    return json.dumps(reveal(template))


def reveal(template: Any) -> Any:
    """Return headers, parameters or any other part of an order with its secrets in it: for the instrument alone."""
    match template:
        case SecretStr():
            return template.get_secret_value()
        case str():
            return fill_secrets(template)
        case Mapping():
            return {key: reveal(each) for key, each in template.items()}
        case list() | tuple():
            return [reveal(each) for each in template]
    return template


def show_json(template: Any) -> str:
    """Return a part of an order as JSON for people, without its secrets."""
    return json.dumps(template, default=str)


def refuse_open_secrets(template: Any) -> Any:
    """Return a part of an order, all of whose secrets are named and not said.

    Raises:
        ValueError: with what is to be written instead.
    """
    match template:
        case str() if SAID.search(shown := SECRET_PLACE.sub("{}", template)) or has_password(shown):
            raise ValueError(SAYS_ONE)
        case Mapping():
            for name, value in template.items():
                filled = isinstance(value, str) and (PLACE.search(value) or SECRET_PLACE.search(value))
                if isinstance(value, str) and not filled and CONFIDENTIAL.search(str(name)):
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
