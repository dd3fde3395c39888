"""Commands that control a campaign: pause, resume, stop, extend, approve.

They write to the ledger and need no server.
"""

import json
import os
import platform
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.server import service_lock
from flows.terminal import plain_table, show
from sdl.errors import InvalidInput
from sdl.formatting import count_words
from sdl.history import PROPOSAL, Approval, Control, Entry, State
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import MOST, Controls, summarize_planned
from sdl.ledger.people.tokens import Identity, Tokens

Name = Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)]
Note = Annotated[str, typer.Option("--note", help="Reason, for the record.", show_default=False)]
TOKEN = "SDL_TOKEN"
"""Variable of the environment that holds the token of who gives a command; a command line is seen by every user."""
SENTENCES = {Control.PAUSE: "{} pauses before its next request", Control.STOP: "{} stops before its next request"}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("pause")(pause_campaign)
    app.command("resume")(resume_campaign)
    app.command("stop")(stop_campaign)
    app.command("extend")(extend_budget)
    app.command("approve")(answer_approval)


def pause_campaign(
    name: Name, note: Note = "", home: Home = None, ledger: LedgerOption = None, as_json: AsJson = False
) -> None:
    """Ask a campaign to pause before its next request."""
    _ask(name, Control.PAUSE, note, home, ledger, as_json)


def resume_campaign(
    name: Name, note: Note = "", home: Home = None, ledger: LedgerOption = None, as_json: AsJson = False
) -> None:
    """Take back a pause, a stop or a hold-off."""
    _ask(name, Control.RUN, note, home, ledger, as_json)


def stop_campaign(
    name: Name, note: Note = "", home: Home = None, ledger: LedgerOption = None, as_json: AsJson = False
) -> None:
    """Ask a campaign to stop before its next request."""
    _ask(name, Control.STOP, note, home, ledger, as_json)


def extend_budget(
    name: Name,
    requests: Annotated[int, typer.Argument(help="Number of further requests.", min=1, max=MOST, show_default=False)],
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Allow a campaign more requests than its file does, even while it runs."""
    with _controls(home, ledger) as controls:
        most = controls.extend(name, requests)
    show({"campaign": name, "most": most}, as_json, f"{name} may send {most} requests in all")


def answer_approval(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Approve without a question.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Decline, which pauses the campaign.")] = False,
    note: Note = "",
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings that a campaign wants to send, and approve or decline them."""
    if yes and decline:
        raise InvalidInput("give either --yes or --decline")
    how = "--yes" if yes else "--decline" if decline else "at a terminal" if sys.stdin.isatty() else "through a pipe"
    with _controls(home, ledger, how) as controls:
        entry = controls.ledger.entry(name)
        approval = controls.pending_approval(entry.id)
        if approval is None:
            raise InvalidInput(f"campaign {name!r} waits for no approval ('sdl status {name}' says what it waits for)")
        if not as_json:
            show(None, False, f"{approval.what}: {approval.why}", *_content(controls.ledger, entry, approval))
        granted = not decline and (yes or typer.confirm("approve?", default=False))
        if granted and controls.takes_token(approval):
            controls = _speaking(controls.ledger, how, ask=True)
        controls.answer(name, granted, note, approval.round)
        entry = controls.ledger.entry(name)
    shown = {"campaign": name, "round": approval.round, "granted": granted}
    show(shown, as_json, _answered(entry, approval, granted, environment.home(home)))


def _answered(entry: Entry, approval: Approval, granted: bool, directory: Path) -> str:
    """What becomes of a campaign after the answer."""
    name = entry.name
    if approval.round == PROPOSAL:
        return f"next: sdl run {name}" if granted else f"{name} is declined, and sends nothing"
    if not granted:
        return f"{name} is paused; 'sdl resume {name}' lets it ask again"
    paused = entry.control is not Control.RUN
    return f"{name} goes on after 'sdl resume {name}'" if paused else _resumed(entry, directory)


def _ask(name: str, control: Control, note: str, home: Path | None, ledger: str | None, as_json: bool) -> None:
    with _controls(home, ledger) as controls:
        entry = controls.ask(name, control, note)
        running = controls.ledger.holder(entry.instrument)
    sentence = SENTENCES[control].format(name) if control in SENTENCES else _resumed(entry, environment.home(home))
    show({"campaign": name, "control": control, "held_by": running}, as_json, sentence)


def _resumed(entry: Entry, directory: Path) -> str:
    """What becomes of a campaign that may go on, and what a person has to do for it."""
    if entry.state is State.FINISHED:
        return f"{entry.name} is finished ({entry.reason}): there is nothing to go on with"
    up = service_lock.running(directory)
    where = f"at {up.ui}" if up else "once 'sdl up' runs"
    return (
        f"{entry.name} may go on: a run that waits does so by itself, else 'sdl run' its file again; one that came "
        f"from a form gets a new run by 'resume' in Prefect's UI {where}"
    )


def _content(book: Ledger, entry: Entry, approval: Approval) -> Iterator[Table | str]:
    """All that would be sent: the settings of a round, or what a proposal asks for."""
    knobs = entry.space.knob_names
    if approval.round != PROPOSAL:
        rows = [
            (purpose.value, *entry.space.shown_settings(settings).values(), times)
            for purpose, settings, times in summarize_planned(book.history(entry.id), approval.round)
        ]
        yield plain_table(["purpose", *knobs, "times"], rows)
        return
    most = entry.config["budget"] + entry.config.get("extra", 0)
    yield f"{entry.title!r} on {entry.instrument}, at most {count_words(most, 'request')}"
    yield "; ".join(notice.text for notice in Controls(book).notices(entry.id))
    for target in entry.config.get("targets", ()):
        wish = json.dumps({key: target[key] for key in ("name", "readings", "tolerance")}, ensure_ascii=False)
        yield f"target {wish}"
    if settings := entry.config.get("settings"):
        yield plain_table(knobs, [[row[knob] for knob in knobs] for row in settings])


@contextmanager
def _controls(home: Path | None, ledger: str | None, how: str = "") -> Iterator[Controls]:
    with open_ledger(home, ledger) as book:
        yield _speaking(book, how)


def _speaking(book: Ledger, how: str, ask: bool = False) -> Controls:
    """Controls for the holder of a token, or else for whom the operating system says."""
    name, known = person_at_terminal()
    how, identity = ", ".join(filter(None, [known, how])), caller(book, ask)
    return Controls(book, name, how) if identity is None else Controls.of_token(book, identity, how)


def caller(book: Ledger, ask: bool = False) -> Identity | None:
    """Return whose token this command was given; None if it was given none.

    Args:
        book: The ledger that knows it.
        ask: Whether a person at a terminal is asked for it.

    Raises:
        NotAllowed: if it is nobody's.
    """
    token = os.environ.get(TOKEN, "")
    if not token and ask and sys.stdin.isatty():
        token = typer.prompt("your token", hide_input=True, err=True)
    return Tokens(book).identify(token) if token else None


def person_at_terminal() -> tuple[str, str]:
    """Return who gives this command, for the record, and how that is known.

    It is whom the operating system says; no variable of the environment names another.
    """
    user = os.getuid()
    try:
        name, login = pwd.getpwuid(user).pw_name, "login"
    except KeyError:  # a user without a name, as in some containers
        name, login = f"user {user}", "a user without a name"
    return name, f"{login} on {platform.node()}"
