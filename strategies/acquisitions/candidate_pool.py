"""What is believed while a batch is chosen: readings at a pool of settings, and the answers for the targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from sdl.space import Readings, Settings
from strategies.acquisitions.ensemble_beliefs import Array, Beliefs, taper
from strategies.answers.clustering import cluster_draws
from strategies.contract import InverseModel, Noise, Target
from strategies.numerics.unit_box import in_unit_box, spread_points

Places = NDArray[np.intp]
"""Places in the pool."""
OFFERED = 32
"""Draws that each member is asked for, for each target."""
BESIDE = 64
"""Points about what is offered."""
WIDTH = 0.1
"""Standard deviation of these, in the unit box."""
MEASURED = 32
"""Settings measured before that are among the pool at most."""


@dataclass(frozen=True, eq=False)
class Prospect:
    """Beliefs about a pool of settings, given that those chosen so far are read; over the channels that matter.

    An answer is a knob of a candidate, as it moves from member to member of the ensemble.
    """

    beliefs: Beliefs
    """At the pool: what every member offers for the targets, and points that fill the box evenly."""
    targets: Sequence[Target]
    """Over the channels that some target fixes, ``(p,)`` each."""
    offered: Sequence[Sequence[Places]]
    """By target and member, what that member offers for it."""
    around: Places
    """Points that fill the box."""
    measured: Places
    """Those that were measured already, or of many the nearest to what is offered."""
    answers: Array
    """Covariance of ``q`` answers with a reading at each place, ``(p, m, q)``."""
    spread: Array
    """Variance of the answers before the first point was chosen, ``(q,)``."""
    share: Array
    """Part of the draws for its target that each answer stands for, ``(q,)``."""
    known: dict[str, Any]
    """What an acquisition finds out at the first point and needs again at the others."""
    chosen: Sequence[int] = field(default=())
    """Places in the order of choosing."""

    @property
    def offers(self) -> Places:
        """All that is offered."""
        return np.concatenate([places for members in self.offered for places in members])

    @property
    def pool(self) -> Places:
        """All places."""
        return np.arange(len(self.beliefs.settings))

    def told(self, at: int) -> Self:
        """The same once a reading was taken at one place."""
        answers = self.answers - self.beliefs.explained(at, self.answers)
        return replace(self, beliefs=self.beliefs.told(at), answers=answers, chosen=[*self.chosen, at])


def prospect(
    models: Sequence[InverseModel],
    targets: Sequence[Target],
    noise: Noise,
    ceiling: Readings | None,
    measured: Settings,
    pool: int,
    locality: float,
    rng: np.random.Generator,
) -> Prospect:
    """Ask an ensemble.

    Args:
        models: At least two, fitted.
        targets: What is looked for, at least one, each over all channels.
        noise: Of a reading.
        ceiling: Of each channel, less the background; None or infinite where there is none.
        measured: Settings that were measured already, ``(k, d)``.
        pool: Points that fill the box.
        locality: Distance in the unit box over which beliefs go together.
        rng: The only source of randomness.
    """
    columns = np.flatnonzero(np.isfinite(np.array(targets)).any(axis=0))
    drawn = [[_inside(model.sample(target, OFFERED, rng)) for model in models] for target in targets]
    every = [draws for members in drawn for draws in members]
    offers = np.concatenate(every)
    parts = [*every, spread_points(pool, measured.shape[1], rng), _nearest(measured, offers), _beside(offers, rng)]
    settings = np.concatenate(parts)
    beliefs = Beliefs.of(models, settings, noise, ceiling, columns, locality)
    places = iter(np.split(np.arange(len(settings)), np.cumsum([len(part) for part in parts])[:-1]))
    offered = [[next(places) for _ in members] for members in drawn]
    fixed_targets = [np.asarray(target, float)[columns] for target in targets]
    return Prospect(beliefs, fixed_targets, offered, next(places), next(places), *_answers(beliefs, drawn), known={})


def _inside(draws: Settings) -> Settings:
    return draws[in_unit_box(draws)]


def _beside(offers: Settings, rng: np.random.Generator) -> Settings:
    if not len(offers):
        return offers
    about = offers[rng.integers(len(offers), size=BESIDE)]
    return _inside(about + WIDTH * rng.standard_normal(about.shape))


def _nearest(measured: Settings, offers: Settings) -> Settings:
    if len(measured) <= MEASURED or not len(offers):
        return measured[:MEASURED]
    return measured[np.argsort(cdist(measured, offers).min(axis=1), kind="stable")[:MEASURED]]


def _answers(beliefs: Beliefs, drawn: Sequence[Sequence[Settings]]) -> tuple[Array, Array, Array]:
    """Covariance of the answers with readings ``(p, m, q)``, their variance and their share, both ``(q,)``.

    Candidates are those of the first member. Another one's answer near a candidate is the mean of those of its draws
    that are nearer to it than to any other; it says how the answer moves from member to member, and is offered to
    nobody. A member without such draws has no say.
    """
    (m, p), d, k = beliefs.mean.shape, beliefs.settings.shape[1], len(beliefs.deviations)
    found: list[tuple[Array, Array, Array]] = [(np.zeros((p, m, 0)), np.zeros(0), np.zeros(0))]
    for members in drawn:
        distinct = cluster_draws(members[0]) if len(members[0]) else []
        centres = np.array([each.settings for each in distinct]).reshape(-1, d)
        for place, candidate in enumerate(distinct):
            near = [draws[cdist(draws, centres).argmin(axis=1) == place] for draws in members]
            answers = [draws.mean(axis=0) if len(draws) else np.full(d, np.nan) for draws in near]
            off = np.nan_to_num((answers - np.nanmean(answers, axis=0)) / np.sqrt(k - 1))
            cross = np.einsum("kmp,kd->pmd", beliefs.deviations, off, optimize=True)
            cross *= taper(beliefs.settings, candidate.settings[None], beliefs.locality)
            found.append((cross, (off**2).sum(axis=0), np.full(d, candidate.share)))
    crosses, spreads, shares = zip(*found, strict=True)
    return np.concatenate(crosses, axis=2), np.concatenate(spreads), np.concatenate(shares)
