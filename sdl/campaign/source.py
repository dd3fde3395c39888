"""Cheaper sources of a campaign: other instruments and simulations that tell where it is worth asking the real one.

What a source reads differs from what the instrument would read, by a bias that is learned. So its readings never count
for a verdict; each stands in the ledger as what it is, and has a price of its own.
"""

from collections.abc import Mapping, Sequence

from pydantic import Field

from sdl import plugins
from sdl.campaign.campaign_instrument import CampaignInstrument
from sdl.campaign.sections import Plugin
from sdl.errors import InvalidInput
from sdl.instruments.protocol import HasSafeState, Instrument, ReadByPersons, Reply


class SourcePart(Plugin):
    """An instrument or simulation that reads nearly what the campaign's own would; other keys are its options."""

    name: str = Field(min_length=1, max_length=100)
    """What reports call it."""
    price: float = Field(gt=0, le=1e12)
    """Of one request to it, in the unit of ``price``; where the campaign has no prices, in requests to its instrument.
    """
    most: int = Field(default=100, ge=1, le=10_000)
    """Requests to it at most; they count in the campaign's budget of requests as well."""


class SourceInstrument(CampaignInstrument):
    """A source as its campaign asks it: in the settings and channels of the campaign's own instrument."""

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading, at settings that the source can take as well.

        Raises:
            InvalidInput: its own knobs or constraints do not allow them.
        """
        own = self.instrument.space
        own.refuse(own.settings(settings))
        return super().measure(settings)


def build_sources(
    parts: Sequence[SourcePart],
    instrument: Instrument,
    channels: Sequence[str],
    built_before: Sequence[Instrument] = (),
) -> list[Instrument]:
    """Build the sources of a campaign, without a request.

    Args:
        parts: As its file names them.
        instrument: That of the campaign.
        channels: Channels that its targets want.
        built_before: The same sources if they are built already: they are checked, and closed, as new ones are.

    Raises:
        InvalidInput: listing every fault of every source, with its key; none stays open then.
    """
    built, faults, seen = list[Instrument](), list[str](), {instrument.identity}
    for place, part in enumerate(parts):
        try:
            source: Instrument = (
                built_before[place] if built_before else plugins.build("sdl.instruments", part.plugin, part.options)
            )
        except InvalidInput as error:
            faults += [plugins.place_fault(f"sources.{place}", fault) for fault in error.faults]
            continue
        source = source.instrument if isinstance(source, SourceInstrument) else source
        built.append(source)
        wrong = _faults(source, instrument, channels)
        if source.identity in seen:
            wrong.append(f"{source.identity} is the campaign's instrument or another source of it already")
        seen.add(source.identity)
        faults += [f"sources.{place}: {fault}" for fault in wrong]
    if faults:
        for source in built:
            source.close()
        raise InvalidInput(faults)
    knobs = tuple(knob.model_copy(update={"max_step": None}) for knob in instrument.space.knobs)
    space = instrument.space.model_copy(update={"knobs": knobs})
    return [SourceInstrument(source, space) for source in built]


def _faults(source: Instrument, instrument: Instrument, channels: Sequence[str]) -> list[str]:
    """Why a source cannot be asked in place of an instrument."""
    theirs, ours = source.space, instrument.space
    if isinstance(source, ReadByPersons | HasSafeState) or theirs.plate is not None or theirs.conditions:
        return [
            f"{source.identity} is no source: it needs to answer one request by itself, without a plate, conditions or "
            "a state to be left in"
        ]
    if theirs.knob_names != ours.knob_names or [each.names for each in theirs.knobs] != [
        each.names for each in ours.knobs
    ]:
        needed, has = ", ".join(ours.knob_names), ", ".join(theirs.knob_names)
        return [f"{source.identity} needs the knobs {needed} in this order, as the instrument has them, got {has}"]
    faults = [
        f"{source.identity} takes {theirs.knobs[k].name} from {theirs.low[k]:g} to {theirs.high[k]:g} and the "
        f"instrument from {ours.low[k]:g} to {ours.high[k]:g}: a source has to take all that the instrument takes"
        for k in range(ours.d)
        if theirs.low[k] > ours.low[k] or theirs.high[k] < ours.high[k]
    ]
    if theirs.constraints and theirs.constraints != ours.constraints:
        faults.append(f"{source.identity} has constraints of its own: state them in the campaign's constraints as well")
    if missing := [name for name in ours.sources(channels) if name not in theirs.channel_names]:
        faults.append(f"{source.identity} does not read {', '.join(missing)}, which targets want")
    return faults
