"""Where campaigns stand at a moment, what they wait for, and whether they have stalled: read from the ledger alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

from sdl.analysis.spending import describe_deadline, describe_spending
from sdl.campaign.price import PricePart
from sdl.campaign.source import SourcePart
from sdl.campaign.toml import validate_input
from sdl.errors import InvalidInput
from sdl.formatting import format_duration
from sdl.history import Control, State
from sdl.ledger.lease import Holder
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import CampaignOverview, CampaignProgress, campaign_overviews, campaign_progress
from sdl.measurement.hand_bench import wanted_samples
from sdl.system.clock import now

TIMES = 10.0
"""A campaign without an observation for so many times the usual interval has stalled, ..."""
LEAST_S = 30.0
"""... but not before so many seconds."""
FIRST_S = 300.0
"""Seconds that are allowed while there are not two observations, and with them a usual interval."""
RECENT = 50
"""Intervals between observations that say what is usual."""
SOUGHT = 4 * RECENT
"""Attempts among which those observations are looked for."""
BY_HAND = " by hand"
"""How the names of those end who hold an instrument for a person."""
INTERRUPTED = "interrupted"
"""How the reason begins of a campaign that a person or the system ended in the middle."""
OVER = (State.FINISHED, State.STOPPED)


@dataclass(frozen=True)
class Place:
    """The round that a campaign is in, and what it measures there."""

    round: int
    kind: str
    target: str | None = None
    """That an exam is about."""
    purpose: str = ""
    """Of the last request."""

    def __str__(self) -> str:
        words = f"{self.round} {self.kind}{f' of {self.target}' if self.target else ''}"
        return words if self.purpose in ("", self.kind) else f"{words}, {self.purpose}"


@dataclass(frozen=True)
class Pace:
    """How the observations of a campaign have come lately."""

    last_at: float | None = None
    """When the last one came, seconds since 1970."""
    interval_s: float | None = None
    """Median of the last intervals; None for fewer than two observations."""
    open_since: float | None = None
    """When the request was sent that has no answer yet; None if all have theirs."""
    decides: bool = False
    """Whether all that is planned was measured, so that the next step is being decided."""

    @property
    def allowed_s(self) -> float:
        """Seconds without an observation after which the campaign has stalled."""
        return FIRST_S if self.interval_s is None else max(TIMES * self.interval_s, LEAST_S)


@dataclass(frozen=True)
class CampaignStatus:
    """Where a campaign stands."""

    id: int
    campaign: str
    state: State
    reason: str
    control: Control
    instrument: str
    updated: float
    sent: int
    """Requests sent, whatever became of them."""
    budget: int | None
    """None for what a person measures by hand."""
    spent: str = ""
    """What was spent of money or time, and by when all has to be measured, in words; empty without prices."""
    targets: Sequence[str] = ()
    verified: Collection[str] = ()
    """Targets with a candidate that passed its exam."""
    holder: Holder | None = None
    """Who holds its instrument; None if nobody does."""
    place: Place | None = None
    """None before the first round, and of one of many that is over."""
    pace: Pace = field(default_factory=Pace)
    asks: str = ""
    """The approval that it waits for, in words."""
    approved: str = ""
    """Who approved of which round last, and how that was known, in words."""
    asks_persons: bool = False
    answered: bool = False
    """Whether persons entered every reading that they were asked for."""
    """Whether it asked persons for readings that it does not have yet."""
    seen_at: float = 0.0
    """When this was read."""

    @property
    def at_work(self) -> bool:
        """Whether there is anything left to do in it; what a person began by hand nobody goes on with."""
        return self.state not in OVER and (self.budget is not None or self.measures)

    @property
    def measures(self) -> bool:
        """Whether a living process is at work on it."""
        if self.state is not State.RUNNING or self.holder is None:
            return False
        return self.holder.owner == campaign_owner(self.campaign) or (
            self.budget is None and BY_HAND in self.holder.owner
        )

    @property
    def interrupted(self) -> bool:
        """Whether the process ended that was at work on it."""
        return self.state is State.RUNNING and not self.measures

    @property
    def silent_s(self) -> float | None:
        """Seconds since its last observation; None if it has none, or the clock was set back since."""
        age_s = -LEAST_S if self.pace.last_at is None else self.seen_at - self.pace.last_at
        return None if age_s <= -LEAST_S else max(0.0, age_s)

    @property
    def quiet_since(self) -> float:
        """When the last observation came, or when work on it began if that was later; seconds since 1970."""
        return max(self.pace.last_at or 0.0, self.holder.since if self.holder else 0.0)

    @property
    def waits_for(self) -> str:
        """What has to come before it goes on, in words; empty if nothing has."""
        if not self.at_work:
            return ""
        if self.control is Control.PAUSE:
            return f"a person: 'sdl resume {self.campaign}'{f'; then {self.asks}' if self.asks else ''}"
        if self.asks:
            return f"{self.asks}: 'sdl approve {self.campaign}'"
        if self.state is State.SUSPENDED and self.reason.startswith(INTERRUPTED):
            return "a new start, since it was interrupted"
        if self.state is State.SUSPENDED:
            return "what suspended it to pass, or to be mended"
        if self.state is State.PAUSED and self.answered:
            return f"'sdl propose {self.campaign}': every reading is in, and the next settings can be asked for"
        if self.state is State.PAUSED and self.asks_persons:
            return (
                f"persons and what they read: 'sdl propose {self.campaign}' shows what is wanted, and goes on with it"
            )
        if self.state is State.PAUSED:
            return "a new start"
        if self.interrupted:
            first = f"{self.instrument}, held by {self.holder}; then " if self.holder else ""
            return f"{first}a new start, since its process ended"
        if self.pace.open_since is not None:
            return f"a reply, for {format_duration(max(0.0, self.seen_at - self.pace.open_since))}"
        return "the next decision" if self.pace.decides else ""

    @property
    def alarm(self) -> str:
        """That it has stalled, and what is usual; empty if it has not, or waits on purpose."""
        if not self.measures or self.asks or self.control is not Control.RUN or self.holder is None:
            return ""
        silent = self.seen_at - self.quiet_since
        if silent <= self.pace.allowed_s:
            return ""
        usual = (
            "" if self.pace.interval_s is None else f", where one comes every {format_duration(self.pace.interval_s)}"
        )
        waits = f"; it waits for {self.waits_for}" if self.waits_for else ""
        return f"no observation for {format_duration(silent)}{usual}{waits}"


def campaign_owner(campaign: str) -> str:
    """Return the name by which a campaign holds its instrument."""
    return f"campaign {campaign!r}"


def campaign_statuses(ledger: Ledger, name: str | None = None) -> list[CampaignStatus]:
    """Return where each campaign stands, the one that changed last first.

    Args:
        ledger: Where the campaigns are.
        name: Of the only campaign to look at; its round and pace are read even if it is over.

    Raises:
        InvalidInput: if there is no campaign of that name.
    """
    number = None if name is None else ledger.entry(name).id
    with ledger.reading() as connection:
        seen_at, overviews = now(), campaign_overviews(connection, number)
        statuses = [_status(overview, seen_at) for overview in overviews]
        found = [
            _with_progress(status, campaign_progress(connection, status.id, SOUGHT))
            if status.at_work or name is not None
            else status
            for status in statuses
        ]
    words = {each.name: _spent(ledger, each.name, seen_at) for each in overviews if each.config.get("price")}
    return [
        replace(
            status,
            spent=words.get(status.campaign, ""),
            answered=status.asks_persons and _is_answered(ledger, status),
        )
        for status in found
    ]


def _is_answered(ledger: Ledger, status: CampaignStatus) -> bool:
    return not wanted_samples(ledger, ledger.entry(status.campaign))


def _spent(ledger: Ledger, name: str, seen_at: float) -> str:
    entry = ledger.entry(name)
    try:
        price = validate_input(PricePart, entry.config["price"], "price")
    except InvalidInput as error:  # an earlier version took what this one refuses
        return "; ".join(error.faults)
    sources = [SourcePart.model_validate(each) for each in entry.config.get("sources", ())]
    words = describe_spending(price, entry.space, ledger.history(entry.id), sources)
    return "; ".join(filter(None, (words, describe_deadline(price, seen_at, entry.created))))


def stalled_campaigns(ledger: Ledger) -> list[CampaignStatus]:
    """Return the status of every campaign that has stalled."""
    return [status for status in campaign_statuses(ledger) if status.alarm]


def _status(overview: CampaignOverview, seen_at: float) -> CampaignStatus:
    budget, approval, given = overview.config.get("budget"), overview.approval, overview.approved
    return CampaignStatus(
        id=overview.id,
        campaign=overview.name,
        state=overview.state,
        reason=overview.reason,
        control=overview.control,
        instrument=overview.instrument,
        updated=overview.updated,
        sent=overview.sent,
        budget=None if budget is None else budget + overview.config.get("extra", 0),
        targets=[target["name"] for target in overview.config.get("targets", [])],
        verified=overview.verified,
        holder=overview.holder,
        approved="" if given is None else f"{given.what} was approved by {given.who}",
        asks="" if approval is None else f"approval of {approval.what} ({approval.why})",
        asks_persons=overview.asks_persons,
        seen_at=seen_at,
    )


def _with_progress(status: CampaignStatus, progress: CampaignProgress) -> CampaignStatus:
    pace = _pace(progress)
    if progress.round is None:
        return replace(status, pace=pace)
    return replace(status, place=Place(progress.round, progress.kind, progress.target, progress.purpose), pace=pace)


def _pace(progress: CampaignProgress) -> Pace:
    observed = [attempt for attempt in progress.attempts if attempt.usable]
    times = [attempt.done_at for attempt in observed if attempt.done_at is not None][: RECENT + 1]
    intervals = [max(0.0, later - earlier) for later, earlier in pairwise(times)]
    last = progress.attempts[0] if progress.attempts else None
    return Pace(
        last_at=times[0] if times else None,
        interval_s=median(intervals) if intervals else None,
        open_since=last.sent_at if last and last.unanswered else None,
        decides=progress.complete,
    )
