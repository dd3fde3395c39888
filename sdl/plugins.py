"""Plug-ins by entry point: our own parts are registered the same way as anybody's.

A plug-in is a class (or a function) whose keyword arguments are its options. Building it must be cheap and must
reach nothing outside the process, so that a campaign can be checked by building all its parts.
"""

import inspect
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticUserError, SecretStr, TypeAdapter, ValidationError

from sdl.errors import InvalidInput, UnknownPlugin, suggest_nearest
from sdl.formatting import SECRET_PLACE, format_value, found_twice, hide_secrets, keep_secret

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
LONGEST_NAME = 200
"""Characters of the name of an apparatus."""
MEMBERS = {
    "identity": "a text that says which apparatus it is",
    "space": "its knobs and channels",
    "patience": "how to try again",
    "measure": "a method that takes one reading",
    "close": "a method that lets go of it",
}
"""What an instrument has (``sdl.instruments.protocol.Instrument``), in words."""
EXTRAS: dict[Group, str] = {"sdl.inverse_models": "generative", "sdl.peers": "peers"}
"""What our own plug-ins of a group may need besides."""

OPTION = re.compile(r",(?=\s*[\w-]+\s*=)")
"""Between two options in the words of a command line; other commas belong to a value."""

FORMER_NAMES: dict[Group, dict[str, str]] = {"sdl.inverse_models": {"ours": "rejection-localised"}}
"""Names that plug-ins had, with those that they have now: files that name them so still work, and lists leave them out.
"""


class RowsNeeded(Protocol):
    """What a check of a campaign asks of an inverse model (``strategies.contract.InverseModel`` has the rest)."""

    def rows_needed(self, d: int, p: int) -> int:
        """Return the least number of rows from which it learns, for ``d`` knobs and ``p`` channels."""


@cache
def names(group: Group) -> tuple[str, ...]:
    """Return the names registered in a group, sorted, each plug-in once."""
    return tuple(sorted(set(entry_points(group=group).names) - FORMER_NAMES.get(group, {}).keys()))


def current_name(group: Group, name: str) -> str:
    """Return the name that a plug-in has now; any other name is returned as it is."""
    return FORMER_NAMES.get(group, {}).get(name, name)


@cache
def load(group: Group, name: str) -> Any:
    """Import the plug-in of that name.

    Raises:
        UnknownPlugin: naming the nearest one that is installed.
        InvalidInput: if it cannot be imported, with the reason.
    """
    points = tuple(entry_points(group=group, name=name))
    if not points:
        kind = group.removeprefix("sdl.").replace("_", " ").removesuffix("s")
        raise UnknownPlugin(f"unknown {kind} {name!r}{suggest_nearest(name, names(group))}")
    try:
        return points[0].load()
    except ImportError as error:
        lacking = f": {error.name} is not installed" if isinstance(error, ModuleNotFoundError) else f": {error}"
        extra = f" (our own may need: pip install 'inverse-sdl[{EXTRAS[group]}]')" if group in EXTRAS else ""
        raise InvalidInput(f"{name!r} cannot be imported{lacking}{extra}") from error
    except AttributeError as error:
        raise InvalidInput(f"{name!r} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code, such as a script that ends itself
        raise InvalidInput(f"{name!r} cannot be imported: it failed with {type(error).__name__}: {error}") from error


def build(group: Group, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Build the plug-in with its options.

    Raises:
        UnknownPlugin: for a name that is not installed.
        InvalidInput: with every option that is unknown, missing or has the wrong type or value.
    """
    plugin, written = load(group, name), dict(options or {})
    apparatus = written.pop("apparatus", None) if group == "sdl.instruments" else None
    values, unknown, faults = _read_options(plugin, name, written)
    if apparatus is not None and (fault := _name_fault(apparatus)):
        faults.append(f"apparatus: {fault}")
    if faults:
        raise InvalidInput([*unknown, *faults])
    try:
        instance = plugin(**values)
    except InvalidInput as error:
        if not unknown and _cause(error) is error:
            raise
        raise InvalidInput([*unknown, *map(hide_secrets, error.faults)]) from _cause(error)
    except ValidationError as error:  # of what it makes of its options, such as a space
        found = [
            (repr(name), ".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, "))
            for each in error.errors(include_input=False)
        ]
        said = (hide_secrets(": ".join(filter(None, each))) for each in found)
        raise InvalidInput([*unknown, *said]) from _cause(error)
    except ValueError as error:
        raise InvalidInput([*unknown, hide_secrets(f"{name!r}: {error}")]) from _cause(error)
    except (Exception, SystemExit) as error:  # a plug-in is anybody's code
        words = hide_secrets(f"{name!r} failed with {type(error).__name__}: {error}")
        raise InvalidInput([*unknown, words]) from _cause(error)
    if faults := [*unknown, *(_member_faults(instance, name) if group == "sdl.instruments" else ())]:
        raise InvalidInput(faults)
    if apparatus is not None:
        return Apparatus(instance, apparatus)
    if group == "sdl.instruments" and hide_secrets(shown := str(instance.identity)) != shown:
        raise InvalidInput(
            f"{name!r} would be known by a secret, {hide_secrets(shown)!r}, which ledger and reports show: give it "
            'another name with apparatus = "..." beside the plug-in'
        )
    return instance


ABOUT_OPTION = re.compile(r"\w[\w.]*: ")
"""How the fault of one option begins."""


def place_fault(key: str, fault: str) -> str:
    """Return the fault of a plug-in with the key of its section, or of the option that it is about.

    >>> place_fault("instrument", "seed: needs a number"), place_fault("instrument", "'lamp' failed")
    ('instrument.seed: needs a number', "instrument: 'lamp' failed")
    """
    return f"{key}.{fault}" if ABOUT_OPTION.match(fault) else f"{key}: {fault}"


def read_value(text: str) -> Any:
    """A value as a person writes it: read as TOML where that can be, else text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # text, or a number of thousands of digits
        pass
    try:
        return float(text)  # TOML has no .5
    except ValueError:
        return text


def read_words(words: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a plug-in in the words of a command line, ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.

    Raises:
        InvalidInput: for options that are not pairs, or for one that is given twice.

    >>> read_words("ipage:latent=sobol,hidden=[64, 64]")
    ('ipage', {'latent': 'sobol', 'hidden': [64, 64]})
    """
    name, colon, rest = words.partition(":")
    pairs = [part.partition("=") for part in OPTION.split(rest)] if colon else []
    if any(not key.strip() or not sign for key, sign, _ in pairs):
        raise InvalidInput(f"{words!r} needs the form NAME:KEY=VALUE,KEY=VALUE, as in full-factorial:levels=5")
    keys = [key.strip() for key, _, _ in pairs]
    if twice := found_twice(keys):
        raise InvalidInput(f"{', '.join(twice)} is given twice in {words!r}")
    return name.strip(), {key: read_value(value.strip()) for key, (_, _, value) in zip(keys, pairs, strict=True)}


def read_named(group: Group, words: str) -> tuple[str, dict[str, Any]]:
    """Name and options of a plug-in of a group in the words of a command line; a name that is registered is a name.

    Raises:
        InvalidInput: as ``read_words``.
    """
    return (words, {}) if words in names(group) else read_words(words)


def build_from_words(group: Group, words: str) -> Any:
    """Build a plug-in as a command line names it, see ``read_words``.

    Raises:
        UnknownPlugin: for a name that is not installed.
        InvalidInput: as ``build``, with the options that there are.
    """
    name, options = read_named(group, words)
    try:
        return build(group, name, options)
    except UnknownPlugin:
        raise
    except InvalidInput as error:
        if not options:
            raise
        known = ", ".join(inspect.signature(load(group, name)).parameters) or "none"
        raise InvalidInput(f"{words}: {fault} (its options: {known})" for fault in error.faults) from error


def _cause(error: BaseException) -> BaseException | None:
    """The error itself, for whoever reads a traceback; nothing where it says a secret."""
    return error if hide_secrets(str(error)) == str(error) else None


class Apparatus:
    """An instrument under the name that a person gave what stands behind it; two addresses of one have one name.

    Args:
        driver: The instrument, which may call itself otherwise.
        identity: The name.
    """

    def __init__(self, driver: Any, identity: str) -> None:
        self.driver, self.identity = driver, identity
        self.space, self.patience, self.measure, self.close = (
            driver.space,
            driver.patience,
            driver.measure,
            driver.close,
        )

    def __getattr__(self, name: str) -> Any:
        """What only some instruments have."""
        return getattr(self.driver, name)


def _name_fault(name: Any) -> str:
    if isinstance(name, str) and name.strip() == name and name.isprintable() and 0 < len(name) <= LONGEST_NAME:
        return ""
    return f"needs a name of 1 to {LONGEST_NAME} printable characters without blanks about it, got {format_value(name)}"


def _member_faults(instrument: Any, name: str) -> list[str]:
    """What of an instrument cannot be: it lacks a member, or one that is read now fails."""
    faults = list[str]()
    for member, kind in MEMBERS.items():
        try:
            value = getattr(instrument, member)
        except Exception as error:  # a plug-in is anybody's code
            words = hide_secrets(f"{name!r} gives no {member!r}, {kind}: {type(error).__name__}: {error}")
            faults.append(words)
            continue
        if member == "identity" and not (isinstance(value, str) and value.strip()):
            faults.append(f"{name!r} gives {format_value(value)} as 'identity', and needs {kind}")
    return faults


def _read_options(plugin: Any, name: str, written: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Read the options of a plug-in by the types of its parameters.

    Returns:
        The options that it has, in their types; a fault for each option that it does not have; every other fault.
        A plug-in that takes any option checks them itself; secrets come to it covered, at any depth.
    """
    try:
        parameters = inspect.signature(plugin).parameters
    except (TypeError, ValueError) as error:  # a module, a constant, a class of C
        raise InvalidInput(f"{name!r} is {format_value(plugin)}, which cannot be asked for its options") from error
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        faults = list[str]()
        return {key: _covered(value, key, faults) for key, value in written.items()}, [], faults
    revealed, hidden = reveal_secrets(written)
    hints = _type_hints(plugin.__init__ if inspect.isclass(plugin) else plugin)
    strange = [key for key in revealed if key not in parameters]
    unknown = [f"{key}: {name!r} has no such option{suggest_nearest(key, parameters)}" for key in strange]
    faults = [
        f"{key}: {name!r} needs this option"
        for key, parameter in parameters.items()
        if parameter.default is parameter.empty and key not in revealed
    ]
    faults += hidden.values()
    values = {key: revealed[key] for key in parameters if key in revealed}
    for key in [key for key in values if key not in hidden]:
        secret = values[key] is not written[key]
        try:
            values[key] = _adapter(hints.get(key, Any)).validate_python(values[key])
        except ValidationError as error:
            faults += [_option_fault(key, hints[key], dict(fault), secret) for fault in error.errors()]
    return values, unknown, faults


def _type_hints(function: Any) -> dict[str, Any]:
    """Types of the parameters, as far as their author wrote any that can be found."""
    try:
        return get_type_hints(function)
    except Exception:  # a name that only a type checker imports
        return {}


def _adapter(hint: Any) -> TypeAdapter[Any]:
    """What reads values of a type; one of the author's own, which nothing here can read, takes them as they are."""
    if inspect.isclass(hint) and issubclass(hint, BaseModel):  # it says itself how it is read
        return TypeAdapter(hint)
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=False, allow_inf_nan=False))
    except PydanticUserError:
        return TypeAdapter(Any)


def _option_fault(key: str, hint: Any, fault: dict[str, Any], secret: bool) -> str:
    path = fault["loc"]
    place = ".".join(map(str, (key, *path)))
    if fault["type"] == "extra_forbidden":
        return f"{place}: unknown key{suggest_nearest(str(path[-1]), known_keys(hint, path[:-1]))}"
    message, parted = fault["msg"].removeprefix("Value error, "), isinstance(fault["input"], Mapping)
    return f"{place}: {message}" + ("" if parted else f", got {'a secret' if secret else format_value(fault['input'])}")


def known_keys(annotation: Any, path: tuple[Any, ...]) -> list[str]:
    """Return the keys that are valid at a place below a model, or below what is annotated with one."""
    model = _model_in(annotation)
    for part in path:
        if model is not None and part in model.model_fields:  # else a place in a list, or the name of an entry
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    nested = [annotation, *get_args(annotation)]
    nested += [inner for kind in nested for inner in get_args(kind)]
    return next((kind for kind in nested if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


SECRET_PREFIX = "SDL_SECRET_"
SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def is_secret(value: Any) -> bool:
    """Return whether an option names a secret instead of saying it."""
    return isinstance(value, Mapping) and set(value) == {"secret"}


def fill_secrets(text: str, written: Callable[[str], str] = str) -> str:
    """Return a text with the secrets in their places, for the instrument alone.

    Args:
        text: With places such as ``{secret:lab-token}``, of which the plug-in was built.
        written: How a secret is written there.
    """
    return SECRET_PLACE.sub(lambda found: written(_find_secret(found["name"])[0]), text)


def _find_secret(name: Any) -> tuple[str, str]:
    """The secret of that name, or why there is none; it is hidden in all messages from now on."""
    if not isinstance(name, str) or SECRET_NAME.fullmatch(name) is None:
        return "", "a secret has a name of letters, digits, '-' and '_', such as 'lab-token'"
    variable = SECRET_PREFIX + name.upper().replace("-", "_")
    if not (value := os.environ.get(variable, "")):
        return "", f"the secret is not there: set {variable} in the environment of this process"
    keep_secret(value)
    return value, ""


def _covered(value: Any, key: str, faults: list[str]) -> Any:
    """An option with the secrets in it revealed but covered, so that nothing shows them; faults go to the list."""
    if is_secret(value):
        revealed, hidden = reveal_secrets({key: value})
        faults += hidden.values()
        return SecretStr("" if hidden else revealed[key])
    if isinstance(value, str):  # it keeps its places, so that it can be shown
        faults += reveal_secrets({key: value})[1].values()
        return value
    if isinstance(value, Mapping):
        return {name: _covered(each, f"{key}.{name}", faults) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_covered(each, f"{key}.{place}", faults) for place, each in enumerate(value)]
    return value


def reveal_secrets(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the options with the secrets in place of their names, and by key the faults of those not there."""
    revealed, faults = dict(options), dict[str, str]()
    for key, value in options.items():
        named = [value["secret"]] if is_secret(value) else []
        if isinstance(value, str):
            named = [place["name"] for place in SECRET_PLACE.finditer(value)]
        wrong = [fault for _, fault in map(_find_secret, named) if fault]
        if wrong:
            faults[key] = f"{key}: {'; '.join(dict.fromkeys(wrong))}"
        elif named:
            revealed[key] = fill_secrets(value) if isinstance(value, str) else _find_secret(*named)[0]
    return revealed, faults
