"""How a campaign ended, or was left for now: written down while it works, and summarised as plain data afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows.engine.session import Session
from sdl.analysis import answer_count
from sdl.analysis.nearest_reading import nearest_reading
from sdl.campaign.definition import Target
from sdl.errors import CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted
from sdl.history import Control, Finding, History, NoticeKind, State, Verdict
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.reports.free_channels import free_channels
from sdl.space import Space
from sdl.system import failpoints


@contextmanager
def recorded_end(session: Session) -> Iterator[None]:
    """Write down how a campaign was left when its block ends with an error."""
    try:
        yield
    except (CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted) as error:
        paused, stopped = isinstance(error, CampaignPaused), isinstance(error, CampaignStopped)
        state = State.PAUSED if paused else State.STOPPED if stopped else State.SUSPENDED
        if isinstance(error, CampaignSuspended):
            _note_suspension(session, error)
        session.ledger.set_state(session.lease, session.entry.id, state, str(error))
        if state is State.PAUSED:
            failpoints.pass_failpoint("when-paused")
        raise


def _note_suspension(session: Session, error: CampaignSuspended) -> None:
    controls = Controls(session.ledger)
    controls.note(session.entry.id, NoticeKind.SUSPENDED, str(error))
    if error.hold_off_s is not None and session.campaign.suspend.resume == "person":
        controls.ask(session.entry.name, Control.PAUSE, "suspended, and a person is to say when it goes on")


def summarize_outcome(ledger: Ledger, name: str) -> dict[str, Any]:
    """Return what came of a campaign, as plain data: its state, its requests and, target by target, the verdict.

    Raises:
        InvalidInput: if the ledger has no campaign of that name.
    """
    entry = ledger.entry(name)
    history = ledger.history(entry.id)
    targets = [Target.model_validate(part) for part in entry.config.get("targets", [])]
    settled = [_settled(target, history, entry.space) for target in targets]
    return {
        "campaign": name,
        "state": entry.state,
        "reason": entry.reason,
        "requests": history.sent,
        "targets": settled,
        "verified": bool(targets) and all(target["verdict"] == Verdict.VERIFIED for target in settled),
    }


def _settled(target: Target, history: History, space: Space) -> dict[str, Any]:
    own = [finding for finding in history.findings if finding.target == target.name]
    if not own:
        nearest = nearest_reading(target, history.observations, space)
        sentence = "; ".join(filter(None, ("no candidate was examined", nearest)))
        return {"target": target.name, "verdict": "UNSETTLED", "sentence": sentence, "settings": None, "free": []}
    verdict, sentence = answer_count.concluding_verdict(target, history.findings)
    summary = {"target": target.name, **_named(own[-1], space), "verdict": verdict, "sentence": sentence}
    if target.answers == 1:
        return summary
    answers = [
        {**_named(finding, space), "family": answer_count.family_of(finding)}
        for finding in answer_count.passed_findings(target, history.findings)
    ]
    return {**summary, "answers": answers}


def _named(finding: Finding, space: Space) -> dict[str, Any]:
    settings = None if finding.settings is None else space.shown_settings(finding.settings)
    free = [str(channel) for channel in free_channels(finding, {})]
    return {"verdict": finding.verdict, "sentence": finding.sentence, "settings": settings, "free": free}
