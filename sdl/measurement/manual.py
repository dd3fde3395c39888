"""What a person asks for outside a campaign: readings, a survey, an exam of given settings, a calibration.

Each is a round of its own in a ledger entry of its own, under the same rules as a campaign's measurements.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdl.analysis.background import Background
from sdl.analysis.verification import judge_exam
from sdl.campaign.sections import VerificationPart
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Exam, Finding, Observation, Purpose, Request, Round, RoundKind
from sdl.measurement.bench import Bench
from sdl.space import Readings, Settings

BUDGET = 1_000_000_000
"""A person at the instrument counts for themselves."""


def measure_by_hand(
    bench: Bench, settings: Sequence[Settings], purpose: Purpose = Purpose.BY_HAND
) -> list[Observation]:
    """Take one reading at each of the settings ``(d,)``, in order.

    Raises:
        InvalidInput: one of them must not be sent.
        CampaignSuspended: if one cannot be had.
    """
    bench.interlock(settings)
    number = _next_round(bench)
    requests = [Request(number, index, 0, purpose, row) for index, row in enumerate(settings)]
    bench.ledger.plan(bench.lease, bench.campaign, Round(number, RoundKind.BY_HAND), requests)
    bench.measure(requests)
    return bench.ledger.history(bench.campaign).of_round(number, purpose)


def survey_space(bench: Bench, settings: Settings, every: int) -> list[Observation]:
    """Take one reading at each of the settings ``(n, d)``, and the background first and after every so many.

    Args:
        bench: The instrument and the entry that the readings go to.
        settings: In the units of the space.
        every: Readings between two references; 0 takes none.

    Returns:
        The readings at the settings, without the references.

    Raises:
        CampaignSuspended: if one cannot be had.
    """
    bench.interlock(settings)
    number, requests = _next_round(bench), list[Request]()
    for place, row in enumerate(settings):
        if every and place % every == 0:
            requests.append(Request(number, len(requests), 0, Purpose.REFERENCE, bench.instrument.space.off))
        requests.append(Request(number, len(requests), 0, Purpose.BY_HAND, row))
    bench.ledger.plan(bench.lease, bench.campaign, Round(number, RoundKind.BY_HAND), requests)
    bench.measure(requests)
    return bench.ledger.history(bench.campaign).of_round(number, Purpose.BY_HAND)


def verify_by_hand(
    bench: Bench, target: ResolvedTarget, settings: Settings, rule: VerificationPart, replicates: int
) -> Finding:
    """Examine settings ``(d,)`` that a person offers: a fresh reference, then the replicates, then the verdict."""
    bench.interlock([settings])
    space, number = bench.instrument.space, _next_round(bench)
    round_ = Round(number, RoundKind.EXAM, target.name)
    reference = Request(number, 0, 0, Purpose.REFERENCE, space.off)
    bench.ledger.plan(bench.lease, bench.campaign, round_, [reference])
    bench.measure([reference])
    background = Background.of(bench.ledger.history(bench.campaign).observations, space.p).latest
    unknown = np.full(space.p, np.nan)
    exam = Exam(number, target.name, settings, "by hand", replicates, background, unknown)
    requests = [Request(number, 1, i, Purpose.VERIFICATION, settings) for i in range(replicates)]
    bench.ledger.plan(bench.lease, bench.campaign, round_, requests, exam)
    bench.measure(requests)
    observations = bench.ledger.history(bench.campaign).of_round(number, Purpose.VERIFICATION)
    finding = judge_exam(exam, target, observations, rule, space)
    bench.ledger.find(bench.lease, bench.campaign, finding)
    return finding


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the instrument does with all knobs off, and with each alone fully on."""

    background: Readings
    """Reading with all knobs off, ``(p,)``."""
    response: Readings
    """What each knob at its upper bound adds, ``(d, p)``; NaN at the ceiling."""
    change: Readings | None
    """Ratio to the response of the calibration before, less 1, ``(d, p)``; None for the first."""


def calibrate_instrument(bench: Bench) -> Calibration:
    """Read the background and each knob alone at its upper bound, and compare with the calibration before."""
    space, before = bench.instrument.space, _next_round(bench) - 1
    earlier = _calibration(bench, before) if before >= 0 else None
    settings = [space.off, *(np.where(np.eye(space.d)[k] > 0, space.high, space.off) for k in range(space.d))]
    observations = measure_by_hand(bench, settings)
    background, response = _split(observations)
    if earlier is None:
        return Calibration(background, response, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Calibration(background, response, np.where(earlier[1] > 0, response / earlier[1] - 1, np.nan))


def calibration_responses(bench: Bench) -> list[Readings]:
    """Return what each knob added in every calibration that was completed, ``(d, p)`` each, oldest first."""
    history = bench.ledger.history(bench.campaign)
    calibrations = [history.of_round(round_.number, Purpose.BY_HAND) for round_ in history.rounds]
    complete = [readings for readings in calibrations if len(readings) == 1 + bench.instrument.space.d]
    return [_split(readings)[1] for readings in complete]


def _calibration(bench: Bench, number: int) -> tuple[Readings, Readings] | None:
    observations = bench.ledger.history(bench.campaign).of_round(number, Purpose.BY_HAND)
    return _split(observations) if len(observations) == 1 + bench.instrument.space.d else None


def _split(observations: Sequence[Observation]) -> tuple[Readings, Readings]:
    background, *lit = (observation.readings for observation in observations)
    return background, np.array(lit) - background


def _next_round(bench: Bench) -> int:
    rounds = bench.ledger.history(bench.campaign).rounds
    return rounds[-1].number + 1 if rounds else 0
