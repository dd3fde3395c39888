"""Prefect's UI beside a campaign: an observer looks at the ledger every so often and shows what has changed.

No reading ever waits for it, and whatever becomes of Prefect's server, the campaign does not notice.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from prefect import get_client
from prefect.context import FlowRunContext

from flows.ui import artifacts
from flows.ui.events import CAMPAIGN_TAG
from sdl.campaign.definition import slugify
from sdl.history import Finding
from sdl.ledger.ledger import Ledger
from sdl.reports.status import CampaignStatus, campaign_statuses
from sdl.reports.status_detail import CampaignDetail, campaign_detail

LOOK_S = 2.0
"""Between two looks."""
TABLE_S = 15.0
"""Between two tables of observations, which cost as much as many readings."""
FIGURE_S = 60.0
"""Between two figures, each of which costs as much as a fit."""
LAST_S = 10.0
"""Longest that the end of a campaign waits until its last state is shown."""

log = logging.getLogger("sdl.showing")


@asynccontextmanager
async def shown_in_ui(ledger: Ledger, campaign: str) -> AsyncIterator[None]:
    """Keep Prefect's UI up to date for the length of the block, and once more at its end.

    Args:
        ledger: Where the campaign is.
        campaign: Its name there.
    """
    judged = len((await asyncio.to_thread(_near, ledger, campaign)).findings)
    screen = Screen(ledger, campaign, judged, _drawn=judged, _figure_due=time.monotonic() + FIGURE_S)
    over = asyncio.Event()
    following = asyncio.create_task(screen.follow(over))
    try:
        yield
    finally:
        over.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_S):
                await following  # a look that was cut off might have shown what the last one would show again
                await screen.look(last=True)


@dataclass(eq=False)
class Screen:
    """What the UI shows of one campaign so far."""

    ledger: Ledger
    campaign: str
    judged: int
    """Findings that need no showing any more."""
    _linked: bool = False
    """Whether it leads to the report and to the wall."""
    _sent: int = -1
    """Requests that its progress tells of."""
    _round: int | None = None
    """That its tags name."""
    _listed: int = -1
    """Requests that its table tells of."""
    _table_due: float = 0.0
    """When the next table may be shown, by the monotonic clock."""
    _drawn: int = 0
    """Findings that its figure tells of."""
    _figure_due: float = 0.0
    """When the next figure may be drawn, by the monotonic clock."""
    _silent: bool = False
    """Whether the server did not answer lately."""

    async def follow(self, over: asyncio.Event) -> None:
        """Look every so often until it is over."""
        while not over.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), LOOK_S)

    async def look(self, last: bool = False) -> None:
        """Show what has changed since the last look.

        Args:
            last: Whether no look follows, so that nothing may be left for later.
        """
        try:
            near = await asyncio.to_thread(_near, self.ledger, self.campaign)
            standing = near.status
            await self._progress(standing)
            await self._tags(standing)
            await self._verdicts(near.findings)
            if self.judged != self._drawn and (last or time.monotonic() >= self._figure_due):
                await self._figure()
            if standing.sent != self._listed and (last or time.monotonic() >= self._table_due):
                await self._table(standing)
        except Exception as error:  # whatever it is, a campaign is worth more than what is shown of it
            if not self._silent:
                log.warning("not shown in Prefect, which is tried again: %s", error)
            self._silent = True
        else:
            self._silent = False

    async def _progress(self, standing: CampaignStatus) -> None:
        if not self._linked:
            await artifacts.show_pages(self.campaign)
            self._linked = True
        if standing.sent != self._sent and standing.budget:
            await artifacts.show_progress(self.campaign, standing.sent, standing.budget)
            self._sent = standing.sent

    async def _tags(self, standing: CampaignStatus) -> None:
        """Let the run be found by its campaign, its instrument and its present round."""
        run, place = FlowRunContext.get(), standing.place
        if place is None or place.round == self._round or run is None or run.flow_run is None:
            return
        others = [tag for tag in run.flow_run.tags if not tag.startswith("round:")]
        ours = [f"{CAMPAIGN_TAG}{self.campaign}", f"instrument:{slugify(standing.instrument)}", f"round:{place.round}"]
        async with get_client() as client:
            await client.update_flow_run(run.flow_run.id, tags=list(dict.fromkeys(others + ours)))
        self._round = place.round

    async def _verdicts(self, findings: Sequence[Finding]) -> None:
        """New verdicts."""
        for finding in findings[self.judged :]:
            await artifacts.show_verdict(self.ledger, self.campaign, finding)
            self.judged += 1

    async def _figure(self) -> None:
        """The figure of all verdicts."""
        await artifacts.show_targets(self.ledger, self.campaign)
        self._drawn, self._figure_due = self.judged, time.monotonic() + FIGURE_S

    async def _table(self, standing: CampaignStatus) -> None:
        """The observations, at the end of a round at the latest."""
        await artifacts.show_observations(self.ledger, self.campaign)
        self._listed, self._table_due = standing.sent, time.monotonic() + TABLE_S


def _near(ledger: Ledger, campaign: str) -> CampaignDetail:
    (standing,) = campaign_statuses(ledger, campaign)
    return campaign_detail(ledger, standing)
