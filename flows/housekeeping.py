"""What a Prefect server needs to know once of this laboratory, and what an earlier life left in it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

SILENT = "sdl: a run that went silent has crashed"
SILENT_S = 90
"""Three heartbeats of a run."""
AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Paused", "Suspended")
GONE = "its process ended; everything measured is in the ledger, run it again to go on"
LEFT = GONE.replace("ended;", "ended with an earlier 'sdl up';")


async def limit(client: PrefectClient, instrument: str) -> UUID:
    """The limit of one run at a time for an instrument, made unless it is there; return its number.

    Args:
        client: Of the server.
        instrument: Its name in the laboratory file.
    """
    name = f"instrument:{instrument}"
    try:
        return (await client.read_global_concurrency_limit_by_name(name)).id
    except ObjectNotFound:
        return await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))


async def share(client: PrefectClient, limit_id: UUID, deployment: UUID) -> None:
    """Put a deployment under a limit that it shares with others."""
    change = {"global_concurrency_limit_id": str(limit_id)}
    await client.request("PATCH", "/deployments/{id}", path_params={"id": deployment}, json=change)


async def watch_for_silence(client: PrefectClient) -> None:
    """Make the automation that marks runs without heartbeat as crashed, unless it is there."""
    if await client.read_automations_by_name(SILENT):
        return
    await client.create_automation(
        AutomationCore(
            name=SILENT,
            description="A run tells every 30 s that it lives; one that has not told for 90 s has no process any more.",
            trigger=EventTrigger(
                after={"prefect.flow-run.heartbeat"},
                expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in ENDS)},
                match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=SILENT_S),
            ),
            actions=[ChangeFlowRunState(name=None, state=StateType.CRASHED, message=GONE, force=False)],
        )
    )


async def bury(client: PrefectClient, deployments: Sequence[UUID]) -> int:
    """Mark runs of our deployments that an earlier life left at work as crashed; return how many.

    Only where no other host can run them: their processes ended with the service that started them.
    """
    left = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=list(deployments))),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK))),
    )
    for run in left:
        await client.set_flow_run_state(run.id, Crashed(message=LEFT), force=True)
    return len(left)
