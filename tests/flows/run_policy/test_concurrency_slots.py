"""A run outlives the slot that it has of its deployment's limit."""

import asyncio
import uuid

import pytest

from flows.run_policy import concurrency_slots


@pytest.fixture
def leases(monkeypatch):
    """Prefect's module, as it is before anybody has changed it and after the test."""
    from prefect.concurrency import _leases

    handle = getattr(_leases, concurrency_slots.NAME)
    monkeypatch.setattr(_leases, concurrency_slots.NAME, getattr(handle, "__wrapped__", handle))
    return _leases


@pytest.mark.fault("O-17")
@pytest.mark.parametrize("loud", [True, False])
def test_a_slot_that_cannot_be_renewed_ends_no_run_and_is_said_in_a_sentence(loud, leases, caplog):
    concurrency_slots.keep_going()
    concurrency_slots.keep_going()  # a second flow in one process
    ends = []

    class Scope:
        def cancel(self):
            ends.append(True)

    getattr(leases, concurrency_slots.NAME)(RuntimeError("gone"), uuid.uuid4(), True, not loud, Scope())
    assert ends == []
    said = [record for record in caplog.records if record.levelname != "DEBUG"]
    assert [record.message for record in said] == [concurrency_slots.LOST] * loud
    assert not any(record.exc_info for record in said)


def test_another_prefect_than_this_was_tried_with_is_left_alone(leases, monkeypatch):
    monkeypatch.setattr(concurrency_slots, "version", lambda name: "3.10.0")
    before = getattr(leases, concurrency_slots.NAME)
    concurrency_slots.keep_going()
    assert getattr(leases, concurrency_slots.NAME) is before


async def paused_until_its_slot_is_lost(lost):
    """Run a flow of a deployment that has a limit; its own word, or the name of the state that it ended in."""
    from prefect import flow, get_client
    from prefect.client.schemas.objects import FlowRun
    from prefect.context import FlowRunContext
    from prefect.exceptions import CancelledRun, CrashedRun
    from prefect.flow_engine import run_flow
    from prefect.states import Paused, Pending, Running

    @flow
    async def waiting():
        run = FlowRunContext.get().flow_run
        async with get_client() as client:
            await client.set_flow_run_state(run.id, Paused(timeout_seconds=600), force=True)
            while not lost():
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            await client.set_flow_run_state(run.id, Running(), force=True)
        return "it went on"

    async with get_client() as client:
        name = f"paused {uuid.uuid4()}"
        deployment = await client.create_deployment(await client.create_flow(waiting), name, concurrency_limit=1)
        run = await client.create_flow_run_from_deployment(deployment)
        await client.set_flow_run_state(run.id, Pending())
        run: FlowRun = await client.read_flow_run(run.id)
        assert run.state.state_details.deployment_concurrency_lease_id
        try:
            return await run_flow(waiting, flow_run=run, return_type="result")
        except (CancelledRun, CrashedRun, asyncio.CancelledError):
            return (await client.read_flow_run(run.id)).state.type.value


@pytest.mark.slow
@pytest.mark.parametrize(("kept", "end"), [(True, "it went on"), (False, "CRASHED")], ids=["kept", "left to Prefect"])
def test_a_paused_run_of_which_prefect_takes_the_slot(kept, end, prefect, leases, monkeypatch):
    """Where it no longer ends when it is left to Prefect, ``concurrency_slots`` can go."""
    losses = []
    handle = getattr(leases, concurrency_slots.NAME)
    monkeypatch.setattr(leases, concurrency_slots.NAME, lambda *args: (losses.append(args), handle(*args)))
    monkeypatch.setattr(leases, "_RENEWAL_FRACTION", 0.001)
    monkeypatch.setattr(leases, "_RENEWAL_RETRY_BASE_DELAY", 0.05)
    if kept:
        concurrency_slots.keep_going()
    assert asyncio.run(paused_until_its_slot_is_lost(lambda: losses)) == end
    assert losses
