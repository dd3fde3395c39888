"""Readings between the others: the background where it is due, and right after it the patch by its own cadence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sdl.campaign.definition import Campaign
from sdl.campaign.safety import PatchPart
from sdl.history import History, Purpose, Request
from sdl.space import Space

FAR = 1_000_000_000
"""Requests between two references where they are planned: the first one and those after a break, since the posterior
learns how the light changes from all readings."""


@dataclass
class ReferenceSchedule:
    """What is due before the next request, as the requests go by."""

    space: Space
    every: int
    """Requests between two references; 0 for none at all."""
    patch: PatchPart | None
    since_reference: int | None
    """Requests since the last reference; None if there is none, or it is out of date."""
    since_patch: int | None
    """The same for the patch."""

    @classmethod
    def after(cls, campaign: Campaign, space: Space, history: History) -> Self:
        """What is due after all that a campaign has seen."""
        return cls(
            space=space,
            every=FAR if campaign.background.every == "planned" else campaign.background.every,
            patch=campaign.suspend.patch,
            since_reference=_since(history, Purpose.REFERENCE),
            since_patch=_since(history, Purpose.PATCH),
        )

    def due(self, round_: int, index: int, always: bool = False) -> list[Request]:
        """What is to be read now, taken as read from here on.

        Args:
            round_: That the readings belong to.
            index: Of the first of them in the round.
            always: Whether to read the background whatever the cadence says.
        """
        requests = list[Request]()
        if self.every and (always or self.since_reference is None or self.since_reference >= self.every):
            requests.append(Request(round_, index, 0, Purpose.REFERENCE, self.space.off))
            self.since_reference = 0
        late = self.since_patch is None or (self.patch is not None and self.since_patch >= self.patch.every)
        if self.patch is not None and late and (requests or not self.every):
            settings = self.space.settings(self.patch.settings)
            requests.append(Request(round_, index + len(requests), 0, Purpose.PATCH, settings))
            self.since_patch = 0
        return requests

    def pass_by(self) -> None:
        """Count another request."""
        self.since_reference = (self.since_reference or 0) + 1
        self.since_patch = None if self.since_patch is None else self.since_patch + 1


def _since(history: History, purpose: Purpose) -> int | None:
    last = next(
        (observation.seq for observation in reversed(history.observations) if observation.purpose is purpose), None
    )
    return None if last is None or history.stale else len(history.observations) - 1 - last


def sensor_is_doubted(history: History, columns: Sequence[int]) -> bool:
    """Whether readings for targets have stood at a ceiling, and none with every knob off has been taken since."""
    for observation in reversed(history.observations):
        if observation.purpose is Purpose.REFERENCE:
            return False
        if observation.purpose is Purpose.VERIFICATION and observation.censored[list(columns)].any():
            return True
    return False
