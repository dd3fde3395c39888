"""What suspends a campaign between two measurements: the light, the instrument's own drift, failures, disk, the hour.

Asked before each request. What they judge by comes from the ledger, so that it is the same after a restart; since the
last suspension only, so that what was suspended once is judged afresh by a new reading.
"""

import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sdl.campaign.safety import PatchPart, SuspendPart, is_quiet
from sdl.history import Purpose
from sdl.ledger.queries import AttemptOutcome
from sdl.space import Readings, Space

FEWEST = 3
"""Earlier patches from which on their own scatter stands in for a noise that the instrument does not state."""

LONGEST_MIN = 2 * 24 * 60
"""Minutes in which quiet hours end, however clocks are changed."""


@dataclass(frozen=True)
class SuspensionHold:
    """Why nothing is measured now."""

    reason: str
    """What was found, what is expected and what to do, in one sentence."""
    seconds: float
    """After which it is worth trying again."""
    drift: bool = False
    """Whether the instrument itself has changed."""


def _now() -> datetime:
    return datetime.now().astimezone()


@dataclass(eq=False)
class Suspenders:
    """The suspenders of one campaign, which are shown every attempt in order.

    Args:
        rule: What the campaign asks for.
        space: Of the instrument.
        channels: Columns of the channels that the campaign needs.
        folder: Where the ledger lies; None if that is not on this machine.
        clock: What time it is, with its zone.
    """

    rule: SuspendPart
    space: Space
    channels: Sequence[int]
    folder: Path | None = None
    clock: Callable[[], datetime] = _now
    _outcomes: deque[bool] = field(default_factory=deque)
    _reference: Readings | None = None
    _judged: bool = True
    """Whether the last reference was read since the last suspension."""
    _patches: list[Readings] = field(default_factory=list)
    """Patches less their reference, those that were off left out."""
    _off: str = ""

    def observe(self, outcome: AttemptOutcome) -> None:
        """Take what became of an attempt into account."""
        if outcome.fresh:
            self._outcomes.append(outcome.verdict.usable)
            if len(self._outcomes) > self.rule.window:
                self._outcomes.popleft()
        if not outcome.verdict.usable:
            return
        if outcome.purpose is Purpose.REFERENCE:
            self._reference, self._judged = outcome.readings, outcome.fresh
        elif outcome.purpose is Purpose.PATCH and self.rule.patch is not None:
            net = outcome.readings - (0.0 if self._reference is None else self._reference)
            drift = self._drifted(net, self.rule.patch)
            self._off = drift if outcome.fresh else ""
            if not drift:
                self._patches.append(net)

    def hold(self) -> SuspensionHold | None:
        """Say why nothing may be measured now; None if nothing speaks against it."""
        return self._disk() or self._quiet() or self._failing() or self._light() or self._drift()

    def _disk(self) -> SuspensionHold | None:
        if self.folder is None or (free := shutil.disk_usage(self.folder).free / 1e6) >= self.rule.free_mb:
            return None
        return self._held(
            f"only {free:.0f} MB are free where the ledger lies; at least {self.rule.free_mb:.0f} MB must be, so that "
            "no reading is lost. Make space and run the campaign again"
        )

    def _quiet(self) -> SuspensionHold | None:
        now = self.clock().astimezone(UTC)
        if not (text := self._quiet_hours(now)):
            return None
        # Minute by minute, since no sum of hours finds the end where clocks are put forward or back.
        minutes = (now.replace(second=0, microsecond=0) + timedelta(minutes=n) for n in range(1, LONGEST_MIN))
        until = next(minute for minute in minutes if not self._quiet_hours(minute))
        words = f"quiet hours {text} ({self.rule.timezone}): it goes on at {until.astimezone(self._zone):%H:%M}"
        return SuspensionHold(words, (until - now).total_seconds())

    def _quiet_hours(self, moment: datetime) -> str:
        """The quiet hours that a clock on the wall shows at a moment; empty if it shows none."""
        at = moment.astimezone(self._zone).time()
        return next((text for text in self.rule.quiet if is_quiet(text, at)), "")

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.rule.timezone)

    def _failing(self) -> SuspensionHold | None:
        limit, n = self.rule.failures, len(self._outcomes)
        if limit is None or n < self.rule.window or (share := 1 - sum(self._outcomes) / n) < limit:
            return None
        return self._held(
            f"{100 * share:.0f} % of the last {n} requests brought no usable reading, {100 * limit:.0f} % are allowed: "
            "look at the instrument and its network"
        )

    def _light(self) -> SuspensionHold | None:
        if self._reference is None or not self._judged:
            return None
        for name, (low, high) in self.rule.background.items():
            column = self.space.columns([name])[0]
            value = self._reference[column]
            if not low <= value <= high:  # a reading at the ceiling is NaN, and out of any band
                return self._held(
                    f"the background reads {value:g} at {name}, outside of {low:g} to {high:g}: see to the light, or "
                    "widen suspend.background"
                )
        return None

    def _drift(self) -> SuspensionHold | None:
        return self._held(self._off, drift=True) if self._off else None

    def _drifted(self, net: Readings, rule: PatchPart) -> str:
        """How a patch is off by more than it may be, in words; empty if it is not."""
        if not self._patches:
            return ""
        earlier = np.array(self._patches)[:, list(self.channels)]
        distance = net[list(self.channels)] - earlier.mean(axis=0)
        scale = self._scatter(earlier) * np.sqrt(1 + 1 / len(earlier))
        with np.errstate(invalid="ignore", divide="ignore"):
            deviations = np.abs(distance) / scale
        worst = int(np.argmax(np.nan_to_num(deviations)))
        if not deviations[worst] > rule.sigma:
            return ""
        name = self.space.channel_names[self.channels[worst]]
        return (
            f"the reference patch reads {distance[worst]:+.0f} at {name} against the {len(earlier)} before it, "
            f"{deviations[worst]:.1f} standard deviations and {rule.sigma:g} are allowed: the instrument has changed; "
            "look at lamp and sensor, and calibrate"
        )

    def _scatter(self, earlier: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviation of a patch less its reference: the larger of the stated one and that of the patches."""
        stated = np.sqrt(2) * self.space.noise[list(self.channels)]
        scatter = earlier.std(axis=0, ddof=1) if len(earlier) >= FEWEST else np.full(len(self.channels), np.nan)
        return np.asarray(np.fmax(stated, scatter))

    def _held(self, reason: str, drift: bool = False) -> SuspensionHold:
        return SuspensionHold(reason, self.rule.hold_off_s, drift)
