"""The deployments of a laboratory, registered and watched by one Prefect runner until a signal ends it."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from flows import housekeeping, instance, server
from flows.deployments import ANCHOR, COLLISION, DESCRIPTIONS, Definition
from flows.instance import Service

LOOK_S = 1.0


async def serve(
    offered: Iterable[Definition], service: Service, directory: Path, ours: server.Kept | None, *, attached: bool
) -> None:
    """Register the deployments, say that all is ready, and run what is due until SIGTERM.

    Args:
        offered: The deployments.
        service: What this process is.
        directory: The data directory.
        ours: The server, if it is ours to keep alive and to clear up in.
        attached: Whether the end of standard input ends this too.
    """
    stop = asyncio.Event()
    if attached:
        threading.Thread(target=_end_with_input, args=(asyncio.get_running_loop(), stop), daemon=True).start()
    runner = Runner(name="sdl", pause_on_shutdown=False)
    async with get_client() as client:
        numbers = await _register(client, runner, offered)
        if ours is not None:
            await housekeeping.bury(client, numbers)
        await housekeeping.watch_for_silence(client)
    running = asyncio.create_task(runner.start())
    while not runner.started and not running.done():
        await asyncio.sleep(0.02)
    for number in (signal.SIGTERM, signal.SIGINT):  # after the runner, which has its own ideas about them
        asyncio.get_running_loop().add_signal_handler(number, _end, stop)
    instance.tell(directory, replace(service, ready=True))
    while not stop.is_set() and not running.done():
        if ours is not None:
            ours.restart(directory)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_S)
    if not running.done():
        await runner.astop()
    await running


def _end(stop: asyncio.Event) -> None:
    """The first signal ends the runs in order, the second all at once."""
    if stop.is_set():
        os._exit(128 + signal.SIGTERM)  # the server and the runs see it and end too
    stop.set()


def _end_with_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop.set)


async def _register(client: PrefectClient, runner: Runner, offered: Iterable[Definition]) -> list[UUID]:
    """Tell the server of every deployment and of the limit that those of one instrument share; their numbers."""
    offered = list(offered)
    limits = {name: await housekeeping.limit(client, name) for name in {each.instrument for each in offered}}
    known = {f"{each.name}/{schedule.slug}": schedule.active
             for each in await client.read_deployments() for schedule in each.schedules}  # fmt: skip

    async def one(definition: Definition) -> UUID:
        number = await runner.aadd_deployment(deployment(definition, known))
        await housekeeping.share(client, limits[definition.instrument], number)
        return number

    return [await one(each) for each in offered]


def deployment(definition: Definition, active: Mapping[str, bool]) -> RunnerDeployment:
    """A definition as Prefect has it.

    Args:
        definition: What is offered.
        active: Which schedules a person has switched on and off since, by instrument and slug.
    """
    made = RunnerDeployment.from_flow(
        flow_of(definition),
        definition.instrument,
        schedules=[_schedule(place, definition, active) for place in range(len(definition.appointments))],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy(COLLISION[definition.run])
        ),
        parameters=definition.parameters,
        description=DESCRIPTIONS[definition.run],
        tags=definition.tags,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    form = definition.form(made._parameter_openapi_schema.model_dump(exclude_unset=True))
    made._parameter_openapi_schema = ParameterSchema.model_validate(form)
    return made


def flow_of(definition: Definition) -> Flow[..., Any]:
    """The flow behind a definition, imported if it is not yet."""
    module, _, name = definition.entrypoint.rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), name)
    return flow


def _schedule(place: int, definition: Definition, active: Mapping[str, bool]) -> Schedule:
    due, slug = definition.appointments[place], definition.slug(place)
    options: dict[str, Any] = {
        "timezone": definition.timezone,
        "active": active.get(f"{definition.instrument}/{slug}", due.active),
        "parameters": due.parameters,
        "slug": slug,
    }
    if due.cron is not None:
        return Cron(due.cron, **options)
    return Interval(timedelta(minutes=due.every_min or 0), anchor_date=ANCHOR, **options)
