"""Prefect's server with the wall beside it, as 'sdl up' starts it; where the laboratory lies is in the environment."""

import os
import socket
import sys
from pathlib import Path

from flows.laboratory.wall.app import beside, make_wall
from flows.server.server import serve

if __name__ == "__main__":
    wall = make_wall(os.environ["SDL_LEDGER"], Path(os.environ["SDL_HOME"]), os.environ["PREFECT_UI_API_URL"])
    serve(socket.socket(fileno=int(sys.argv[1])), lambda app: beside(app, wall))
