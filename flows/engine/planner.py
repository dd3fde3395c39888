"""Whom a session asks for the next step: the plan in this process, with the fit that it last made."""

from dataclasses import dataclass
from typing import Protocol

from sdl.campaign.definition import Campaign
from sdl.history import History
from sdl.space import Space
from sdl.system import failpoints
from strategies.fitting.fitting import Fitted
from strategies.plan.plan import Plan
from strategies.plan.steps import Fit, Step


class Planner(Protocol):
    """A plan together with the models that are fitted for it, wherever these are."""

    def change_campaign(self, campaign: Campaign) -> None:
        """Go on with a campaign in which the number of requests is another; what is fitted stays."""

    def next_step(self, history: History) -> Step:
        """Return the step that follows from what the ledger holds; a ``Fit`` if models have to be fitted first."""

    def fit(self, step: Fit, history: History) -> None:
        """Fit the models that a step asks for and keep them."""

    def prepare(self, history: History) -> None:
        """Look ahead, if the campaign wants that, while the round under way is measured; returns at once."""

    def close(self) -> None:
        """End what runs for this planner."""


@dataclass(eq=False)
class DirectPlanner:
    """The plan asked, and its models fitted, in this process."""

    campaign: Campaign
    space: Space
    fitted: Fitted | None = None

    def __post_init__(self) -> None:
        self.plan = Plan(self.campaign, self.space)

    def change_campaign(self, campaign: Campaign) -> None:
        """Go on with a campaign in which the number of requests is another; what is fitted stays."""
        self.campaign, self.plan = campaign, Plan(campaign, self.space)

    def next_step(self, history: History) -> Step:
        """Return the step that follows from what the ledger holds; a ``Fit`` if models have to be fitted first."""
        return self.plan.next_step(history, self.fitted)

    def fit(self, step: Fit, history: History) -> None:
        """Fit the models that a step asks for and keep them."""
        self.fitted = self.plan.fit(step, history, tell=lambda _: failpoints.pass_failpoint("in-training"))

    def prepare(self, history: History) -> None:
        """Do nothing: to look ahead while something is measured takes a process of its own."""

    def close(self) -> None:
        """Do nothing: no process runs for this planner."""
