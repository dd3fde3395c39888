"""Steering from Prefect's UI: pause, resume, stop, extend and approve, each a deployment with a short form.

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
from sdl.errors import InvalidInput
from sdl.history import Control, Entry, State
from sdl.ledger.controls import MOST, PREFECT, Controls
from sdl.ledger.ledger import Ledger

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
        campaign: Its name, as its run's tag and 'sdl status' say it.
        name: Who asks, for the record.
        note: Why, for the record.
        home: Data directory.
        ledger: File or URL of the ledger.
    """
    with _steering(name, home, ledger) as steering:
        steering.ask(campaign, Control.PAUSE, note)
    return Completed(message=f"{campaign} pauses before its next request")


@flow(name="stop", flow_run_name="stop-{campaign}")
@says_what_to_do
async def stop(
    campaign: Name, name: Note = "", note: Note = "", home: str | None = None, ledger: str | None = None
) -> Shown[Any]:
    """Ask a campaign to stop before its next request.

    Args:
        campaign: Its name, as its run's tag and 'sdl status' say it.
        name: Who asks, for the record.
        note: Why, for the record.
        home: Data directory.
        ledger: File or URL of the ledger.
    """
    with _steering(name, home, ledger) as steering:
        steering.ask(campaign, Control.STOP, note)
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
        campaign: Its name, as its run's tag and 'sdl status' say it.
        name: Who asks, for the record.
        note: Why, for the record.
        instruments: Names of the laboratory's instruments by what they call themselves.
        home: Data directory.
        ledger: File or URL of the ledger.
    """
    with _steering(name, home, ledger) as steering:
        entry = steering.ask(campaign, Control.RUN, note)
    if entry.state is State.FINISHED:
        return Completed(message=f"{campaign} is finished: there is nothing to go on with")
    if await _has_a_run(entry):
        return Completed(message=f"{campaign} goes on")
    known = (instruments or {}).get(entry.instrument)
    if known is None:
        raise InvalidInput(
            f"{campaign} may go on; start it where {entry.instrument} is, which is not in this laboratory"
        )
    run: Any = await run_deployment(  # type: ignore[misc]
        f"campaign/{known}", parameters={"config": dict(entry.config), "again": False}, timeout=0, as_subflow=False
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
    """Allow a campaign more requests than it was given, also while it runs.

    Args:
        campaign: Its name, as its run's tag and 'sdl status' say it.
        requests: How many more it may send.
        name: Who asks, for the record.
        home: Data directory.
        ledger: File or URL of the ledger.
    """
    with _steering(name, home, ledger) as steering:
        most = steering.extend(campaign, requests)
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
    """Approve of the settings that a campaign wants to send, which the form of its own run shows, or decline.

    Args:
        campaign: Its name, as its run's tag and 'sdl status' say it.
        decision: A campaign that is declined stays paused.
        name: Who decides, for the record.
        note: Why, for the record.
        home: Data directory.
        ledger: File or URL of the ledger.
    """
    with _steering(name, home, ledger) as steering:
        answered = steering.answer(campaign, decision == "approve", note)
    return Completed(message=f"round {answered.round} of {campaign}: {decision}d")


@contextmanager
def _steering(name: str, home: str | None, ledger: str | None) -> Iterator[Controls]:
    directory = environment.home(home)
    with Ledger(environment.ledger(ledger, directory), directory) as book:
        yield Controls(book, name or PREFECT)


async def _has_a_run(entry: Entry) -> bool:
    """Whether some run works on a campaign or waits with it."""
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=ALIVE)),
        tags=FlowRunFilterTags(all_=[f"campaign:{entry.name}"]),
    )
    async with get_client() as client:
        return bool(await client.read_flow_runs(flow_run_filter=wanted, limit=1))
