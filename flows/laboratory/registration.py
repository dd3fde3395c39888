"""The deployments of a laboratory as a Prefect server has them, for a runner of our own or the workers of a pool."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, DeploymentStatus
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from flows.laboratory.deployments import ANCHOR, Definition
from flows.server import housekeeping
from sdl.errors import InvalidInput
from sdl.formatting import hide_password

Add = Callable[[RunnerDeployment], Awaitable[UUID]]


async def register_deployments(
    client: PrefectClient, offered: Iterable[Definition], add: Add, owner: str
) -> list[UUID]:
    """Put every deployment on the server, and the limit that those of one instrument share; return their numbers.

    Args:
        client: Client of the server.
        offered: The deployments.
        add: Puts one on the server and returns its number.
        owner: Who runs them, as a person would say it; what Prefect shows as their version.

    Raises:
        InvalidInput: if somebody else put deployments of these names there at the same moment.
    """
    offered = list(offered)
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
    numbers = [await one(definition) for definition in offered]
    await refuse_others(client, offered, owner, at_work=False)
    return numbers


async def refuse_others(
    client: PrefectClient, offered: Iterable[Definition], owner: str, *, at_work: bool = True
) -> None:
    """Refuse to put deployments on a server where those of the same names are somebody else's.

    Args:
        client: Client of the server.
        offered: The deployments.
        owner: Who is to run them.
        at_work: Whether it counts only if the server was asked for their runs within the last minute.

    Raises:
        InvalidInput: naming who runs them, and what to do.
    """
    for definition in offered:
        name = f"{definition.run}/{definition.name}"
        try:
            there = await client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        if there.version not in (None, owner) and (there.status is DeploymentStatus.READY or not at_work):
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
