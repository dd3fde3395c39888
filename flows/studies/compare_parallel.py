"""The models of a comparison side by side, as tasks of a Prefect flow: in threads, or on the workers of Dask or Ray.

A campaign needs none of this: its fits take milliseconds. A task costs some tens of them, and Dask and Ray seconds to
begin, so this is for rows and models that take minutes. Only words and numbers go to a task and come back from it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.server import server
from flows.server.task_runners import make_task_runner
from flows.studies.appraisal import appraise_plainly


@task(name="appraise", task_run_name="appraise-{name}", cache_policy=NO_CACHE)
def appraise(name: str, question: Mapping[str, Any]) -> dict[str, Any]:
    """Fit one model and say all that there is to say of it."""
    return appraise_plainly(name, question)


@flow(name="compare", flow_run_name="compare-{question[path]}")
async def compare(names: Sequence[str], question: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Appraise each model as a task of its own.

    Args:
        names: Of the models.
        question: What is asked of each, as ``flows.studies.appraisal.Question`` has it.
    """
    futures = appraise.map(names, [dict(question)] * len(names))
    return dict(zip(names, futures.result(), strict=True))


def appraise_in_flow(names: Sequence[str], question: Mapping[str, Any], runner: str) -> dict[str, dict[str, Any]]:
    """The plain appraisal of each model, by name.

    Args:
        names: Of the models.
        question: As ``compare`` has it.
        runner: One of ``flows.server.task_runners.RUNNERS``.
    """
    return server.run_with_server(compare.with_options(task_runner=make_task_runner(runner))(names, question))
