"""What the wall shows of Prefect: the run that works on each campaign, and what is due next."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows.server.api_client import open_client
from flows.ui.events import CAMPAIGN_TAG

LOOK_S = 10.0
"""Between two looks."""
DUE = 8
"""KnownRuns that are due next, at most."""
KNOWN = 100
"""KnownRuns of campaigns that are looked through, the latest."""
INSTRUMENT_TAG = "instrument:"


@dataclass(frozen=True)
class KnownRuns:
    """What was known at the last look."""

    of_campaign: Mapping[str, str] = field(default_factory=dict)
    """The number of the last run by the name of its campaign."""
    due: Sequence[dict[str, Any]] = ()
    """What runs next: the flow, the instrument, when (seconds since 1970), and the number of the run."""


@dataclass(eq=False)
class PrefectRuns:
    """Looks every so often, however many ask; what a server does not answer stays as it was."""

    api: str
    """URL of the server's API; empty for none."""
    known: KnownRuns = KnownRuns()
    _flows: dict[UUID, str] = field(default_factory=dict)
    _due_at: float = 0.0
    """When the next look is due, by the monotonic clock."""

    def look_aside(self, campaigns: Collection[str]) -> None:
        """Have a thread look if that is due; what is known then is seen by who asks next.

        Args:
            campaigns: Names of those whose runs are looked for.
        """
        if self.api and time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + LOOK_S
            threading.Thread(target=self._look, args=(campaigns,), daemon=True).start()

    def _look(self, campaigns: Collection[str]) -> None:
        # One that is busy, or about to end, is asked again.
        with suppress(httpx.HTTPError, RuntimeError), open_client(self.api) as client:
            due = [self._due(client, run) for run in _due_runs(client)]
            self.known = KnownRuns(_of_campaigns(client, campaigns), due)

    def _due(self, client: SyncPrefectClient, run: FlowRun) -> dict[str, Any]:
        if run.flow_id not in self._flows:
            self._flows |= {flow.id: flow.name for flow in client.read_flows(limit=200)}
        where = [tag.removeprefix(INSTRUMENT_TAG) for tag in run.tags if tag.startswith(INSTRUMENT_TAG)]
        at = run.expected_start_time.timestamp() if run.expected_start_time else None
        what = self._flows.get(run.flow_id, run.name)
        return {"what": what, "instrument": where[0] if where else "", "at": at, "run": str(run.id)}


def _due_runs(client: SyncPrefectClient) -> list[FlowRun]:
    scheduled = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])))
    order = FlowRunSort.EXPECTED_START_TIME_ASC
    return client.read_flow_runs(flow_run_filter=scheduled, sort=order, limit=DUE)


def _of_campaigns(client: SyncPrefectClient, campaigns: Collection[str]) -> dict[str, str]:
    tagged = FlowRunFilter(tags=FlowRunFilterTags(any_=[f"{CAMPAIGN_TAG}{name}" for name in campaigns]))
    latest = client.read_flow_runs(flow_run_filter=tagged, sort=FlowRunSort.START_TIME_DESC, limit=KNOWN)
    return {
        tag.removeprefix(CAMPAIGN_TAG): str(run.id)
        for run in reversed(latest)
        for tag in run.tags
        if tag.startswith(CAMPAIGN_TAG)
    }
