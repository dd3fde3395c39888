"""The stall alarm: it looks at the ledger every so often, and reports each stall once.

'sdl up' has one; where workers of a pool run, 'sdl watch --alarm' is one.
"""

import asyncio
import sys
from dataclasses import dataclass, field

from flows.ui import events
from sdl.errors import SdlError
from sdl.formatting import escape_invisible
from sdl.history import NoticeKind
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.reports.status import CampaignStatus, stalled_campaigns

LOOK_S = 10.0


async def watch_for_stalls(where: str) -> None:
    """Look until this is cancelled; a ledger that does not answer is looked at again later.

    Args:
        where: File or URL of the ledger.
    """
    with Ledger(where) as book:
        look_out = StallWatch(book)
        while True:
            await asyncio.to_thread(look_out.look)
            await asyncio.sleep(LOOK_S)


@dataclass(eq=False)
class StallWatch:
    """The look-out for stalls, and those that it has reported already."""

    ledger: Ledger
    _reported: set[tuple[int, float]] = field(default_factory=set)
    """Campaigns that have stalled, and since when."""

    def look(self) -> None:
        """Report what has stalled since the last look: in words, as an event, and as a notice of the ledger."""
        try:
            standing_still = stalled_campaigns(self.ledger)
            for each in standing_still:
                if (each.id, each.quiet_since) not in self._reported:
                    self._report(each)
        except SdlError as error:
            print(f"nobody could see whether a campaign has stalled: {error}", file=sys.stderr, flush=True)
        else:
            self._reported = {(each.id, each.quiet_since) for each in standing_still}

    def _report(self, each: CampaignStatus) -> None:
        print(escape_invisible(f"{each.campaign} has stalled: {each.alarm}"), file=sys.stderr, flush=True)
        events.emit_stalled(each.campaign, each.instrument, each.alarm)
        self._reported.add((each.id, each.quiet_since))
        Controls(self.ledger).note(each.id, NoticeKind.STALLED, each.alarm)
