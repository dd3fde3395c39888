"""What is new in the laboratory, read once for all who look: each reading as it comes, the board now and then.

While nobody asks nothing is read. A look at readings asks the database for rows that it was not given yet; a look at
the board costs more, and comes as much less often.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeAlias, TypeVar

from flows.laboratory.wall.board import Board
from flows.laboratory.wall.prefect_runs import PrefectRuns
from flows.server import service_lock
from sdl.errors import LedgerError, SdlError
from sdl.history import USABLE, Purpose
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import newest_attempt, read_arrivals
from sdl.system.clock import now

LOOK_S = 0.2
"""Between two looks at what came, at least."""
BOARD_S = 2.0
"""Between two boards, at least ..."""
SPARING = 30.0
"""... and so many times what the last one took."""
AGAIN_S = 3.0
"""After a look at a ledger that did not answer, or at a copy of one."""
READ, READINGS, REFERENCES = 500, 40, 120
"""Of one campaign: attempts that are read at first, and what is kept of them."""
OVERLAP = 64
"""Numbers behind the newest that are read again: a server commits in another order than it numbers."""

Result = TypeVar("Result")
Reading: TypeAlias = tuple[int, str, float | None, int, list[float | None]]
"""Number of its row, of its campaign, when it came, whether it is a reference, values; none where it does not count."""


@dataclass(eq=False)
class Lane:
    """The last readings of a campaign in its channels."""

    number: int
    columns: tuple[int, ...]
    known: dict[int, int] = field(default_factory=dict)
    """Serial numbers by the numbers of rows that have come, the latest."""
    readings: deque[tuple[int, Reading]] = field(default_factory=lambda: deque(maxlen=READINGS))
    references: deque[tuple[int, Reading]] = field(default_factory=lambda: deque(maxlen=REFERENCES))

    def add(self, row: Mapping[str, Any], serial: int) -> bool:
        """Add an attempt if it was answered and is new."""
        if row["state"] == "SENT" or row["seq"] in self.known:
            return False
        self.known[row["seq"]] = serial
        if len(self.known) > 4 * OVERLAP:
            del self.known[next(iter(self.known))]
        reference = row["purpose"] == Purpose.REFERENCE
        usable = row["verdict"] in USABLE and row["readings"] is not None
        values = [_short(row["readings"][column]) for column in self.columns] if usable else []
        reading = (row["seq"], str(self.number), row["done_at"], int(reference), values)
        (self.references if reference else self.readings).append((serial, reading))
        return True

    def after(self, serial: int) -> Iterator[Reading]:
        """Yield what came after a serial number."""
        for line in (self.readings, self.references):
            yield from (reading for place, reading in line if place > serial)


@dataclass(eq=False)
class Feed:
    """What is known of the laboratory, and when it is due to be looked at again."""

    where: str
    """File or URL of the ledger."""
    directory: Path
    """The data directory."""
    prefect: PrefectRuns
    names: Mapping[str, str] | None = None
    """Of the laboratory's instruments, by their identities; by default those of the 'sdl up' of the data directory."""
    life: str = field(default_factory=lambda: token_hex(4))
    """Tells who asks that what it knows is of another process."""
    ledger: Ledger | None = None
    fault: str = ""
    """Why the ledger does not answer; empty if it does."""
    _lanes: dict[int, Lane] = field(default_factory=dict)
    _awaited: set[int] = field(default_factory=set)
    _newest: int = 0
    _serial: int = 0
    _board: Board | None = None
    _drawn: str = "null"
    _version: int = 0
    _looked: float = 0.0
    _due: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while lanes change."""
    _drawing: asyncio.Task[None] | None = None

    def open(self) -> Ledger:
        """Return the ledger, opened when it is first asked for.

        Raises:
            SdlError: if it cannot be opened now.
        """
        if self.ledger is None:
            self.ledger = Ledger(self.where, self.directory)
        return self.ledger

    def hurry(self) -> None:
        """Have the next who asks see the board as it is then."""
        self._due = self._looked = 0.0

    async def news(self, life: str, version: int, serial: int) -> str:
        """Return as JSON what is new to somebody.

        Args:
            life: Of the feed that its last answer came from.
            version: Of the board that it has.
            serial: Of the last reading that it has.
        """
        async with self._turn:
            if time.monotonic() >= self._looked + LOOK_S:
                await self._tried(self._arrivals)
                self._looked = max(time.monotonic(), self._looked)
        if time.monotonic() >= self._due and (self._drawing is None or self._drawing.done()):
            self._drawing = asyncio.create_task(self._redraw())
        if self._drawing is not None and not self._version:
            await asyncio.wait([self._drawing])
        if life != self.life:
            version = serial = 0
        rows = [reading for lane in self._lanes.values() for reading in lane.after(serial)]
        about = {"life": self.life, "now": now(), "fault": self.fault, "version": self._version, "serial": self._serial}
        board = self._drawn if version != self._version else "null"
        return f'{json.dumps(about)[:-1]}, "readings": {json.dumps(rows)}, "board": {board}}}'

    async def _redraw(self) -> None:
        """Draw the board while readings are answered."""
        drawn = await self._tried(self._draw)
        if drawn is not None:
            async with self._turn:
                await self._tried(partial(self._take, *drawn))

    async def _tried(self, work: Callable[[], Result]) -> Result | None:
        """Work in a thread; what a ledger says that cannot be read now is kept, and it is left alone for a while."""
        try:
            return await asyncio.to_thread(work)
        except SdlError as error:
            self.fault = str(error) if isinstance(error, LedgerError) else f"the ledger cannot be read: {error}"
            self._looked = self._due = time.monotonic() + AGAIN_S
            return None

    # ------------------------------------------------------------------ in a thread

    def _arrivals(self) -> None:
        """Take up the answers that have come since the last look, to whichever campaign."""
        if (ledger := self.open()).is_copy:
            return  # it stays as it is, and one connection is all there is to it
        with ledger.reading() as connection:
            newest = newest_attempt(connection)
            if newest < self._newest:  # the ledger was restored: nothing that is known need be so
                self._lanes, self._awaited, self._newest, self._due, self._board = {}, set(), 0, 0.0, None
            if not self._lanes or (newest == self._newest and not self._awaited):
                self._newest = newest
                return
            rows = read_arrivals(connection, max(0, min(self._newest, newest) - OVERLAP), self._awaited)
        self._newest = newest
        self._awaited = set([row["seq"] for row in rows if row["state"] == "SENT"][-OVERLAP:])
        for row in rows:
            if (lane := self._lanes.get(row["campaign"])) is not None:
                self._serial += lane.add(row, self._serial + 1)

    def _draw(self) -> tuple[Board, str, float]:
        """Return the board as it is now, as JSON too, and when it is due to be drawn again."""
        ledger, begun = self.open(), time.thread_time()
        board = self._board if self._board is not None and self._board.ledger is ledger else Board(ledger)
        names, service = self.names, service_lock.running(self.directory) if self.names is None else None
        if names is None:
            names = service.instruments if service is not None else {}
        drawn = json.dumps(board.draw(names, self.prefect.known))
        return board, drawn, time.monotonic() + max(BOARD_S, SPARING * (time.thread_time() - begun))

    def _take(self, board: Board, drawn: str, due: float) -> None:
        """Have a board, and lanes for the campaigns in its cards."""
        columns = board.columns()
        self._lanes = {number: self._lane(board.ledger, number, *columns[number]) for number in columns}
        if drawn != self._drawn:
            self._drawn, self._version = drawn, self._version + 1
        self._board, self._due, self.fault = board, due, ""
        self.prefect.look_aside([name for name, _ in columns.values()])
        if board.ledger.is_copy:  # its file may be another one by now
            board.ledger.close()
            self.ledger, self._due = None, time.monotonic() + AGAIN_S

    def _lane(self, ledger: Ledger, number: int, name: str, columns: tuple[int, ...]) -> Lane:
        """The lane of a campaign as it is, or a new one if its channels are others."""
        lane = self._lanes.get(number)
        if lane is not None and lane.columns == columns:
            return lane
        lane = Lane(number, columns)
        for row in ledger.last_attempts(number, READ):
            self._serial += lane.add(row, self._serial + 1)
            if row["state"] == "SENT":
                self._awaited.add(row["seq"])
        return lane


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
