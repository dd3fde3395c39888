"""What a campaign does, as Prefect tasks: each a verb with a visible policy.

A task executes one step of the plan and asks for the next one, so that its time in the UI is that of both.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote

from flows.engine.session import Session
from flows.ui import events
from sdl.errors import CampaignPaused, CampaignStopped, CampaignSuspended, LedgerAway
from strategies.plan.steps import Conclude, Examine, Fit, Measure, Step, Stop, Together

Result = TypeVar("Result")


def _is_transient(_task: object, _run: object, state: object) -> bool:
    """Whether a suspended batch is worth one more try: the instrument did not answer, rather than refuse."""
    result = getattr(state, "data", None)
    error = getattr(result, "result", result)
    return isinstance(error, CampaignSuspended) and error.transient


async def propose_step(session: Session) -> Step:
    """Ask the plan for the next step, as a task.

    Raises:
        LedgerAway: as the session does.
    """
    step: Step = _given(await _propose(_unsearched(session)))
    return step


async def execute_step(session: Session, step: Step) -> Step:
    """Do what a step of the plan asks for, as a task, and return the step that follows from it.

    Raises:
        CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted, LedgerAway: as the session does.
    """
    following: Step = _given(await TASKS[type(step)](_unsearched(session), _unsearched(step)))
    return following


def _execute(session: Session, step: Step) -> Step:
    """Do what a step asks for, and with it the other batches of its round; return the step that follows."""
    session.execute(step)
    following = session.propose()
    while isinstance(step, Measure) and isinstance(following, Measure) and following.round.number == step.round.number:
        session.execute(following)
        following = session.propose()
    return following


async def _attempt(work: Callable[..., Result], *arguments: Any) -> Result | Exception:
    """Work in a thread; a person's wish and a database that is away for a while are answers, and no failures of a task.

    Prefect would log a failure with its traceback; the campaign goes on from these by itself, or when somebody asks.
    """
    try:
        return await asyncio.to_thread(work, *arguments)
    except (CampaignPaused, CampaignStopped, LedgerAway) as reason:
        return reason


def _given(answer: Any) -> Any:
    """Return what a task gives, or raise the reason why there is nothing."""
    if isinstance(answer, Exception):
        raise answer
    return answer


def _unsearched(argument: Any) -> Any:
    """Keep Prefect from looking for the results of other tasks in an argument: it would visit every observation."""
    return quote(argument)


@task(name="propose", task_run_name="propose", cache_policy=NO_CACHE)
async def _propose(session: Session) -> Step | Exception:
    """Ask the plan for the next step."""
    return await _attempt(session.propose)


@task(name="retrain", task_run_name="retrain-round-{step.round}", cache_policy=NO_CACHE)
async def _retrain(session: Session, step: Fit) -> Step | Exception:
    """Fit the models on everything before this round, and see what follows from them."""
    return await _attempt(_execute, session, step)


@task(
    name="measure",
    task_run_name="measure-round-{step.round.number}-{step.round.kind}",
    cache_policy=NO_CACHE,  # the same settings measured twice are two measurements
    retries=1,  # the ledger knows what is done, so a second run takes what is left
    retry_delay_seconds=lambda retries: [random.uniform(2, 4)] * retries,
    retry_condition_fn=_is_transient,
)
async def _measure(session: Session, step: Measure) -> Step | Exception:
    """Take the observations that this round still lacks."""
    return await _attempt(_execute, session, step)


@task(name="offer", task_run_name="offer-round-{step.round.number}", cache_policy=NO_CACHE)
async def _offer(session: Session, step: Examine) -> Step | Exception:
    """Freeze a candidate and the number of its replicates."""
    return await _attempt(_execute, session, step)


@task(name="fill", task_run_name="fill-plate-from-round-{step.parts[0].round.number}", cache_policy=NO_CACHE)
async def _fill(session: Session, step: Together) -> Step | Exception:
    """Write down the rounds of a plate, candidates and all."""
    return await _attempt(_execute, session, step)


@task(name="verify", task_run_name="verify-round-{step.finding.round}", cache_policy=NO_CACHE)
async def _verify(session: Session, step: Conclude) -> Step | Exception:
    """Write a verdict down."""
    following: Step | Exception = await _attempt(_execute, session, step)
    if not isinstance(following, Exception):
        events.emit_verdict(session.entry.name, session.entry.instrument, step.finding)
    return following


@task(name="report", task_run_name="report", cache_policy=NO_CACHE)
async def _report(session: Session, step: Stop) -> Exception | None:
    """Close the campaign and write its report."""
    for work in (partial(session.execute, step), session.report):
        if isinstance(result := await _attempt(work), Exception):
            return result
    events.emit_finished(session.entry.name, session.entry.instrument, step.reason)
    return None


async def report_end(session: Session, step: Stop) -> None:
    """Close the campaign and write its report, as a task; errors as those of the session."""
    _given(await _report(_unsearched(session), _unsearched(step)))


TASKS: dict[type[Step], Callable[..., Any]] = {
    Fit: _retrain,
    Measure: _measure,
    Examine: _offer,
    Together: _fill,
    Conclude: _verify,
}
"""What is done about each step of the plan but the last."""
