"""Several instruments of one kind that measure for one campaign at the same time, each a reading of every batch."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from typing import Any

from sdl import plugins
from sdl.errors import InstrumentError, InvalidInput
from sdl.instruments.protocol import (
    HasSafeState,
    Instrument,
    KnowsTruth,
    Patience,
    ReadByPersons,
    Reply,
    join_identities,
)
from sdl.space import Plate, Readings, Settings, Space

MOST = 48
"""Instruments at most, as many as a batch has places."""


class Several:
    """Instruments that are taken for alike: each takes one reading of a batch, all at the same time.

    What they differ by counts as noise: replicates of an exam are spread over them, so a verdict is about all of them.

    Args:
        members: Two or more, with equal spaces.
    """

    def __init__(self, members: Sequence[Instrument]) -> None:
        self.members = tuple(members)
        places = Plate(rows=1, columns=len(self.members), rim="alike", parallel=True)
        self.space: Space = self.members[0].space.on_plate(places)
        self._places = dict(zip(places.wells, self.members, strict=True))

    @property
    def identity(self) -> str:
        """Those of the members."""
        return join_identities(member.identity for member in self.members)

    @property
    def patience(self) -> Patience:
        """That of the first member."""
        return self.members[0].patience

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading, on the first member."""
        return self.members[0].measure(settings)

    def measure_many(self, settings: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Reply]]:
        """Take one reading on each of some members, and yield them as they come.

        Raises:
            InstrumentError: once all have answered, the first that a member raised.
        """
        failure: Exception | None = None
        with ThreadPoolExecutor(len(settings)) as pool:
            asked = {pool.submit(self._places[well].measure, each): well for well, each in settings.items()}
            for answer in as_completed(asked):
                try:
                    reply = answer.result()
                except Exception as error:  # a member is anybody's code, and the others have measured all the same
                    failure = failure or error
                    continue
                yield asked[answer], reply
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Let go of all members, also where one of them fails at that."""
        with ExitStack() as stack:
            for member in self.members:
                stack.callback(member.close)


class SeveralWithTruth(Several):
    """Simulated ones."""

    def truth(self, settings: Settings) -> Readings:
        """What the first would read without noise, ``(n, p)``, at settings ``(n, d)``."""
        first = self.members[0]
        assert isinstance(first, KnowsTruth)
        return first.truth(settings)


class SeveralToMakeSafe(Several):
    """Such as must not be left as a process left them that died."""

    @property
    def _unsafe(self) -> list[HasSafeState]:
        return [member for member in self.members if isinstance(member, HasSafeState)]

    @property
    def moved(self) -> bool:
        """Whether this process may have left one of them elsewhere than safe."""
        return any(member.moved for member in self._unsafe)

    def make_safe(self) -> None:
        """Make all of them safe.

        Raises:
            InstrumentError: one of them could not be; the others were.
        """
        failure: InstrumentError | None = None
        for member in self._unsafe:
            try:
                member.make_safe()
            except InstrumentError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def let_go(self) -> None:
        """Leave all of them as they are."""
        for member in self._unsafe:
            member.let_go()


def several(instruments: Sequence[dict[str, Any]]) -> Several:
    """Instruments of one kind as a campaign file names them.

    Args:
        instruments: Each as a campaign file has its ``instrument``: ``plugin`` and options.

    Raises:
        InvalidInput: listing every fault of every member.
    """
    if not 2 <= len(instruments) <= MOST:
        raise InvalidInput(f"instruments: needs 2 to {MOST}, got {len(instruments)}")
    members, faults = list[Instrument](), list[str]()
    for place, written in enumerate(instruments):
        options = dict(written)
        name = options.pop("plugin", None)
        try:
            if not isinstance(name, str):
                raise InvalidInput("needs the name of a plugin")
            members.append(plugins.build("sdl.instruments", name, options))
        except InvalidInput as error:
            faults += [f"instruments.{place}: {fault}" for fault in error.faults]
    faults = faults or _member_faults(members)
    if faults:
        for member in members:
            member.close()
        raise InvalidInput(faults)
    if any(isinstance(member, HasSafeState) for member in members):
        return SeveralToMakeSafe(members)
    return SeveralWithTruth(members) if all(isinstance(member, KnowsTruth) for member in members) else Several(members)


def _member_faults(members: Sequence[Instrument]) -> list[str]:
    """Why some instruments cannot measure for one campaign at the same time."""
    faults, seen = list[str](), dict[str, int]()
    for place, member in enumerate(members):
        if isinstance(member, ReadByPersons) or member.space.plate is not None:
            faults.append(f"instruments.{place}: {member.identity} takes no reading by itself, one after the other")
        elif member.space != members[0].space:
            faults.append(f"instruments.{place}: {member.identity} has other knobs or channels than the first one")
        if (first := seen.setdefault(member.identity, place)) != place:
            faults.append(f"instruments.{place}: is the same instrument as instruments.{first}, {member.identity}")
    return faults
