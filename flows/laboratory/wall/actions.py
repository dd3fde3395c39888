"""What a person asks of a campaign from the wall: by the rules, and in the transactions, of ``sdl approve`` and others.

Where persons have tokens, whatever is asked from the wall takes one: a screen in a room is anybody's. Without tokens
nobody is asked for one, and what an agent proposed waits all the same.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from flows.laboratory.wall.board import harmless
from sdl.errors import InvalidInput, NotAllowed
from sdl.formatting import count_words, format_setting
from sdl.history import PROPOSAL, Control
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import NAMELESS, Controls, summarize_planned
from sdl.ledger.people.tokens import Identity, Tokens, is_guarded

WALL = "the page on the wall"
"""Who asked there without a token, and by which way a token was shown."""
SHOWN = 60
"""Settings that are shown of what waits for approval; the report has them all."""
CONTROLS = {"pause": Control.PAUSE, "stop": Control.STOP, "resume": Control.RUN}
SENTENCES = {
    "pause": "{} pauses before its next request",
    "stop": "{} stops before its next request",
    "resume": "{0} may go on: a run that waits does so by itself, else 'sdl run {0}'",
}


class Asked(BaseModel):
    """What somebody asks of a campaign."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    campaign: str = Field(min_length=1, max_length=100)
    what: Literal["pause", "stop", "resume", "approve", "decline"]
    round: int | None = None
    """Whose settings were shown, for an answer about them."""
    note: str = Field("", max_length=1000)
    token: str = Field("", max_length=200)


def ask(ledger: Ledger, tokens: Tokens, asked: Asked) -> str:
    """Do what is asked and return a sentence about it.

    Raises:
        InvalidInput: if there is no such campaign, or it could not obey.
        NotAllowed: without the token that this takes.
    """
    controls = _controls(ledger, identify(ledger, tokens, asked.token))
    name = ledger.entry(asked.campaign).name
    if asked.what in CONTROLS:
        controls.ask(name, CONTROLS[asked.what], asked.note)
        return SENTENCES[asked.what].format(name)
    if asked.round is None:
        raise InvalidInput("an approval is about what was shown: say of which round")
    granted = asked.what == "approve"
    controls.answer(name, granted, asked.note, asked.round)
    if asked.round == PROPOSAL:
        return f"approved: 'sdl run {name}' measures it" if granted else f"{name} is declined, and sends nothing"
    return f"{name} goes on" if granted else f"{name} is paused; to go on lets it ask again"


def identify(ledger: Ledger, tokens: Tokens, token: str) -> Identity | None:
    """Return whose token was given; None for none where nobody has one.

    Raises:
        NotAllowed: if it is nobody's, or is lacking.
    """
    if token:
        return tokens.identify(token)
    with ledger.reading() as connection:
        guarded = is_guarded(connection)
    if guarded:
        raise NotAllowed("this takes your token ('sdl who' lists who has one)")
    return None


def waiting_approval(ledger: Ledger, name: str) -> Mapping[str, Any]:
    """Return what a campaign waits for a person to approve, all that is needed to decide.

    Raises:
        InvalidInput: if there is no such campaign, or it waits for nobody.
    """
    entry, controls = ledger.entry(name), Controls(ledger)
    approval = controls.pending_approval(entry.id)
    if approval is None:
        raise InvalidInput(f"campaign {name!r} waits for no approval any more")
    knobs, lines = list(entry.space.knob_names), list[str]()
    if approval.round == PROPOSAL:
        most = entry.config["budget"] + entry.config.get("extra", 0)
        lines = [f"at most {count_words(most, 'request')} on {entry.instrument}"]
        lines += [notice.text for notice in controls.notices(entry.id)]
        lines += [_target(target) for target in entry.config.get("targets", ())]
        settings = entry.config.get("settings") or []
        rows = [["reading", *(format_setting(row[knob]) for knob in knobs), "1"] for row in settings]
    else:
        planned = summarize_planned(ledger.history(entry.id), approval.round)
        named = [(purpose, entry.space.shown_settings(settings), times) for purpose, settings, times in planned]
        rows = [[purpose.value, *map(format_setting, shown.values()), str(times)] for purpose, shown, times in named]
    return harmless(  # type: ignore[no-any-return]
        {
            "campaign": entry.name,
            "title": entry.title,
            "round": approval.round,
            "what": approval.what,
            "why": approval.why,
            "lines": lines,
            "knobs": ["", *knobs, "times"],
            "rows": rows[:SHOWN],
            "more": max(0, len(rows) - SHOWN),
            "takes_token": controls.takes_token(approval),
        }
    )


def _target(target: Mapping[str, Any]) -> str:
    wanted = ", ".join(f"{channel} {wish}" for channel, wish in target["readings"].items())
    return f"target {target['name']}: {wanted}; tolerance {target['tolerance']}"


def _controls(ledger: Ledger, identity: Identity | None) -> Controls:
    if identity is None:
        return Controls(ledger, WALL, NAMELESS)
    return Controls.of_token(ledger, identity, f"shown to {WALL}")
