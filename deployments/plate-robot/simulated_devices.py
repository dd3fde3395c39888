"""The devices without any apparatus: PyLabRobot's simulated ones, with wells that hold what was pipetted into them."""

from collections import defaultdict
from typing import Any

import numpy as np
from pylabrobot.liquid_handling.backends import LiquidHandlerChatterboxBackend
from pylabrobot.plate_reading import PlateReaderChatterboxBackend
from pylabrobot.resources import Plate, Well

ABSORPTIVITY = {450: (6.0, 0.6, 0.9), 540: (1.1, 5.5, 0.5), 630: (0.4, 0.8, 5.0)}
"""Absorbance of each dye alone by wavelength in nm, in a well that is full of it."""
NOISE = 0.02
"""Standard deviation of a reading, as a part of it."""


class Chemistry:
    """What is in each well, and how much light it absorbs: the law of Lambert and Beer.

    Args:
        seed: Of the noise.
    """

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.held = defaultdict[str, dict[str, float]](lambda: defaultdict(float))
        """Microlitres by well and liquid."""

    def absorbance(self, well: str, wavelength: int) -> float:
        """Return a noisy reading of a well."""
        held = self.held[well]
        dyes = zip(ABSORPTIVITY[wavelength], ("yellow", "red", "blue"), strict=True)
        clean = sum(each * held[dye] for each, dye in dyes) / (sum(held.values()) or 1.0)
        return float(clean * (1 + NOISE * self._rng.standard_normal()))


class SimulatedRobot(LiquidHandlerChatterboxBackend):
    """A robot whose channels carry what they took; it begins with an empty plate."""

    def __init__(self, chemistry: Chemistry) -> None:
        super().__init__()
        self._chemistry, self._carried = chemistry, dict[int, str]()
        chemistry.held.clear()

    async def aspirate(self, ops: list[Any], use_channels: list[int], **options: Any) -> None:
        """Take liquids."""
        await super().aspirate(ops, use_channels, **options)
        self._carried |= {channel: each.resource.name for channel, each in zip(use_channels, ops, strict=True)}

    async def dispense(self, ops: list[Any], use_channels: list[int], **options: Any) -> None:
        """Give the liquids into wells."""
        await super().dispense(ops, use_channels, **options)
        for channel, each in zip(use_channels, ops, strict=True):
            self._chemistry.held[each.resource.name][self._carried[channel]] += each.volume


class SimulatedReader(PlateReaderChatterboxBackend):
    """A reader that sees what is in the wells."""

    def __init__(self, chemistry: Chemistry) -> None:
        super().__init__()
        self._chemistry = chemistry

    async def read_absorbance(self, plate: Plate, wells: list[Well], wavelength: int) -> list[dict[str, Any]]:
        """Read wells at a wavelength in nm."""
        for well in wells:
            row, column = well.get_row(), well.get_column()
            self.dummy_absorbance[row] = [*self.dummy_absorbance[row]]
            self.dummy_absorbance[row][column] = self._chemistry.absorbance(well.name, wavelength)
        return await super().read_absorbance(plate, wells, wavelength)
