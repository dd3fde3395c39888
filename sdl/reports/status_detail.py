"""One campaign from near: what is wanted, the last readings against it, verdicts and notices, for who watches."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdl.campaign.definition import MANY_TARGETS, Target
from sdl.history import Entry, Finding, Notice
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.reports.status import CampaignStatus
from sdl.space import Space

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
    settings: Mapping[str, float | str]
    readings: Mapping[str, float | None]
    """As they count: None where masked or at the ceiling."""


@dataclass(frozen=True, eq=False)
class CampaignDetail:
    """What there is to see of one campaign."""

    status: CampaignStatus
    entry: Entry
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
        place, by_name = self.status.place, {target.name: target for target in self.targets}
        latest = [place.target if place else None, *(finding.target for finding in reversed(self.findings))]
        return [by_name[name] for name in dict.fromkeys(latest) if name in by_name][:NEAR]

    @property
    def tally(self) -> str:
        """How many targets have which verdict, in words; empty where each of them is looked at."""
        if len(self.targets) <= MANY_TARGETS:
            return ""
        settled = {finding.target: finding.verdict.value for finding in self.findings if finding.settles}
        words = Counter(settled.get(target.name, "open") for target in self.targets)
        return ", ".join(f"{n} {word}" for word, n in words.most_common())

    @property
    def channels(self) -> list[str]:
        """Every channel that some target fixes; without targets all that were read."""
        fixed = [channel for target in self.targets for channel in target.readings]
        return list(dict.fromkeys(fixed or [channel for attempt in self.last[:1] for channel in attempt.readings]))

    def verdict(self, target: Target) -> Finding | None:
        """Return the last finding about a target; None if there is none."""
        return next((finding for finding in reversed(self.findings) if finding.target == target.name), None)


def campaign_detail(ledger: Ledger, status: CampaignStatus) -> CampaignDetail:
    """Read what there is to see of one campaign; only its last rows are read, however many it has."""
    entry = ledger.entry(status.campaign)
    trail = ledger.last_attempts(entry.id, READINGS)
    return CampaignDetail(
        status=status,
        entry=entry,
        targets=[Target.model_validate(target) for target in entry.config.get("targets", [])],
        last=[_sighting(row, entry.space) for row in reversed(trail)],
        findings=ledger.findings(entry.id),
        notices=list(reversed(Controls(ledger).notices(entry.id, NOTICES))),
    )


def _sighting(row: Mapping[str, Any], space: Space) -> AttemptLine:
    channels = space.channel_names
    return AttemptLine(
        *(row["sent_at"], row["round"], row["purpose"], row["verdict"] or row["state"], row["reason"]),
        settings=space.shown_settings(row["settings"]),
        readings=dict(zip(channels, row["readings"] or [None] * len(channels), strict=True)),
    )
