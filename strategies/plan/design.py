"""Settings of the design: by the plug-in that the campaign names, in an order and on plates that cost little."""

import numpy as np

from sdl import plugins
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.space import Settings, Space
from strategies.contract import Design
from strategies.plan import plates

FIRST = 5
"""Settings before the first fit at least, of a design that has no number of its own; one more than there are knobs."""


def measured_design(campaign: Campaign, space: Space) -> Settings:
    """The design as it is measured, ``(n, d)``: knobs that are dear to move move seldom, and plates hold theirs."""
    ordered = _in_order(campaign, space, design_settings(campaign, space))
    return plates.in_plots(space, ordered, _most_plots(campaign), np.random.default_rng([campaign.seed, 0, 1]))


def design_settings(campaign: Campaign, space: Space, n: int | None = None) -> Settings:
    """Settings all over the box, ``(n, d)``.

    Args:
        campaign: Whose design it is.
        space: Of the instrument.
        n: How many; by default what the campaign says, or as many as the knobs need.
    """
    part, seed = campaign.design, [campaign.seed, 0]
    design: Design = plugins.build("sdl.designs", part.plugin, part.options)
    if n is not None:
        return design.propose(space, n, np.random.default_rng(seed))[:n]
    try:
        return design.propose(space, part.n, np.random.default_rng(seed))
    except InvalidInput:
        if part.n is not None:
            raise
        return design.propose(space, _first(campaign, space), np.random.default_rng(seed))


def _first(campaign: Campaign, space: Space) -> int:
    """Settings of a design that has no number of its own."""
    if space.plate is None:
        return max(FIRST, space.u + 1)
    return min(plates.FIRST * (space.u + 1), space.plate.capacity - 1, max(campaign.most // 2, 1))


def _in_order(campaign: Campaign, space: Space, design: Settings) -> Settings:
    """A design, in which knobs that are dear to move are moved seldom."""
    knobs = {} if campaign.price is None else campaign.price.knobs
    dear = sorted((name for name in space.knob_names if knobs.get(name)), key=lambda name: knobs[name])
    return design[np.lexsort([design[:, space.knob_names.index(name)] for name in dear])] if dear else design


def _most_plots(campaign: Campaign) -> float:
    """Plates that a design may take by their price: half of what may be spent."""
    price = campaign.price
    if price is None or price.budget is None or not price.plate:
        return float("inf")
    return 0.5 * price.budget // price.plate
