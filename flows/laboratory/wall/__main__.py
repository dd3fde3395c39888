"""Prefect's server with the wall beside it, as 'sdl up' starts it; where the laboratory lies is in the environment."""

import os
import socket
import sys
from pathlib import Path

from flows.server.server import serve
from flows.server.write_retry import App


def _beside(app: App) -> App:
    """Prefect is imported here and not before, so that a setting it cannot read is reported without its value."""
    from flows.laboratory.wall.app import beside, make_wall

    wall = make_wall(os.environ["SDL_LEDGER"], Path(os.environ["SDL_HOME"]), os.environ["PREFECT_UI_API_URL"])
    return beside(app, wall)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), _beside)
