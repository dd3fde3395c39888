"""How the round under way may end, as far as the next one can tell, for a campaign that prepares that one meanwhile.

A round that is proposed ahead knows nothing of the readings of the round before it: only that they were taken, and
whether an exam settled its target. So what is proposed on one of these endings is proposed on the real one.
"""

from dataclasses import replace

import numpy as np

from sdl.history import Finding, History, Observation, ReplyClass, RoundKind, Verdict


def possible_endings(history: History) -> list[History]:
    """What a campaign may look like when its last round is done, the likeliest first; none where that is too early.

    The round after the first learns from that one, for want of others, and nothing is known of a round to come while
    an exam waits for its candidate.
    """
    if not history.rounds or history.rounds[-1].number == 0:
        return []
    current = history.rounds[-1]
    if current.kind is not RoundKind.EXAM:
        return [_taken(history)]
    exam = next((begun for begun in history.exams if begun.round == current.number), None)
    if exam is None:
        return []
    verdicts = (Verdict.VERIFIED, Verdict.INCONCLUSIVE)
    findings = [Finding(current.number, exam.target, verdict, "", exam.settings) for verdict in verdicts]
    return [replace(_taken(history), findings=[*history.findings, finding]) for finding in findings]


def _taken(history: History) -> History:
    """All that the last round still lacks as if it were taken, with readings that nobody knows."""
    nothing = np.full(len(history.observations[-1].readings) if history.observations else 0, np.nan)
    censored, first = np.zeros(len(nothing), bool), len(history.observations)
    phantoms = [
        Observation(**vars(request), verdict=ReplyClass.OK, readings=nothing, censored=censored, seq=first + place)
        for place, request in enumerate(history.lacking)
    ]
    sent = history.sent + len(phantoms)
    return replace(history, observations=[*history.observations, *phantoms], sent=sent, stale=False)
