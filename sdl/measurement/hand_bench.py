"""A person in the place of the instrument: what is wanted is asked for, and what persons said is entered in its order.

The bench asks for all samples of a part of a round, and enters them when all are answered, in the order of the plan: so
a campaign decides as if an instrument had given these readings, in whatever order and at whatever time they came.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdl.errors import InvalidInput, ReadingsWanted, suggest_nearest
from sdl.formatting import count_words, format_value
from sdl.history import Entry, ReplyClass, Request
from sdl.instruments.protocol import Reply
from sdl.instruments.screening import Screened
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.samples import NO_BUDGET, Edition, Sample, Samples
from sdl.ledger.queries import AttemptOutcome
from sdl.measurement.bench import Bench, judge_reply, watching
from sdl.measurement.quantities import convert_unit, read_quantity
from sdl.measurement.sheets import FAILED, NOTE, FilledSheet, SheetRow
from sdl.space import Space, is_number, split_into_batches

YES = {"yes", "y", "true", "1", "x", "ja", "j", "oui", "si", "sí", "failed"}
NO = {"no", "n", "false", "0", "nein", "non"}


@dataclass(eq=False)
class HandBench(Bench):
    """Persons at work for a campaign."""

    def measure(self, requests: Iterable[Request], progress: Callable[[Request], object] | None = None) -> None:
        """Ask for the measurements as far as the budget goes, or enter them once all are answered, in this order.

        Where there are plates they are asked for plate by plate.

        Raises:
            ReadingsWanted: as long as one is not answered; nothing is entered then.
            CampaignPaused, CampaignStopped, CampaignSuspended, Interrupted, BudgetSpent, LeaseLost: as an instrument's.
        """
        planned, progress = list(requests), progress or watching.get()
        self.interlock(request.settings for request in planned)
        space, batches = self.instrument.space, [planned]
        if space.plate is not None and planned:
            places = split_into_batches(space, np.array([request.settings for request in planned]))
            batches = [[planned[place] for place in batch] for batch in places]
        for batch in batches:
            self._measure_batch(batch, progress)

    def _measure_batch(self, planned: Sequence[Request], progress: Callable[[Request], object]) -> None:
        asked = Samples(self.ledger, self.campaign).ask(self.lease, planned, self._may_go_on())
        if wanted := [sample for sample in asked if not sample.answered(self.needed)]:
            raise ReadingsWanted(describe_wanted(wanted))
        for sample in asked:
            if sample.entered is None:
                self._enter(sample, self._may_go_on())
                if not sample.failed:
                    progress(sample.request)

    def enter_corrections(self) -> None:
        """Enter what persons corrected of samples that the campaign knows already."""
        for sample in Samples(self.ledger, self.campaign).read():
            if sample.corrected:
                self._enter(sample, NO_BUDGET)

    def _enter(self, sample: Sample, budget: float) -> None:
        space, failed = self.instrument.space, sample.failed
        reply = Reply(space.named_settings(sample.request.settings), sample.readings, sample.record)
        nothing = np.full(space.p, np.nan)
        screened = Screened(ReplyClass.RETRY, _failure(sample), nothing, np.zeros(space.p, bool))
        if not failed:  # who writes the same twice has read it twice, so that no reply before counts
            screened = judge_reply(space, sample.request, reply, self.needed, None)
        Samples(self.ledger, self.campaign).enter(self.lease, sample, budget, None if failed else reply, screened)
        outcome = AttemptOutcome(sample.request.purpose, screened.verdict, screened.readings)
        self.suspenders.observe(outcome)


@dataclass(frozen=True)
class Taken:
    """What became of a sheet."""

    kept: Sequence[str]
    """Samples of which it said something new."""
    faults: Sequence[str]
    """What was not taken, a sentence each; the rest of the sheet was."""
    notes: Sequence[str]
    """What is worth knowing besides, a sentence each."""
    wanted: Sequence[Sample]
    """Samples that are still to be answered."""


def needed_channels(entry: Entry) -> list[str]:
    """Return the channels without which a sample of a campaign is not answered."""
    targets = entry.config.get("targets", [])
    return entry.space.sources(dict.fromkeys(channel for target in targets for channel in target["readings"]))


def wanted_samples(ledger: Ledger, entry: Entry) -> list[Sample]:
    """Return the samples of a campaign that are still to be answered, in the order of asking."""
    needed = needed_channels(entry)
    return [sample for sample in Samples(ledger, entry.id).read() if not sample.answered(needed)]


def refuse_asked_persons(ledger: Ledger, name: str) -> None:
    """Refuse to let an instrument go on with a campaign that persons were asked to measure for.

    What they read, and have not told yet, belongs to it.

    Raises:
        InvalidInput: with what to do.
    """
    for entry in (each for each in ledger.entries() if each.name == name):
        if samples := Samples(ledger, entry.id).read():
            raise InvalidInput(
                f"campaign {name!r} is measured by persons, who were asked for {count_words(len(samples), 'sample')}: "
                "give this one, which an instrument measures, another name"
            )


def describe_wanted(wanted: Sequence[Sample]) -> str:
    """Say what a campaign waits for, and by what commands it gets that."""
    number = wanted[0].request.round
    count = count_words(len(wanted), "sample")
    return (
        f"round {number} waits for the readings of {count}, from {wanted[0].name} on: 'sdl propose' shows them or "
        "writes a sheet, 'sdl tell' takes what was read"
    )


def take_sheet(ledger: Ledger, entry: Entry, sheet: FilledSheet, by: str, *, correct: bool = False) -> Taken:
    """Keep what a sheet says of the samples of a campaign, all that can be believed of it at once.

    What is known already is passed over, so that a sheet may be given twice.

    Args:
        ledger: Where the campaign is.
        entry: The campaign.
        sheet: As it came back.
        by: Who brings it, for the record.
        correct: Whether a reading that is known may be replaced by another one; the first stays on record.

    Raises:
        InvalidInput: for a sheet without any sample of this campaign.
    """
    samples = Samples(ledger, entry.id)
    while True:
        known = {sample.name: sample for sample in samples.read()}
        if not known:
            raise InvalidInput(f"campaign {entry.name!r} asked persons for nothing yet: 'sdl propose' lets it begin")
        said, faults, notes = dict[str, Edition](), list[str](), list[str]()
        named = [row.sample for row in sheet.rows]
        for row in sheet.rows:
            try:
                if row.sample not in known:
                    raise ValueError(f"no sample {format_value(row.sample)}{suggest_nearest(row.sample, known)}")
                if named.count(row.sample) > 1:
                    raise ValueError(f"sample {row.sample} stands in {named.count(row.sample)} rows: leave one")
                sample = known[row.sample]
                edition = _edition(row, sample, entry.space.measured, needed_channels(entry), sheet, by)
                if (new := _news(sample, edition, correct)) is not None:
                    said[row.sample] = new
            except InvalidInput as error:
                faults += [f"{row.place}, {row.sample}: {fault}" for fault in error.faults]
            except ValueError as error:
                faults.append(f"{row.place}: {error}")
        if samples.add({known[name].id: (len(known[name].editions), edition) for name, edition in said.items()}):
            break
    if sheet.unread:
        notes.append(f"nothing is read from the columns {', '.join(map(format_value, sheet.unread))}")
    late = {known[name].request.round for name in said if known[name].entered is not None and said[name].decides}
    for finding in ledger.findings(entry.id):
        if late and finding.round >= min(late):
            notes.append(
                f"the verdict on {finding.target!r} ({finding.verdict}, round {finding.round}) was given before this "
                "correction, and stays as it was given: a new campaign judges anew"
            )
    wanted = wanted_samples(ledger, entry)
    unfinished = [sample for sample in wanted if sample.name in named and sample.readings]
    for sample in unfinished:
        lacking = [name for name in needed_channels(entry) if name not in sample.readings]
        notes.append(f"{sample.name} waits for {', '.join(lacking)}")
    return Taken(list(said), faults, notes, wanted)


def _edition(
    row: SheetRow, sample: Sample, space: Space, needed: Sequence[str], sheet: FilledSheet, by: str
) -> Edition:
    """What a row says, as far as it can be believed.

    Raises:
        InvalidInput: listing every cell that cannot be.
    """
    faults, numbers = list[str](), dict[str, float]()
    units = {quantity.name: quantity.unit for quantity in space.quantities}
    categories = {knob.name: knob for knob in space.knobs if knob.names}
    for name, cell in row.cells.items():
        if name in categories:
            try:
                numbers[name] = categories[name].setting(str(cell))
            except InvalidInput as error:
                faults += error.faults
        elif name in units:
            try:
                numbers[name] = _number(cell, units[name], sheet, sheet.units.get(name))
            except ValueError as error:
                faults.append(f"{name} {error}")
        elif name not in (FAILED, NOTE):
            faults.append(f"unknown channel {name!r}{suggest_nearest(name, space.channel_names)}")
    failed = _truth(row.cells.get(FAILED, False))
    if failed is None:
        faults.append(f"failed needs yes or nothing, got {format_value(row.cells[FAILED])}")
    readings = {name: numbers[name] for name in space.channel_names if name in numbers}
    if failed and readings:
        faults.append("it cannot have failed and have readings: leave one of them out")
    asked = space.named_settings(sample.request.settings)
    reply = Reply(asked | {name: numbers[name] for name in space.knob_names if name in numbers}, readings, "")
    screened = judge_reply(space, sample.request, reply, [name for name in needed if name in readings], None)
    if not screened.verdict.usable and not failed:
        faults.append(screened.reason)
    if faults:
        raise InvalidInput(faults)
    return Edition(readings, bool(failed), str(row.cells.get(NOTE, "")).strip(), by)


def _news(sample: Sample, edition: Edition, correct: bool) -> Edition | None:
    """What an edition adds to a sample, and be it a note; None if nothing.

    Raises:
        ValueError: if it contradicts what is known, and was not said to correct it.
    """
    known = sample.readings
    if not edition.failed and not edition.readings:
        new = edition.note and all(edition.note != each.note for each in sample.editions)
        return Edition({}, False, edition.note, edition.by) if new else None
    changed = {name: value for name, value in edition.readings.items() if known.get(name) != value}
    same = sample.failed if edition.failed else not changed
    if same:
        return _news(sample, Edition({}, False, edition.note, edition.by), correct)
    against = [f"{name} {known[name]:g}, now {value:g}" for name, value in changed.items() if name in known]
    if edition.failed and known:
        against = [f"read {', '.join(f'{name} {value:g}' for name, value in known.items())}, now that it failed"]
    elif sample.failed:
        against = ["that it failed, now readings; what was measured afterwards has a row of its own in a new sheet"]
    if against and not correct:
        last = sample.decisive[-1]
        raise ValueError(
            f"{sample.name} is known already: {last.by or 'somebody'} said {'; '.join(against)}. If that corrects it, "
            "say so: 'sdl tell --correct'"
        )
    return Edition(changed, edition.failed, edition.note, edition.by)


def _number(cell: Any, unit: str, sheet: FilledSheet, typed_in: str | None) -> float:
    """The number of a cell in its unit; what says no unit itself is in that of its heading."""
    if isinstance(cell, str):
        return read_quantity(cell, unit, comma=sheet.comma, typed_in=typed_in)
    if not is_number(cell):
        raise ValueError(f"needs a number, got {format_value(cell)}")
    return float(cell) if typed_in is None else convert_unit(float(cell), typed_in, unit)


def _truth(cell: Any) -> bool | None:
    """Yes or no in a few words; None for anything else."""
    if isinstance(cell, bool | int | float):
        return bool(cell)
    word = str(cell).strip().casefold()
    return True if word in YES else False if not word or word in NO else None


def _failure(sample: Sample) -> str:
    """Why a sample brought nothing, as somebody said it."""
    last = sample.decisive[-1]
    return f"{last.by or 'somebody'} says that it failed{f': {last.note}' if last.note else ''}"
