"""An instrument as a campaign has it: with channels that are computed, and with constraints of the campaign's own."""

from collections.abc import Mapping

from sdl.campaign.sections import QuantityPart
from sdl.errors import InvalidInput
from sdl.instruments.protocol import HasSafeState, Instrument, Patience, ReadByPersons, Reply
from sdl.space import UNCONSTRAINED, Constraints, Space

NO_STEPS: Mapping[str, float] = {}


class CampaignInstrument:
    """An instrument as it is, with a space of more: whoever screens its replies computes, and the bench refuses."""

    def __init__(self, instrument: Instrument, space: Space) -> None:
        self.instrument, self.space = instrument, space

    @property
    def identity(self) -> str:
        """That of the instrument."""
        return self.instrument.identity

    @property
    def patience(self) -> Patience:
        """That of the instrument."""
        return self.instrument.patience

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading."""
        return self.instrument.measure(settings)

    def close(self) -> None:
        """Let go of the instrument."""
        self.instrument.close()


def _with_all_it_can(instrument: Instrument) -> type[CampaignInstrument]:
    """The class of an instrument in a campaign that can whatever the instrument can.

    Each member stands in the class, where Python 3.12 and later look for those of a protocol.
    """

    def member(name: str) -> property:
        return property(lambda campaigns: getattr(campaigns.instrument, name))

    others = [name for name in dir(instrument) if not name.startswith("_") and not hasattr(CampaignInstrument, name)]
    own = {name: member(name) for name in others if name not in ("instrument", "space")}
    return type(CampaignInstrument.__name__, (CampaignInstrument,), own)


def adapt_to_campaign(
    instrument: Instrument,
    quantities: Mapping[str, QuantityPart],
    constraints: Constraints = UNCONSTRAINED,
    steps: Mapping[str, float] = NO_STEPS,
) -> Instrument:
    """Return an instrument that reads quantities too, keeps constraints, and moves knobs in steps; or the same one.

    Raises:
        InvalidInput: for each quantity that has the name of a knob or channel, or that cannot be computed; for
            constraints that say nothing of the knobs, or that no settings keep; for steps that are not to be gone here.
    """
    if isinstance(instrument, CampaignInstrument):  # it was kept from another flow
        instrument = instrument.instrument
    if not quantities and not constraints and not steps:
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
    try:
        space = space.with_steps(steps)
    except InvalidInput as error:
        faults += error.faults
    if steps and isinstance(instrument, ReadByPersons):
        faults.append("max_step: persons move the knobs of this instrument: leave it out")
    if steps and isinstance(instrument, HasSafeState):
        faults.append(
            "max_step: this instrument knows where it is left safe, so its own knobs say it: leave it out here"
        )
    if faults:
        raise InvalidInput(faults)
    return _with_all_it_can(instrument)(instrument, space)
