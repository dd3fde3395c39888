"""What a campaign has spent of money or time, and how many requests that leaves it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sdl.campaign.definition import Campaign
from sdl.campaign.price import SECONDS, SLACK, PricePart
from sdl.campaign.source import SourcePart
from sdl.formatting import format_duration
from sdl.history import History, Purpose
from sdl.space import Space


def spent(price: PricePart, space: Space, history: History, sources: Sequence[SourcePart] = ()) -> float:
    """Return what was spent on all that was sent, whatever became of it."""
    own = [request.settings for request in history.asked if request.purpose is not Purpose.SOURCE]
    settings = np.array(own).reshape(-1, space.d)
    return price.spent(space, settings, history.plates) + sum(spent_on_sources(sources, history).values())


def spent_on_sources(sources: Sequence[SourcePart], history: History) -> dict[str, float]:
    """Return what was spent on each source, by its name."""
    return {source.name: source.price * len(history.asked_of_source(source.name)) for source in sources}


def with_allowance(
    history: History, campaign: Campaign, space: Space, at: float = 0.0, begun: float | None = None
) -> History:
    """Return the history with the number of requests that prices and the deadline allow in all.

    The plan goes by it, and so does the bench before each request: what one calls spent, the other does not send.

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
    dearest = max(price.dearest(space), *(source.price for source in campaign.sources), 0.0)
    limits = list[tuple[float, str]]()
    if price.budget is not None:
        left = price.budget * (1 + SLACK) - spent(price, space, history, campaign.sources)
        words = f"{describe_spending(price, space, history, campaign.sources)} are spent, and one more request may cost"
        limits.append((_requests(price, space, dearest, left), f"{words} {dearest:g}"))
    ends = None if begun is None else price.ends_at(begun)
    if ends is not None:
        unit, left_s = SECONDS.get(price.unit), ends - at
        left = float("inf") if unit is None else left_s / unit - price.request * history.awaited
        most = _requests(price, space, dearest, left) if left_s > 0 else 0
        limits.append((most, f"nothing more can be measured before the deadline {price.deadline}"))
    if not limits:
        return history
    more, words = min(limits)
    return replace(history, allowed=history.sent + history.awaited + int(min(more, 1e9)), limit=words)


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


def _requests(price: PricePart, space: Space, dearest: float, left: float) -> float:
    """How many requests are surely paid, on as few plates as they need; at least one where one is."""
    if left < dearest:
        return 0.0
    full = dearest if space.plate is None else price.plate + price.request * space.plate.capacity
    if not full or left == float("inf"):
        return float("inf")
    if space.plate is None:
        return left // full
    whole, rest = divmod(left, full)
    wells = (rest - price.plate) // price.request if price.request else space.plate.capacity
    return whole * space.plate.capacity + (max(wells, 0.0) if rest >= price.plate else 0.0)
