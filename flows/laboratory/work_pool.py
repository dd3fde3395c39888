"""The deployments of a laboratory for the workers of a Prefect server: one command when the laboratory file changes."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.context import AsyncClientContext
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from flows.laboratory import notifications
from flows.laboratory.definition import Notify
from flows.laboratory.deployments import Definition
from flows.laboratory.registration import register_deployments
from flows.laboratory.stale_deployments import describe_stale_deployments
from flows.server import housekeeping


async def enrol_deployments(offered: Iterable[Definition], pool: str, notify: Notify | None = None) -> str | None:
    """Put deployments, their limits and automations on a server; a second time updates what has changed.

    Args:
        offered: The deployments.
        pool: Name of the work pool, which is made if it is not there; each instrument has a queue of its name in it.
        notify: Who is notified of what; by default nobody.

    Returns:
        What a person has to do about it, in words; None if nothing.

    Raises:
        InvalidInput: if somebody else runs deployments of these names on that server.
    """
    offered = list(offered)
    async with AsyncClientContext() as shared:
        await _pool(shared.client, pool)

        async def add(made: RunnerDeployment) -> UUID:
            made.work_pool_name, made.work_queue_name = pool, made.name
            return UUID(str(await made.aapply()))

        owner = f"the workers of pool {pool!r}"
        await register_deployments(shared.client, offered, add, owner)
        await housekeeping.watch_for_silence(shared.client)
        lacks = await notifications.keep_automation(shared.client, notify)
        stale = await asyncio.to_thread(describe_stale_deployments, str(shared.client.api_url))
        return "; ".join(filter(None, (lacks, stale))) or None


async def _pool(client: PrefectClient, name: str) -> None:
    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        await client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
