"""Where the common clients of the Model Context Protocol look for their servers: an entry for this laboratory."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

from sdl.errors import InvalidInput
from sdl.system.atomic_files import write_atomically

NAME = "sdl-laboratory"


class Client(StrEnum):
    """A program in which an agent works."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CURSOR = "cursor"
    GEMINI = "gemini"
    VSCODE = "vscode"


MAC = sys.platform == "darwin"
PLACES = {
    Client.CLAUDE_CODE: (".mcp.json", "mcpServers"),
    Client.CLAUDE_DESKTOP: (
        f"~/{'Library/Application Support' if MAC else '.config'}/Claude/claude_desktop_config.json",
        "mcpServers",
    ),
    Client.CURSOR: ("~/.cursor/mcp.json", "mcpServers"),
    Client.GEMINI: ("~/.gemini/settings.json", "mcpServers"),
    Client.VSCODE: (".vscode/mcp.json", "servers"),
}
"""The file of each, in the working directory or at home, and the table in it."""


def entry_at_pipes(words: list[str], token: str) -> dict[str, Any]:
    """Return what a client starts a server of its own with: ``sdl mcp serve`` and more words."""
    return {"command": sys.executable, "args": ["-m", "flows.cli", "mcp", "serve", *words], "env": {"SDL_TOKEN": token}}


def entry_at_port(url: str, token: str) -> dict[str, Any]:
    """Return what a client asks a server with that somebody else runs."""
    return {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {token}"}}


def enter_server(client: Client, entry: dict[str, Any]) -> Path:
    """Put this laboratory into the file of a client, where all else stays as it is, and return the file.

    The file is for its owner's eyes alone from then on, since there is a token in it.

    Raises:
        InvalidInput: if what is there cannot be read.
    """
    written, table = PLACES[client]
    file = Path(written).expanduser().absolute()
    try:
        whole = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        servers = whole.setdefault(table, {})
        servers[NAME] = entry
        file.parent.mkdir(parents=True, exist_ok=True)
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise InvalidInput(f"{file} is no JSON to which an entry can be added; it stays as it is: {error}") from error
    with write_atomically(file, force=True) as draft:
        draft.write(json.dumps(whole, indent=2, ensure_ascii=False).encode())
    return file
