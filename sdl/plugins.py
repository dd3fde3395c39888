"""Plug-ins by entry point: our own parts are registered the same way as anybody's.

A plug-in is a class (or a function) whose keyword arguments are its options. Building it must be cheap and must
reach nothing outside the process, so that a campaign can be checked by building all its parts.
"""

import inspect
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sdl.errors import InvalidInput, UnknownPlugin, nearest
from sdl.formatting import shown

Group = Literal[
    "sdl.instruments",
    "sdl.designs",
    "sdl.inverse_models",
    "sdl.forward_models",
    "sdl.acquisitions",
    "sdl.peers",
    "sdl.instrument_families",
]
GROUPS: tuple[Group, ...] = get_args(Group)
EXTRAS: dict[Group, str] = {"sdl.inverse_models": "generative", "sdl.peers": "peers"}
"""What our own plug-ins of a group may need besides."""

FORMER_NAMES: dict[Group, dict[str, str]] = {"sdl.inverse_models": {"ours": "rejection-localised"}}
"""Names that plug-ins had, with those that they have now: files that name them so still work, and lists leave them out.
"""


@cache
def names(group: Group) -> tuple[str, ...]:
    """Names registered in a group, sorted, each plug-in once."""
    return tuple(sorted(set(entry_points(group=group).names) - FORMER_NAMES.get(group, {}).keys()))


def current_name(group: Group, name: str) -> str:
    """The name that a plug-in has now; any other name as it is."""
    return FORMER_NAMES.get(group, {}).get(name, name)


@cache
def load(group: Group, name: str) -> Any:
    """Import the plug-in of that name.

    Raises:
        UnknownPlugin: naming the nearest one that is installed.
        InvalidInput: if it cannot be imported, with the reason.
    """
    found = tuple(entry_points(group=group, name=name))
    if not found:
        kind = group.removeprefix("sdl.").replace("_", " ").removesuffix("s")
        raise UnknownPlugin(f"unknown {kind} {name!r}{nearest(name, names(group))}")
    try:
        return found[0].load()
    except ImportError as error:
        lacking = f": {error.name} is not installed" if isinstance(error, ModuleNotFoundError) else f": {error}"
        extra = f" (our own may need: pip install 'inverse-sdl[{EXTRAS[group]}]')" if group in EXTRAS else ""
        raise InvalidInput(f"{name!r} cannot be imported{lacking}{extra}") from error
    except AttributeError as error:
        raise InvalidInput(f"{name!r} cannot be imported: {error}") from error
    except Exception as error:  # a plug-in is anybody's code
        raise InvalidInput(f"{name!r} cannot be imported: it failed with {type(error).__name__}: {error}") from error


def build(group: Group, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Build the plug-in with its options.

    Raises:
        UnknownPlugin: for a name that is not installed.
        InvalidInput: with every option that is unknown, missing or has the wrong type or value.
    """
    plugin = load(group, name)
    written = dict(options or {})
    given, hidden = reveal_secrets(written)
    parameters = inspect.signature(plugin).parameters
    hints = get_type_hints(plugin.__init__ if inspect.isclass(plugin) else plugin)
    unknown = [
        f"{key}: {name!r} has no such option{nearest(key, parameters)}" for key in given if key not in parameters
    ]
    faults = [
        f"{key}: {name!r} needs this option"
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in given
    ]
    faults += hidden.values()
    for key in (given.keys() & parameters.keys()) - hidden.keys():
        try:
            given[key] = TypeAdapter(hints[key], config=ConfigDict(strict=False)).validate_python(given[key])
        except ValidationError as error:
            came = "a secret" if is_secret(written[key]) else shown(given[key])
            faults += [f"{key}: {each['msg']}, got {came}" for each in error.errors()]
    if faults:
        raise InvalidInput([*unknown, *faults])
    try:
        built = plugin(**{key: given[key] for key in given.keys() & parameters.keys()})
    except InvalidInput as error:
        if not unknown:
            raise
        raise InvalidInput([*unknown, *error.faults]) from error
    except ValueError as error:
        raise InvalidInput([*unknown, f"{name!r}: {error}"]) from error
    if unknown:
        raise InvalidInput(unknown)
    return built


SECRET_PREFIX = "SDL_SECRET_"


SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def is_secret(value: Any) -> bool:
    """Whether an option names a secret instead of saying it."""
    return isinstance(value, Mapping) and set(value) == {"secret"}


def secret_variable(value: Mapping[str, Any]) -> str | None:
    """The environment variable that keeps a secret; None if that is no name for one."""
    name = value["secret"]
    if not isinstance(name, str) or SECRET_NAME.fullmatch(name) is None:
        return None
    return SECRET_PREFIX + name.upper().replace("-", "_")


def reveal_secrets(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The same options with the secrets in place of their names, and by key what is wrong with those not there."""
    revealed, faults = dict(options), dict[str, str]()
    for key, value in options.items():
        if not is_secret(value):
            continue
        name = secret_variable(value)
        if name is None:
            faults[key] = f"{key}: a secret has a name of letters, digits, '-' and '_', such as 'lab-token'"
        elif not os.environ.get(name):
            faults[key] = f"{key}: the secret is not there: set {name} in the environment of this process"
        else:
            revealed[key] = os.environ[name]
    return revealed, faults
