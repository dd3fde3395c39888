"""Which rows teach, which model is fitted on them, and how good it is on rows that it has not seen."""

from strategies.fitting.fitting import Fitted, fit_models

__all__ = ["Fitted", "fit_models"]
