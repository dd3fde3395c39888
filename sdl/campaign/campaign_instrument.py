"""An instrument as a campaign has it: with channels that are computed, and with constraints of the campaign's own."""

from collections.abc import Mapping
from typing import Any

from sdl.campaign.sections import QuantityPart
from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument, ReadByPersons, Reply
from sdl.space import UNCONSTRAINED, Constraints, Space


class CampaignInstrument:
    """An instrument as it is, with a space of more: whoever screens its replies computes, and the bench refuses."""

    def __init__(self, instrument: Instrument, space: Space) -> None:
        self.instrument, self.space = instrument, space

    @property
    def identity(self) -> str:
        """That of the instrument."""
        return self.instrument.identity

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading."""
        return self.instrument.measure(settings)

    def close(self) -> None:
        """Let go of the instrument."""
        self.instrument.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.instrument, name)


class CampaignInstrumentByHand(CampaignInstrument):
    """The same where persons bring the readings."""

    read_by_persons = True


def adapt_to_campaign(
    instrument: Instrument, quantities: Mapping[str, QuantityPart], constraints: Constraints = UNCONSTRAINED
) -> Instrument:
    """Return an instrument that reads some quantities too and keeps constraints, or the same one where there are none.

    Raises:
        InvalidInput: for each quantity that has the name of a knob or channel, or that cannot be computed; for
            constraints that say nothing of the knobs, or that no settings keep.
    """
    if isinstance(instrument, CampaignInstrument):  # it was kept from another flow
        instrument = instrument.instrument
    if not quantities and not constraints:
        return instrument
    faults, space = list[str](), instrument.space
    try:
        space = space.with_formulas({name: (part.formula, part.unit) for name, part in quantities.items()})
    except InvalidInput as error:
        faults += [f"quantities.{fault}" for fault in error.faults]
    try:
        space = space.with_constraints(constraints)
    except InvalidInput as error:
        faults += error.faults
    if faults:
        raise InvalidInput(faults)
    kind = CampaignInstrumentByHand if isinstance(instrument, ReadByPersons) else CampaignInstrument
    return kind(instrument, space)
