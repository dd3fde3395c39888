"""Which of several open targets a campaign turns to next: the one that an exam is likely to settle for fewest requests.

All targets share one model and all that was read, and the replicates of each exam teach it for the others. So the
cheap ones go first: those of small readings, or far from all that was measured, come when more is known, and a budget
that is too small verifies as many as it can. What no exam can settle, by noise or for want of settings, comes last.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sdl.campaign.validation import ResolvedTarget
from strategies.answers.reachability import CERTAINTY
from strategies.correction.kriging import kriged
from strategies.numerics.projection import project
from strategies.plan.assessment import Assessment


def next_target(insight: Assessment, targets: Sequence[ResolvedTarget], failed: Mapping[str, int]) -> ResolvedTarget:
    """The target whose turn it is.

    Args:
        insight: What is known now.
        targets: The open ones, at least one.
        failed: Exams by target that gave no verdict to settle it. One may happen, and the mended candidate has its
            turn at once; a target that fails again and again waits for the others.
    """
    if len(targets) == 1:
        return targets[0]
    price_list = insight.once(("prices", *(target.name for target in targets)), lambda: prices(insight, targets))
    again = np.array([max(failed.get(target.name, 0), 1) for target in targets])
    return targets[int(np.argmin(price_list * again))]


def prices(insight: Assessment, targets: Sequence[ResolvedTarget]) -> NDArray[np.float64]:
    """Requests until each target has passed an exam, nearly, ``(m,)``; infinite where no settings seem to give it.

    Nearly, because all are asked at once: for the settings that the forward model says, corrected once by what it
    misses there, and of very many rows by a selection. It decides the order and nothing else.
    """
    readings = np.array([target.readings for target in targets]) - insight.background
    tolerance = np.array([target.tolerance for target in targets])
    predict, d, rows = insight.model.predict, insight.space.d, insight.rows.thinned()
    missed, uncertainty = kriged(rows, rows.missing(predict), project(predict, readings, tolerance, d).settings)
    off = project(predict, readings - missed, tolerance, d).misses
    near = (np.nan_to_num(np.abs(off)) <= np.nan_to_num(1 + CERTAINTY * uncertainty / tolerance)).all(axis=1)
    plan = insight.longest  # looked at as it goes on, an exam need not be that long
    exams = [
        insight.outlook(target, unsure).fate(plan).price for target, unsure in zip(targets, uncertainty, strict=True)
    ]
    return np.where(near, exams, np.inf)
