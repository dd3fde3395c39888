"""The law of Beer and Lambert in a photometer with stray light: absorbance that does not grow without end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from strategies.models.laws.law import Law
from strategies.models.laws.parameter import Array, Parameter


@dataclass(eq=False)
class BeerLambert(Law):
    """Absorbance of a dye where stray light reaches the sensor: ``-log10((10^(-a c) + s) / (1 + s))``.

    Args:
        concentration: Name of the knob with the concentration c.
        absorbance: Name of the channel.

    References:
        Sharpe (1984), doi:10.1021/ac00266a003, for stray light
    """

    concentration: str = "concentration"
    absorbance: str = "absorbance"

    parameters: ClassVar = (
        Parameter("absorptivity", 1e-4, 1e3, scale="log"),
        Parameter("stray", 1e-6, 0.3, scale="log"),
    )

    def readings(self, settings: Mapping[str, Array], parameters: Mapping[str, Array]) -> Mapping[str, Array]:
        """The absorbance; see ``Law``."""
        light = 10.0 ** (-parameters["absorptivity"] * settings[self.concentration])
        return {self.absorbance: -np.log10((light + parameters["stray"]) / (1 + parameters["stray"]))}
