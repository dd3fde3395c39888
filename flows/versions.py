"""What this program runs on."""

import platform
from importlib.metadata import version

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
