"""What the wall shows of the laboratory at a moment, as plain data: instruments, campaigns, targets, verdicts, alarms.

All of it is what ``sdl status`` and ``sdl watch`` know; nothing is judged here. Every text is made to be shown as text.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flows.laboratory.wall.prefect_runs import KnownRuns
from sdl.formatting import escape_invisible, format_duration, hide_secrets
from sdl.history import Control, State
from sdl.ledger.lease import Holder, lease_holders
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.tokens import is_guarded
from sdl.reports.status import CampaignStatus, campaign_owner, campaign_statuses
from sdl.reports.status_detail import CampaignDetail, campaign_detail
from sdl.space import Interval

Row: TypeAlias = dict[str, Any]

INSTRUMENTS, CHANNELS, OTHERS = 16, 6, 12
"""Cards, channels in each and campaigns beside them that are shown at most."""
SHARE = 0.05
"""Of a bound: what stands for a tolerance where a target has none."""
LONGEST = 400
"""Characters of one text."""
STATES = {
    "measuring": "Measuring",
    "stalled": "Stalled",
    "suspended": "Suspended",
    "asks": "Waits for approval",
    "paused": "Paused",
    "interrupted": "Interrupted",
    "waiting": "Waits",
    "over": "Over",
    "held": "Held",
    "free": "Free",
}
"""How a campaign or an instrument is, in a word of the page's and in words for people."""
ALARMING = ("stalled", "suspended", "interrupted")


@dataclass(eq=False)
class Board:
    """The board, and what it need not read again."""

    ledger: Ledger
    details: dict[int, tuple[object, CampaignDetail]] = field(default_factory=dict)
    """By the number of a campaign, with what it was read for."""

    def draw(self, names: Mapping[str, str], runs: KnownRuns) -> Row:
        """Return all of the board.

        Args:
            names: Of the laboratory's instruments, by their identities.
            runs: What Prefect knows.
        """
        statuses = campaign_statuses(self.ledger)
        with self.ledger.reading() as connection:
            held, guarded = lease_holders(connection), is_guarded(connection)
        main = _main_campaigns(statuses)
        strangers = {*held, *(status.instrument for status in statuses if status.at_work)} - set(names)
        present = [*names, *sorted(strangers)][:INSTRUMENTS]  # in an order that stays, or cards would jump
        shown = [main[identity] for identity in present if identity in main]
        others = [status for status in statuses if status not in shown]
        others.sort(key=lambda status: not status.at_work)
        board = {
            "instruments": [_instrument(each, names, held.get(each), main.get(each)) for each in present],
            "campaigns": {str(status.id): self._campaign(status, runs) for status in shown},
            "others": [_line(status, runs) for status in others[:OTHERS]],
            "alarms": [
                _alarm(status) for status in statuses if status.at_work and _kind(status) in (*ALARMING, "asks")
            ],
            "next": runs.due,
            "guarded": guarded,
        }
        self.details = {status.id: self.details[status.id] for status in shown}
        return harmless(board)  # type: ignore[no-any-return]

    def _campaign(self, status: CampaignStatus, runs: KnownRuns) -> Row:
        detail = self._detail(status)
        title, channels = detail.entry.title, detail.channels
        target = next(iter(detail.near), None)
        if target is not None:
            channels = list(target.readings)
        units = {channel.name: channel.unit for channel in detail.entry.space.channels}
        wishes = {channel: target.interval(channel) for channel in channels} if target is not None else {}
        last = detail.last[0] if detail.last else None
        return {
            **_line(status, runs),
            "title": title,
            "about": _about(status),
            "pace": status.pace.interval_s,
            "target": target.name if target is not None else "",
            "channels": [
                {"name": channel, "unit": units.get(channel, ""), **_wish(wishes.get(channel))}
                for channel in channels[:CHANNELS]
            ],
            "more": max(0, len(channels) - CHANNELS),
            "last": "" if last is None or last.readings else f"{last.verdict}: {last.reason}",
            "verdicts": [_verdict(detail, target.name) for target in detail.near],
            "tally": detail.tally,
            "notices": [
                {"at": notice.at, "kind": notice.kind.value, "text": notice.text, "by": notice.who}
                for notice in detail.notices
            ],
        }

    def _detail(self, status: CampaignStatus) -> CampaignDetail:
        """What there is to see of a campaign; of one that is over it is read once."""
        key = None if status.at_work else (status.updated, status.sent, status.control)
        known = self.details.get(status.id)
        if known is None or key is None or known[0] != key:
            known = (key, campaign_detail(self.ledger, status))
            self.details[status.id] = known
        return known[1]

    def columns(self) -> dict[int, tuple[str, tuple[int, ...]]]:
        """Return the name of each campaign in a card, and the places of its channels among all that are read."""
        places = dict[int, tuple[str, tuple[int, ...]]]()
        for number, (_, detail) in self.details.items():
            target, names = next(iter(detail.near), None), detail.entry.space.channel_names
            channels = detail.channels if target is None else list(target.readings)
            there = {name: place for place, name in enumerate(names)}
            columns = tuple(there[name] for name in channels[:CHANNELS] if name in there)
            places[number] = (detail.status.campaign, columns)
        return places


def _main_campaigns(statuses: Sequence[CampaignStatus]) -> dict[str, CampaignStatus]:
    """The campaign that each instrument's card is about: the one at work, else the one that changed last."""
    main = dict[str, CampaignStatus]()
    for status in reversed(statuses):
        before = main.get(status.instrument)
        if before is None or _weight(status) >= _weight(before):
            main[status.instrument] = status
    return main


def _weight(status: CampaignStatus) -> tuple[bool, bool]:
    return status.measures, status.at_work


def _instrument(identity: str, names: Mapping[str, str], holder: Holder | None, status: CampaignStatus | None) -> Row:
    kind = _kind(status) if status is not None and status.at_work else "held" if holder else "free"
    return {
        "name": names.get(identity, identity),
        "identity": identity if identity in names else "",
        "kind": kind,
        "state": STATES[kind],
        "holder": "" if holder is None else _owner(holder, status),
        "process": "" if holder is None else f"{holder.process} on {holder.host}",
        "since": None if holder is None else holder.since,
        "campaign": None if status is None else str(status.id),
    }


def _owner(holder: Holder, status: CampaignStatus | None) -> str:
    ours = status is not None and holder.owner == campaign_owner(status.campaign)
    return "this campaign" if ours else holder.owner


def _kind(status: CampaignStatus) -> str:
    if not status.at_work:
        return "over"
    if status.alarm:
        return "stalled"
    if status.asks:
        return "asks"
    if status.state is State.SUSPENDED:
        return "suspended"
    if status.control is Control.PAUSE or status.state is State.PAUSED:
        return "paused"
    if status.interrupted:
        return "interrupted"
    return "measuring" if status.measures else "waiting"


def _line(status: CampaignStatus, runs: KnownRuns) -> Row:
    kind = _kind(status)
    return {
        "id": str(status.id),
        "name": status.campaign,
        "instrument": status.instrument,
        "kind": kind,
        "state": status.state.value.capitalize() if kind == "over" else STATES[kind],
        "reason": status.reason,
        "updated": status.updated,
        "sent": status.sent,
        "budget": status.budget,
        "targets": len(status.targets),
        "verified": len(status.verified),
        "waits": status.waits_for if status.pace.open_since is None or kind != "measuring" else "",
        "asks": status.asks,
        "run": runs.of_campaign.get(status.campaign),
    }


def _about(status: CampaignStatus) -> str:
    """Where it stands, in words."""
    words = [f"round {status.place}"] if status.place else []
    if status.pace.interval_s is not None and status.at_work:
        words.append(f"one every {format_duration(status.pace.interval_s)}")
    return " · ".join(words)


def _alarm(status: CampaignStatus) -> Row:
    kind = _kind(status)
    words = {"stalled": status.alarm, "asks": status.asks, "interrupted": status.waits_for}.get(kind, status.reason)
    return {"kind": kind, "state": STATES[kind], "campaign": status.campaign, "id": str(status.id), "words": words}


def _verdict(detail: CampaignDetail, name: str) -> Row:
    found = next((finding for finding in reversed(detail.findings) if finding.target == name), None)
    if found is None:
        return {"target": name, "verdict": "", "sentence": ""}
    return {"target": name, "verdict": found.verdict.value, "sentence": found.sentence}


def _wish(wish: Interval | None) -> Row:
    """Where a reading is wanted; infinite bounds as null."""
    if wish is None:
        return {"aim": "", "wanted": None, "low": None, "high": None, "unit_of": None, "extreme": 0}
    finite = [bound for bound in (wish.below, wish.above) if 0 < bound < math.inf]
    return {
        "aim": str(wish),
        "wanted": _finite(wish.wanted),
        "low": _finite(wish.low),
        "high": _finite(wish.high),
        "unit_of": min(finite) if finite else abs(wish.wanted) * SHARE or 1.0,
        "extreme": int(math.copysign(1, wish.wanted)) if wish.extreme else 0,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def harmless(value: Any) -> Any:
    r"""Return plain data in which no text hides anything, holds a secret, or is of any length.

    >>> harmless({"name": "white\u202e", "sent": 3})
    {'name': 'white\\u202e', 'sent': 3}
    """
    if isinstance(value, str):
        return escape_invisible(hide_secrets(value))[:LONGEST]
    if isinstance(value, Mapping):
        return {key: harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
