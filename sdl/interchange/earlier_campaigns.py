"""Earlier campaigns as a new one starts from them: found in their ledger, frozen into the new one's configuration."""

from collections.abc import Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

from sdl.analysis.lesson_learning import learn_lesson
from sdl.campaign.definition import Campaign
from sdl.campaign.lesson import Lesson
from sdl.campaign.sections import HistoryPart
from sdl.errors import InvalidInput
from sdl.formatting import format_value
from sdl.history import Entry, State
from sdl.instruments.protocol import Instrument
from sdl.ledger.ledger import Ledger
from sdl.space import Space

LATEST = 10
"""Campaigns that are learned from where all are asked for."""


def freeze_lessons(campaign: Campaign, ledger: Ledger, instrument: Instrument) -> Campaign:
    """Return a campaign with the lessons of the earlier ones that it names; one that was begun keeps its own.

    Args:
        campaign: As a person wrote it.
        ledger: Its own.
        instrument: What it measures with.

    Raises:
        InvalidInput: listing every earlier campaign that is not there, or in part, has other knobs or no reading.
    """
    part = campaign.history
    if part is None or part.lessons:
        return campaign
    begun = next((entry for entry in ledger.entries() if entry.name == campaign.slug), None)
    if begun is not None:
        history = begun.config.get("history")
        lessons = HistoryPart.model_validate(history).lessons if history else ()
    else:
        lessons = tuple(_lessons(part, campaign.slug, ledger, instrument))
    return campaign.model_copy(update={"history": part.model_copy(update={"lessons": lessons})})


def _lessons(part: HistoryPart, name: str, ledger: Ledger, instrument: Instrument) -> Sequence[Lesson]:
    file = (part.ledger or "").removeprefix("sqlite:///")
    if part.ledger is not None and "://" not in file and not Path(file).is_file():
        raise InvalidInput(f"history.ledger: there is no file {format_value(part.ledger)}")
    with nullcontext(ledger) if part.ledger is None else Ledger(part.ledger) as book:
        if part.campaigns == "all":
            whole = (entry for entry in book.entries() if entry.state is not State.IMPORTING)
            fitting = (entry for entry in whole if _fits(entry.space, instrument.space))
            learned = (_lesson(book, entry, instrument) for entry in fitting)
            others = (lesson for lesson in learned if lesson is not None and (lesson.campaign != name or part.ledger))
            return list(islice(others, LATEST))
        faults, lessons = list[str](), list[Lesson]()
        for earlier in part.campaigns:
            try:
                lessons.append(_named(book, earlier, instrument))
            except InvalidInput as error:
                faults += [f"history.campaigns: {fault}" for fault in error.faults]
    if faults:
        raise InvalidInput(faults)
    return lessons


def _named(ledger: Ledger, name: str, instrument: Instrument) -> Lesson:
    entry = ledger.whole_entry(name)
    if not _fits(entry.space, instrument.space):
        knobs = ", ".join(instrument.space.knob_names)
        raise InvalidInput(
            f"{format_value(name)} was measured with other knobs than {knobs}, or none of these channels"
        )
    if (lesson := _lesson(ledger, entry, instrument)) is None:
        raise InvalidInput(f"{format_value(name)} has no reading to learn from")
    return lesson


def _lesson(ledger: Ledger, entry: Entry, instrument: Instrument) -> Lesson | None:
    observations = ledger.history(entry.id).observations
    same = entry.instrument == instrument.identity
    return learn_lesson(entry.name, entry.instrument, entry.space, observations, same=same)


def _fits(theirs: Space, ours: Space) -> bool:
    """Whether what was measured with one space says something in another one."""
    same = {knob.name: knob.names for knob in theirs.knobs} == {knob.name: knob.names for knob in ours.knobs}
    return same and bool({*theirs.channel_names} & {*ours.channel_names})
