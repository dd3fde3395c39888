"""Earlier campaigns as a new one starts from them: found in their ledger, frozen into the new one's configuration."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from sdl.analysis.lesson_learning import learn_lesson
from sdl.campaign.definition import Campaign, HistoryPart
from sdl.campaign.lesson import Lesson
from sdl.errors import InvalidInput
from sdl.formatting import shown
from sdl.history import Entry
from sdl.instruments.protocol import Instrument
from sdl.ledger.ledger import Ledger
from sdl.space import Space

LATEST = 10
"""Campaigns that are learned from where all are asked for."""


def frozen(campaign: Campaign, ledger: Ledger, instrument: Instrument) -> Campaign:
    """The campaign with what the earlier ones that it names taught; one that was begun keeps what it began with.

    Args:
        campaign: As a person wrote it.
        ledger: Its own.
        instrument: What it measures with.

    Raises:
        InvalidInput: listing every earlier campaign that is not there, has other knobs or no reading.
    """
    part = campaign.history
    if part is None or part.lessons:
        return campaign
    begun = next((each for each in ledger.entries() if each.name == campaign.slug), None)
    if begun is not None:
        kept = begun.config.get("history")
        lessons = HistoryPart.model_validate(kept).lessons if kept else ()
    else:
        lessons = tuple(_lessons(part, campaign.slug, ledger, instrument))
    return campaign.model_copy(update={"history": part.model_copy(update={"lessons": lessons})})


def _lessons(part: HistoryPart, name: str, ledger: Ledger, instrument: Instrument) -> Sequence[Lesson]:
    if part.ledger is not None and "://" not in part.ledger and not Path(part.ledger).is_file():
        raise InvalidInput(f"history.ledger: there is no file {shown(part.ledger)}")
    with nullcontext(ledger) if part.ledger is None else Ledger(part.ledger) as book:
        if part.campaigns == "all":
            found = (_lesson(book, each, instrument) for each in book.entries() if _fits(each.space, instrument.space))
            others = (each for each in found if each is not None and (each.campaign != name or part.ledger))
            return [each for each, _ in zip(others, range(LATEST), strict=False)]
        faults, lessons = list[str](), list[Lesson]()
        for each in part.campaigns:
            try:
                lessons.append(_named(book, each, instrument))
            except InvalidInput as error:
                faults += [f"history.campaigns: {fault}" for fault in error.faults]
    if faults:
        raise InvalidInput(faults)
    return lessons


def _named(ledger: Ledger, name: str, instrument: Instrument) -> Lesson:
    entry = ledger.entry(name)
    if not _fits(entry.space, instrument.space):
        knobs = ", ".join(instrument.space.knob_names)
        raise InvalidInput(f"{shown(name)} was measured with other knobs than {knobs}, or none of these channels")
    if (lesson := _lesson(ledger, entry, instrument)) is None:
        raise InvalidInput(f"{shown(name)} has no reading to learn from")
    return lesson


def _lesson(ledger: Ledger, entry: Entry, instrument: Instrument) -> Lesson | None:
    observations = ledger.history(entry.id).observations
    same = entry.instrument == instrument.identity
    return learn_lesson(entry.name, entry.instrument, entry.space, observations, same=same)


def _fits(theirs: Space, ours: Space) -> bool:
    """Whether what was measured with one space says something in another one."""
    return set(theirs.knob_names) == set(ours.knob_names) and bool({*theirs.channel_names} & {*ours.channel_names})
