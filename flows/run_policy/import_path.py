"""A run imports this program from where it is installed, though a project has folders of the same names.

Every Prefect project has a folder ``flows``, and Prefect looks in the working directory first when it starts a run and
imports its flow. So the service starts runs in a folder of its own, and they go back before they do anything. Workers
of a pool start each run in an empty folder; our own processes are started with ``-P``.
"""

import os
from pathlib import Path

STARTED_IN = "SDL_STARTED_IN"
"""Variable of the environment: the working directory of 'sdl up', to which relative paths belong."""


def leave_project(folder: Path) -> None:
    """Let this process, and the runs that it starts, look for modules in another folder than the working directory."""
    os.environ[STARTED_IN] = os.getcwd()
    os.chdir(folder)


def return_to_project() -> None:
    """Go back to where the service was started, if a service started this process."""
    if (project := os.environ.get(STARTED_IN)) is not None:
        os.chdir(project)
