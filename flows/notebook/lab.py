"""An instrument in a notebook: called with settings it gives a reading, and the ledger keeps it."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import index
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from flows import environment
from flows.engine.handover import build_instrument
from flows.engine.open_bench import hold_bench
from flows.notebook import display
from flows.notebook.lab_campaign import LabCampaign, observations_table
from sdl.campaign.definition import Campaign, Target
from sdl.campaign.sections import Plugin
from sdl.campaign.toml import validate_input
from sdl.errors import InvalidInput, suggest_nearest
from sdl.formatting import format_setting, format_value
from sdl.instruments.protocol import ReadByPersons
from sdl.ledger.ledger import Ledger
from sdl.measurement.driver_call import close_driver
from sdl.measurement.manual import measure_by_hand
from sdl.space import Settings
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
        conditions: What nobody chose and held meanwhile, by name.
    """

    def __init__(
        self,
        settings: Mapping[str, float | str],
        readings: Mapping[str, float],
        at_ceiling: Iterable[str],
        conditions: Mapping[str, float],
    ) -> None:
        self.settings, self.readings, self.at_ceiling = dict(settings), dict(readings), tuple(at_ceiling)
        self.conditions = dict(conditions)

    def __getitem__(self, channel: str) -> float:
        if channel in self.at_ceiling:
            raise KeyError(f"{channel} is at its ceiling: nothing is known but that")
        if channel not in self.readings:
            raise KeyError(f"no reading of {format_value(channel)}{suggest_nearest(channel, self.readings)}")
        return self.readings[channel]

    def __iter__(self) -> Iterator[str]:
        return iter(self.readings)

    def __len__(self) -> int:
        return len(self.readings)

    def __repr__(self) -> str:
        ceilings = "".join(f", {channel} at its ceiling" for channel in self.at_ceiling)
        held = "".join(f", at {name} {value:g}" for name, value in self.conditions.items())
        return ", ".join(f"{channel} {value:g}" for channel, value in self.readings.items()) + ceilings + held

    def _repr_html_(self) -> str:
        shown = {**self.readings, **self.conditions}
        return display.html_table(shown.keys(), [[f"{value:g}" for value in shown.values()]])


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

    def __call__(self, *settings: Mapping[str, float | str], **knobs: float | str) -> LabReading:
        """Take one reading at settings, which are given by name or as a mapping, and keep it in the ledger.

        Raises:
            InvalidInput: naming every knob that is missing, unknown or out of its range.
            CampaignSuspended: if no reading can be had, with the reason.
            LeaseHeld: if somebody else measures with this instrument.
        """
        (reading,) = self._take([self._by_name(*settings, **knobs)])
        return reading

    def measure(self, rows: "Iterable[Mapping[str, float | str]] | pd.DataFrame") -> "pd.DataFrame":
        """Take a reading at each row of settings, in order, and return them as a table; errors as those of a call."""
        library = display.pandas()
        records: Any = rows.to_dict("records") if isinstance(rows, library.DataFrame) else rows
        taken = self._take([self._by_name(row) for row in ([records] if isinstance(records, Mapping) else records)])
        rows = [{**reading.settings, **reading.conditions, **reading.readings} for reading in taken]
        table: pd.DataFrame = library.DataFrame(rows)
        return table

    def repeat(self, n: int, /, *settings: Mapping[str, float | str], **knobs: float | str) -> "pd.DataFrame":
        """Take ``n`` readings at the same settings and return them as a table; errors as those of a call."""
        if not isinstance(n, SupportsIndex) or index(n) < 1:
            raise InvalidInput(f"repeat() needs how many readings, a whole number from 1, got {format_value(n)}")
        return self.measure([self._by_name(*settings, **knobs)] * index(n))

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
        if isinstance(self._instrument, ReadByPersons):
            words = "campaign() says what is wanted, its ask() what to measure, and its tell() takes what was read"
            raise InvalidInput(f"{self._instrument.identity} is no instrument that can be called: {words}")
        settings, faults = list[Settings](), list[str]()
        for place, row in enumerate(rows):
            try:
                settings.append(self.space.settings(row))
            except InvalidInput as error:
                faults += [f"row {place}: {fault}" if len(rows) > 1 else fault for fault in error.faults]
        if faults:
            raise InvalidInput(faults)
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
                observation.conditions,
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

    def _by_name(self, *given: Any, **knobs: Any) -> dict[str, Any]:
        """Settings by knob, given as one mapping, or as a row of a table, and by name.

        Raises:
            InvalidInput: if they are something else.
        """
        named: Any = next(iter(given), {})
        if hasattr(named, "to_dict"):  # a row of a table of pandas
            named = named.to_dict()
        if len(given) > 1 or not isinstance(named, Mapping):
            example = ", ".join(
                f"{knob}={format_setting(value)}" for knob, value in self.space.shown_settings(self.space.off).items()
            )
            words = f"settings are given by the names of knobs, as in lamp({example}), or as a mapping of the same"
            raise InvalidInput(f"{words}; got {', '.join(map(format_value, given))}")
        # NumPy's numbers are no numbers of Python's, and JSON knows those alone.
        return {
            str(knob): value.item() if hasattr(value, "item") and not getattr(value, "ndim", 1) else value
            for knob, value in {**named, **knobs}.items()
        }
