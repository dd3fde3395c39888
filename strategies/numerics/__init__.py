"""Vectorised numerics over the unit box: slopes, least squares, localisation, projection, continuation."""

from strategies.numerics.blas_threads import one_thread
from strategies.numerics.distinct_rows import distinct_rows
from strategies.numerics.jacobian import tangent
from strategies.numerics.localisation import localise
from strategies.numerics.projection import project
from strategies.numerics.unit_box import in_unit_box, spread_points

__all__ = ["distinct_rows", "in_unit_box", "localise", "one_thread", "project", "spread_points", "tangent"]
