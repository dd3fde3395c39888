"""What this laboratory tells Prefect's event feed, for automations to listen to; every event is made here.

Its resource is ``sdl.campaign.`` or ``sdl.instrument.`` and the slug of the name; ``message`` in its payload is one
sentence for people, in which no word of a person or an instrument acts as markup. To tell is dispensable: whatever
becomes of it is logged at most, and no campaign waits for it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from prefect.events import emit_event

from sdl.campaign.definition import slugify
from sdl.errors import SdlError
from sdl.formatting import escape_invisible
from sdl.history import Finding

VERDICT = "sdl.verdict"
SUSPENDED = "sdl.campaign.suspended"
RESUMED = "sdl.campaign.resumed"
WAITING = "sdl.campaign.waiting"
FINISHED = "sdl.campaign.finished"
STALLED = "sdl.campaign.stalled"
DRIFTED = "sdl.instrument.drifted"
OUT_OF_BAND = "sdl.calibration.out-of-band"

CAMPAIGN_TAG = "campaign:"
"""Before a campaign's name in the tags of a run that works on it."""
LONGEST = 1000
"""Characters of a message."""
HARMLESS = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", "|": "¦", "@": "＠", "*": "∗", "\n": " "})
"""What would be a link, a call to a whole channel or markup where messages are read."""

log = logging.getLogger("sdl.events")  # below "sdl", whose words Prefect shows with the run


def emit_verdict(campaign: str, instrument: str, finding: Finding) -> None:
    """Emit that a candidate was judged, or a target given up."""
    words = f"{campaign}: {finding.verdict.value} {finding.target}: {finding.sentence}"
    facts = {"target": finding.target, "verdict": finding.verdict.value, "sentence": finding.sentence}
    _of_campaign(VERDICT, campaign, instrument, words, facts | {"round": finding.round})


def emit_suspended(campaign: str, instrument: str, error: SdlError) -> None:
    """Emit that a campaign cannot go on for now; a change of the instrument is an event of its own."""
    drift = bool(getattr(error, "drift", False))
    facts = {"reason": str(error), "drift": drift, "hold_off_s": getattr(error, "hold_off_s", None)}
    _of_campaign(SUSPENDED, campaign, instrument, f"{campaign} is suspended: {error}", facts)
    if drift:
        _of_instrument(DRIFTED, instrument, f"{instrument} has drifted: {error}", {"campaign": campaign})


def emit_resumed(campaign: str, instrument: str) -> None:
    """Emit that a campaign goes on after it waited."""
    _of_campaign(RESUMED, campaign, instrument, f"{campaign} goes on", {})


def emit_waiting(campaign: str, instrument: str, why: str) -> None:
    """Emit that a campaign waits for a person: for the approval of settings, or for the end of a pause."""
    _of_campaign(WAITING, campaign, instrument, f"{campaign} waits: {why}", {"reason": why})


def emit_finished(campaign: str, instrument: str, reason: str) -> None:
    """Emit that nothing is left to do in a campaign."""
    _of_campaign(FINISHED, campaign, instrument, f"{campaign} is finished: {reason}", {"reason": reason})


def emit_stalled(campaign: str, instrument: str, alarm: str) -> None:
    """Emit that a campaign at work brings no observation any more."""
    _of_campaign(STALLED, campaign, instrument, f"{campaign} has stalled: {alarm}", {"alarm": alarm})


def emit_out_of_band(instrument: str, alarms: Sequence[str], gain: Mapping[str, float]) -> None:
    """Emit that a calibration lies outside its control chart."""
    facts = {"alarms": list(alarms), "gain": dict(gain)}
    _of_instrument(OUT_OF_BAND, instrument, f"{instrument}: {'; '.join(alarms)}", facts)


def make_harmless(text: str) -> str:
    r"""Return the words of a message: one line, without what a chat or a mail would act upon.

    >>> make_harmless("<!channel> see [here](http://x)\n@all \x1b[1m")
    '‹!channel› see (here)(http://x) ＠all \\x1b(1m'
    """
    return escape_invisible(text).translate(HARMLESS)[:LONGEST]


def _of_campaign(event: str, campaign: str, instrument: str, message: str, facts: Mapping[str, Any]) -> None:
    _emit(event, ("campaign", campaign), message, facts, used=instrument)


def _of_instrument(event: str, instrument: str, message: str, facts: Mapping[str, Any]) -> None:
    _emit(event, ("instrument", instrument), message, facts)


def _emit(event: str, about: tuple[str, str], message: str, facts: Mapping[str, Any], used: str | None = None) -> None:
    payload = {"message": make_harmless(message), **{key: _cut(value) for key, value in facts.items()}}
    try:
        related = [] if used is None else [{"prefect.resource.role": "instrument", **_resource("instrument", used)}]
        emit_event(event, _resource(*about), related=related, payload=payload)
    except Exception as error:  # whatever it is, a campaign is worth more than what is told of it
        log.warning("Prefect was not told of %s: %s", event, error)


def _resource(kind: str, name: str) -> dict[str, str]:
    return {"prefect.resource.id": f"sdl.{kind}.{slugify(name)}", "prefect.resource.name": make_harmless(name)}


def _cut(value: Any) -> Any:
    return make_harmless(value) if isinstance(value, str) else value
