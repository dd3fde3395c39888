"""Where a flow's tasks may run side by side, by name; Prefect is not imported for that."""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sdl.errors import suggest_nearest

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

RUNNERS = {
    "threads": ("prefect.task_runners", "ThreadPoolTaskRunner"),
    "dask": ("prefect_dask", "DaskTaskRunner"),
    "ray": ("prefect_ray", "RayTaskRunner"),
}
"""Module and class of each."""


def faults(name: str) -> list[str]:
    """What keeps a runner from being used."""
    if name not in RUNNERS:
        return [f"unknown runner {name!r}{suggest_nearest(name, RUNNERS)}"]
    package = RUNNERS[name][0].partition(".")[0]
    if find_spec(package) is None:
        return [f"the runner {name!r} is not installed: pip install {package.replace('_', '-')}"]
    return []


def make_task_runner(name: str, **options: Any) -> "TaskRunner[Any]":
    """The runner of that name, one of ``RUNNERS``, with options of its own."""
    module, kind = RUNNERS[name]
    if name == "dask":  # whose workers log it as an error that the scheduler has ended; what a task raises comes anyway
        os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    runner: TaskRunner[Any] = getattr(import_module(module), kind)(**options)
    return runner
