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


async def register(client: PrefectClient, offered: Iterable[Definition], add: Add) -> list[UUID]:
    """Tell the server of every deployment and of the limit that those of one instrument share; their numbers.

    Args:
        client: Of the server.
        offered: The deployments.
        add: How one is told to the server; its number.
    """
    offered = list(offered)
    taking_turns = {each.name for each in offered if each.collision}
    limits = {name: await housekeeping.limit(client, name) for name in taking_turns}
    known = {f"{each.name}/{schedule.slug}": schedule.active
             for each in await client.read_deployments() for schedule in each.schedules}  # fmt: skip

    async def one(definition: Definition) -> UUID:
        number = await add(deployment(definition, known))
        if definition.collision:
            await housekeeping.share(client, limits[definition.name], number)
        return number

    return [await one(each) for each in offered]  # one after another: a server on SQLite would be busy for seconds


def deployment(definition: Definition, active: Mapping[str, bool]) -> RunnerDeployment:
    """A definition as Prefect has it.

    Args:
        definition: What is offered.
        active: Which schedules a person has switched on and off since, by instrument and slug.
    """
    made = RunnerDeployment.from_flow(
        flow_of(definition),
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


def flow_of(definition: Definition) -> Flow[..., Any]:
    """The flow behind a definition, imported if it is not yet."""
    module, _, name = definition.entrypoint.rpartition(".")
    flow: Flow[..., Any] = getattr(import_module(module), name)
    return flow


def _schedule(place: int, definition: Definition, active: Mapping[str, bool]) -> Schedule:
    due, slug = definition.appointments[place], definition.slug(place)
    options: dict[str, Any] = {
        "timezone": definition.timezone,
        "active": active.get(f"{definition.name}/{slug}", due.active),
        "parameters": due.parameters,
        "slug": slug,
    }
    if due.cron is not None:
        return Cron(due.cron, **options)
    return Interval(timedelta(minutes=due.every_min or 0), anchor_date=ANCHOR, **options)
