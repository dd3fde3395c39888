"""Where a flow's tasks may run side by side, by name; Prefect is not imported for that."""

from importlib.util import find_spec

from sdl.errors import nearest

RUNNERS = {
    "threads": ("prefect.task_runners", "ThreadPoolTaskRunner"),
    "dask": ("prefect_dask", "DaskTaskRunner"),
    "ray": ("prefect_ray", "RayTaskRunner"),
}
"""Module and class of each."""


def faults(name: str) -> list[str]:
    """What keeps a runner from being used."""
    if name not in RUNNERS:
        return [f"unknown runner {name!r}{nearest(name, RUNNERS)}"]
    package = RUNNERS[name][0].partition(".")[0]
    if find_spec(package) is None:
        return [f"the runner {name!r} is not installed: pip install {package.replace('_', '-')}"]
    return []
