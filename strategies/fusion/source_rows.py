"""What other sources than the instrument read, as rows of the posterior that come before the instrument's own."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.history import History
from sdl.space import Space
from strategies.posterior.rows import Rows

LONG_AGO = 20_000.0
"""Requests between the rows of sources and the first of the instrument ..."""
UNRELATED = 10.0
"""... and between two of them: they have no light in common."""
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
    numbers = {source.name: place + 1 for place, source in enumerate(campaign.sources)}
    asked = {round_.number: numbers.get(round_.facts.source or "", 0) for round_ in history.rounds}
    every = [row for row in history.of_sources if asked.get(row.round)]
    if not every:
        return None
    some = np.unique(np.linspace(0, len(every) - 1, min(len(every), MOST)).astype(int))
    kept, n, k = [every[place] for place in some], len(some), len(space.conditions)
    readings = np.array([row.readings[list(columns)] for row in kept])
    floor = np.array([-np.inf if channel.floor is None else channel.floor for channel in space.channels])
    return Rows(
        settings=space.to_unit(np.array([row.settings for row in kept])),
        readings=np.where(readings > floor[list(columns)], readings, np.nan),
        order=np.asarray(UNRELATED * np.arange(-n, 0) - LONG_AGO, float),
        censored=np.zeros(readings.shape, int),
        reference=np.zeros(n, bool),
        pursuit=np.full(n, -1),
        apart=np.full(n, APART),
        source=np.array([asked[row.round] for row in kept]),
        louder=np.ones(n),
        looked=np.ones(n, bool),
        conditions=np.zeros((n, k)),
        wanted=np.zeros((n, k)),
    )
