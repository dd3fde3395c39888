"""The loop: from what a campaign has seen to its next step."""

from strategies.plan.plan import Plan
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop

__all__ = ["Conclude", "Examine", "Fit", "Measure", "Plan", "Step", "Stop"]
