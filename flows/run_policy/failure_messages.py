"""The end of a run in Prefect's UI: its first line says what to do, then what happened.

From a terminal errors go on to the command line, which prints them; a run of a deployment has nobody to catch them.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import runtime
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import CancelledRun
from prefect.states import Cancelled, Failed

from flows.run_policy.fixed_parameters import refuse_changes
from flows.run_policy.import_path import return_to_project
from flows.run_policy.interrupts import cancelled
from sdl import errors

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

ACTIONS: dict[type[errors.SdlError], tuple[str, str]] = {
    errors.InvalidInput: ("InvalidInput", "Mend the parameters and start the run again"),
    errors.CampaignSuspended: ("Suspended", "Mend the instrument, then start {what} again to go on"),
    errors.InstrumentRefused: ("Refused", "See what the instrument can do, mend the parameters and start {what} again"),
    errors.InstrumentError: (
        "NoReading",
        "See that the instrument is on and its address is right, then start {what} again",
    ),
    errors.CampaignStopped: ("Stopped", "Start 'resume' if {what} is to go on"),
    errors.ApprovalWanted: ("WaitsForApproval", "Start 'approve' for {what}, then start it again"),
    errors.CampaignPaused: ("Paused", "Start 'resume' for {what}, then start it again"),
    errors.LeaseHeld: ("Held", "Wait for the one that holds the instrument, or stop it, then start {what} again"),
    errors.LeaseLost: ("TakenOver", "Look who holds the instrument now ('sdl status'); nothing of {what} is lost"),
    errors.SchemaMismatch: ("Ledger", "Bring all machines to one version of sdl, then start {what} again"),
    errors.LedgerError: (
        "Ledger",
        "See that the ledger's disk or database server can be written, then start {what} again",
    ),
    errors.Interrupted: ("Interrupted", "Start {what} again to go on"),
}
"""By class of error, the first that fits: the name of the state, and what a person does about it."""


CANCELLED = "cancelled in Prefect; everything measured is kept, start it again to go on"


def failed_state(error: BaseException, what: str = "it") -> State[Any]:
    """Return the state in which a run ends that an error ended.

    Args:
        error: What ended it.
        what: What a person would start again, such as ``campaign 'white'``.
    """
    name, advice = next(
        (action for kind, action in ACTIONS.items() if isinstance(error, kind)),
        ("Failed", "This is a fault of the program: see the run's log, and start {what} again to go on"),
    )
    message = f"{advice.format(what=what)}: {error}"
    if isinstance(error, errors.CampaignStopped):  # what a person wanted is no failure
        return Cancelled(name=name, message=message)
    return Failed(name=name, message=message)


def is_deployed() -> bool:
    """Whether this run is one of a deployment; asks no server, and of a flow within another says no."""
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None


def says_what_to_do(flow: Callable[Parameters, Awaitable[Result]]) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """Decorate a flow so that a run of a deployment says what to do if an error of ours ends it; goes below ``@flow``.

    Parameters that are the laboratory's alone are refused here too if somebody changed them.
    """

    @wraps(flow)
    async def reporting(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        try:
            if is_deployed():
                return_to_project()
                await refuse_changes()
            return await flow(*args, **options)
        except (errors.SdlError, CancelledRun) as error:
            interrupted = isinstance(error, errors.Interrupted)
            if isinstance(error, CancelledRun) or (interrupted and runtime.flow_run.id in cancelled):
                return Cancelled(message=CANCELLED)  # type: ignore[return-value]
            if not is_deployed():
                raise
            return failed_state(error)  # type: ignore[return-value]

    return reporting
