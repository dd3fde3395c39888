"""The decisions: designs, inverse models, acquisitions, the plan. Arrays in, arrays out; no I/O and no clocks."""

from typing import TYPE_CHECKING

from sdl.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from strategies.evaluation.simulation import Simulation
    from strategies.models.laws.law import Law
    from strategies.models.laws.parameter import Parameter
    from strategies.plan.plan import Plan
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "Law": "strategies.models.laws.law",
            "Parameter": "strategies.models.laws.parameter",
            "Plan": "strategies.plan.plan",
            "Simulation": "strategies.evaluation.simulation",
        },
    )

__all__ = ["Law", "Parameter", "Plan", "Simulation"]
