"""Every reply of a recorded campaign judged once more: is it worth what the record says?"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from sdl.formatting import array_from_json
from sdl.history import ReplyClass, RoundKind
from sdl.instruments.screening import PreviousReply, Screened
from sdl.interchange.evidence import Evidence, ReplyLine
from sdl.measurement.bench import believed


@dataclass(frozen=True, eq=False)
class Rescreened:
    """What the replies of a record are worth, by their place in it."""

    evidence: Evidence
    alone: Mapping[int, Screened]
    """Each reply by itself and what came before it."""
    masked: Mapping[int, int]
    """Replies that counted until a later one showed that they cannot be believed, and the place of that one."""

    def differences(self, number: int) -> list[str]:
        """Where the record of a round says something else, in sentences."""
        kind = next(each.kind for each in self.evidence.rounds if each.number == number)
        found = list[str]()
        for place, line in enumerate(self.evidence.replies):
            if line.round != number or place not in self.alone or (kind is RoundKind.IMPORTED and not line.counts):
                continue
            verdict = ReplyClass.SUSPECT if place in self.masked else self.alone[place].verdict
            if verdict is not line.verdict:
                found.append(f"reply {line.seq} is {verdict} for {line.verdict}")
            elif verdict.usable and (off := _off(line, self.alone[place])) > 0:
                found.append(f"reply {line.seq}: a reading differs by {off:.3g}")
        return found


def rescreen(evidence: Evidence, needed: Collection[str]) -> Rescreened:
    """Judge every reply in the order of sending.

    Args:
        evidence: What was recorded.
        needed: Channels without which a reading is of no use.
    """
    alone, masked = dict[int, Screened](), dict[int, int]()
    last, before = -1, None
    requests = {each.value.key: each.value for each in evidence.planned}
    imported = {each.number for each in evidence.rounds if each.kind is RoundKind.IMPORTED}
    for place, line in enumerate(evidence.replies):
        if line.reply is None:
            continue
        # Readings that were imported were judged one by one: what stood between them is not known.
        earlier = None if line.round in imported else before
        alone[place] = believed(evidence.space, requests[line.key], line.reply, needed, earlier)
        if alone[place].stuck and alone[last].verdict.usable:
            masked[last] = place
        last, before = place, PreviousReply(requests[line.key].settings, line.reply.readings)
    return Rescreened(evidence, alone, masked)


def _off(line: ReplyLine, found: Screened) -> float:
    """Largest difference of a reading; infinite if other channels are masked or censored."""
    recorded, censored = array_from_json(line.readings or []), np.array(line.censored or [], bool)
    same_masks = np.array_equal(np.isnan(recorded), np.isnan(found.readings)) and np.array_equal(
        censored, found.censored
    )
    return float(np.nanmax(np.abs(recorded - found.readings), initial=0.0)) if same_masks else np.inf
