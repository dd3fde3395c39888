"""What this program runs on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

DISTRIBUTION = "inverse-sdl"
"""The name under which pip knows this program."""
PACKAGES = ("numpy", "scipy", "scikit-learn", "gmr", "pydantic", "SQLAlchemy", "requests", "prefect")


def own_version() -> str:
    """The version of this program."""
    return version(DISTRIBUTION)


def versions() -> dict[str, str]:
    """Versions of Python, of this program ("sdl") and of what a result may depend on, by name."""
    libraries = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "sdl": own_version(), **libraries}


def describe_machine() -> dict[str, Any]:
    """When and on what a benchmark is run: ``at``, ``machine`` and ``versions``."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(),
    }
