"""An instrument that reads what a campaign computes from its channels too."""

from collections.abc import Mapping
from typing import Any

from sdl.campaign.sections import QuantityPart
from sdl.errors import InvalidInput
from sdl.instruments.protocol import Instrument, ReadByPersons, Reply
from sdl.space import Space


class Computing:
    """An instrument as it is, with a space that has computed channels: whoever screens its replies computes them."""

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


class ComputingByHand(Computing):
    """The same where persons bring the readings."""

    read_by_persons = True


def with_quantities(instrument: Instrument, quantities: Mapping[str, QuantityPart]) -> Instrument:
    """Return an instrument that reads some quantities too, or the same one where there are none.

    Raises:
        InvalidInput: for each that has the name of a knob or channel, or that cannot be computed.
    """
    if isinstance(instrument, Computing):  # it was kept from another flow
        instrument = instrument.instrument
    if not quantities:
        return instrument
    try:
        space = instrument.space.with_formulas({name: (part.formula, part.unit) for name, part in quantities.items()})
    except InvalidInput as error:
        raise InvalidInput(f"quantities.{fault}" for fault in error.faults) from None
    kind = ComputingByHand if isinstance(instrument, ReadByPersons) else Computing
    return kind(instrument, space)
