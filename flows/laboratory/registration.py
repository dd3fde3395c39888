"""The deployments of a laboratory as a Prefect server has them, for a runner of our own or the workers of a pool."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema

from flows.laboratory.deployments import ANCHOR, Definition
from flows.server import housekeeping

Add = Callable[[RunnerDeployment], Awaitable[UUID]]


async def register_deployments(client: PrefectClient, offered: Iterable[Definition], add: Add) -> list[UUID]:
    """Put every deployment on the server, and the limit that those of one instrument share; return their numbers.

    Args:
        client: Client of the server.
        offered: The deployments.
        add: Puts one on the server and returns its number.
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
        number = await add(make_deployment(definition, active))
        if definition.collision:
            await housekeeping.share(client, limits[definition.name], number)
        return number

    return [
        await one(definition) for definition in offered
    ]  # one after another: a server on SQLite would be busy for seconds


def make_deployment(definition: Definition, active: Mapping[str, bool]) -> RunnerDeployment:
    """Return a definition as Prefect has it.

    Args:
        definition: What is offered.
        active: Which schedules a person has switched on and off since, by instrument and slug.
    """
    made = RunnerDeployment.from_flow(
        import_flow(definition),
        definition.name,
        schedules=[_schedule(place, definition, active) for place in range(len(definition.appointments))],
        concurrency_limit=_turns(definition),
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
