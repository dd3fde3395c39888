"""The form of a round that persons measure: a field for each reading, in Prefect's UI.

It may be sent half filled: what it says is kept, and it comes back with the rest and with what could not be taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect.input import RunInput
from pydantic import Field, create_model

from flows.ui.artifacts import escape_markdown
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import PREFECT
from sdl.ledger.people.samples import Sample
from sdl.measurement.hand_bench import take_sheet, wanted_samples
from sdl.measurement.quantities import has_decimal_comma
from sdl.measurement.sheets import FAILED, FilledSheet, SheetRow, describe_common
from sdl.space import Knob, Space

SHOWN = 60
"""Fields of one form; the samples that do not fit come in the next one."""


@dataclass(eq=False)
class ReadingsForm:
    """What a campaign asks persons to read, as a form again and again until all is said.

    Args:
        ledger: Where the campaign is.
        campaign: Its name there.
    """

    ledger: Ledger
    campaign: str
    faults: Sequence[str] = field(default=())
    """What could not be taken of the form before this one."""
    typed: Mapping[str, str] = field(default_factory=dict)
    """By field what stood in that form: nobody types again what was right beside it."""

    def blank(self) -> tuple[type[RunInput], list[Sample]]:
        """Return the form, and the samples that it asks for; none where nothing is wanted."""
        entry = self.ledger.entry(self.campaign)
        space: Space = entry.space.measured
        samples = wanted_samples(self.ledger, entry)[: max(1, SHOWN // space.p)]
        common = describe_common(space, samples)
        own = [knob for knob in space.knobs if not (common and knob.constant_within_batch)]
        fields: dict[str, Any] = {
            _key(sample, column): (
                str,
                Field(
                    f"{sample.readings[channel.name]:.10g}"
                    if channel.name in sample.readings
                    else self.typed.get(_key(sample, column), ""),
                    title=f"{sample.name}: {channel.heading}",
                    description=_settings(sample, space, own),
                    max_length=100,
                ),
            )
            for sample in samples
            for column, channel in enumerate(space.channels)
        }
        fields["name"] = (
            str,
            Field("", max_length=100, description="Who read it, for the record."),
        )
        made: type[RunInput] = create_model("Readings", __base__=RunInput, **fields)
        words = (
            f"**Campaign {escape_markdown(entry.title)}** waits for these readings. Fill in what is there, and send it."
        )
        words += f" A sample that failed says '{FAILED}' in one of its fields."
        if common:
            words += f" **{escape_markdown(common[0].upper() + common[1:])}.**"
        lines = [words, *(f"- not taken: {escape_markdown(fault)}" for fault in self.faults)]
        return made.with_initial_data(description="\n".join(lines)), samples

    def take(self, answer: Mapping[str, Any], samples: Sequence[Sample]) -> None:
        """Keep what a form says; the next one has what could not be taken."""
        entry, rows = self.ledger.entry(self.campaign), list[SheetRow]()
        self.typed = {name: str(text).strip() for name, text in answer.items()}
        for sample in samples:
            names = enumerate(entry.space.measured.channel_names)
            typed = {name: self.typed.get(_key(sample, column), "") for column, name in names}
            cells: dict[str, Any] = {name: text for name, text in typed.items() if text}
            if FAILED in (text.casefold() for text in typed.values()):
                cells = {FAILED: True}
            rows.append(SheetRow(sample.name, "form", cells))
        comma = any(has_decimal_comma(cell) for row in rows for cell in row.cells.values() if isinstance(cell, str))
        by = self.typed.get("name") or PREFECT
        self.faults = take_sheet(self.ledger, entry, FilledSheet(rows, comma), by).faults


def _key(sample: Sample, column: int) -> str:
    """The name of a field, which a form may take for a path: so it has letters, digits and nothing else but lines."""
    return f"{sample.name.replace('-', '_')}_{column}"


def _settings(sample: Sample, space: Space, knobs: Sequence[Knob]) -> str:
    written = space.written_settings(sample.request.settings)
    named = (f"{knob.name} = {written[knob.name]} {knob.unit}".strip() for knob in knobs)
    return f"{sample.request.purpose.value} at {', '.join(named)}".removesuffix(" at ")
