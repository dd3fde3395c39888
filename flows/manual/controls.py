"""Controls in Prefect's UI: pause, resume, stop, extend and approve, each a deployment with a short form.

Each writes to the ledger what the command of its name writes; a campaign obeys before its next request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from prefect import flow, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType, FlowRunFilterTags
from prefect.client.schemas.objects import State as Shown
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment
from prefect.states import Completed
from pydantic import Field

from flows import environment
from flows.run_policy.failure_messages import says_what_to_do
from flows.ui.events import CAMPAIGN_TAG
from sdl.errors import InvalidInput
from sdl.history import Control, Entry, State
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import MOST, Controls

Name = Annotated[str, Field(min_length=1, max_length=100)]
Note = Annotated[str, Field(max_length=1000)]
ALIVE = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED]


@flow(name="pause", flow_run_name="pause-{campaign}")
@says_what_to_do
async def pause(
    campaign: Name, name: Note = "", note: Note = "", home: str | None = None, ledger: str | None = None
) -> Shown[Any]:
    """Ask a campaign to pause before its next request.

    Args:
        campaign: Name of the campaign, as the tag of its run and 'sdl status' show it.
        name: Name of the person who asks, for the record.
        note: The reason, for the record.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    with _controls(name, home, ledger) as controls:
        controls.ask(campaign, Control.PAUSE, note)
    return Completed(message=f"{campaign} pauses before its next request")


@flow(name="stop", flow_run_name="stop-{campaign}")
@says_what_to_do
async def stop(
    campaign: Name, name: Note = "", note: Note = "", home: str | None = None, ledger: str | None = None
) -> Shown[Any]:
    """Ask a campaign to stop before its next request.

    Args:
        campaign: Name of the campaign, as the tag of its run and 'sdl status' show it.
        name: Name of the person who asks, for the record.
        note: The reason, for the record.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    with _controls(name, home, ledger) as controls:
        controls.ask(campaign, Control.STOP, note)
    return Completed(message=f"{campaign} stops before its next request")


@flow(name="resume", flow_run_name="resume-{campaign}")
@says_what_to_do
async def resume(
    campaign: Name,
    name: Note = "",
    note: Note = "",
    instruments: dict[str, str] | None = None,
    home: str | None = None,
    ledger: str | None = None,
) -> Shown[Any]:
    """Take a pause, a stop or a hold-off back; a campaign that no run waits with gets a new run.

    Args:
        campaign: Name of the campaign, as the tag of its run and 'sdl status' show it.
        name: Name of the person who asks, for the record.
        note: The reason, for the record.
        instruments: Names of the laboratory's instruments by their identities.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    with _controls(name, home, ledger) as controls:
        entry = controls.ask(campaign, Control.RUN, note)
    if entry.state is State.FINISHED:
        return Completed(message=f"{campaign} is finished: there is nothing to go on with")
    if await _has_a_run(entry):
        return Completed(message=f"{campaign} goes on")
    deployment = (instruments or {}).get(entry.instrument)
    if deployment is None:
        raise InvalidInput(
            f"{campaign} may go on; start it where {entry.instrument} is, which is not in this laboratory"
        )
    run: Any = await run_deployment(  # type: ignore[misc]
        f"campaign/{deployment}", parameters={"config": dict(entry.config), "again": False}, timeout=0, as_subflow=False
    )
    return Completed(message=f"{campaign} goes on as run {run.name}")


@flow(name="extend", flow_run_name="extend-{campaign}")
@says_what_to_do
async def extend(
    campaign: Name,
    requests: Annotated[int, Field(ge=1, le=MOST)] = 20,
    name: Note = "",
    home: str | None = None,
    ledger: str | None = None,
) -> Shown[Any]:
    """Allow a campaign more requests than its file does, even while it runs.

    Args:
        campaign: Name of the campaign, as the tag of its run and 'sdl status' show it.
        requests: How many more it may send.
        name: Name of the person who asks, for the record.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    with _controls(name, home, ledger) as controls:
        most = controls.extend(campaign, requests)
    return Completed(message=f"{campaign} may send {most} requests in all")


@flow(name="approve", flow_run_name="approve-{campaign}")
@says_what_to_do
async def approve(
    campaign: Name,
    decision: Literal["approve", "decline"] = "approve",
    name: Note = "",
    note: Note = "",
    home: str | None = None,
    ledger: str | None = None,
) -> Shown[Any]:
    """Approve or decline the settings that a campaign wants to send; the form of its own run shows them.

    Args:
        campaign: Name of the campaign, as the tag of its run and 'sdl status' show it.
        decision: A campaign that is declined stays paused.
        name: Name of the person who decides, for the record.
        note: The reason, for the record.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
    """
    with _controls(name, home, ledger) as controls:
        answered = controls.answer(campaign, decision == "approve", note)
    return Completed(message=f"round {answered.round} of {campaign}: {decision}d")


@contextmanager
def _controls(name: str, home: str | None, ledger: str | None) -> Iterator[Controls]:
    directory = environment.home(home)
    with Ledger(environment.ledger(ledger, directory), directory) as book:
        yield Controls.of_form(book, name)


async def _has_a_run(entry: Entry) -> bool:
    """Whether some run works on a campaign or waits with it."""
    unfinished = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=ALIVE)),
        tags=FlowRunFilterTags(all_=[f"{CAMPAIGN_TAG}{entry.name}"]),
    )
    async with get_client() as client:
        return bool(await client.read_flow_runs(flow_run_filter=unfinished, limit=1))
