"""Every reply of a recorded campaign judged once more: is it worth what the record says?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from sdl.formatting import array_from_json
from sdl.history import ReplyClass, RoundKind
from sdl.instruments.screening import PreviousReply, Screened
from sdl.interchange.evidence import Evidence, ReplyLine
from sdl.measurement.bench import judge_reply


@dataclass(frozen=True, eq=False)
class Rescreened:
    """What the replies of a record are worth, by their place in it."""

    evidence: Evidence
    alone: Mapping[int, Screened]
    """Each reply by itself and what came before it."""
    masked: Mapping[int, int]
    """Replies that counted until a later one showed that they cannot be believed, and the place of that one."""

    def differences(self, number: int) -> list[str]:
        """Return where the record of a round says something else, in sentences."""
        kind = next(round_.kind for round_ in self.evidence.rounds if round_.number == number)
        sentences = list[str]()
        for place, line in enumerate(self.evidence.replies):
            if line.round != number or place not in self.alone or (kind is RoundKind.IMPORTED and not line.counts):
                continue
            verdict = ReplyClass.SUSPECT if place in self.masked else self.alone[place].verdict
            if verdict is not line.verdict:
                sentences.append(f"reply {line.seq} is {verdict} for {line.verdict}")
            elif verdict.usable and (difference := _off(line, self.alone[place])) > 0:
                sentences.append(f"reply {line.seq}: a reading differs by {difference:.3g}")
        return sentences


def rescreen(evidence: Evidence, needed: Collection[str]) -> Rescreened:
    """Judge every reply in the order of sending.

    Args:
        evidence: What was recorded.
        needed: Channels without which a reading is of no use.
    """
    alone, masked = dict[int, Screened](), dict[int, int]()
    last, before = dict[str | None, int](), dict[str | None, PreviousReply]()  # of each source; the instrument is None
    counted = dict[tuple[int, int, int], int]()
    requests = {request.value.key: request.value for request in evidence.planned}
    sources = {round_.number: round_.value.facts.source for round_ in evidence.rounds}
    imported = {round_.number for round_ in evidence.rounds if round_.kind is RoundKind.IMPORTED}
    for place, line in enumerate(evidence.replies):
        if line.reply is None:
            continue
        # Readings that were imported were judged one by one: what stood between them is not known. Wells of a plate are
        # read at once.
        source = sources.get(line.round)
        earlier = None if line.round in imported or line.plate else before.get(source)
        alone[place] = judge_reply(evidence.space, requests[line.key], line.reply, needed, earlier)
        if alone[place].stuck and alone[last[source]].verdict.usable:
            masked[last[source]] = place
        if alone[place].verdict.usable:
            if line.key in counted:  # what was believed until now a person corrected: it would not be asked again
                masked.setdefault(counted[line.key], place)
            counted[line.key] = place
        last[source] = place
        before[source] = PreviousReply(requests[line.key].settings, line.reply.readings)
    return Rescreened(evidence, alone, masked)


def _off(line: ReplyLine, screened: Screened) -> float:
    """Largest difference of a reading; infinite if other channels are masked or censored."""
    recorded, censored = array_from_json(line.readings or []), np.array(line.censored or [], bool)
    same_masks = np.array_equal(np.isnan(recorded), np.isnan(screened.readings)) and np.array_equal(
        censored, screened.censored
    )
    return float(np.nanmax(np.abs(recorded - screened.readings), initial=0.0)) if same_masks else np.inf
