"""Commands about agents: mcp serve, mcp install, mcp skill."""

import os
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from flows import environment
from flows.cli.options import AsJson, Home, LedgerOption, open_ledger
from flows.cli.people.controls import TOKEN
from flows.laboratory.agents.clients import Client, enter_server, entry_at_pipes, entry_at_port
from flows.terminal import show
from sdl.errors import InvalidInput
from sdl.ledger.people.tokens import Tokens

Lab = Annotated[
    Path | None,
    typer.Argument(help="The laboratory file (TOML); by default a laboratory with a twin alone.", show_default=False),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Let agents read and propose, by the Model Context Protocol.", no_args_is_help=True)
    group.command("serve")(serve_agents)
    group.command("install")(install_client)
    group.command("skill")(show_skill)
    app.add_typer(group, name="mcp")


def serve_agents(
    file: Lab = None,
    http: Annotated[bool, typer.Option("--http", help="Serve over HTTP, each agent with its own token.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 4210,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Serve agents: over standard input and output the holder of SDL_TOKEN, or over HTTP whoever shows a token."""
    if find_spec("fastmcp") is None:
        raise InvalidInput("this takes the extra 'agents': pip install 'inverse-sdl[agents]'")
    environment.set_up_prefect(environment.home(home))  # a cron line of the file is read by Prefect
    from flows.laboratory.agents import server
    from flows.laboratory.definition import Laboratory

    laboratory = Laboratory.read(file) if file else Laboratory.of_a_twin(None)
    with open_ledger(home, ledger) as book:
        if not Tokens(book).holders():
            raise InvalidInput("nobody has a token yet: 'sdl who add NAME --role approver', then one for the agent")
        if http:
            ready = lambda url: show({"url": url}, as_json, f"agents are served at {url} (Ctrl-C ends it)")  # noqa: E731
            server.serve_at_port(laboratory, book, host, port, ready)
        else:
            server.serve_at_pipes(laboratory, book, os.environ.get(TOKEN, ""))


def install_client(
    client: Annotated[Client, typer.Argument(help="The program in which the agent works.", show_default=False)],
    file: Lab = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Of 'sdl mcp serve --http'; by default the client starts its own.")
    ] = None,
    home: Home = None,
    ledger: LedgerOption = None,
    as_json: AsJson = False,
) -> None:
    """Tell a client of this laboratory; SDL_TOKEN is the agent's token, which goes into its file."""
    token = os.environ.get(TOKEN, "")
    if not token:
        raise InvalidInput(f"set {TOKEN} to the agent's token ('sdl who add NAME --kind agent --role operator')")
    if url is None:
        words = [str(file.absolute())] if file else []
        words += ["--home", str(environment.home(home)), *(["--ledger", ledger] if ledger else [])]
    entry = entry_at_port(url, token) if url else entry_at_pipes(words, token)
    place = enter_server(client, entry)
    show({"file": str(place)}, as_json, f"{place}: start {client} anew; the file holds a token, so keep it to yourself")


def show_skill(as_json: AsJson = False) -> None:
    """Print what an agent has to know: save it as SKILL.md in a folder of the agent's skills."""
    text = files("flows.laboratory.agents").joinpath("skill.md").read_text("utf-8")
    show({"skill": text}, as_json, text)
