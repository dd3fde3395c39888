"""What this program runs on, for whoever reads a result later."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

PACKAGES = ("sdl", "numpy", "scipy", "scikit-learn", "gmr", "pydantic", "SQLAlchemy", "requests", "prefect")


def versions() -> dict[str, str]:
    """Versions of Python and of what a result may depend on, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def describe_machine() -> dict[str, Any]:
    """When and on what a benchmark is run: ``at``, ``machine`` and ``versions``."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": versions(),
    }
