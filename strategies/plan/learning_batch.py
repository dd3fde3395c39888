"""What a round is to learn from: a batch by the acquisition, or where the model is no guide the likeliest places."""

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from sdl import plugins
from sdl.history import RoundKind
from sdl.space import Settings
from strategies.answers.candidates import Candidate
from strategies.contract import Acquisition
from strategies.fitting.bootstrap import refit_on_resamples
from strategies.fitting.fitting import MEMBERS
from strategies.plan import multiple_answers as several
from strategies.plan.round_context import RoundContext, learned_before


def learning_batch(turn: RoundContext, found: Sequence[Candidate]) -> Settings:
    """What to measure, ``(m, d)``; empty if there is nothing left to learn, or it is not the turn of learning.

    Args:
        turn: Whose round it would be.
        found: Candidates, none of which is worth an exam; empty if there is none.
    """
    part, insight, nothing = turn.campaign.acquisition, turn.insight, np.empty((0, turn.insight.space.d))
    n = min(part.n, turn.left - 2)
    if n < 1:
        return nothing
    if insight.astray and found:  # what a model that is no guide offers is not even worth an exam in between
        answers = several.known_answers(turn.written, turn.history, insight.space)
        about = "likeliest", turn.target.name, n, len(answers.families)
        return insight.once(about, lambda: insight.guide.likeliest(turn.target, answers, n, turn.rng(2)))
    kinds = (each.kind for each in reversed(turn.history.rounds))
    if sum(1 for _ in takewhile(lambda kind: kind is RoundKind.LEARNING, kinds)) >= part.rounds:
        return nothing
    return insight.once((*(each.name for each in turn.open), n), lambda: _acquired(turn, n))


def _acquired(turn: RoundContext, n: int) -> Settings:
    part, insight, fitted = turn.campaign.acquisition, turn.insight, turn.insight.fitted
    members = refit_on_resamples(fitted.refit, fitted.readings, fitted.settings, MEMBERS, turn.rng(1), insight.model)
    if len(members) < 2:
        return np.empty((0, insight.space.d))
    acquisition: Acquisition = plugins.build("sdl.acquisitions", part.plugin, part.options)
    now = [target.readings - insight.background for target in turn.open]
    measured = np.concatenate((fitted.settings, _unlearned(turn)))
    return acquisition.propose(members, now, measured, insight.noise, n, turn.rng(2), insight.ceiling)


def _unlearned(turn: RoundContext) -> Settings:
    """Settings asked for since the rounds that the round learns from, in the unit box, ``(m, d)``."""
    since, space = learned_before(turn.campaign, turn.number), turn.insight.space
    settings = [
        request.settings for request in turn.history.under_way if request.round >= since and request.purpose.teaches
    ]
    return space.to_unit(np.array(settings).reshape(-1, space.d))
