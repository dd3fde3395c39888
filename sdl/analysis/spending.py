"""What a campaign has spent of money or time, and how many requests that leaves it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.campaign.price import SECONDS, PricePart
from sdl.campaign.source import SourcePart
from sdl.formatting import format_duration
from sdl.history import History
from sdl.space import Space


def spent(price: PricePart, space: Space, history: History, sources: Sequence[SourcePart] = ()) -> float:
    """Return what was spent; of knobs, what was moved for readings that counted."""
    rows = history.observations if price.knobs else ()
    settings = np.array([row.settings for row in rows]).reshape(-1, space.d)
    own = price.spent(space, settings, history.sent - len(history.of_sources), history.plates)
    return own + sum(spent_on_sources(sources, history).values())


def spent_on_sources(sources: Sequence[SourcePart], history: History) -> dict[str, float]:
    """Return what was spent on each source, by its name: its readings that counted."""
    return {source.name: source.price * len(history.of_source(source.name)) for source in sources}


def with_allowance(
    history: History, campaign: Campaign, space: Space, at: float = 0.0, begun: float | None = None
) -> History:
    """Return the history with the number of requests that prices and the deadline allow in all.

    Args:
        history: What was measured.
        campaign: Whose prices they are.
        space: Of the instrument.
        at: The present, seconds since 1970.
        begun: When the campaign began; without it there is no clock, and no deadline.
    """
    price = campaign.price
    if price is None:
        return history
    limits = list[tuple[float, str]]()
    if price.budget is not None:
        left = price.budget - spent(price, space, history, campaign.sources)
        words = f"{describe_spending(price, space, history, campaign.sources)} are spent, and one more request may cost"
        limits.append((_requests(price, space, left), f"{words} {price.dearest(space):g}"))
    ends = None if begun is None else price.ends_at(begun)
    if ends is not None:
        unit, left_s = SECONDS.get(price.unit), ends - at
        most = float("inf") if unit is None else _requests(price, space, left_s / unit)
        limits.append((most if left_s > 0 else 0, f"nothing more can be measured before the deadline {price.deadline}"))
    if not limits:
        return history
    left_most, words = min(limits)
    return replace(history, allowed=history.sent + int(min(left_most, 1e9)), limit=words)


def describe_spending(price: PricePart, space: Space, history: History, sources: Sequence[SourcePart] = ()) -> str:
    """Return what was spent of what may be, in words: ``310 of 500 EUR``."""
    of = "" if price.budget is None else f" of {price.budget:g}"
    return f"{spent(price, space, history, sources):g}{of} {price.unit}"


def describe_deadline(price: PricePart, at: float, begun: float) -> str:
    """Return how long there is until the deadline, in words; empty where there is none."""
    if (ends := price.ends_at(begun)) is None:
        return ""
    left = f"in {format_duration(ends - at)}" if ends > at else "which is over"
    return f"until {price.deadline} {price.timezone}, {left}"


def _requests(price: PricePart, space: Space, left: float) -> float:
    """How many requests are surely paid, at least one where one is."""
    if left < price.dearest(space):
        return 0.0
    if space.plate is not None:
        each, left = price.request, left - price.plate
    else:
        each = price.dearest(space)
    return left // each if each else float("inf")
