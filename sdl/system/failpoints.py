"""Named places at which this process kills itself on request, so that tests can show that nothing is lost there.

``SDL_KILL_AT=after-reply@3`` ends the process by SIGKILL, as a power cut would, when it passes ``after-reply`` for the
third time. Nobody sets that outside tests; where it is not set, passing a place is one comparison.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias, TypeVar

VARIABLE = "SDL_KILL_AT"

Place: TypeAlias = Literal[
    "after-intent",  # O-01: the intent is in the ledger, nothing was sent
    "after-send",  # O-02: the request is on its way, no answer yet
    "after-reply",  # O-03: the answer is here and not in the ledger
    "after-commit",  # O-04: the answer is in the ledger
    "in-training",  # O-05: models are being fitted
    "draft-written",  # O-06: a file is written and has not its name yet
    "file-renamed",  # O-07: it has its name, and nobody knows of it yet
    "in-report",  # O-08: the report is being made
    "lease-held",  # O-09: the instrument is held, nothing was done with it
    "when-paused",  # O-10: a pause was obeyed, the instrument is still held
    "in-export",  # O-11: an export is half written
    "in-import",  # O-47: some rows of a file are in the ledger, and the others are not
    "in-schema",  # O-12: tables are made, and their version is not written
]

Item = TypeVar("Item")

_place, _left = "", 0


def arm_failpoint(spec: str) -> None:
    """Set where to die: ``place`` or ``place@n`` for the n-th passage; nowhere if empty."""
    global _place, _left
    _place, _, number = spec.partition("@")
    _left = int(number or 1)


def pass_failpoint(place: Place) -> None:
    """Mark that the process is at a place; if that is where it has to die, it dies."""
    if place == _place:
        _passed()


def pass_failpoint_each(place: Place, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items, each of which is a passage of the place."""
    for item in items:
        pass_failpoint(place)
        yield item


def _passed() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm_failpoint(os.environ.get(VARIABLE, ""))
