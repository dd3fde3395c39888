"""What a person wrote in a TOML file, read with care: any file may be named, and anything may be in it."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value
from sdl.plugins import known_keys
from sdl.system.named_files import open_named

Model = TypeVar("Model", bound=BaseModel)

LARGEST = 1_000_000
"""Bytes of a file that a person writes."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file, not judged yet.

    Raises:
        InvalidInput: if it cannot be read, is too large, or is no TOML.
    """
    try:
        with open_named(path) as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # a name may hold what no name can
        raise InvalidInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > LARGEST:
        raise InvalidInput(f"{path} is larger than such a file can be ({LARGEST} bytes)")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is no text in UTF-8: {error.reason} at byte {error.start}; save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from error


def validate_input(model: type[Model], written: Mapping[str, Any], whole: str) -> Model:
    """Check what a person wrote against a model, and return it as that model.

    Args:
        model: What it has to be.
        written: Content of a file, or of a form.
        whole: What it is called where all of it is at fault.

    Raises:
        InvalidInput: listing every fault with its key.
    """
    try:
        return model.model_validate(written)
    except ValidationError as error:
        faults = [dict(fault) for fault in error.errors()]
        sentences = [_sentence(model, fault, whole) for fault in faults if not _implied(fault, faults)]
        raise InvalidInput(sentences) from None


def _implied(fault: dict[str, Any], faults: list[dict[str, Any]]) -> bool:
    """Whether a list is too short only because its items have faults of their own."""
    place = fault["loc"]
    return fault["type"] == "too_short" and any(f["loc"][: len(place)] == place for f in faults if f is not fault)


def _sentence(model: type[BaseModel], fault: dict[str, Any], whole: str) -> str:
    path = fault["loc"]
    key = ".".join(str(part) for part in path) or whole
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key{suggest_nearest(str(path[-1]), known_keys(model, path[:-1]))}"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    if fault["type"] in ("tuple_type", "list_type"):
        got = (
            f"one table; write [[{key}]] for each" if isinstance(fault["input"], dict) else format_value(fault["input"])
        )
        return f"{key}: needs a list, got {got}"
    if fault["type"] in ("dict_type", "model_type", "model_attributes_type"):
        return f"{key}: needs a table, got {format_value(fault['input'])}"
    message = fault["msg"].removeprefix("Value error, ")
    got = "" if isinstance(fault["input"], dict | list | tuple | BaseModel) else f", got {format_value(fault['input'])}"
    return f"{key}: {message}{'' if 'got' in message else got}"
