"""What a campaign has seen, as rows of the posterior: with their moments, limits, and the target of each."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sdl.campaign.definition import AS_MEASURED, Campaign
from sdl.history import History, Observation, Purpose, Verdict
from sdl.space import Space
from strategies.fitting.transfer import Transfer
from strategies.posterior.rows import Rows

Matrix = NDArray[np.float64]

BREAK = 60.0
"""Requests that a break counts as, after which a reference is taken: the light has had time to change."""
LONG_AGO = 10_000.0
"""Requests between earlier campaigns and the first of this one."""
MOST_EARLIER = 60
"""Rows of an earlier campaign at most."""
RIM = 0.1
"""Part by which gains at the rim of a plate may be off, as is learned from all wells there; and any level."""
MOST = 400
"""Rows at most, so that a long campaign is not slower at its end ..."""
LATEST = 250
"""... of which so many are the last ones."""


def pursuit_number(place: int, answers: int) -> int:
    """Number of a pursuit: of a target by its place, and by how many answers of it are verified already.

    Each answer is a claim of its own, with its own error rate.
    """
    return 1000 * place + answers


def observed_rows(
    campaign: Campaign, space: Space, columns: Sequence[int], history: History, until: int | None = None
) -> Rows:
    """Everything that was read, references and all, in order.

    Args:
        campaign: Whose targets the exams are about.
        space: Of the instrument.
        columns: Channels that matter, ``p`` of them.
        history: What the campaign has seen.
        until: Number of the round whose last reading is the last row; by default all readings are rows.
    """
    observations = _in_order(history)
    if until is not None:
        observations = observations[: 1 + max(place for place, row in enumerate(observations) if row.round == until)]
    if not observations:
        return Rows.empty(space.u, len(columns), len(space.conditions))
    above = np.array([observation.censored[columns] for observation in observations])
    # A channel at its ceiling has no reading; it stands there, so that an exam with it can be refuted.
    readings = np.where(above, space.ceiling[columns], [observation.readings[columns] for observation in observations])
    floor = np.array([-np.inf if channel.floor is None else channel.floor for channel in space.channels])[columns]
    numbers = _pursuits(campaign, history)
    conditions, wanted = _conditions(campaign, space, observations)
    exams = [observation.purpose is Purpose.VERIFICATION for observation in observations]
    references = np.array([observation.purpose is Purpose.REFERENCE for observation in observations])
    # With every knob off a reading at the floor is the dark itself; elsewhere it says "at most".
    below = (readings <= floor) & ~references[:, None]
    return Rows(
        settings=space.to_unit(np.array([observation.settings for observation in observations])),
        readings=readings,
        order=_moments(campaign, space, history, observations),
        censored=above.astype(int) - below.astype(int),
        reference=references,
        pursuit=np.array(
            [
                numbers.get(observation.round, -1) if exam else -1
                for observation, exam in zip(observations, exams, strict=True)
            ]
        ),
        apart=RIM * np.array([bool(space.plate and space.plate.at_rim(row.well)) for row in observations]),
        source=np.zeros(len(observations), int),
        louder=np.ones(len(observations)),
        looked=_looked(history, observations),
        conditions=conditions,
        wanted=wanted,
    )


def _conditions(campaign: Campaign, space: Space, observations: Sequence[Observation]) -> tuple[Matrix, Matrix]:
    """What held in each row, and what targets are wanted in as it was known then, in parts of what it usually is.

    Where a row does not say it, it is as in the row before, and in the first rows as in the first that says it. One
    that no row says is as wanted, so that nothing is learned of it.
    """
    known = np.array([space.known_conditions(observation.conditions) for observation in observations])
    low, high = (np.array([getattr(each, end) for each in space.conditions], float) for end in ("low", "high"))
    stated = np.array([_stated(campaign, name) for name in space.condition_names])
    known, stated = (known - low) / (high - low), (stated - low) / (high - low)
    places = np.arange(len(known))
    for k, column in enumerate(known.T):
        if not len(said := np.flatnonzero(np.isfinite(column))):
            known[:, k] = np.nan_to_num(stated[k])
            continue
        before = np.searchsorted(said, places, side="right") - 1
        known[:, k] = column[said[np.maximum(before, 0)]]
    return known, np.where(np.isnan(stated), known, stated)


def _stated(campaign: Campaign, name: str) -> float:
    """The value at which a condition is wanted; NaN where that is whatever it is."""
    value = campaign.conditions.get(name, AS_MEASURED)
    return value if isinstance(value, float) else np.nan


def _in_order(history: History) -> Sequence[Observation]:
    """The observations, those of a plate by what they are for: what is learned from first, then target by target.

    The last replicates of a target's candidates come last, that of the best one after the others. So each look, which
    is after the last replicate, sees nearly all that was read for its target on this plate.
    """
    together = {round_.number: round_ for round_ in history.rounds if round_.facts.batch is not None}
    if not together:
        return history.observations
    targets = list(dict.fromkeys(round_.target for round_ in together.values()))
    left = Counter(row.round for row in history.observations)

    def place(row: Observation) -> tuple[int, ...]:
        left[row.round] -= 1
        if (round_ := together.get(row.round)) is None:
            return (row.round,)
        if row.purpose is not Purpose.VERIFICATION:
            return (round_.batch, -1, row.round)
        return (round_.batch, targets.index(round_.target), -left[row.round], -row.round)

    return sorted(history.observations, key=place)


def _looked(history: History, observations: Sequence[Observation]) -> NDArray[np.bool_]:
    """Whether there is a look after each observation: of those of an exam that is taken at once after the last."""
    together = {round_.number for round_ in history.rounds if round_.facts.batch is not None}
    last = {row.round: place for place, row in enumerate(observations)}
    return np.array([row.round not in together or last[row.round] == place for place, row in enumerate(observations)])


def thinned(rows: Rows) -> Rows:
    """All of them, or of very many the latest and of the others every second, every fourth and so on.

    Powers of two, so that the selection stays the same for many readings.
    """
    if len(rows) <= MOST:
        return rows
    older = np.arange(len(rows) - LATEST)
    step = 1 << int(np.ceil(np.log2(len(older) / (MOST - LATEST))))
    return rows.at(np.concatenate((older[::step], np.arange(len(rows) - LATEST, len(rows)))))


def earlier_rows(transfer: Transfer | None) -> Rows | None:
    """Rows of an earlier campaign: read long ago, on gains that are off by a part; None where none is learned from."""
    if transfer is None or transfer.earlier is None:
        return None
    settings, readings = transfer.earlier.settings, transfer.earlier.readings
    some = np.unique(np.linspace(0, len(settings) - 1, min(len(settings), MOST_EARLIER)).astype(int))
    # No conditions: no campaign has both, see sdl/campaign/validation.py.
    return Rows.from_elsewhere(settings[some], readings[some], LONG_AGO, apart=transfer.apart)


def _moments(
    campaign: Campaign, space: Space, history: History, observations: Sequence[Observation]
) -> NDArray[np.float64]:
    """When each was taken, in requests; where references are planned, a later one tells of a break, as a plate does."""
    order = np.arange(len(observations), dtype=float)
    if campaign.background.every != "planned":
        return order
    breaks = np.array([row.purpose is Purpose.REFERENCE for row in observations], bool)
    if space.plate is not None and not space.plate.parallel:
        plates = {round_.number: round_.batch for round_ in history.rounds if round_.facts.batch is not None}
        on = [plates.get(row.round, -1) for row in observations]
        breaks |= np.diff(on, prepend=on[:1]) != 0
    return order + np.cumsum(breaks) * BREAK


def _pursuits(campaign: Campaign, history: History) -> Mapping[int, int]:
    """By the round of each exam the number of the pursuit that its readings are for."""
    places = {target.name: place for place, target in enumerate(campaign.targets)}
    passed = [finding for finding in history.findings if finding.verdict is Verdict.VERIFIED]
    begun = {round_.number: round_.batch for round_ in history.rounds}
    return {
        exam.round: pursuit_number(
            places[exam.target],
            sum(
                finding.target == exam.target and finding.round < begun.get(exam.round, exam.round)
                for finding in passed
            ),
        )
        for exam in history.exams
        if exam.target in places
    }


def never_read(campaign: Campaign, space: Space, history: History) -> list[str]:
    """Channels of the targets that no reading has a value of; none while only other sources were asked.

    Nothing is computed of a reference, so of what is computed those say nothing.
    """
    if campaign.sources and all(request.purpose is Purpose.SOURCE for request in history.planned):
        return []
    dark = all(observation.purpose is Purpose.REFERENCE for observation in history.observations)
    read = [np.isfinite(observation.readings) for observation in history.observations]
    columns = zip(campaign.channels, space.columns(campaign.channels), strict=True)
    unread = [name for name, column in columns if not any(values[column] for values in read)]
    return [name for name in unread if not (dark and name in space.formulas)]
