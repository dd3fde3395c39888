"""What a forward model misses near a setting, kriged from the rows near by."""

from strategies.correction.corrected_model import CorrectedModel
from strategies.correction.kriging import Kriging
from strategies.correction.rows import TrainingRows

__all__ = ["CorrectedModel", "Kriging", "TrainingRows"]
