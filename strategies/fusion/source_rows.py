"""What other sources than the instrument read, as rows of the posterior that come before the instrument's own."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.history import History
from sdl.space import Space
from strategies.posterior.rows import Rows

LONG_AGO = 20_000.0
"""Requests between the rows of sources and the first of the instrument."""
MOST = 120
"""Rows of sources at most, spread over all that were read."""
APART = 0.03
"""Part of the response that a bias may be, before readings say otherwise."""


def source_rows(campaign: Campaign, space: Space, columns: Sequence[int], history: History) -> Rows | None:
    """The readings of sources; None where there are none.

    A reading at a ceiling or floor says nothing here, as that of a source is not the instrument's.

    Args:
        campaign: Whose sources they are.
        space: Of the instrument.
        columns: Channels that matter, ``p`` of them.
        history: What the campaign has seen.
    """
    by_source = enumerate((history.of_source(source.name) for source in campaign.sources), start=1)
    every = sorted(((row, number) for number, rows in by_source for row in rows), key=lambda each: each[0].seq)
    if not every:
        return None
    some = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST)).astype(int))
    kept, numbers = zip(*(every[place] for place in some), strict=True)
    readings = np.array([row.readings[list(columns)] for row in kept])
    floor = np.array([-np.inf if channel.floor is None else channel.floor for channel in space.channels])
    return Rows.from_elsewhere(
        space.to_unit(np.array([row.settings for row in kept])),
        np.where(readings > floor[list(columns)], readings, np.nan),
        LONG_AGO,
        apart=APART,
        source=np.array(numbers),
        k=len(space.conditions),
    )
