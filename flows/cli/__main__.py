"""``python -m flows.cli`` is ``sdl``."""

from flows.cli.app import main

main()
