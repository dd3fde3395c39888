"""Names that a package offers without loading the modules that hold them before they are used."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562) that loads the module of a name when the name is first asked for.

    Args:
        package: Full name of the package.
        homes: Full name of the module that holds each name.

    Returns:
        A function that raises ``AttributeError`` for any other name, as the interpreter expects it.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get
