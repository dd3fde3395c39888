"""The exam of a candidate: target and fresh replicates in, a verdict out.

An equivalence test: VERIFIED says that the mean reading lies between its bounds with the stated confidence, not that
no difference was found. A lucky reading does not pass. The largest number of replicates, and at what level a look
at some of them may decide, are fixed before the first (``sdl.analysis.group_sequential``).

Error rates, whatever the number of looks and wherever the exam is broken off: the probability of VERIFIED, when the
true mean of some channel lies on one of its bounds or beyond, is ``1 - confidence`` at most, and exactly that
for a known noise; so is that of REFUTED, at most, when the true means of all channels lie within.

References:
    Schuirmann (1987), two one-sided tests, doi:10.1007/BF01068419;
    Jennison, Turnbull (1993), Biometrics 49(1), 31-43, for looking at such tests repeatedly;
    Berger (1982), doi:10.2307/1267823, for several channels at once
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdl.analysis.group_sequential import single_look
from sdl.campaign.sections import VerificationPart
from sdl.campaign.validation import ResolvedTarget
from sdl.history import Exam, Finding, FindingFacts, Looks, Observation, Verdict, window_facts
from sdl.space import Readings, Space, Window

CONTRADICTED = 1e-3
"""A known noise is dropped for the estimated one when replicates scatter so that this is all the chance they had."""

MANY = 6
"""Channels that are told one by one ..."""
FARTHEST = 3
"""... and of more these, the farthest off."""


@dataclass(frozen=True, eq=False)
class Verification:
    """A target, the replicates at the settings offered for it, and what they prove."""

    verdict: Verdict
    window: Window
    """Where the true readings are to lie, over ``p`` channels."""
    mean: Readings
    """Mean of the replicates, ``(p,)``."""
    margin: Readings
    """Half width of the interval that the true reading lies in, at the level of this look, ``(p,)``."""
    replicates: int
    planned: int
    """Most replicates that the exam could have had."""
    confidence: float
    noise: Readings
    """Standard deviation of one reading that was used, ``(p,)``."""
    reason: str

    def facts(self, channels: Sequence[str], model: str, background: Readings) -> FindingFacts:
        """Return the numbers for the ledger.

        Args:
            channels: Names of the channels that were judged, ``p`` of them.
            model: Name of the model that offered the candidate.
            background: The fresh background that it was made for, ``(p,)``.
        """
        return FindingFacts(
            channels=tuple(channels),
            model=model,
            **window_facts(self.window),
            background=background,
            mean=self.mean,
            margin=self.margin,
            noise=self.noise,
            replicates=self.replicates,
            planned=self.planned,
            confidence=self.confidence,
        )


def verify_replicates(
    window: Window,
    replicates: Readings,
    *,
    censored: NDArray[np.bool_],
    looks: Looks,
    confidence: float,
    known_noise: Readings,
    names: Sequence[str],
) -> Verification:
    """Judge replicates of one candidate.

    Args:
        window: Where the true readings are to lie, over ``p`` channels.
        replicates: Fresh readings at the candidate, ``(k, p)``, at least one.
        censored: Which of them stood at the ceiling, ``(k, p)``.
        looks: After how many replicates it may be VERIFIED, at what levels; with any other number it can only fail or
            stay open.
        confidence: Of each one-sided test, all looks together.
        known_noise: Standard deviation of one reading, ``(p,)``; NaN where it has to be estimated.
        names: Of the channels.
    """
    fixed = np.isfinite(window.wanted)
    over = fixed & censored.any(axis=0)
    k, planned = len(replicates), looks[-1].replicates
    look = next((look for look in looks if look.replicates == k), None)
    mean = np.where(over, np.inf, replicates.mean(axis=0))
    noise, estimated = _noise(replicates, known_noise)
    error, level = noise / math.sqrt(k), 1 - confidence
    with np.errstate(invalid="ignore"):  # at the ceiling the mean is infinite
        room = window.room(mean)
    margin = error * (
        _quantile(estimated, k, level, level) if look is None else _quantile(estimated, k, look.known, look.estimated)
    )
    # One channel refutes them all, beyond any of its bounds and after any replicate: these share the rate.
    share = level / (window.sides * planned)
    missed = fixed & ((-room > error * _quantile(estimated, k, share, share)) | (over & np.isfinite(window.above)))
    surely = censored.all(axis=0) & np.isinf(window.above)  # "at least the ceiling" is at least what is wanted
    open_ = fixed & ~((margin <= room) | surely)
    if missed.any():
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.INCONCLUSIVE if open_.any() or look is None else Verdict.VERIFIED
    named = missed if missed.any() else open_ if open_.any() else fixed
    shown = np.flatnonzero(named).tolist()
    reason = say_verdict(verdict, window) + compare_channels(names, window, mean, margin, shown)
    if k < planned and verdict is not Verdict.VERIFIED:
        reason += f"; broken off after {k} of {planned} replicates"
    return Verification(verdict, window, mean, margin, k, planned, confidence, noise, reason)


def judge_exam(
    exam: Exam, target: ResolvedTarget, replicates: Sequence[Observation], rule: VerificationPart, space: Space
) -> Finding:
    """Return the finding of an exam, over the channels that its target fixes."""
    fixed = target.window.fixed
    names = [space.channel_names[column] for column in fixed]
    result = verify_replicates(
        target.window.at(fixed),
        np.array([observation.readings[fixed] for observation in replicates]),
        censored=np.array([observation.censored[fixed] for observation in replicates]),
        looks=exam.looks or single_look(exam.replicates, rule.confidence),
        confidence=rule.confidence,
        known_noise=known_noise(rule, space)[fixed],
        names=names,
    )
    facts = result.facts(names, exam.model, exam.background[fixed])
    return Finding(exam.round, exam.target, result.verdict, result.reason, exam.settings, facts)


def known_noise(rule: VerificationPart, space: Space) -> Readings:
    """Return the noise of one reading that exams go by, ``(p,)``; NaN where replicates have to show it."""
    return space.noise if rule.noise == "known" else np.full(space.p, np.nan)


def say_verdict(verdict: Verdict, window: Window) -> str:
    """Say what a verdict is about, in words that the channels follow."""
    bounds = window.one_sided.any()
    if verdict is Verdict.REFUTED:
        return "beyond the bounds: " if bounds else "off by more than the tolerance: "
    where = "within" if verdict is Verdict.VERIFIED else "neither within nor beyond"
    return f"{where} the {'bounds' if bounds else 'tolerance'}: "


def compare_channels(names: Sequence[str], window: Window, mean: Readings, margin: Readings, shown: list[int]) -> str:
    """Say what was read of some channels beside what is wanted of them; of a whole spectrum how many, and the farthest.

    Args:
        names: Of all channels, ``p`` of them.
        window: Where their true readings are to lie.
        mean: What was read, ``(p,)``.
        margin: How uncertain that is, ``(p,)``; NaN where it is not known.
        shown: Which of them are meant.
    """
    count = ""
    if len(shown) > MANY:
        part = f"all {len(names)}" if len(shown) == len(names) else f"{len(shown)} of {len(names)}"
        with np.errstate(invalid="ignore"):  # at its ceiling a mean is infinite
            off = np.nan_to_num(window.off(mean, window.unit(np.nan_to_num(margin))), nan=-np.inf)
        shown = sorted(shown, key=lambda column: -float(off[column]))[:FARTHEST]
        count = f"{part} channels, farthest "
    return count + ", ".join(window[c].compare(names[c], float(mean[c]), float(margin[c])) for c in shown)


def _noise(replicates: Readings, stated: Readings) -> tuple[Readings, NDArray[np.bool_]]:
    """Standard deviation of one reading, and whether it is an estimate from the replicates, both ``(p,)``."""
    from scipy.special import chdtrc  # loads longer than all else here: not before a run is seen to have begun

    k = len(replicates)
    if k < 2:
        return np.where(np.isnan(stated), np.inf, stated), np.zeros(stated.shape, bool)
    scatter = np.std(replicates, axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        chance = chdtrc(k - 1, (k - 1) * (scatter / stated) ** 2)
    estimated = ~(chance > CONTRADICTED)
    return np.where(estimated, scatter, stated), estimated


def _quantile(estimated: NDArray[np.bool_], k: int, of_known: float, of_estimated: float) -> Readings:
    """By how many standard errors a mean of ``k`` replicates is off with these one-sided levels, ``(p,)``."""
    from scipy.special import ndtri, stdtrit

    return np.where(estimated, stdtrit(max(k - 1, 1), 1 - of_estimated), ndtri(1 - of_known))
