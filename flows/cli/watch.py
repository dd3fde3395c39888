"""Commands that show what every campaign is doing: status, and the same live at a terminal (watch)."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.cli.watch_view import STATES, draw_frame
from flows.terminal import out, plain_table, print_json_line, show
from sdl.errors import InvalidInput, LedgerError
from sdl.formatting import escape_invisible, format_duration
from sdl.history import State
from sdl.ledger.ledger import Ledger
from sdl.reports.status import CampaignStatus, campaign_statuses
from sdl.reports.status_detail import campaign_detail

SHOWN = 100
"""Campaigns in the table of ``status``."""
NEAR = 3
"""Campaigns that ``watch`` shows from near."""
REFRESH_S = 1.0
NOTHING = "no campaign yet: begin one with 'sdl run CAMPAIGN.toml'"

Which = Annotated[str | None, typer.Argument(help="Name of a campaign; by default all.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("status")(show_status)
    app.command("watch")(watch_campaigns)


def show_status(name: Which = None, home: Home = None, ledger: LedgerOption = None, as_json: AsJson = False) -> None:
    """Show what runs, how far it is, who holds each instrument, and what is waited for."""
    with open_ledger(home, ledger) as book:
        every = campaign_statuses(book, name)
    words = [line for each in every[:SHOWN] for line in _sentences(each)]
    rest = [f"of {len(every)} campaigns the {SHOWN} that changed last; --json lists all"][: len(every) > SHOWN]
    overview = _overview(every[:SHOWN]) if every else NOTHING
    show([status_to_json(each) for each in every], as_json, overview, *words, *rest)


def watch_campaigns(
    name: Which = None,
    once: Annotated[bool, typer.Option("--once", help="Show one picture and end.")] = False,
    alarm: Annotated[
        bool,
        typer.Option(
            "--alarm", help="Show nothing, but report stalled campaigns to Prefect, where workers run without 'sdl up'."
        ),
    ] = False,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Watch campaigns live: progress, readings against targets, verdicts, alarms."""
    with open_ledger(home, ledger) as book:
        if name is not None:
            campaign_statuses(book, name)  # a name that is not there is told at once
        try:
            if alarm:
                _raise_alarms(environment.home(home), ledger)
            else:
                _watch(book, name, once, as_json)
        except KeyboardInterrupt:
            return


def _raise_alarms(directory: Path, ledger: str | None) -> None:
    """Tell of stalls until Ctrl-C: Prefect's server, the ledger, and whoever reads the words of this command."""
    if not os.environ.get("PREFECT_API_URL"):
        raise InvalidInput(
            "--alarm tells the Prefect server of the workers: set PREFECT_API_URL; 'sdl up' has an alarm of its own"
        )
    environment.set_up_prefect(directory)
    from flows.laboratory import stall_alarm as stalls

    asyncio.run(stalls.watch_for_stalls(environment.ledger(ledger, directory)))


def status_to_json(each: CampaignStatus) -> dict[str, Any]:
    """A standing for programs; seconds are of the moment at which it was read."""
    holder = each.holder
    return {
        "campaign": each.campaign,
        "state": _state(each),
        "requests": each.sent,
        **({"spent": each.spent} if each.spent else {}),
        "budget": each.budget,
        "verified": f"{len(each.verified)} of {len(each.targets)}" if each.targets else None,
        "instrument": each.instrument,
        "held by": None if holder is None else str(holder),
        "held since": None if holder is None else _moment(holder.since),
        "heartbeat_s": None if holder is None else max(0.0, each.seen_at - holder.beat_at),
        "round": None if each.place is None else asdict(each.place),
        "last observation": None if each.pace.last_at is None else _moment(each.pace.last_at),
        "silent_s": each.silent_s,
        "interval_s": each.pace.interval_s,
        "waits for": each.waits_for or None,
        "approved": each.approved or None,
        "alarm": each.alarm or None,
        "updated": _moment(each.updated),
        "reason": _reason(each),
        "control": each.control,
    }


def _watch(book: Ledger, name: str | None, once: bool, as_json: bool) -> None:
    if as_json or once or not out.is_terminal:
        while True:
            if as_json:
                print_json_line(_heard(book, name))
            else:
                out.print(_seen(book, name))
            if once:
                return
            time.sleep(REFRESH_S)
    with Live(_seen(book, name), console=out, auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_S)
            live.update(_seen(book, name), refresh=True)


def _heard(book: Ledger, name: str | None) -> list[dict[str, Any]] | dict[str, str]:
    """One frame for programs; a ledger that does not answer for a while is no reason to stop looking."""
    try:
        return [status_to_json(each) for each in _watched(campaign_statuses(book, name))]
    except LedgerError as error:
        return {"error": _silent(error)}


def _seen(book: Ledger, name: str | None) -> RenderableType:
    """One frame for people; errors as for programs."""
    try:
        every = _watched(campaign_statuses(book, name))
        near = [draw_frame(campaign_detail(book, each)) for each in every if name or each.measures][:NEAR]
    except LedgerError as error:
        return Text(_silent(error), "bold red")
    if name:
        return Group(*near)
    return Group(_overview(every) if every else NOTHING, *(line for e in every for line in _sentences(e)), *near)


def _silent(error: LedgerError) -> str:
    return escape_invisible(f"the ledger does not answer, looking again: {error}")


def _watched(every: list[CampaignStatus]) -> list[CampaignStatus]:
    """Campaigns at work, or else those that changed last."""
    return [each for each in every if each.at_work][:SHOWN] or every[:NEAR]


def _overview(every: list[CampaignStatus]) -> Table:
    columns = ("campaign", "state", "requests", "verified", "round", "last change")
    return plain_table(columns, [_row(each) for each in every])


def _row(each: CampaignStatus) -> list[Any]:
    cells = status_to_json(each)
    sent = f"{each.sent}" if each.budget is None else f"{each.sent} of {each.budget}"
    sent += f"; {each.spent}" if each.spent else ""
    state = Text(cells["state"], "bold red" if each.alarm else STATES.get(cells["state"], ""))
    last = cells["updated"][5:16] if each.silent_s is None else f"{format_duration(each.silent_s)} ago"
    return [each.campaign, state, sent, cells["verified"], each.place, last]


def _sentences(each: CampaignStatus) -> Iterator[Text]:
    """What a table has no room for: the alarm, who holds the instrument, what is waited for, why it stands still."""
    if each.alarm:
        yield Text(escape_invisible(f"{each.campaign} has stalled: {each.alarm}"), "bold red")
    if each.measures and each.holder is not None:
        words = f"{each.instrument} is held by {each.holder}, last sign of life {each.holder.sign_of_life}"
        yield Text(escape_invisible(words))
    if each.waits_for:
        yield Text(escape_invisible(f"{each.campaign} waits for {each.waits_for}"), "yellow")
    if each.approved and each.at_work:
        yield Text(escape_invisible(f"{each.campaign}: {each.approved}"))
    if (reason := _reason(each)) and each.state is not State.FINISHED:
        yield Text(escape_invisible(f"{each.campaign}: {reason}"))


def _state(each: CampaignStatus) -> str:
    return "INTERRUPTED" if each.interrupted else each.state.value


def _reason(each: CampaignStatus) -> str:
    if each.interrupted:
        return "its process ended; 'sdl run' goes on" if each.at_work else "its process ended"
    return each.reason


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).isoformat(sep=" ", timespec="seconds")
