"""A campaign that waits: for a person's word, for the end of a hold-off, for its turn at the instrument.

Nothing is held meanwhile. The ledger is asked again and again whether it may go on, so that a command works with or
without a server; Prefect's UI shows the run as paused, and a person may answer there as well, by the button or form of
the run. Whichever comes first counts.
"""

import asyncio
import contextlib
import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import httpx
from prefect import get_client, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from prefect.states import Running
from pydantic import Field

from flows.campaign.readings_form import ReadingsForm
from flows.ui.artifacts import escape_markdown
from sdl.errors import (
    ApprovalWanted,
    CampaignPaused,
    CampaignSuspended,
    Interrupted,
    InvalidInput,
    LeaseHeld,
    LeaseLost,
    LedgerError,
    ReadingsWanted,
    SdlError,
)
from sdl.history import Approval, Control, NoticeKind
from sdl.ledger.database_server import AWAY_S
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls, summarize_planned
from sdl.measurement.hand_bench import wanted_samples

LOOK_S = 0.5
"""Between two looks at the ledger."""
AGAIN_S = 15.0
"""Before a Prefect server that did not answer is asked again."""
LONGEST_S = 10_000_000
"""A pause of Prefect needs a length: some months."""
LATEST = 100
"""Notices among which the end of a hold-off is looked for."""
SHOWN = 40
"""Planned settings in the form; the report has them all."""

log = logging.getLogger("sdl.waiting")  # below "sdl", whose words a terminal and Prefect show


class ApprovalForm(RunInput):
    """The answer of a person about the settings that a campaign wants to send."""

    decision: Literal["approve", "decline"] = Field("approve", description="A declined campaign stays paused.")
    name: str = Field("", max_length=100, description="Who decides, for the record.")
    note: str = Field("", max_length=1000, description="Why, for the record.")


@dataclass(frozen=True)
class Wait:
    """What one campaign waits for."""

    ledger: Ledger
    campaign: str
    """Its name in the ledger."""
    why: SdlError
    until: float
    """When a hold-off ends, by the monotonic clock."""
    readings: ReadingsForm
    """What persons are asked to read, where it waits for that."""

    def form(self) -> Approval | None:
        """Return what a person has to approve of; None if all that is needed is the word to go on."""
        entry = self.ledger.entry(self.campaign)
        return None if entry.control is Control.PAUSE else self.pending_approval()

    def pending_approval(self) -> Approval | None:
        """Return what a person has to approve of, now or later; None if nothing."""
        if not isinstance(self.why, ApprovalWanted):
            return None
        return Controls(self.ledger).pending_approval(self.ledger.entry(self.campaign).id)

    def for_readings(self) -> bool:
        """Return whether it waits for what persons read, and for nothing before that."""
        entry = self.ledger.entry(self.campaign)
        return isinstance(self.why, ReadingsWanted) and entry.control is not Control.PAUSE

    def over(self) -> bool:
        """Whether the wait is over: the campaign may go on, or somebody stopped it."""
        entry = self.ledger.entry(self.campaign)
        if entry.control is not Control.RUN:
            return entry.control is Control.STOP
        if self.pending_approval() is not None:
            return False
        if isinstance(self.why, ReadingsWanted):
            return not wanted_samples(self.ledger, entry)
        if time.monotonic() >= self.until:
            return True
        kinds = [notice.kind for notice in Controls(self.ledger).notices(entry.id, last=LATEST)]
        suspended = len(kinds) - kinds[::-1].index(NoticeKind.SUSPENDED) if NoticeKind.SUSPENDED in kinds else 0
        return NoticeKind.RESUMED in kinds[suspended:]


def waiting_helps(error: SdlError) -> bool:
    """Whether it helps to wait after an error: not where a person has to mend the instrument first."""
    if isinstance(error, CampaignSuspended):
        return error.hold_off_s is not None
    return isinstance(error, CampaignPaused | LeaseHeld | LeaseLost)  # it slept for long: others had their turn since


async def wait_until_free(where: str, instrument: str, interrupted: threading.Event) -> None:
    """Wait until nobody holds an instrument.

    Raises:
        Interrupted: if that is set.
    """
    log.warning("waiting for a turn at %s", instrument)
    with await _opened(where, interrupted) as book:
        while (holder := await asyncio.to_thread(book.holder, instrument)) is not None:
            await _show_state(Running(name="Waiting", message=f"for its turn at {instrument}, held by {holder}"))
            await _pass(interrupted)
    await _show_state(Running())


async def wait_until_allowed(where: str, campaign: str, why: SdlError, interrupted: threading.Event) -> None:
    """Wait until a campaign may go on, and show in Prefect's UI that it waits.

    Args:
        where: File or URL of the ledger.
        campaign: Its name there.
        why: What ended its work for now.
        interrupted: Set it to end the wait.

    Raises:
        Interrupted: if that is set.
    """
    log.warning("%s", why)
    hold_off_s = why.hold_off_s if isinstance(why, CampaignSuspended) else None
    with await _opened(where, interrupted) as book:
        until, readings = time.monotonic() + (hold_off_s or 0.0), ReadingsForm(book, campaign)
        wait = Wait(book, campaign, why, until, readings)
        shown = asyncio.create_task(_mirror(wait))
        try:
            while not await asyncio.to_thread(wait.over):
                await _pass(interrupted)
            if hold_off_s is not None and time.monotonic() >= wait.until:
                entry = await asyncio.to_thread(book.entry, campaign)
                Controls(book).note(entry.id, NoticeKind.RESUMED, f"tries again after {hold_off_s:.0f} s")
        finally:
            shown.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await shown
            await _show_state(Running())


async def _opened(where: str, interrupted: threading.Event) -> Ledger:
    """Open the ledger, which may take its time; so may each look at it."""
    return await asyncio.to_thread(Ledger, where, None, AWAY_S, interrupted)


async def _pass(interrupted: threading.Event) -> None:
    """Let a moment pass."""
    if interrupted.is_set():
        raise Interrupted("interrupted while it waited; run the campaign again to go on")
    await asyncio.sleep(LOOK_S)


async def _mirror(wait: Wait) -> None:
    """Show the run as paused in Prefect's UI, and take what a person says there to the ledger."""
    while True:
        try:
            await _ask_in_prefect(wait)
        except Pause:  # an earlier wait reached the server when it was over: else the run would end here
            await _show_state(Running())
            await asyncio.sleep(LOOK_S)
        except (httpx.HTTPError, RuntimeError, LedgerError) as error:
            log.warning("Prefect does not show that the campaign waits: %s", error)
            await asyncio.sleep(AGAIN_S)
            await _show_state(Running())  # from there it can be paused once more
        else:
            await asyncio.sleep(LOOK_S)


async def _ask_in_prefect(wait: Wait) -> None:
    """Pause the run in Prefect until somebody answers there, and take the answer to the ledger."""
    pause = {"timeout": LONGEST_S, "poll_interval": 1, "key": uuid4().hex}
    if await asyncio.to_thread(wait.for_readings):
        blank, samples = await asyncio.to_thread(wait.readings.blank)
        filled = await apause_flow_run(wait_for_input=blank, **pause)  # type: ignore[call-overload]
        await asyncio.to_thread(wait.readings.take, filled.model_dump(), samples)
        return
    approval = await asyncio.to_thread(wait.form)
    if approval is None:
        await apause_flow_run(**pause)  # type: ignore[call-overload]
        Controls.of_form(wait.ledger).ask(wait.campaign, Control.RUN)
        return
    text = await asyncio.to_thread(_describe_plan, wait, approval)
    form = ApprovalForm.with_initial_data(description=text)
    answer = await apause_flow_run(wait_for_input=form, **pause)  # type: ignore[call-overload]
    if wait.pending_approval() is not None:  # a command was not faster
        controls = Controls.of_form(wait.ledger, answer.name)
        try:
            controls.answer(wait.campaign, answer.decision == "approve", answer.note, approval.round)
        except InvalidInput as error:  # a name that was typed is no token: the form is shown again
            log.warning("not approved: %s", error)


async def _show_state(state: State[Any]) -> None:
    """Show the run in a state in Prefect's UI, unless it is shown so already or no longer counts as going on."""
    run = runtime.flow_run.id
    try:
        async with get_client() as client:
            shown = (await client.read_flow_run(run)).state
            if shown is not None and (shown.is_paused() or shown.is_running()) and shown.name != state.name:
                await client.set_flow_run_state(run, state, force=True)
    except httpx.HTTPError as error:
        log.warning("Prefect does not show where the campaign stands: %s", error)


def _describe_plan(wait: Wait, approval: Approval) -> str:
    """The settings that wait for approval, as Markdown."""
    entry = wait.ledger.entry(wait.campaign)
    left = summarize_planned(wait.ledger.history(entry.id), approval.round)
    head = ["purpose", *entry.space.knob_names, "times"]
    lines = [
        f"**Campaign {escape_markdown(entry.title)}, {approval.what}**: {escape_markdown(approval.why)}.",
        "",
        f"| {' | '.join(map(escape_markdown, head))} |",
        "|" + "---|" * len(head),
    ]
    for purpose, settings, times in left[:SHOWN]:
        values = map(escape_markdown, entry.space.written_settings(settings).values())
        lines.append(f"| {purpose.value} | {' | '.join(values)} | {times} |")
    more = f" and {len(left) - SHOWN} more settings" if len(left) > SHOWN else ""
    total = sum(times for *_, times in left)
    if Controls(wait.ledger).takes_token(approval):
        more += f". To approve takes a person's token, which no form asks for: `sdl approve {entry.name}`"
    return "\n".join([*lines, "", f"{total} requests on {escape_markdown(entry.instrument)}{more}."])
