"""Which of several open targets a campaign turns to next: the one that readings are likely to settle soonest.

All targets share what was read, and readings for one teach about the others. So the cheap ones go first, and a budget
that is too small verifies as many as it can.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sdl.campaign.validation import ResolvedTarget
from strategies.numerics.projection import project
from strategies.plan.knowledge.assessment import Assessment
from strategies.posterior import forecast

WEIGHED = 3
"""Targets of which the best settings are sought before one is turned to."""


def next_target(insight: Assessment, targets: Sequence[ResolvedTarget], failed: Mapping[str, int]) -> ResolvedTarget:
    """The target whose turn it is.

    Args:
        insight: What is known now.
        targets: The open ones, at least one.
        failed: Exams by target that gave no verdict to settle it. One may happen; a target that fails again and again
            waits for the others.
    """
    if len(targets) == 1:
        return targets[0]
    price_list = insight.once(("prices", *(target.name for target in targets)), lambda: prices(insight, targets))
    again = np.array([max(failed.get(target.name, 0), 1) for target in targets])
    return targets[int(np.argmin(price_list * again))]


def prices(insight: Assessment, targets: Sequence[ResolvedTarget]) -> NDArray[np.float64]:
    """Requests until each target is verified, nearly, ``(m,)``.

    All are asked at once, for the settings where their readings are expected; of the cheapest, which may have the next
    turn, each is asked for its best settings.
    """
    posterior = insight.posterior
    aims = np.array([insight.aim(target) for target in targets])
    units = np.array([insight.unit(target) for target in targets])
    places = project(lambda settings: posterior.at(settings)[0], aims, units, insight.space.u).settings
    found = np.array(
        [
            float(forecast(posterior, insight.pursuit(target), place[None]).requests[0])
            for target, place in zip(targets, places, strict=True)
        ]
    )
    for cheap in np.argsort(found, kind="stable")[:WEIGHED].tolist():
        if (reading := insight.reading(targets[cheap])) is not None:
            found[cheap] = min(found[cheap], reading.requests)
    return found
