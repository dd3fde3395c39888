"""A campaign driven to its end in this process, without Prefect: the same steps and the same ledger, no server."""

import random
import threading
import time
from pathlib import Path
from typing import Any

from flows.engine.opening import open_session
from flows.engine.outcome import recorded_end, summarize_outcome
from flows.engine.session import Session
from sdl.campaign.definition import Campaign
from sdl.errors import CampaignSuspended, LedgerAway
from sdl.ledger.database_server import AWAY_S
from sdl.system.signals import set_on_signal
from strategies.plan.steps import Step, Stop

AGAIN_S = (2.0, 4.0)
"""Waited for an instrument that did not answer before it is asked once more, at least and at most."""


def run_directly(
    campaign: Campaign, directory: Path, ledger: str, *, again: bool = False, moved: bool = False
) -> dict[str, Any]:
    """Run a campaign, or continue it where it was left, and write its report; Ctrl-C keeps the measurement under way.

    Args:
        campaign: As it was parsed from its file.
        directory: Data directory, where the report goes.
        ledger: File or URL of the ledger.
        again: Begin anew under the next free name if the campaign of this name is finished.
        moved: Whether a campaign that was begun with another instrument is to go on with this one.

    Returns:
        What came of the campaign, as ``summarize_outcome`` has it.

    Raises:
        InvalidInput, LeaseHeld, SchemaMismatch, LedgerError: before the first request.
        CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted: where that ends it for now; all that came
            before is kept.
    """
    interrupted, patience_s = threading.Event(), 0.0
    with set_on_signal(interrupted):
        while True:
            opened = open_session(
                campaign, directory, ledger, again=again, moved=moved, interrupted=interrupted, patience_s=patience_s
            )
            try:
                with opened as session:
                    campaign, again, moved, patience_s = session.campaign, False, False, AWAY_S
                    drive(session)
                    return summarize_outcome(session.ledger, session.entry.name)
            except LedgerAway:  # broke off in the middle: go on as after a kill
                if not patience_s:
                    raise


def drive(session: Session) -> None:
    """Ask what comes next and do it until the plan says stop, and write the report; errors as those of the session."""
    with recorded_end(session):
        session.ledger.obey(session.entry.name)
        while not isinstance(step := session.propose(), Stop):
            _execute(session, step)
        session.execute(step)
        session.report()


def _execute(session: Session, step: Step) -> None:
    """Do a step; where the instrument did not answer, once more, which takes what is left of it."""
    try:
        session.execute(step)
    except CampaignSuspended as error:
        if not error.transient:
            raise
        time.sleep(random.uniform(*AGAIN_S))
        session.execute(step)
