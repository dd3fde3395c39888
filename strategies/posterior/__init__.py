"""What all readings so far say of every setting, as one posterior that all decisions ask."""

from strategies.posterior.choice import NextReading, choose
from strategies.posterior.posterior import Posterior, learn, learn_all
from strategies.posterior.predictive_interval import predict_interval
from strategies.posterior.price import Forecast, forecast
from strategies.posterior.reach import NearestSettings, lost_in_noise, nearest, noise_correlation
from strategies.posterior.rows import Pursuit, Rows, Statement
from strategies.posterior.verdict import Judgement, judge, looks

__all__ = [
    "Forecast",
    "Judgement",
    "NearestSettings",
    "NextReading",
    "Posterior",
    "Pursuit",
    "Rows",
    "Statement",
    "choose",
    "forecast",
    "judge",
    "learn",
    "learn_all",
    "looks",
    "lost_in_noise",
    "nearest",
    "noise_correlation",
    "predict_interval",
]
