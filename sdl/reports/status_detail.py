"""One campaign from near: what is wanted, the last readings against it, verdicts and notices, for who watches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from sdl.campaign.definition import MANY_TARGETS, Target
from sdl.history import Finding, Notice
from sdl.ledger.controls import Controls
from sdl.ledger.ledger import Ledger
from sdl.ledger.row_mapping import finding, ordered
from sdl.ledger.tables import attempts, findings
from sdl.reports.status import CampaignStatus

READINGS, NOTICES = 8, 5
"""How many are shown, the last ones."""
NEAR = 3
"""Targets that are looked at, where there are many."""


@dataclass(frozen=True)
class AttemptLine:
    """One attempt and what came of it."""

    sent_at: float | None
    round: int
    purpose: str
    verdict: str
    """Class of the reply; what became of the attempt where there is none."""
    reason: str
    settings: Mapping[str, float]
    readings: Mapping[str, float | None]
    """As they count: None where masked or at the ceiling."""


@dataclass(frozen=True, eq=False)
class CampaignDetail:
    """What there is to see of one campaign."""

    standing: CampaignStatus
    targets: Sequence[Target]
    last: Sequence[AttemptLine]
    """The last attempts, the latest first."""
    findings: Sequence[Finding]
    notices: Sequence[Notice]
    """The last ones, the latest first."""

    @property
    def near(self) -> Sequence[Target]:
        """Targets to look at: all, or of many the one whose exam is under way and those that were judged last."""
        if len(self.targets) <= MANY_TARGETS:
            return self.targets
        place, known = self.standing.place, {target.name: target for target in self.targets}
        latest = [place.target if place else None, *(each.target for each in reversed(self.findings))]
        return [known[name] for name in dict.fromkeys(latest) if name in known][:NEAR]

    @property
    def tally(self) -> str:
        """How many targets have which verdict, in words; empty where each of them is looked at."""
        if len(self.targets) <= MANY_TARGETS:
            return ""
        settled = {each.target: each.verdict.value for each in self.findings if each.settles}
        words = Counter(settled.get(target.name, "open") for target in self.targets)
        return ", ".join(f"{n} {word}" for word, n in words.most_common())

    @property
    def channels(self) -> list[str]:
        """Every channel that some target fixes; without targets all that were read."""
        named = [channel for target in self.targets for channel in target.readings]
        return list(dict.fromkeys(named or [channel for each in self.last[:1] for channel in each.readings]))

    def verdict(self, target: Target) -> Finding | None:
        """The last finding about a target."""
        return next((each for each in reversed(self.findings) if each.target == target.name), None)


def campaign_detail(ledger: Ledger, standing: CampaignStatus) -> CampaignDetail:
    """Look at one campaign; reads the last rows alone, however many it has."""
    entry = ledger.entry(standing.campaign)
    with ledger.engine.connect() as connection:
        judged = [finding(row) for row in connection.execute(ordered(findings, entry.id))]
    trail = last_attempts(ledger, entry.id, READINGS)
    return CampaignDetail(
        standing,
        targets=[Target.model_validate(each) for each in entry.config.get("targets", [])],
        last=[_sighting(row, entry.space.knob_names, entry.space.channel_names) for row in reversed(trail)],
        findings=judged,
        notices=list(reversed(Controls(ledger).notices(entry.id, NOTICES))),
    )


def last_attempts(ledger: Ledger, campaign: int, n: int) -> list[dict[str, Any]]:
    """The last so many rows of the trail, in the order of sending; the others are not read."""
    last = select(attempts.c.id).where(attempts.c.campaign == campaign).order_by(attempts.c.id.desc()).limit(n)
    with ledger.engine.connect() as connection:
        numbers = connection.execute(last).scalars().all()
    return ledger.trail(campaign, numbers) if numbers else []


def _sighting(row: Mapping[str, Any], knobs: Sequence[str], channels: Sequence[str]) -> AttemptLine:
    return AttemptLine(
        *(row["sent_at"], row["round"], row["purpose"], row["verdict"] or row["state"], row["reason"]),
        settings=dict(zip(knobs, row["settings"], strict=True)),
        readings=dict(zip(channels, row["readings"] or [None] * len(channels), strict=True)),
    )
