"""The deployments of a laboratory, registered and watched by one Prefect runner until a signal ends it."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx
import prefect.runner.server  # noqa: F401 - the runner needs it when it begins, which is too late to load it
from prefect.context import AsyncClientContext
from prefect.runner import Runner

from flows import environment
from flows.laboratory import notifications, stall_alarm
from flows.laboratory.definition import Notify
from flows.laboratory.deployments import Definition
from flows.laboratory.registration import register_deployments
from flows.laboratory.stale_deployments import describe_stale_deployments
from flows.server import housekeeping, server, service_lock
from flows.server.service_lock import Service

LOOK_S = 1.0
QUERY_S = 0.25
"""Between two looks for runs that are due: a person who asked for one in the UI waits for it."""
AHEAD_S = 0
"""How long before it is due a run is begun. One that awaits its turn is due again in some seconds; begun ahead, it
would ask again at each look, and keep the server from everything else."""


async def serve_deployments(
    offered: Iterable[Definition],
    service: Service,
    directory: Path,
    own_server: server.OwnServer | None,
    *,
    attached: bool,
    notify: Notify | None = None,
) -> None:
    """Register the deployments, say that all is ready, and run what is due until SIGTERM.

    Args:
        offered: The deployments.
        service: What this process is.
        directory: The data directory.
        own_server: The server, if it is this process that keeps it alive and clears up in it.
        attached: Whether the end of standard input ends this too.
        notify: Who is notified of what; by default nobody.
    """
    stop = asyncio.Event()
    if attached:
        threading.Thread(target=_end_with_input, args=(asyncio.get_running_loop(), stop), daemon=True).start()
    runner = Runner(name="sdl", pause_on_shutdown=False, query_seconds=QUERY_S, prefetch_seconds=AHEAD_S)
    numbers = await _set_up_server(runner, offered, directory, service.api, own_server, notify)
    running = asyncio.create_task(runner.start())
    while not runner.started and not running.done():
        await asyncio.sleep(0.02)
    for number in (signal.SIGTERM, signal.SIGINT):  # after the runner, which has its own ideas about them
        asyncio.get_running_loop().add_signal_handler(number, _end, stop)
    watchers = [asyncio.create_task(stall_alarm.watch_for_stalls(environment.ledger(None, directory)))]
    if notify is not None:
        watchers.append(asyncio.create_task(notifications.watch_messages(service.api)))
    service_lock.tell(directory, replace(service, ready=True))
    while not stop.is_set() and not running.done():
        if own_server is not None:
            own_server.restart()
        for log in (directory / "up.log", directory / "prefect" / "server.log"):
            environment.trim_log(log)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_S)
    for watcher in watchers:
        watcher.cancel()
    async with AsyncClientContext() as shared:
        kept = list[UUID]()
        with suppress(httpx.HTTPError):  # of a server that is gone nothing can be said
            kept = await housekeeping.campaigns_at_work(shared.client, numbers)
        if not running.done():
            await runner.astop()
        await running
        with suppress(httpx.HTTPError):
            await housekeeping.keep(shared.client, kept)


async def _set_up_server(
    runner: Runner,
    offered: Iterable[Definition],
    directory: Path,
    api: str,
    own_server: server.OwnServer | None,
    notify: Notify | None,
) -> list[UUID]:
    """Put deployments and automations on the server and return their numbers; print what a person has to do."""
    async with AsyncClientContext() as shared:  # one connection for all, for the runner's deployments too
        owner, formerly = service_lock.describe_owner(directory), service_lock.former_owner(directory)
        numbers = await register_deployments(
            shared.client, offered, runner.aadd_deployment, owner, formerly, alone=own_server is not None
        )
        service_lock.keep_owner(directory, owner)
        await housekeeping.bury(shared.client, numbers)  # nobody else serves them
        await housekeeping.watch_for_silence(shared.client)
        lacks = await notifications.keep_automation(shared.client, notify)
    stale = await asyncio.to_thread(describe_stale_deployments, api)
    for sentence in filter(None, (lacks, stale)):
        print(sentence, file=sys.stderr, flush=True)
    return numbers


def _end(stop: asyncio.Event) -> None:
    """The first signal ends the runs in order, the second all at once."""
    if stop.is_set():
        os._exit(128 + signal.SIGTERM)  # the server and the runs see it and end too
    stop.set()


def _end_with_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(stop.set)
