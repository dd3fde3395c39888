"""What a round is to learn from: readings that the campaign's acquisition chooses, while an exam would hardly pass."""

from itertools import takewhile

import numpy as np

from sdl import plugins
from sdl.history import RoundKind
from sdl.space import Settings
from strategies.acquisitions.asks_posterior import AsksPosterior
from strategies.contract import Acquisition
from strategies.fitting.bootstrap import refit_on_resamples
from strategies.fitting.fitting import MEMBERS
from strategies.fitting.rivals import standing_models
from strategies.plan.round_context import RoundContext, learned_before
from strategies.posterior import NextReading

DIGITS = 9
"""Decimals of settings in the unit box by which two are the same."""


def learning_batch(turn: RoundContext, reading: NextReading) -> Settings:
    """What to measure, ``(m, d)``; empty if there is nothing left to learn, or it is the turn of an exam.

    Args:
        turn: Whose round it would be.
        reading: Where an exam would be.
    """
    part, nothing = turn.campaign.acquisition, np.empty((0, turn.insight.space.u))
    n = min(part.n, turn.left - 2)
    # Where no settings seem to give the target, readings for it have to refute the likeliest ones.
    if n < 1 or reading.chance >= part.below or turn.insight.nearest(turn.target).out_of_reach:
        return nothing
    kinds = (each.kind for each in reversed(turn.history.rounds))
    if sum(1 for _ in takewhile(lambda kind: kind is RoundKind.LEARNING, kinds)) >= part.rounds:
        return nothing
    return turn.insight.once(("learning", turn.target.name, n), lambda: _allowed(turn, _acquired(turn, n)))


def _allowed(turn: RoundContext, batch: Settings) -> Settings:
    """The batch at settings that are allowed, each once."""
    space = turn.insight.space
    if space.plain or not len(batch):
        return batch
    applied = space.applied(np.clip(batch, 0.0, 1.0))
    return applied[np.sort(np.unique(applied.round(DIGITS), axis=0, return_index=True)[1])]


def _acquired(turn: RoundContext, n: int) -> Settings:
    part, insight, fitted = turn.campaign.acquisition, turn.insight, turn.insight.fitted
    acquisition: Acquisition | AsksPosterior = plugins.build("sdl.acquisitions", part.plugin, part.options)
    if isinstance(acquisition, AsksPosterior):
        others = [target for target in turn.open if target is not turn.target]
        pursuits = [insight.pursuit(target) for target in (turn.target, *others)]
        return acquisition.propose_by(insight.posterior, pursuits, n, turn.rng(2))
    if fitted is None or fitted.model is None:
        return np.empty((0, insight.space.u))
    if turn.campaign.rivals:
        members = standing_models(fitted.rivals)
    else:
        members = refit_on_resamples(fitted.refit, *fitted.taught, MEMBERS, turn.rng(1), fitted.model)
    if len(members) < 2:
        return np.empty((0, insight.space.u))
    now = [insight.aim(target) - insight.background for target in turn.open]
    measured = np.concatenate((fitted.settings, _unlearned(turn)))
    return acquisition.propose(members, now, measured, insight.noise, n, turn.rng(2), insight.ceiling)


def _unlearned(turn: RoundContext) -> Settings:
    """Settings asked for since the rounds that the round learns from, in the unit box, ``(m, d)``."""
    since, space = learned_before(turn.campaign, turn.number), turn.insight.space
    settings = [
        request.settings for request in turn.history.under_way if request.round >= since and request.purpose.teaches
    ]
    return space.to_unit(np.array(settings).reshape(-1, space.d))
