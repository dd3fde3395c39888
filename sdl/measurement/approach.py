"""The way of an instrument to its next settings, where a knob must not go it at once."""

import numpy as np

from sdl.errors import CampaignSuspended, InvalidInput
from sdl.instruments.protocol import HasSafeState, Instrument
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import last_settings
from sdl.measurement.driver_call import ask_driver
from sdl.space import Settings


class Approach:
    """Where the knobs of an instrument stand, and the stations between there and the next settings.

    Knobs stand where the instrument was last asked and answered, as the ledger has it, or else where they are off.

    Args:
        ledger: Where all was written down that the instrument was sent.
        instrument: With ``max_step`` at knobs of its space; without any there is nothing to do.
    """

    def __init__(self, ledger: Ledger, instrument: Instrument) -> None:
        space = instrument.space
        self._instrument, self._stands, self._doubted = instrument, space.off, False
        steps = [(knob.max_step or np.inf, knob.resolution or 0.0) for knob in space.knobs]
        self._longest = np.array([max(step - resolution, resolution) for step, resolution in steps])
        """So much less than ``max_step`` that it is kept though each station goes to the nearest setting there is."""
        self._needed = bool(np.isfinite(self._longest).any())
        if self._needed and not isinstance(instrument, HasSafeState):  # which was left where its driver knows
            with ledger.reading() as connection:
                last, self._doubted = last_settings(connection, str(instrument.identity))
            self._stands = self._stands if last is None else np.array(last, float)

    def stations(self, settings: Settings) -> list[Settings]:
        """Return the settings ``(d,)`` at which to stop on the way; first where it stands, if that is in doubt.

        Raises:
            CampaignSuspended: one of them must not be sent.
        """
        if not self._needed:
            return []
        space, way = self._instrument.space, settings - self._stands
        steps = int(np.ceil(np.max(np.abs(way) / self._longest) * (1 - 1e-9)))
        between = self._stands + way * np.arange(1, steps)[:, None] / max(steps, 1)
        listed = [knob.values is not None for knob in space.knobs]  # between whose values there is nothing
        rows = [*([self._stands] if self._doubted else []), *np.where(listed, settings, between)]
        found = [np.array([knob.nearest(row[k]) for k, knob in enumerate(space.knobs)], float) for row in rows]
        for station in found:
            try:
                space.refuse(station)
            except InvalidInput as error:
                there = space.compact_settings(settings)
                raise CampaignSuspended(
                    f"the way to {there} leads over settings that must not be sent: {error}. Bring it there by other "
                    "settings, or state another max_step, and run the campaign again"
                ) from error
        return found

    def go(self, settings: Settings) -> None:
        """Bring the instrument to within a step of settings ``(d,)``; what it reads on the way counts for nothing.

        Raises:
            InstrumentError: as its driver does; it may stand one step away from where it was until then.
        """
        for station in self.stations(settings):
            self._doubted = True
            ask_driver(self._instrument, self._instrument.space.named_settings(station))
            self.arrive(station)
        self._doubted = True

    def arrive(self, settings: Settings) -> None:
        """Take it that it stands at settings ``(d,)``, since it answered there."""
        self._stands, self._doubted = settings, False
