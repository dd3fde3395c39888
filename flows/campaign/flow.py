"""The campaign: from the readings somebody wants to verified settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, runtime

from flows import environment
from flows.run_policy import concurrency_slots as slots
from flows.run_policy.failure_messages import says_what_to_do
from flows.run_policy.interrupts import finish_on_signal
from flows.run_policy.missed_schedules import skipped_state
from flows.server import server
from flows.ui import events
from sdl.campaign.definition import Campaign
from sdl.errors import CampaignPaused, CampaignSuspended, LeaseHeld, LeaseLost, LedgerAway, SdlError
from sdl.history import Entry
from sdl.ledger.database_server import AWAY_S
from sdl.ledger.ledger import Ledger

if TYPE_CHECKING:
    from flows.engine.session import Session


@flow(name="campaign", flow_run_name="campaign-{config.name}", validate_parameters=True)
@says_what_to_do
async def campaign(
    config: Campaign,
    home: str | None = None,
    ledger: str | None = None,
    again: bool = False,
    wait: bool = False,
    moved: bool = False,
) -> dict[str, Any]:
    """Propose, measure, retrain and verify until every target is settled; goes on where an earlier run ended.

    Args:
        config: The campaign.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
        again: Begin anew under the next free name if the campaign of this name is finished.
        wait: Wait for a person's word, the end of a hold-off or a turn at the instrument, rather than end there.
        moved: Go on with this instrument although the campaign was begun with another one.

    Returns:
        What came of the campaign, as ``summarize_outcome`` has it.
    """
    directory = environment.home(home)
    where = environment.ledger(ledger, directory)
    if (begun := _title_begun(where)) is not None:  # whatever became of it since, this run begins no other one
        config, again = config.model_copy(update={"name": begun}), False
    elif (state := skipped_state(where, lambda entry: entry.created if _is_of(config, entry) else None)) is not None:
        return state  # type: ignore[no-any-return]
    slots.keep_going()
    with finish_on_signal() as interrupted, slots.none_by_tag():
        # Models and figures take seconds to load: not before the run is seen to have begun.
        from flows.campaign import waiting
        from flows.engine.opening import open_session
        from flows.ui.observer import shown_in_ui

        patience_s = AWAY_S if wait else 0.0
        while True:
            opened = open_session(
                config, directory, where, again=again, moved=moved, interrupted=interrupted, patience_s=patience_s
            )
            try:
                with opened as session:
                    patience_s = AWAY_S
                    config, again, moved = session.campaign, False, False  # it may have another name now
                    async with shown_in_ui(session.ledger, session.entry.name):
                        return await _work(session)
            except SdlError as why:
                if isinstance(why, LedgerAway) and patience_s:  # broke off in the middle: go on as after a kill
                    continue
                if not (wait and waiting.waiting_helps(why)):
                    raise
                if isinstance(why, LeaseHeld | LeaseLost):
                    await waiting.wait_until_free(where, why.instrument, interrupted)
                else:
                    await waiting.wait_until_allowed(where, config.slug, why, interrupted)
                    events.emit_resumed(session.entry.name, session.entry.instrument)


async def _work(session: "Session") -> dict[str, Any]:
    from flows.campaign import tasks
    from flows.engine.outcome import recorded_end, summarize_outcome
    from strategies.plan.steps import Stop

    with recorded_end(session), _emitted_end(session.entry):
        session.ledger.obey(session.entry.name)
        step = await tasks.propose_step(session)
        while not isinstance(step, Stop):
            step = await tasks.execute_step(session, step)
            if isinstance(step, Stop):  # somebody may have extended the budget since
                step = await tasks.propose_step(session)
        await tasks.report_end(session, step)
        return summarize_outcome(session.ledger, session.entry.name)


@contextmanager
def _emitted_end(entry: Entry) -> Iterator[None]:
    """Make an event of why a campaign does not go on for now, if its block ends for that reason."""
    try:
        yield
    except CampaignSuspended as why:
        events.emit_suspended(entry.name, entry.instrument, why)
        raise
    except CampaignPaused as why:
        events.emit_waiting(entry.name, entry.instrument, str(why))
        raise


def _title_begun(where: str) -> str | None:
    """The title of the campaign that this run worked on before the service was started anew; None if it is new."""
    begun = [tag for tag in runtime.flow_run.tags or [] if tag.startswith(events.CAMPAIGN_TAG)]
    if not begun:
        return None
    with Ledger(where) as book:
        return book.entry(begun[-1].removeprefix(events.CAMPAIGN_TAG)).title


def _is_of(config: Campaign, entry: Entry) -> bool:
    """Whether an entry is the campaign, or one that ``again`` began."""
    return entry.title == config.name or entry.title.startswith(f"{config.name} ")


def run_campaign(
    config: Campaign, home: Path, ledger: str | None, *, again: bool, wait: bool, moved: bool = False
) -> dict[str, Any]:
    """Run the flow from a program that has no event loop."""
    return server.run_with_server(campaign(config, str(home), ledger, again, wait, moved))
