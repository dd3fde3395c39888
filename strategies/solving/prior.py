"""What is known of settings beforehand: draws that agree with it, and the most probable settings of a branch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.space import Readings, Settings
from strategies.numerics.jacobian import Forward, checked, descend

FEWEST = 20
"""Draws that are kept at least, those that the prior holds most probable."""
FAR = 3.0
"""Standard deviations of the prior by which a knob may be off in the draw that agrees best: none agrees beyond."""


@dataclass(frozen=True, eq=False)
class KnobPrior:
    """Independent normal distributions of some knobs, in the unit box; of the others nothing is known."""

    middle: Settings
    """Shape ``(d,)``; the middle of the rows for knobs of which nothing is known."""
    deviation: Settings
    """Shape ``(d,)``; infinite for these."""

    @property
    def says_nothing(self) -> bool:
        """Whether nothing is known of any knob."""
        return bool(np.isinf(self.deviation).all())

    def off(self, settings: Settings) -> Settings:
        """How far settings ``(m, d)`` are off what is known, in standard deviations, ``(m, d)``."""
        return np.asarray((settings - self.middle) / self.deviation)

    def agreeing(self, draws: Settings, rng: np.random.Generator) -> tuple[NDArray[np.intp], float]:
        """Which of the draws ``(n, d)`` of a model are draws of what it and the prior say together, and what share is.

        Each is kept as probably as the prior has it there, compared with where that is most probable of all draws.
        Where few agree, those that are most probable are kept for a compromise, and do not count as agreeing.

        References:
            von Neumann (1951), Appl. Math. Ser. 12, 36, for rejection; Smith, Gelfand (1992),
            doi:10.1080/00031305.1992.10475856, for draws of another prior
        """
        off = self.off(draws)
        weight = -0.5 * (off**2).sum(axis=1)
        kept = np.flatnonzero(np.log(rng.random(len(draws))) < weight - weight.max())
        share = len(kept) / len(draws) if np.abs(off[weight.argmax()]).max() <= FAR else 0.0
        return (kept if len(kept) >= FEWEST else np.sort(np.argsort(-weight, kind="stable")[:FEWEST])), share


def most_probable(forward: Forward, target: Readings, noise: Readings, prior: KnobPrior, starts: Settings) -> Settings:
    """The settings ``(m, d)`` of highest posterior density that are nearest to each start ``(m, d)``, in the unit box.

    Where neither target nor prior determines a direction the start stands.

    Args:
        forward: Settings in the unit box to readings ``(m, c)``: ``model.predict``.
        target: Readings wanted, ``(c,)``.
        noise: Standard deviation of one reading of each channel, ``(c,)``.
        prior: Of the settings.
        starts: One in each branch.

    References:
        Tarantola (2005), doi:10.1137/1.9780898717921, for the most probable of settings
    """
    expected, unit = checked(forward, target.size), np.maximum(noise, np.finfo(float).tiny)

    def residuals(settings: Settings, _: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.hstack(((expected(settings) - target) / unit, prior.off(settings)))

    return descend(residuals, np.clip(starts, 0.0, 1.0))[0]
