"""Which of several rival models foretold what was read next, and which one has fallen, by which reading."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f

from sdl.formatting import format_quantities
from sdl.history import History, RivalFacts
from sdl.space import Readings, Space
from strategies.contract import InverseModel
from strategies.fitting.guard import failure_sentence, require_finite
from strategies.fitting.training_rows import FitRows

ODDS = 1000.0
"""How many times as likely the best rival has to make all that was read before another one falls."""
ONE_READING = 20.0
"""How many times as likely one reading counts at most, so that no single outlier fells a model."""
DRAWS = 256
"""Simulated readings that the expectation of a rival and its uncertainty are taken from."""
REFITS = 20
"""Times at most that rivals are fitted again while the rows since the last round are foretold one after the other."""
RIDGE = 1e-9
"""Share of a variance, and of the square of a reading, that is added to a variance so that it is never 0."""
DEGREES = 4.0
"""Of the Student distribution that draws are taken for: where the noise is learned from few rows it has such tails."""
OUTSIDE = 0.99
"""Level of the region that a reading is counted as outside of."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Makers = Mapping[str, Callable[[], InverseModel]]
"""What makes a model that is not fitted, by its name."""
Rivals = Mapping[str, "Rival"]
"""By name."""


@dataclass(frozen=True, eq=False)
class Rival:
    """One of several models of which one may be right."""

    facts: RivalFacts
    """How well it foretold the readings so far."""
    model: InverseModel | None = None
    """Fitted on all rows; None if it has fallen, or could not be fitted."""
    failure: str = ""
    """Why it could not be fitted."""


def standing_models(rivals: Rivals) -> list[InverseModel]:
    """Those that have not fallen, fitted on all rows."""
    return [rival.model for rival in rivals.values() if rival.model is not None]


def judge_rivals(
    makers: Makers,
    rows: FitRows,
    space: Space,
    columns: Sequence[int],
    history: History,
    round_: int,
    tell: Callable[[str], object],
) -> Rivals:
    """Let rivals foretell what was read since they were last judged, and fit those that stand on all rows.

    Each reading is foretold by models that were fitted on the ones before it. The product of the densities that a
    rival gave to what was read is its likelihood, whatever its kind and the number of its parameters; a rival falls
    when that of another one is ``ODDS`` times as large. One that is right falls in at most one of ``ODDS``
    campaigns, however often one looks (Ville's inequality), as far as its own uncertainty is right.

    Args:
        makers: Of the rivals.
        rows: What models are fitted on before the round.
        space: Of the instrument.
        columns: Channels that the rows have.
        history: What the campaign has seen; the facts of its rounds tell how the rivals stood.
        round_: Rounds before it count.
        tell: Called with the name of each rival before it is asked anything.

    References:
        Dawid (1984), doi:10.2307/2981683, for the likelihood of what is foretold
    """
    recorded = _as_recorded(history, round_)
    unjudged = RivalFacts(score=0.0, foretold=0, outside=0, until=-1)
    facts: Mapping[str, RivalFacts] = {name: recorded.get(name, unjudged) for name in makers}
    known = rows.taken <= max((each.until or 0 for each in recorded.values()), default=-1)
    fresh = np.flatnonzero(~known)
    for some in np.array_split(fresh, min(REFITS, len(fresh))) if len(fresh) else ():
        if (densities := _foretell(makers, facts, rows, known, some, tell)) is not None:
            for row, density, far in zip(some.tolist(), *densities, strict=True):
                facts = _scored(facts, density, far, _reading_words(rows, row, space, columns))
        known[some] = True
    until, rivals = int(rows.taken.max(initial=-1)), dict[str, Rival]()
    for name, make in makers.items():
        tell(name)
        rivals[name] = _fitted(make, replace(facts[name], until=until), rows)
    return rivals


def _as_recorded(history: History, round_: int) -> Mapping[str, RivalFacts]:
    """How the rivals stood in the last round that says so."""
    recorded = (each.facts.rivals for each in reversed(history.rounds) if each.number < round_)
    return next((rivals for rivals in recorded if rivals), {})


def _fitted(make: Callable[[], InverseModel], facts: RivalFacts, rows: FitRows) -> Rival:
    if facts.fell is not None:
        return Rival(facts)
    try:
        model = make().fit(rows.readings, rows.settings)
        model.sample(rows.readings[-1], 1, np.random.default_rng(0))  # before a round is left to it
        return Rival(facts, model)
    except Exception as error:  # a model is anybody's code: what it raises must not end a campaign
        return Rival(facts, failure=failure_sentence(error))


def _foretell(
    makers: Makers,
    facts: Mapping[str, RivalFacts],
    rows: FitRows,
    known: Mask,
    some: NDArray[np.intp],
    tell: Callable[[str], object],
) -> tuple[Sequence[Mapping[str, float]], Sequence[Mapping[str, bool]]] | None:
    """How each rival that stands foretold some rows: log densities, and whether they lie outside its region.

    None where only one stands, or where one of them cannot be fitted yet: a comparison is of the same rows.
    """
    found = dict[str, tuple[Array, Mask]]()
    standing = [name for name, each in facts.items() if each.fell is None]
    if len(standing) < 2:
        return None
    for name in standing:
        tell(name)
        try:
            model = makers[name]().fit(rows.readings[known], rows.settings[known])
            shape = (DRAWS, *rows.readings[some].shape)
            drawn = model.simulate(rows.settings[some], DRAWS, np.random.default_rng(int(known.sum())))
            found[name] = _densities(require_finite(drawn, "simulated readings", shape), rows.readings[some])
        except Exception:  # too few rows for it so far; if it never can be fitted its failure is recorded
            return None
    densities = [{name: float(density[row]) for name, (density, _) in found.items()} for row in range(len(some))]
    return densities, [{name: bool(far[row]) for name, (_, far) in found.items()} for row in range(len(some))]


def _densities(drawn: Array, read: Readings) -> tuple[Array, Mask]:
    """Log density of what was read ``(m, p)`` by draws ``(n, m, p)``, up to a constant, and whether it is far out."""
    off = read - drawn.mean(axis=0)
    centred = drawn - drawn.mean(axis=0)
    covariance = np.einsum("nmp,nmq->mpq", centred, centred, optimize=True) / (len(drawn) - 1)
    least = RIDGE * np.maximum(np.abs(read).max(axis=0), _TINY) ** 2
    covariance += np.eye(read.shape[1]) * (RIDGE * np.einsum("mpp->mp", covariance) + least)[:, None, :]
    distance = np.einsum("mp,mp->m", off, np.linalg.solve(covariance, off[..., None])[..., 0])
    p, scaled = read.shape[1], distance / (DEGREES - 2)
    density = -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * (DEGREES + p) * np.log1p(scaled)
    return density, scaled * DEGREES / p > f.ppf(OUTSIDE, p, DEGREES)


def _scored(
    facts: Mapping[str, RivalFacts], density: Mapping[str, float], far: Mapping[str, bool], reading: str
) -> Mapping[str, RivalFacts]:
    """The facts after one more reading, which may fell some."""
    least = max(density.values()) - np.log(ONE_READING)
    scored = {
        name: replace(
            each,
            score=(each.score or 0.0) + max(density[name], least),
            foretold=(each.foretold or 0) + 1,
            outside=(each.outside or 0) + far[name],
        )
        for name, each in facts.items()
        if name in density
    }
    best = max(scored, key=lambda name: scored[name].score or 0.0)
    for name, each in scored.items():
        behind = (scored[best].score or 0.0) - (each.score or 0.0)
        if behind > np.log(ODDS):
            scored[name] = replace(each, fell=f"{np.exp(behind):.0f} times less likely than {best!r} by {reading}")
    return {**facts, **scored}


def _reading_words(rows: FitRows, row: int, space: Space, columns: Sequence[int]) -> str:
    settings = space.shown_settings(space.from_unit(rows.settings[row]))
    readings = {space.channel_names[column]: value for column, value in zip(columns, rows.readings[row], strict=True)}
    return f"reading {rows.taken[row] + 1}, {format_quantities(readings)} at {format_quantities(settings)}"


_TINY = 1e-300
