"""A round that is about to be proposed: what is known, and which target it is about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdl.campaign.definition import Campaign, Target
from sdl.campaign.validation import ResolvedTarget
from sdl.formatting import count_words
from sdl.history import History
from strategies.plan.knowledge.assessment import Assessment


@dataclass(frozen=True, eq=False)
class RoundContext:
    """The turn of one of the open targets."""

    campaign: Campaign
    history: History
    """All that the ledger holds."""
    number: int
    """Of the round."""
    insight: Assessment
    """Of what the round may learn from."""
    target: ResolvedTarget
    open: Sequence[ResolvedTarget]
    """All targets about which something is still to be done."""

    @property
    def left(self) -> int:
        """Requests of the budget that are not sent."""
        return requests_left(self.campaign, self.history)

    @property
    def written(self) -> Target:
        """The target as the campaign writes it."""
        return self.campaign.target(self.target.name)

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers that are this round's alone, for one of its purposes."""
        return np.random.default_rng([self.campaign.seed, self.number, purpose])


def requests_left(campaign: Campaign, history: History) -> int:
    """How many requests may still be sent, by the budget, by prices and by the clock."""
    most = campaign.most if history.allowed is None else min(campaign.most, history.allowed)
    return most - history.sent


def learned_before(campaign: Campaign, number: int) -> int:
    """The round before which everything is known when a round is proposed; ahead, the one before is under way."""
    return number - 1 if campaign.ahead and number > 1 else number


def is_spent(campaign: Campaign, history: History) -> bool:
    """Whether no further request may be sent, by their number, by prices or by the clock."""
    return requests_left(campaign, history) <= 0


def why_spent(campaign: Campaign, history: History) -> str:
    """Why nothing more is measured, in words."""
    if history.sent >= campaign.most:
        return f"all {campaign.most} requests of the budget are sent"
    left = requests_left(campaign, history)
    return history.limit if left <= 0 else f"{count_words(left, 'request')} left, too few for another plate"
