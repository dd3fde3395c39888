"""What a Prefect server needs to know once of this laboratory, and what an earlier life left in it."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import tags
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed, Paused, Scheduled

from sdl.system.processes import is_dead, process_name, this_host

SILENT = "sdl: a run that went silent has crashed"
SILENT_S = 90
"""Three heartbeats of a run."""
AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
"""States that need a process: a campaign that waits for a person has one too."""
ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Paused", "Suspended")
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
GONE = "its process ended; everything measured is in the ledger, run it again to go on"
LEFT = GONE.replace("ended;", "ended without a word;")
LEFT_BY_SERVICE = GONE.replace("ended;", "ended with an earlier 'sdl up';")
KEPT = "ended with 'sdl up', and goes on with the next one"
GOES_ON = "goes on where it was when an earlier 'sdl up' ended"
INTERRUPTED = "Interrupted"
"""Name of the state in which a run ends by a signal."""
STOPPED = "Stopped"
"""Name of the state in which a campaign ends that a person stopped."""
BY_PROCESS = re.compile(r"(?P<process>process \d{1,10}@\d+) on (?P<host>.+)")
"""The tag of a run from a terminal that says which process it is, and on what host."""


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
    if not await client.read_automations_by_name(SILENT):
        await client.create_automation(silence())


def silence() -> AutomationCore:
    """What marks a run without heartbeat as crashed; ``deployments/automations.yaml`` says the same."""
    return AutomationCore(
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


@contextmanager
def known_by_its_process() -> Iterator[None]:
    """Runs that begin in the block say which process they are, for whoever finds them at work when it is gone."""
    with tags(f"{process_name(os.getpid())} on {this_host()}"):
        yield


async def campaigns_at_work(client: PrefectClient, deployments: Sequence[UUID]) -> list[UUID]:
    """Return the runs of deployments that are at work, or wait, and are to outlive their service: those that may wait.

    Args:
        client: Of the server.
        deployments: Of the service.
    """
    runs = await _runs(client, deployments, [each for each in AT_WORK if each is not StateType.CANCELLING])
    return [run.id for run in runs if run.parameters.get("wait")]


async def keep(client: PrefectClient, runs: Iterable[UUID]) -> None:
    """Show as paused, until the next service goes on with them, runs that the end of this one ended."""
    for number in runs:
        state = (await client.read_flow_run(number)).state
        assert state is not None
        ended = state.is_crashed() or state.is_cancelled() or state.name == INTERRUPTED
        if ended and state.name != STOPPED:
            await client.set_flow_run_state(number, Paused(message=KEPT, pause_expiration_time=NEVER), force=True)


async def _runs(client: PrefectClient, deployments: Sequence[UUID], states: list[StateType]) -> list[FlowRun]:
    ours = DeploymentFilter(id=DeploymentFilterId(any_=list(deployments)))
    of_state = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)))
    return await client.read_flow_runs(deployment_filter=ours, flow_run_filter=of_state)


async def bury(client: PrefectClient, deployments: Sequence[UUID] = ()) -> int:
    """Mark runs that show as being at work, and whose process is gone, as crashed; return how many.

    These are runs that were begun from a terminal of this machine, and all of the deployments, if any are given; of
    these a campaign that may wait is not marked but begun again, since it goes on from the ledger.

    Args:
        client: Of the server.
        deployments: Those of which no other host can have runs at work, and this one none any more: their processes
            ended with the service that started them.
    """
    at_work = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK)))
    gone = [run for run in await client.read_flow_runs(flow_run_filter=at_work) if _is_gone(run.tags)]
    left: dict[UUID, State[Any]] = {run.id: Crashed(message=LEFT) for run in gone}
    if deployments:
        going_on = await campaigns_at_work(client, deployments)
        for run in await _runs(client, deployments, AT_WORK):
            goes_on = run.id in going_on
            left[run.id] = Scheduled(name="GoesOn", message=GOES_ON) if goes_on else Crashed(message=LEFT_BY_SERVICE)
    for number, state in left.items():
        await client.set_flow_run_state(number, state, force=True)
    return len(left)


def _is_gone(run_tags: Iterable[str]) -> bool:
    """Whether a run with these tags says which process it is, and that is known to have ended."""
    return any(is_dead(found["host"], found["process"]) for each in run_tags if (found := BY_PROCESS.fullmatch(each)))
