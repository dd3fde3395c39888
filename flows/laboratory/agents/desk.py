"""What an agent may read and propose. Each public method is a tool, and its docstring what an agent reads of it.

None of them builds an instrument to measure with it, or sends a request: a person's command does, after an approval.
What decides and judges takes seconds to load, so that it is loaded when it is asked for.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from flows.laboratory.agents.marking import Own, pairs, unmark
from flows.laboratory.definition import Laboratory
from flows.versions import versions
from sdl.campaign.definition import slugify
from sdl.campaign.validation import prepare
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_value, shows_whole
from sdl.history import Entry
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.people.proposals import Proposals
from sdl.ledger.people.tokens import Identity
from sdl.reports.campaign_log import round_chapters
from sdl.reports.campaign_summary import CampaignSummary
from sdl.reports.status import CampaignStatus, campaign_statuses
from sdl.space import Knob, NamedSettings

SHOWN = 100
"""Campaigns, rounds and settings in one answer."""
MOST_SETTINGS = 500

CampaignName = Annotated[str, Field(description="Name of a campaign, as list_campaigns gives it.", max_length=300)]
InstrumentName = Annotated[str, Field(description="As list_instruments gives it.", max_length=300)]
NewName = Annotated[str, Field(description="A new name for what you propose.", min_length=1, max_length=100)]
Why = Annotated[str, Field(description="Why, for the person who decides.", max_length=1000)]
Row = dict[str, Any]


@dataclass(eq=False)
class Desk:
    """A laboratory as agents meet it.

    Args:
        laboratory: Whose instruments there are.
        ledger: What was measured, and where proposals wait.
        identify: Returns whose token the call under way was given.
    """

    laboratory: Laboratory
    ledger: Ledger
    identify: Callable[[], Identity]
    _thinking: threading.Lock = field(default_factory=threading.Lock)
    """Held while models are fitted: one agent at a time."""

    def whoami(self) -> Row:
        """Say by which name you are known here, your role, and how much you may still propose."""
        holder = self.identify()
        used = self._gate().used()
        left = {"proposals_this_hour": max(0, holder.hourly - used.proposals)}
        left |= {"requests_today": max(0, holder.daily - used.requests)}
        return {"name": holder.name, "kind": holder.kind, "role": holder.role, "left": left}

    def list_instruments(self) -> list[Row]:
        """List the instruments with their knobs (bounds or values, units), channels, and who holds each at the moment.

        Settings have to keep the constraints: what is always so, and what is never so.
        """
        return [
            {
                "instrument": name,
                "identity": self.laboratory.identity(name),
                "knobs": list(map(_knob, space.knobs)),
                "channels": [{"name": c.name, "unit": c.unit, "ceiling": c.ceiling} for c in space.channels],
                "constraints": space.constraints.model_dump(),
                "held_by": self.ledger.holder(self.laboratory.identity(name)),
            }
            for name, space in ((name, self.laboratory.space(name)) for name in self.laboratory.instruments)
        ]

    def list_campaigns(self) -> list[Row]:
        """List the campaigns that changed last: state, requests sent, verified targets, what each waits for."""
        return [_standing(status) for status in campaign_statuses(self.ledger)[:SHOWN]]

    def read_campaign(self, campaign: CampaignName) -> Row:
        """Show one campaign: its targets, where it stands, and who asked for what (proposals, approvals, pauses)."""
        entry = self._entry(campaign)
        (status,) = campaign_statuses(self.ledger, entry.name)
        notices = Controls(self.ledger).notices(entry.id, SHOWN)
        targets = [
            {"name": target["name"], "readings": pairs(target["readings"]), "tolerance": _plain(target["tolerance"])}
            for target in entry.config.get("targets", ())
        ]
        happened = [{"kind": notice.kind, "text": notice.text, "by": notice.who} for notice in notices]
        return {**_standing(status), "title": entry.title, "targets": targets[:SHOWN], "happened": happened}

    def read_readings(
        self, campaign: CampaignName, last: Annotated[int, Field(description="How many.", ge=1, le=SHOWN)] = 20
    ) -> list[Row]:
        """Read the last requests of a campaign: settings, readings, and why a reading does not count."""
        entry = self._entry(campaign)
        channels = entry.space.channel_names
        return [
            {
                "sent_at": row["sent_at"] and Own(datetime.fromtimestamp(row["sent_at"], UTC).isoformat()),
                "round": row["round"],
                "purpose": Own(row["purpose"]),
                "settings": pairs(entry.space.shown_settings(row["settings"])),
                "readings": pairs(dict(zip(channels, row["readings"] or (), strict=False))),
                "reply": Own(row["verdict"] or row["state"]),
                "reason": row["reason"],
            }
            for row in self.ledger.last_attempts(entry.id, last)
        ]

    def read_verdicts(self, campaign: CampaignName) -> Row:
        """Say what came of each target of a campaign: VERIFIED with its settings, REFUTED, NOT_REACHABLE, UNSETTLED."""
        from flows.engine.outcome import summarize_outcome

        outcome = summarize_outcome(self.ledger, self._entry(campaign).name)
        targets = [
            {
                "target": each["target"],
                "verdict": Own(each["verdict"]),
                "sentence": each["sentence"],
                "settings": pairs(each["settings"] or {}),
            }
            for each in outcome["targets"]
        ]
        return {**outcome, "targets": targets}

    def read_report(self, campaign: CampaignName) -> Row:
        """Read the report of a campaign: what was decided in each round, and why. The person's page has figures too."""
        summary = CampaignSummary.of(self.ledger, self._entry(campaign).name)
        chapters = [{"title": each.title, "paragraphs": list(each.paragraphs)} for each in round_chapters(summary)]
        return {"headline": summary.headline, "rounds": chapters[-SHOWN:], "left_out": max(0, len(chapters) - SHOWN)}

    def foresee_next_step(self, campaign: CampaignName) -> Row:
        """Say what the plan of a campaign would do next, by what is known now. Nothing is done; it takes seconds."""
        from flows.engine.proposed import foresee

        entry = self._entry(campaign)
        with self._thinking:
            found = foresee(self.ledger, entry)
        found["step"], rows = Own(found["step"]), found.pop("rows", [])
        requests = [{"purpose": purpose, "settings": pairs(settings)} for purpose, settings in rows[:SHOWN]]
        return found | {"requests": requests, "number": len(rows)}

    def propose_campaign(
        self,
        instrument: InstrumentName,
        name: NewName,
        targets: Annotated[
            list[dict[str, Any]],
            Field(
                description="Each {'name': ..., 'readings': {channel: wish}, 'tolerance': '1 %' or a number}. A wish "
                "is a number, '>= 12000', '<= 9000', '3000 .. 4000', or 'maximum ± 150' (no settings are to give more "
                "than 150 more) and 'minimum ± 150'. Channels that are not named are free."
            ),
        ],
        budget: Annotated[int, Field(description="Most requests that it may send.", ge=1, le=1_000_000)] = 60,
        why: Why = "",
    ) -> Row:
        """Propose a campaign that looks for settings at which the readings are as wanted, and verifies them.

        It is checked whole and then waits for a person. Ask read_campaign now and then what became of it; a name is
        taken for good, so give another one to what you propose anew.
        """
        self._gate().refuse_excess(budget)
        part, title = self._part(instrument).model_dump(mode="json"), self._title(name)
        campaign, built = prepare({"name": title, "instrument": part, "targets": targets, "budget": budget})
        built.close()
        config = campaign.model_dump(mode="json")
        return self._enter(campaign.slug, campaign.name, built.identity, built.space, config, why)

    def propose_readings(
        self,
        instrument: InstrumentName,
        name: NewName,
        settings: Annotated[
            list[NamedSettings],
            Field(
                description="Each a value for every knob, by its name: a number, or one of the knob's names.",
                min_length=1,
                max_length=MOST_SETTINGS,
            ),
        ],
        why: Why = "",
    ) -> Row:
        """Propose readings at settings of your choice, one for each, in this order. They wait for a person."""
        self._gate().refuse_excess(len(settings))
        part, title = self._part(instrument), self._title(name)
        where = self.laboratory.space(unmark(instrument))
        rows, faults = list[NamedSettings](), list[str]()
        for number, row in enumerate(settings):
            try:
                rows.append(where.shown_settings(where.settings({unmark(knob): _bare(row[knob]) for knob in row})))
            except InvalidInput as error:
                faults += [f"settings.{number}: {fault}" for fault in error.faults]
        if not shows_whole(title):
            faults.append(f"name: needs a name without line ends and control characters, got {format_value(title)}")
        if faults:
            raise InvalidInput(faults)
        config = {"instrument": part.model_dump(mode="json"), "settings": rows, "budget": len(rows)}
        identity = self.laboratory.identity(unmark(instrument))
        return self._enter(slugify(title), title, identity, where, config, why)

    def _enter(self, slug: str, title: str, identity: str, space: Any, config: Mapping[str, Any], why: str) -> Row:
        entry = self._gate().enter(slug, identity, space, config, versions(), title=title, why=why)
        return {
            "campaign": entry.name,
            "waits_for": Own("a person, who sees all of it by 'sdl approve' and then runs it; nothing is sent before"),
            **self.whoami(),
        }

    def _gate(self) -> Proposals:
        return Proposals(self.ledger, self.identify())

    def _title(self, name: str) -> str:
        """The name of a proposal: with that of its proposer before it, so that nobody takes the name of another's."""
        return f"{self.identify().name}: {unmark(name)}"

    def _entry(self, name: str) -> Entry:
        return self.ledger.entry(unmark(name))

    def _part(self, name: str) -> Any:
        """The instrument of the laboratory's file: no agent describes one of its own."""
        there = self.laboratory.instruments
        if unmark(name) not in there:
            raise InvalidInput(f"no instrument {format_value(unmark(name))} here{suggest_nearest(unmark(name), there)}")
        return there[unmark(name)]


def _standing(status: CampaignStatus) -> Row:
    return {
        "campaign": status.campaign,
        "state": status.state,
        "requests": status.sent,
        "budget": status.budget,
        "verified": sorted(status.verified),
        "instrument": status.instrument,
        "waits_for": status.waits_for,
        "reason": status.reason,
        "approved": status.approved,
        "round": None if status.place is None else asdict(status.place),
    }


def _knob(knob: Knob) -> Row:
    takes = {"low": knob.low, "high": knob.high} if knob.values is None else {"values": list(knob.values)}
    return {"name": knob.name, "unit": knob.unit, **takes, "whole": knob.whole, "scale": Own(knob.scale)}


def _bare(value: float | str) -> float | str:
    return unmark(value) if isinstance(value, str) else value


def _plain(tolerance: Any) -> Any:
    return pairs(tolerance) if isinstance(tolerance, Mapping) else tolerance
