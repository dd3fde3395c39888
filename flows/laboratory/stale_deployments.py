"""Deployments that an earlier version made: a server keeps the place of their flows, and nothing lies there any more.

A run of such a deployment crashes in Prefect, before any of our code could say why.
"""

from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

from flows.laboratory.deployments import CONTROLS, ENTRYPOINTS
from flows.server.api_client import open_client

CURRENT = {*ENTRYPOINTS.values(), *(entrypoint for entrypoint, _ in CONTROLS.values())}
"""Where the flows of this version are."""


def stale_deployments(api: str) -> list[str]:
    """Return the deployments of ours on a server whose flows lie elsewhere by now, as ``flow/instrument``, sorted.

    Args:
        api: URL of the server's API.

    Raises:
        httpx.HTTPError: if it does not answer.
    """
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=["sdl"]))
    with open_client(api) as client:
        deployments = client.read_deployments(deployment_filter=ours)
    entrypoints = [(deployment.entrypoint or "", deployment.name) for deployment in deployments]
    return sorted(f"{place.rpartition('.')[2]}/{name}" for place, name in entrypoints if place not in CURRENT)


def describe_stale_deployments(api: str) -> str | None:
    """Return what a person has to do about such deployments, as a sentence; None where there are none.

    Raises:
        httpx.HTTPError: if the server does not answer.
    """
    stale = stale_deployments(api)
    if not stale:
        return None
    return (
        f"{len(stale)} of the server's deployments were made by an earlier version of sdl, and their runs crash: "
        f"{', '.join(stale)}"
    )
