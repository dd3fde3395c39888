"""A campaign at work: the ledger opened, the instrument held, and what each step of the plan does to them.

A session answers what comes next and does it; whoever drives it asks and executes in turn, until the plan says stop.
Nothing here knows of Prefect: the flow does so in tasks, a test in a loop of two lines.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flows.engine.planner import Planner
from flows.environment import folder
from sdl.analysis.spending import with_allowance
from sdl.campaign.definition import Campaign
from sdl.errors import ApprovalWanted, BudgetSpent
from sdl.history import Entry, History, Request, Round, State
from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.measurement import approval
from sdl.measurement.bench import Bench
from sdl.reports.campaign_page import write_campaign_page
from sdl.system.clock import now
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop, Together


@dataclass(eq=False)
class Session:
    """One process working on one campaign."""

    campaign: Campaign
    entry: Entry
    ledger: Ledger
    lease: Lease
    bench: Bench
    directory: Path
    planner: Planner
    """Whom to ask for the next step."""
    sources: Mapping[str, Bench] = field(default_factory=dict)
    """Other sources than the instrument, by name."""
    cache: HistoryCache = field(init=False)
    """What was read of the ledger so far."""

    def __post_init__(self) -> None:
        self.cache = HistoryCache(self.entry.id)
        for bench in (self.bench, *self.sources.values()):
            bench.allowance = self._allowance

    @property
    def history(self) -> History:
        """What the ledger holds of this campaign."""
        history = self.ledger.history(self.entry.id, self.campaign.background.max_age_s, self.cache)
        return with_allowance(history, self.campaign, self.entry.space, now(), self.entry.created)

    def propose(self) -> Step:
        """Ask the plan for the next step, within the requests that are allowed by now."""
        self._heed_extension()
        return self.planner.next_step(self.history)

    def execute(self, step: Step) -> None:
        """Do what a step of the plan asks for.

        Raises:
            CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted: where that keeps a reading from being
                taken; all that came before is kept.
        """
        match step:
            case Fit():
                self.planner.fit(step, self.history)
            case Measure():
                self._measure(step)
            case Examine():  # a candidate and the number of its replicates are frozen before the first of them
                self.ledger.plan(self.lease, self.entry.id, step.round, step.requests, step.exam)
            case Together():
                parts = [
                    (part.round, part.requests, part.exam if isinstance(part, Examine) else None) for part in step.parts
                ]
                self.ledger.plan_together(self.lease, self.entry.id, parts)
            case Conclude():
                self.ledger.find(self.lease, self.entry.id, step.finding)
            case Stop():
                self.ledger.set_state(self.lease, self.entry.id, State.FINISHED, step.reason)

    def _measure(self, step: Measure) -> None:
        """Write the round down and take what this part of it still lacks; a spent budget ends it early."""
        history = self.history
        if not step.begun(history):
            self.ledger.plan(self.lease, self.entry.id, step.round, step.requests)
            history = self.history
        lacking = {request.key for request in history.lacking}  # a batch that is tried again has a part
        left = [request for request in step.requests if request.key in lacking]
        self._ask_approval(step.round, left)
        self.planner.prepare(history)
        source = step.round.facts.source
        bench = self.bench if source is None else self.sources[source]
        with suppress(BudgetSpent):  # the plan sees that too, and says what follows from it
            bench.measure(left)

    def report(self) -> Path:
        """Write the report of the campaign and return its file."""
        return write_campaign_page(
            self.ledger, self.entry.name, folder(self.directory / "reports") / f"{self.entry.name}.html"
        )

    def close(self) -> None:
        """End what runs for this session."""
        self.planner.close()

    def _allowance(self) -> int:
        """Requests that may be sent in all: by their budget, and by now by prices and the deadline as well.

        Raises:
            BudgetSpent: prices or the deadline allow no more.
        """
        if self.campaign.price is None:
            return self.campaign.most
        history = self.history
        allowed = self.campaign.most if history.allowed is None else history.allowed
        if allowed <= history.sent:
            raise BudgetSpent(f"{history.limit}: give 'price' more to go on")
        return min(self.campaign.most, allowed)

    def _ask_approval(self, round_: Round, requests: Sequence[Request]) -> None:
        """Refuse to send what a person has to see first, until somebody approved of it.

        Raises:
            ApprovalWanted: with what takes care of it.
        """
        rule, controls = self.campaign.approval, Controls(self.ledger)
        if rule is None:
            return
        why = approval.approval_reason(rule, round_, requests, self.history, self.entry.space)
        if why and not controls.request_approval(self.lease, self.entry.id, round_.number, why).granted:
            raise ApprovalWanted(
                f"round {round_.number} waits for approval, since {why}: 'sdl approve {self.entry.name}' shows its "
                "settings and takes the answer"
            )

    def _heed_extension(self) -> None:
        """Take requests that a person allowed meanwhile into account."""
        extra = self.ledger.entry(self.entry.name).config.get("extra", 0)
        if extra != self.campaign.extra:
            self.campaign = self.campaign.model_copy(update={"extra": extra})
            self.planner.change_campaign(self.campaign)
