"""A failed run's first line says what to do; from a terminal the error itself arrives."""

import asyncio

import pytest

from flows.run_policy import failure_messages as failing
from sdl import errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, errors.SdlError)
    and kind not in (errors.SdlError, errors.BudgetSpent)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_message_begins_with_the_action_and_ends_with_what_happened(kind):
    words = ("the lamp is off", "twin") if kind in (errors.LeaseHeld, errors.LeaseLost) else ("the lamp is off",)
    state = failing.failed_state(kind(*words), "campaign 'white'")
    action, _, happened = state.message.rpartition(": ")
    assert happened == "the lamp is off"
    assert action[0].isupper()
    assert "{" not in action
    assert state.is_failed() is (kind is not errors.CampaignStopped)


@pytest.mark.parametrize(
    ("error", "name", "begins"),
    [
        (errors.CampaignSuspended("no answer"), "Suspended", "Mend the instrument, then start campaign 'x' again"),
        (errors.InvalidInput(["a", "b"]), "InvalidInput", "Mend the parameters"),
        (errors.LeaseHeld("held by y", "twin"), "Held", "Wait for the one that holds the instrument"),
        (errors.ApprovalWanted("round 1"), "WaitsForApproval", "Start 'approve' for campaign 'x'"),
        (errors.CampaignStopped("by anna"), "Stopped", "Start 'resume' if campaign 'x' is to go on"),
        (RuntimeError("a fault"), "Failed", "This is a fault of the program"),
    ],
)
def test_each_kind_has_its_own(error, name, begins):
    state = failing.failed_state(error, "campaign 'x'")
    assert (state.name, state.message.startswith(begins)) == (name, True)


def test_from_a_terminal_the_error_itself_arrives():
    @failing.says_what_to_do
    async def fails() -> None:
        raise errors.LeaseHeld("held by y", "twin")

    with pytest.raises(errors.LeaseHeld, match="held by y"):
        asyncio.run(fails())


@pytest.mark.slow
@pytest.mark.parametrize("deployed", [True, False], ids=["of a deployment", "from a terminal"])
def test_a_run_that_fails_says_so_to_whom_it_may_concern(prefect, home, deployed):
    from prefect import get_client
    from prefect.flow_engine import run_flow

    from flows.manual.measure import measure

    parameters = {"instrument": {"plugin": "twin"}, "settings": {"R": 2, "G": 0, "B": 0}, "home": str(home)}

    async def ran():
        async with get_client() as client:
            if deployed:
                number = await client.create_deployment(
                    await client.create_flow(measure), "failing", parameters=parameters
                )
                run = await client.create_flow_run_from_deployment(number, parameters=parameters)
            else:
                run = await client.create_flow_run(measure, parameters=parameters)
        return await run_flow(measure, flow_run=run, parameters=parameters, return_type="state")

    state = asyncio.run(ran())
    assert state.is_failed()
    begins = "Mend the parameters and start the run again: " if deployed else "Flow run encountered an exception"
    assert state.message.startswith(begins)
    assert "R" in state.message
