"""The exam of a candidate: one reading after the other at its settings, until its target is judged or left for others.

The verdict is on the target, by all readings that were taken for it (``posterior.verdict``); an exam is a stay at one
place.
"""

import numpy as np
from scipy.special import ndtri

from sdl.analysis.verification import compare_channels, say_verdict
from sdl.campaign.validation import ResolvedTarget
from sdl.formatting import format_number
from sdl.history import Exam, Finding, FindingFacts, Verdict, window_facts
from sdl.space import Interval, Settings, Space
from strategies.posterior.posterior import Posterior
from strategies.posterior.rows import NEAR, SAME, Pursuit
from strategies.posterior.verdict import FEWEST, Judgement, estimate, judge, looks, quantiles


def judged(posterior: Posterior, pursuit: Pursuit, settings: Settings) -> Judgement:
    """What the readings for a target say at the settings ``(d,)`` of an exam; inconclusive where it is no time to look.

    That is so with too few readings, and right after one for something else, as a reference after a break.
    """
    if (judgement := judge(posterior, pursuit)) is not None:
        return judgement
    mean, deviation = estimate(posterior, pursuit, settings, posterior.now - 1)
    past = looks(posterior.rows, pursuit)
    usual = np.full(len(mean), ndtri(1 - pursuit.error))
    noise = posterior.noise_at(pursuit)
    near, fresh = (int(pursuit.near(posterior.rows, settings, distance).sum()) for distance in (NEAR, SAME))
    return Judgement(
        verdict=Verdict.INCONCLUSIVE,
        settings=settings,
        mean=mean,
        deviation=deviation,
        quantile=quantiles(posterior, pursuit, past[:-1], past[-1], (noise / deviation) ** 2) if past else usual,
        noise=noise,
        degrees=posterior.degrees[pursuit.fixed],
        readings=near,
        look=len(past),
        ripe=near >= FEWEST and fresh >= pursuit.fresh,
    )


def exam_finding(
    exam: Exam,
    target: ResolvedTarget,
    judgement: Judgement,
    pursuit: Pursuit,
    taken: int,
    space: Space,
    columns: list[int],
    why: str = "",
) -> Finding:
    """The finding that an exam ends with.

    Args:
        exam: The exam.
        target: Over the channels that matter.
        judgement: On the target.
        pursuit: Of the target.
        taken: Readings of this exam.
        space: Of the instrument.
        columns: Channels that matter.
        why: Why it is left without a verdict, in words.
    """
    names = [space.channel_names[columns[c]] for c in pursuit.fixed]
    window, margin = pursuit.window, judgement.quantile * judgement.deviation
    beyond = margin > window.room(judgement.mean)
    shown = np.flatnonzero(beyond if beyond.any() else ~beyond).tolist()
    begun = say_verdict(judgement.verdict, window) if judgement.ripe else "too few readings to judge by: "
    sentence = begun + compare_channels(names, window, judgement.mean, margin, shown)
    if judgement.readings > taken:
        sentence += f"; by {judgement.readings} readings for this target nearby, {taken} of them at these very settings"
    for place, (name, column) in enumerate(zip(names, pursuit.fixed, strict=True)):
        if (wish := target.window[column]).extreme:
            sentence += _say_of_others(name, wish, float(window.wanted[place]), judgement.verdict)
    facts = FindingFacts(
        channels=tuple(names),
        model=exam.model,
        **window_facts(window),
        background=exam.background[columns][pursuit.fixed],
        mean=judgement.mean,
        margin=margin,
        noise=judgement.noise,
        degrees=judgement.degrees,
        replicates=taken,
        pooled=judgement.readings,
        look=judgement.look,
        planned=exam.replicates,
        confidence=1 - pursuit.error,
    )
    sentence = "; ".join(filter(None, (sentence, why)))
    return Finding(exam.round, target.name, judgement.verdict, sentence, exam.settings, facts)


def _say_of_others(name: str, wish: Interval, bound: float, verdict: Verdict) -> str:
    """What is known of all other settings where a maximum or minimum is wanted, and where its bound is by now."""
    upwards = wish.wanted > 0
    allowance = wish.below if upwards else -wish.above
    if verdict is Verdict.VERIFIED:
        more = f"{format_number(abs(allowance))} {'more' if upwards else 'less'}"
        return f"; no settings are expected to give {name} by more than {more}"
    return f"; some settings may give {name} {'up' if upwards else 'down'} to {format_number(bound + allowance)}"
