"""What a campaign does, as Prefect tasks: each a verb with a visible policy, each one call into the session."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from flows.engine.session import Session
from flows.ui import events
from sdl.errors import CampaignPaused, CampaignStopped, CampaignSuspended
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop


def _is_transient(_task: object, _run: object, state: object) -> bool:
    """Whether a suspended batch is worth one more try: the instrument did not answer, rather than refuse."""
    result = getattr(state, "data", None)
    error = getattr(result, "result", result)
    return isinstance(error, CampaignSuspended) and error.transient


async def propose(session: Session) -> Step:
    """The next step: at once where it was found out on the way, or else as a task."""
    if session.decided is not None:
        return session.propose()
    step: Step = await _propose(_unsearched(session))
    return step


async def do(session: Session, step: Step) -> None:
    """Do what a step of the plan asks for, as a task.

    Raises:
        CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted: as the session does.
    """
    if (wanted := await TASKS[type(step)](_unsearched(session), _unsearched(step))) is not None:
        raise wanted


def _unsearched(given: Any) -> Any:
    """What a task is given, in which Prefect is not to look for results of others: it would visit every observation."""
    return quote(given)


@task(name="propose", task_run_name="propose", cache_policy=NO_CACHE)
async def _propose(session: Session) -> Step:
    """Ask the plan for the next step."""
    return await asyncio.to_thread(session.propose)


@task(name="retrain", task_run_name="retrain-round-{step.round}", cache_policy=NO_CACHE)
async def _retrain(session: Session, step: Fit) -> None:
    """Fit the models on everything before this round, and see what follows from them."""
    await asyncio.to_thread(session.retrain, step)


@task(
    name="measure",
    task_run_name="measure-round-{step.round.number}-{step.round.kind}",
    cache_policy=NO_CACHE,  # the same settings measured twice are two measurements
    retries=1,  # the ledger knows what is done, so a second run takes what is left
    retry_delay_seconds=lambda retries: [random.uniform(2, 4)] * retries,
    retry_condition_fn=_is_transient,
)
async def _measure(session: Session, step: Measure) -> CampaignPaused | CampaignStopped | None:
    """Take the observations that this round still lacks; what a person wants instead is no failure."""
    try:
        await asyncio.to_thread(session.measure, step)
    except (CampaignPaused, CampaignStopped) as wanted:
        return wanted
    return None


@task(name="offer", task_run_name="offer-round-{step.round.number}", cache_policy=NO_CACHE)
async def _offer(session: Session, step: Examine) -> None:
    """Freeze a candidate and the number of its replicates."""
    await asyncio.to_thread(session.examine, step)


@task(name="verify", task_run_name="verify-round-{step.finding.round}", cache_policy=NO_CACHE)
async def _verify(session: Session, step: Conclude) -> None:
    """Write a verdict down."""
    await asyncio.to_thread(session.conclude, step)
    events.verdict(session.entry.name, session.entry.instrument, step.finding)


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
async def _report(session: Session, step: Stop) -> None:
    """Close the campaign and write its report."""
    await asyncio.to_thread(session.finish, step)
    await asyncio.to_thread(session.report)
    events.finished(session.entry.name, session.entry.instrument, step.reason)


TASKS: dict[type, Callable[..., Any]] = {
    Fit: _retrain, Measure: _measure, Examine: _offer, Conclude: _verify, Stop: _report
}  # fmt: skip
"""What is done about each step of the plan."""
