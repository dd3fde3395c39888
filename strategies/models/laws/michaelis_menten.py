"""Michaelis-Menten kinetics: the rate of an enzyme by the concentration of its substrate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from strategies.models.laws.law import Law
from strategies.models.laws.parameter import Array, Parameter


@dataclass(eq=False)
class MichaelisMenten(Law):
    """Rate of an enzyme by Michaelis and Menten: ``Vmax S / (Km + S)``.

    Args:
        substrate: Name of the knob with the concentration S, in the unit of Km.
        rate: Name of the channel, in the unit of Vmax.

    References:
        Johnson, Goody (2011), doi:10.1021/bi201284u, for the original paper of 1913
    """

    substrate: str = "substrate"
    rate: str = "rate"

    parameters: ClassVar = (
        Parameter("Vmax", 1e-3, 1e4, scale="log"),
        Parameter("Km", 1e-3, 1e4, scale="log"),
    )

    def readings(self, settings: Mapping[str, Array], parameters: Mapping[str, Array]) -> Mapping[str, Array]:
        """The rate; see ``Law``."""
        s = settings[self.substrate]
        return {self.rate: parameters["Vmax"] * s / (parameters["Km"] + s)}
