"""From draws of a model to distinct, corrected candidates, and whether a target can be reached at all."""

from strategies.answers.candidates import Candidate
from strategies.answers.clustering import DrawCluster, cluster_draws
from strategies.answers.distinct import DistinctAnswer, KnownAnswers, distinct_answers
from strategies.answers.reachability import reach

__all__ = ["Candidate", "DistinctAnswer", "DrawCluster", "KnownAnswers", "cluster_draws", "distinct_answers", "reach"]
