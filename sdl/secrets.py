"""What an instrument must know and nobody else: named in a file, kept in the environment of the process that measures.

An option written ``token = { secret = "lab-token" }`` is ``SDL_SECRET_LAB_TOKEN`` of the environment when the
instrument is built. The ledger, reports, bundles, and the parameters that Prefect shows hold the name alone.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

PREFIX = "SDL_SECRET_"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def is_secret(value: Any) -> bool:
    """Whether an option names a secret instead of saying it."""
    return isinstance(value, Mapping) and set(value) == {"secret"}


def variable(value: Mapping[str, Any]) -> str | None:
    """The environment variable that keeps a secret; None if that is no name for one."""
    name = value["secret"]
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        return None
    return PREFIX + name.upper().replace("-", "_")


def reveal(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The same options with the secrets in place of their names, and by key what is wrong with those not there."""
    revealed, faults = dict(options), dict[str, str]()
    for key, value in options.items():
        if not is_secret(value):
            continue
        name = variable(value)
        if name is None:
            faults[key] = f"{key}: a secret has a name of letters, digits, '-' and '_', such as 'lab-token'"
        elif not os.environ.get(name):
            faults[key] = f"{key}: the secret is not there: set {name} in the environment of this process"
        else:
            revealed[key] = os.environ[name]
    return revealed, faults
