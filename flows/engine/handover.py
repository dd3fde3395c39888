"""Instruments that a command built to check what a person wrote, kept for the flow that it starts in this process.

The parameters of a flow are plain data, which an instrument is not; without this each flow would build it once more.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sdl import plugins
from sdl.campaign.sections import Plugin
from sdl.instruments.protocol import Instrument

_kept: ContextVar[list[tuple[Plugin, Instrument]] | None] = ContextVar("kept", default=None)
"""A list, so that what one task takes out of it is gone for all others."""


def build_instrument(part: Plugin) -> Instrument:
    """Build the instrument that a section of a file names, without a request.

    Raises:
        InvalidInput: listing every fault of its options.
    """
    instrument: Instrument = plugins.build("sdl.instruments", part.plugin, part.options)
    return instrument


@contextmanager
def kept_instrument(
    part: Plugin, instrument: Instrument, others: Iterable[tuple[Plugin, Instrument]] = ()
) -> Iterator[None]:
    """Keep an instrument for what is run in the block: who takes it closes it, and the end of the block otherwise.

    Args:
        part: The section of a file that names it.
        instrument: As that has it.
        others: Sections with their instruments that are kept beside it, such as the sources of a campaign.
    """
    kept = [(part, instrument), *others]
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)
        for _, left in kept:
            left.close()


def take_instrument(part: Plugin) -> Instrument | None:
    """Return the instrument that is kept for this section, once; None where there is none."""
    kept = _kept.get() or []
    places = (place for place, (named, _) in enumerate(kept) if named == part)
    return None if (place := next(places, None)) is None else kept.pop(place)[1]
