"""The deployments of a laboratory as a Prefect server has them, for a runner of our own or the workers of a pool."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import VariableCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, DeploymentStatus
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from flows.laboratory.deployments import ANCHOR, Definition
from flows.server import housekeeping
from sdl.errors import InvalidInput
from sdl.formatting import hide_password

CLAIM = "sdl_registration"
"""Variable of the server that there is as long as somebody puts deployments there: who does."""
CLAIM_S = 60.0
"""Seconds after which one is passed over whose owner did not take it back; nobody needs so long."""
LATELY_S = 60.0
"""Seconds for which Prefect counts a deployment as served whose runs were asked for; so do we from its registration."""

Add = Callable[[RunnerDeployment], Awaitable[UUID]]


async def register_deployments(
    client: PrefectClient,
    offered: Iterable[Definition],
    add: Add,
    owner: str,
    formerly: str = "",
    *,
    alone: bool = False,
) -> list[UUID]:
    """Put every deployment on the server, and the limit that those of one instrument share; return their numbers.

    Of several that do so at one moment the first one goes on, and the others find its deployments there.

    Args:
        client: Client of the server.
        offered: The deployments.
        add: Puts one on the server and returns its number.
        owner: Who runs them, as a person would say it; what Prefect shows as their version.
        formerly: What the owner called itself before.
        alone: Whether nobody else can serve them.

    Raises:
        InvalidInput: if the server has deployments of these names that somebody else runs.
    """
    offered = list(offered)
    async with _claimed(client, owner) as since:
        if not alone:
            await _refuse_others(client, offered, {owner, formerly}, since)
        return await _register(client, offered, add, owner)


@asynccontextmanager
async def _claimed(client: PrefectClient, owner: str) -> AsyncIterator[datetime]:
    """Be the only one who puts deployments on a server for the length of the block; since when, by its clock."""
    waited_for, since = UUID(int=0), 0.0
    while True:
        with suppress(ObjectAlreadyExists):
            claim = await client.create_variable(VariableCreate(name=CLAIM, value=owner))
            break
        there = await client.read_variable_by_name(CLAIM)
        if there is not None and there.id != waited_for:
            waited_for, since = there.id, time.monotonic()
        elif there is not None and time.monotonic() - since > CLAIM_S:
            await _take_back(client, there.id)
        await asyncio.sleep(0.2)
    assert claim.created is not None
    try:
        yield claim.created
    finally:
        await _take_back(client, claim.id)


async def _take_back(client: PrefectClient, claim: UUID) -> None:
    """End a claim, and no later one of the same name."""
    try:
        await client.request("DELETE", "/variables/{id}", path_params={"id": claim})
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise


async def _register(client: PrefectClient, offered: Iterable[Definition], add: Add, owner: str) -> list[UUID]:
    """Put them there, whoever else has had some of their names."""
    taking_turns = {definition.name for definition in offered if definition.collision}
    limits = {name: await housekeeping.limit(client, name) for name in taking_turns}
    active = {
        f"{deployment.name}/{schedule.slug}": schedule.active
        for deployment in await client.read_deployments()
        for schedule in deployment.schedules
    }

    async def one(definition: Definition) -> UUID:
        number = await add(make_deployment(definition, active, owner))
        if definition.collision:
            await housekeeping.share(client, limits[definition.name], number)
        return number

    # One after another: a server on SQLite would be busy for seconds.
    return [await one(definition) for definition in offered]


async def _refuse_others(
    client: PrefectClient, offered: Iterable[Definition], owners: Collection[str], at: datetime
) -> None:
    """Refuse to put deployments on a server where those of the same names are somebody else's, and served.

    Args:
        client: Client of the server.
        offered: The deployments.
        owners: The names of who is to run them.
        at: The present by the clock of the server.

    Raises:
        InvalidInput: naming who runs them, and what to do.
    """
    for definition in offered:
        name = f"{definition.run}/{definition.name}"
        try:
            there = await client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        lately = there.updated is not None and (at - there.updated).total_seconds() < LATELY_S
        if there.version not in (None, *owners) and (there.status is DeploymentStatus.READY or lately):
            api = hide_password(str(client.api_url))
            raise InvalidInput(
                f"{there.version} serves {name!r} on the Prefect server at {api}: end that one and wait a minute, or "
                "unset PREFECT_API_URL and have a server of your own"
            )


def make_deployment(definition: Definition, active: Mapping[str, bool], owner: str) -> RunnerDeployment:
    """Return a definition as Prefect has it.

    Args:
        definition: What is offered.
        active: Which schedules a person has switched on and off since, by instrument and slug.
        owner: Who runs it. Set at birth: a version set later, Prefect replaces by the commit of the working directory.
    """
    made = RunnerDeployment.from_flow(
        import_flow(definition),
        definition.name,
        schedules=[_schedule(place, definition, active) for place in range(len(definition.appointments))],
        concurrency_limit=_turns(definition),
        version=owner,
        parameters=definition.parameters,
        description=definition.description,
        tags=definition.tags,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    form = definition.form(made._parameter_openapi_schema.model_dump(exclude_unset=True))
    made._parameter_openapi_schema = ParameterSchema.model_validate(form)
    return made


def _turns(definition: Definition) -> ConcurrencyLimitConfig | None:
    if definition.collision is None:
        return None
    return ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy(definition.collision))


def import_flow(definition: Definition) -> Flow[..., Any]:
    """Import the flow behind a definition."""
    module, _, name = definition.entrypoint.rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), name)
    return flow


def _schedule(place: int, definition: Definition, active: Mapping[str, bool]) -> Schedule:
    due, slug = definition.appointments[place], definition.slug(place)
    options: dict[str, Any] = {
        "timezone": definition.timezone_of(due),
        "active": active.get(f"{definition.name}/{slug}", due.active),
        "parameters": due.parameters,
        "slug": slug,
    }
    if due.cron is not None:
        return Cron(due.cron, **options)
    return Interval(timedelta(minutes=due.every_min or 0), anchor_date=ANCHOR, **options)
