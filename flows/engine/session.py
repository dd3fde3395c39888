"""A campaign at work: the ledger opened, the instrument held, and what each step of the plan does to them.

A session answers what comes next and does it; whoever drives it asks and executes in turn, until the plan says stop.
Nothing here knows of Prefect: the flow does so in tasks, a test in a loop of two lines.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.engine.fitting_process import FittingProcess
from flows.engine.handover import take_instrument
from flows.engine.planner import DirectPlanner, Planner
from flows.environment import folder
from flows.versions import versions
from sdl.analysis import answer_count as several
from sdl.analysis.nearest_reading import nearest_reading
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.validation import prepare
from sdl.errors import (
    ApprovalWanted,
    BudgetSpent,
    CampaignPaused,
    CampaignStopped,
    CampaignSuspended,
    Interrupted,
    InvalidInput,
)
from sdl.history import Control, Entry, Finding, History, NoticeKind, Request, Round, State, Verdict
from sdl.instruments.protocol import Instrument
from sdl.interchange.earlier_campaigns import frozen
from sdl.ledger.controls import Controls
from sdl.ledger.history_cache import HistoryCache
from sdl.ledger.lease import Lease
from sdl.ledger.ledger import Ledger
from sdl.measurement import approval
from sdl.measurement.bench import Bench
from sdl.measurement.orphaned_requests import wait_out_orphans
from sdl.reports.campaign_page import write_campaign_page
from sdl.space import Space
from sdl.system import failpoints as killpoints
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop

MAY_CHANGE = {"budget", "extra", "stop", "instrument", "fitting", "approval", "suspend"}
"""Parts of a campaign that may be changed while it is under way; the rest decides what is proposed."""

watching: ContextVar[Callable[[Request], object]] = ContextVar("watching", default=lambda _: None)
"""Called after each measurement, for a terminal to show."""


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
    known: HistoryCache = field(init=False)
    """What was read of the ledger so far."""

    def __post_init__(self) -> None:
        self.known = HistoryCache(self.entry.id)

    @property
    def history(self) -> History:
        """What the ledger holds of this campaign."""
        return self.ledger.history(self.entry.id, self.campaign.background.max_age_s, self.known)

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
        with suppress(BudgetSpent):  # the plan sees that too, and says what follows from it
            self.bench.take(left, watching.get())

    def report(self) -> Path:
        """Write the report and return where it lies."""
        return write_campaign_page(
            self.ledger, self.entry.name, folder(self.directory / "reports") / f"{self.entry.name}.html"
        )

    def close(self) -> None:
        """End what works for it."""
        self.planner.close()

    def _ask_approval(self, round_: Round, requests: Sequence[Request]) -> None:
        """Refuse to send what a person has to see first, until somebody approved of it.

        Raises:
            ApprovalWanted: with what takes care of it.
        """
        rule, steering = self.campaign.approval, Controls(self.ledger)
        if rule is None:
            return
        why = approval.approval_reason(rule, round_, requests, self.history, self.entry.space)
        if why and not steering.want(self.lease, self.entry.id, round_.number, why).granted:
            raise ApprovalWanted(
                f"round {round_.number} waits for approval, since {why}: 'sdl approve {self.entry.name}' shows its "
                "settings and takes the answer"
            )

    def _heed_extension(self) -> None:
        """Take requests that a person allowed meanwhile into account."""
        extra = self.ledger.entry(self.entry.name).config.get("extra", 0)
        if extra != self.campaign.extra:
            self.campaign = self.campaign.model_copy(update={"extra": extra})
            self.bench.budget = self.campaign.most
            self.planner.change_campaign(self.campaign)


@contextmanager
def open_session(
    written: Mapping[str, Any] | Campaign,
    directory: Path,
    ledger: str,
    *,
    again: bool = False,
    interrupted: threading.Event | None = None,
) -> Iterator[Session]:
    """Check a campaign, hold its instrument and take up its ledger where it was left.

    Args:
        written: The campaign as a person wrote it, or as it was parsed from that.
        directory: Where reports go.
        ledger: File or URL of the ledger.
        again: Begin anew under the next free name if the campaign of this name is finished.
        interrupted: Set it to end before the next request.

    Raises:
        InvalidInput, LeaseHeld, SchemaMismatch, LedgerError: before the first request.
    """
    folder(directory / "reports")  # or else the campaign would fail when all is measured
    kept = take_instrument(written.instrument) if isinstance(written, Campaign) else None
    campaign, instrument = prepare(written, kept)
    book = Ledger(ledger, directory)
    try:
        with book:
            if again:
                campaign = _renamed(campaign, book)
            campaign = frozen(campaign, book, instrument)
            with book.hold(instrument.identity, f"campaign {campaign.slug!r}") as lease:
                entry = _register(book, campaign, instrument)
                session = _session(book, lease, entry, campaign, instrument, directory, interrupted)
                try:
                    yield session
                finally:
                    session.close()
    finally:
        instrument.close()


def _session(
    book: Ledger,
    lease: Lease,
    entry: Entry,
    campaign: Campaign,
    instrument: Instrument,
    directory: Path,
    interrupted: threading.Event | None,
) -> Session:
    wait_out_orphans(book, instrument.identity, interrupted)
    book.reconcile(lease, entry.id)
    allowed = max(campaign.extra, entry.config.get("extra", 0))
    campaign = campaign.model_copy(update={"extra": allowed}) if allowed else campaign
    if entry.state is not State.FINISHED:
        book.reconfigure(lease, entry.id, campaign.model_dump(mode="json"))
        book.set_state(lease, entry.id, State.RUNNING)
    bench = Bench(book, lease, entry.id, instrument, campaign.most, campaign.channels, suspend=campaign.suspend)
    bench.interrupted = interrupted or bench.interrupted
    return Session(campaign, entry, book, lease, bench, directory, _planner(campaign, book, entry))


def _planner(campaign: Campaign, book: Ledger, entry: Entry) -> Planner:
    if campaign.fitting is None:
        return DirectPlanner(campaign, entry.space)
    url = book.engine.url.render_as_string(hide_password=False)
    return FittingProcess(campaign, entry.space, entry.id, url)


@contextmanager
def recorded_end(session: Session) -> Iterator[None]:
    """Write down how a campaign was left when its block ends with an error."""
    states = {CampaignPaused: State.PAUSED, ApprovalWanted: State.PAUSED, CampaignStopped: State.STOPPED}
    try:
        yield
    except (CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted) as error:
        state = states.get(type(error), State.SUSPENDED)
        if isinstance(error, CampaignSuspended):
            _note_suspension(session, error)
        session.ledger.set_state(session.lease, session.entry.id, state, str(error))
        if state is State.PAUSED:
            killpoints.passing("when-paused")
        raise


def _note_suspension(session: Session, error: CampaignSuspended) -> None:
    steering = Controls(session.ledger)
    steering.note(session.entry.id, NoticeKind.SUSPENDED, str(error))
    if error.hold_off_s is not None and session.campaign.suspend.resume == "person":
        steering.ask(session.entry.name, Control.PAUSE, "suspended, and a person is to say when it goes on")


def outcome(ledger: Ledger, name: str) -> dict[str, Any]:
    """What came of a campaign, as plain data."""
    entry = ledger.entry(name)
    history = ledger.history(entry.id)
    targets = [Target.model_validate(each) for each in entry.config.get("targets", [])]
    settled = [_settled(target, history, entry.space) for target in targets]
    return {
        "campaign": name,
        "state": entry.state,
        "reason": entry.reason,
        "requests": history.sent,
        "targets": settled,
        "verified": bool(targets) and all(each["verdict"] == Verdict.VERIFIED for each in settled),
    }


def _settled(target: Target, history: History, space: Space) -> dict[str, Any]:
    findings, told = history.findings, {"target": target.name}
    mine = [each for each in findings if each.target == target.name]
    if not mine:
        nearest = nearest_reading(target, history.observations, space)
        sentence = "; ".join(filter(None, ("no candidate was examined", nearest)))
        return {**told, "verdict": "UNSETTLED", "sentence": sentence, "settings": None}
    verdict, sentence = several.concluding_verdict(target, findings)
    whole = {**told, **_named(mine[-1], space), "verdict": verdict, "sentence": sentence}
    if target.answers == 1:
        return whole
    answers = [
        {**_named(each, space), "family": several.family_of(each)} for each in several.passed_findings(target, findings)
    ]
    return {**whole, "answers": answers}


def _named(finding: Finding, space: Space) -> dict[str, Any]:
    settings = None if finding.settings is None else space.named_settings(finding.settings)
    return {"verdict": finding.verdict, "sentence": finding.sentence, "settings": settings}


def _register(book: Ledger, campaign: Campaign, instrument: Instrument) -> Entry:
    config = campaign.model_dump(mode="json")
    entry = book.register(campaign.slug, instrument.identity, instrument.space, config, versions(), title=campaign.name)
    refuse_changed_file(entry, campaign)
    return entry


def refuse_changed_file(entry: Entry, campaign: Campaign) -> None:
    """Refuse a campaign file that asks for something else than the campaign of its name was begun with.

    Raises:
        InvalidInput: naming what differs.
    """
    config = campaign.model_dump(mode="json")
    changed = sorted(key for key in config.keys() - MAY_CHANGE if entry.config.get(key) != config[key])
    if changed:
        raise InvalidInput(
            f"campaign {entry.name!r} was begun with another {', another '.join(changed)}: give this one another "
            "name, or write what it was begun with ('sdl report' shows that)"
        )


def _renamed(campaign: Campaign, book: Ledger) -> Campaign:
    finished = {entry.name for entry in book.entries() if entry.state in (State.FINISHED, State.STOPPED)}
    number, name = 1, campaign.name
    while Campaign.model_copy(campaign, update={"name": name}).slug in finished:
        number += 1
        name = f"{campaign.name} {number}"
    return campaign.model_copy(update={"name": name})
