"""What this program runs on."""

import platform
from importlib.metadata import version

PACKAGES = ("sdl", "numpy", "scipy", "scikit-learn", "gmr", "pydantic", "SQLAlchemy", "requests", "prefect")


def versions() -> dict[str, str]:
    """Versions of Python and of what a result may depend on, by name."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
