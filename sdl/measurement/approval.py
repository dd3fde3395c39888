"""Approval: which rounds a person has to see before they are sent, and why."""

from collections.abc import Sequence

import numpy as np

from sdl.campaign.safety import ApprovalPart, Occasion
from sdl.history import History, Request, Round
from sdl.space import Space

REMARKS: dict[Occasion, str] = {
    "always": "every round is to be approved",
    "first-round": "the first round is to be approved",
    "outside-range": "some settings lie beyond all that were measured",
}


def approval_reason(
    rule: ApprovalPart, round_: Round, requests: Sequence[Request], history: History, space: Space
) -> str:
    """Say why a person has to see these requests before they are sent; empty if nobody has to.

    References and patches, which are known from the start, need no approval.

    Args:
        rule: What the campaign asks for.
        round_: That they belong to.
        requests: What is to be sent.
        history: What was measured before.
        space: Of the instrument.
    """
    new = [request for request in requests if request.purpose.teaches]
    if not new:
        return ""
    if "always" in rule.when:
        return REMARKS["always"]
    if "first-round" in rule.when and round_.number == 0:
        return REMARKS["first-round"]
    measured = [observation.settings for observation in history.observations]
    if "outside-range" in rule.when and measured:
        low, high = np.min(measured, axis=0), np.max(measured, axis=0)
        beyond = [request for request in new if ((request.settings < low) | (request.settings > high)).any()]
        if beyond:
            return f"{REMARKS['outside-range']}, the first at {_named(space, beyond[0])}"
    return ""


def _named(space: Space, request: Request) -> str:
    return space.compact_settings(request.settings)
