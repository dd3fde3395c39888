"""One reading: controls, intent, request, screening, record; and what suspends it."""

from sdl.measurement.bench import Bench
from sdl.measurement.suspenders import Suspenders

__all__ = ["Bench", "Suspenders"]
