"""An instrument in a notebook: called with settings it gives a reading, and the ledger keeps it."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from flows import environment
from flows.engine.handover import build_instrument
from flows.engine.open_bench import hold_bench
from flows.notebook import display
from flows.notebook.lab_campaign import LabCampaign, observations_table
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.sections import Plugin
from sdl.campaign.toml import validate_input
from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.ledger.ledger import Ledger
from sdl.measurement.driver_call import close_driver
from sdl.measurement.manual import measure_by_hand
from sdl.system.signals import set_on_signal

if TYPE_CHECKING:
    import pandas as pd

BY_HAND = "by hand"
"""Entry of the ledger that readings go to which no campaign asked for."""


class LabReading(Mapping[str, float]):
    """What the instrument read at some settings: a number by channel, without those that it could not read.

    Args:
        settings: By knob.
        readings: By channel.
        at_ceiling: Channels at their ceiling, of which nothing but that is known.
    """

    def __init__(
        self, settings: Mapping[str, float | str], readings: Mapping[str, float], at_ceiling: Iterable[str]
    ) -> None:
        self.settings, self.readings, self.at_ceiling = dict(settings), dict(readings), tuple(at_ceiling)

    def __getitem__(self, channel: str) -> float:
        if channel in self.at_ceiling:
            raise KeyError(f"{channel} is at its ceiling: nothing is known but that")
        return self.readings[channel]

    def __iter__(self) -> Iterator[str]:
        return iter(self.readings)

    def __len__(self) -> int:
        return len(self.readings)

    def __repr__(self) -> str:
        ceilings = "".join(f", {channel} at its ceiling" for channel in self.at_ceiling)
        return ", ".join(f"{channel} {value:g}" for channel, value in self.readings.items()) + ceilings

    def _repr_html_(self) -> str:
        return display.html_table(self.readings.keys(), [[f"{value:g}" for value in self.readings.values()]])


class Lab:
    """One instrument, and the ledger behind it.

    Called with settings it reads: ``lamp = Lab("twin"); lamp(R=0.1, G=0.2, B=0.3)["445nm"]``. Asked for readings it
    finds the settings: ``lamp.campaign("blue", {"445nm": 9000}).run()``.

    Args:
        instrument: Name of its plug-in, such as ``"twin"``.
        home: Data directory; by default that of ``SDL_HOME``, or ``sdl-data``.
        ledger: File or URL of the ledger; by default a file in the data directory.
        **options: Of the instrument.

    Raises:
        InvalidInput: listing every fault of the options.
    """

    def __init__(
        self, instrument: str, *, home: str | Path | None = None, ledger: str | None = None, **options: Any
    ) -> None:
        self._written = validate_input(Plugin, {"plugin": instrument, **options}, "instrument")
        self._directory = environment.home(home)
        self._where = environment.ledger(ledger, self._directory)
        self._instrument = build_instrument(self._written)
        self.space = self._instrument.space
        """Its knobs and channels."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the instrument go; the ledger stays."""
        close_driver(self._instrument)

    def __call__(self, settings: Mapping[str, float | str] | None = None, /, **knobs: float | str) -> LabReading:
        """Take one reading at settings, which are given by name, and keep it in the ledger.

        Raises:
            InvalidInput: naming every knob that is missing, unknown or out of its range.
            CampaignSuspended: if no reading can be had, with the reason.
            LeaseHeld: if somebody else measures with this instrument.
        """
        (reading,) = self._take([_by_name(settings) | knobs])
        return reading

    def measure(self, rows: "Iterable[Mapping[str, float | str]] | pd.DataFrame") -> "pd.DataFrame":
        """Take a reading at each row of settings, in order, and return them as a table; errors as those of a call."""
        library = display.pandas()
        records: Any = rows.to_dict("records") if isinstance(rows, library.DataFrame) else rows
        taken = self._take([_by_name(row) for row in ([records] if isinstance(records, Mapping) else records)])
        table: pd.DataFrame = library.DataFrame([{**reading.settings, **reading.readings} for reading in taken])
        return table

    def repeat(
        self, n: int, settings: Mapping[str, float | str] | None = None, /, **knobs: float | str
    ) -> "pd.DataFrame":
        """Take ``n`` readings at the same settings and return them as a table; errors as those of a call."""
        if not isinstance(n, int) or n < 1:
            raise InvalidInput(f"repeat() needs how many readings, a whole number from 1, got {format_value(n)}")
        return self.measure([_by_name(settings) | knobs] * n)

    @property
    def data(self) -> "pd.DataFrame":
        """All that was read by hand with this ledger and this instrument, the oldest first."""
        with Ledger(self._where) as book:
            own = [entry for entry in book.entries() if entry.title.startswith(BY_HAND)]
            own = [entry for entry in own if entry.instrument == self._instrument.identity]
            return observations_table(book, own[0]) if own else display.pandas().DataFrame()

    def campaign(
        self,
        name: str | Campaign,
        readings: Mapping[str, Any] | None = None,
        *,
        tolerance: float | str | Mapping[str, float | str] = "1 %",
        targets: Target | Iterable[Target | Mapping[str, Any]] | None = None,
        **sections: Any,
    ) -> LabCampaign:
        """Write down which readings are wanted; ``run()`` of what is returned finds the settings that give them.

        Args:
            name: Of the campaign; one that has begun goes on. Or a whole one, on this instrument whatever it names.
            readings: What is wanted, by channel, where there is one target.
            tolerance: Largest allowed error, in the unit of the channel (``150``) or as a share (``"1 %"``).
            targets: The targets, where there are several.
            **sections: Other parts of a campaign file, such as ``budget``, ``seed``, ``models`` or ``acquisition``.

        Raises:
            InvalidInput: listing every fault of what was written.
        """
        if isinstance(name, Campaign):
            written = name.model_dump(mode="json", exclude_unset=True)
        elif (readings is None) == (targets is None):
            raise InvalidInput("a campaign needs either the readings of its one target, or 'targets'")
        else:
            one = {"name": name, "readings": readings, "tolerance": tolerance}
            several = [targets] if isinstance(targets, Target | Mapping) else targets or [one]
            plain = [target.model_dump() if isinstance(target, Target) else target for target in several]
            written = {"name": name, "targets": plain}
        instrument = self._written.model_dump(mode="json")
        config = Campaign.parse({**written, "instrument": instrument, **sections})
        return LabCampaign(config, self._directory, self._where)

    def _take(self, rows: Sequence[Mapping[str, float | str]]) -> list[LabReading]:
        settings = [self.space.settings(row) for row in rows]
        interrupted = threading.Event()
        with (
            set_on_signal(interrupted),
            hold_bench(self._written, self._instrument, self._directory, self._where, BY_HAND, interrupted) as bench,
        ):
            taken = measure_by_hand(bench, settings)
        return [
            LabReading(
                self.space.shown_settings(observation.settings),
                self.space.named_readings(observation.readings),
                [name for name, is_at in zip(self.space.channel_names, observation.censored, strict=True) if is_at],
            )
            for observation in taken
        ]

    def __repr__(self) -> str:
        return f"<Lab {self._instrument.identity}: {', '.join(self.space.knob_names)} -> {self._channels()}>"

    def _repr_html_(self) -> str:
        knobs = [[knob.name, knob.range, knob.unit] for knob in self.space.knobs]
        return (
            f"<b>{display.html_text(self._instrument.identity)}</b>, read in {display.html_text(self._channels())}"
            + display.html_table(["knob", "range", "unit"], knobs)
        )

    def _channels(self) -> str:
        return ", ".join(self.space.channel_names)


def _by_name(settings: object) -> dict[str, Any]:
    """Settings by knob, none where nothing is given.

    Raises:
        InvalidInput: if they are something else than settings by name.
    """
    if settings is not None and not isinstance(settings, Mapping):
        example = "lamp(R=0.1, G=0.2, B=0.3) or a mapping of the same"
        raise InvalidInput(f"settings are given by the names of knobs, such as {example}; got {format_value(settings)}")
    return {str(knob): value for knob, value in (settings or {}).items()}
