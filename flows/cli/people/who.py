"""Commands about who may do what: who, who add, who end."""

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.cli.people.controls import TOKEN, caller, person_at_terminal
from flows.terminal import err, plain_table, show
from sdl.formatting import format_time
from sdl.ledger.people.tokens import Kind, Role, Tokens

Holder = Annotated[str, typer.Argument(help="Of the person, agent or service.", show_default=False)]
NOBODY = "nobody has a token: whoever may write the ledger may do all; 'sdl who add NAME --role approver' begins"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Show who you are to the ledger and who has a token; let others in, or out.")
    group.callback(invoke_without_command=True)(show_people)
    group.command("add")(add_token)
    group.command("end")(end_token)
    app.add_typer(group, name="who")


def show_people(
    context: typer.Context, home: Home = None, ledger: LedgerOption = None, as_json: AsJson = False
) -> None:
    """Show who you are to the ledger and who has a token; let others in, or out."""
    if context.invoked_subcommand is not None:
        return
    name, known = person_at_terminal()
    with open_ledger(home, ledger) as book:
        tokens = Tokens(book)
        if (identity := caller(book)) is not None:
            name, known = identity.name, f"{identity.known}, {known}"
        holders = tokens.holders()
    rows = [
        [h.id, h.name, h.kind, h.role, f"{h.hourly} an hour, {h.daily} requests a day", format_time(h.at)]
        for h in holders
    ]
    table = plain_table(["token", "name", "kind", "role", "may propose", "since (UTC)"], rows) if rows else NOBODY
    show(
        {"you": {"name": name, "known": known}, "tokens": list(map(asdict, holders))},
        as_json,
        f"{name} ({known})",
        table,
    )


def add_token(
    name: Holder,
    kind: Annotated[Kind, typer.Option(help="Who it is for.")] = Kind.PERSON,
    role: Annotated[
        Role, typer.Option(help="A viewer reads; an operator also proposes and steers; an approver also approves.")
    ] = Role.VIEWER,
    hourly: Annotated[int, typer.Option(help="Proposals that it may make within an hour.", min=0)] = 6,
    daily: Annotated[int, typer.Option(help="Requests that it may propose within 24 hours.", min=0)] = 200,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody in and print the token, once; the first one is that of a person who may approve."""
    with open_ledger(home, ledger) as book:
        tokens = Tokens(book)
        by = caller(book, ask=bool(tokens.holders()))
        token = tokens.issue(name, kind, role, by, hourly=hourly, daily=daily)
    if not as_json:
        err.print(f"the token of {name!r}, which nobody can show again; it goes into {TOKEN}:", markup=False)
    show({"name": name, "kind": kind, "role": role, "token": token}, as_json, token)


def end_token(name: Holder, home: Home = None, ledger: LedgerOption = None, as_json: AsJson = False) -> None:
    """Have somebody's token count no more."""
    with open_ledger(home, ledger) as book:
        Tokens(book).end(name, caller(book, ask=True))
    show({"name": name, "ended": True}, as_json, f"the token of {name!r} counts no more")
