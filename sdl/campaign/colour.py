"""Colour as a target: from the channels of a spectral sensor to the CIE's X, Y, Z, the chromaticity, and L*a*b*.

A channel counts relative to what it reads of a white, so that the sensor needs no calibration: white has the colour of
the illuminant. What a channel weighs in X, Y and Z is the observer's colour matching function times the illuminant at
its wavelength, times the band between the channels beside it.

References:
    CIE 15:2018, doi:10.25039/TR.015.2018, for the formulas; colour-science for the tables of observers and illuminants
"""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from sdl.campaign.section import Section
from sdl.campaign.sections import QuantityPart

OBSERVERS = {"2 degree": "CIE 1931 2 Degree Standard Observer", "10 degree": "CIE 1964 10 Degree Standard Observer"}
AXES = ("X", "Y", "Z")
DARK = 216 / 24389
"""Share of white below which lightness is a straight line."""
STEEP = 841 / 108
"""Slope of that line."""

Wavelength = Annotated[float, Field(ge=380, le=780)]
Weights = tuple[float, float, float]


class ColourPart(Section):
    """The colour that channels read, as quantities for targets: ``L*``, ``a*``, ``b*``, ``CIE Y`` and such."""

    wavelengths: dict[str, Wavelength] = Field(min_length=3, max_length=12)
    """By channel, the middle of its band in nm."""
    white: dict[str, float]
    """By channel, what it reads of what counts as white."""
    black: dict[str, float] = Field(default_factory=dict)
    """By channel, what it reads of no light; 0 by default."""
    illuminant: Literal["A", "C", "D50", "D55", "D65", "D75", "E"] = "D65"
    """The light that white stands for."""
    observer: Literal["2 degree", "10 degree"] = "2 degree"
    weights: dict[str, Weights] = Field(default_factory=dict)
    """By channel, what it weighs in X, Y and Z where white has a Y of 100; filled in by the tables if left out."""

    @model_validator(mode="wrap")
    @classmethod
    def _complete(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        part = read(given)
        for name, readings in (("white", part.white), ("weights", part.weights or part.white)):
            if differing := sorted(readings.keys() ^ part.wavelengths.keys()):
                raise ValueError(f"{name} and wavelengths must name the same channels, check {', '.join(differing)}")
        if unknown := sorted(part.black.keys() - part.wavelengths.keys()):
            raise ValueError(f"black names channels without a wavelength: {', '.join(unknown)}")
        if dim := [name for name in part.wavelengths if not part.white[name] > part.black.get(name, 0.0)]:
            raise ValueError(f"white needs to read more than black at {', '.join(dim)}")
        if len(set(part.wavelengths.values())) < len(part.wavelengths):
            raise ValueError("wavelengths need to differ from channel to channel")
        part = part if part.weights else part.model_copy(update={"weights": part._tabulated()})
        part.quantities  # noqa: B018  # so that a formula which is too long is a fault of the file
        return part

    def _tabulated(self) -> dict[str, Weights]:
        """The weights by the tables of colour-science, which takes seconds to load."""
        try:
            with np.printoptions():  # the package changes how arrays print in the whole process
                from colour import MSDS_CMFS, SDS_ILLUMINANTS
        except ModuleNotFoundError:
            raise ValueError(
                "needs the tables of colour-science for its weights: pip install 'inverse-sdl[colour]'"
            ) from None
        observer, light = MSDS_CMFS[OBSERVERS[self.observer]], SDS_ILLUMINANTS[self.illuminant]
        names = sorted(self.wavelengths, key=lambda name: self.wavelengths[name])
        weights = dict[str, tuple[float, ...]]()
        for name, band in zip(names, _bands([self.wavelengths[name] for name in names]), strict=True):
            at = self.wavelengths[name]
            weights[name] = tuple(float(axis * light[at] * band) for axis in observer[at])
        whole = sum(weight[1] for weight in weights.values()) / 100
        return {name: (x / whole, y / whole, z / whole) for name, (x, y, z) in weights.items()}

    @property
    def quantities(self) -> dict[str, QuantityPart]:
        """What is computed from the channels, by name: tristimulus values, chromaticity, lightness and its company."""
        texts = {f"CIE {axis}": self._sum(place) for place, axis in enumerate(AXES)}
        whites = [sum(weight[place] for weight in self.weights.values()) for place in range(len(AXES))]
        x, y, z = (_lightness(f"CIE {axis}", white) for axis, white in zip(AXES, whites, strict=True))
        for axis in AXES[:2]:
            texts[f"CIE {axis.lower()}"] = f"'CIE {axis}' / ('CIE X' + 'CIE Y' + 'CIE Z')"
        texts |= {"L*": f"116 * ({y}) - 16", "a*": f"500 * (({x}) - ({y}))", "b*": f"200 * (({y}) - ({z}))"}
        return {name: QuantityPart(formula=text) for name, text in texts.items()}

    def _sum(self, place: int) -> str:
        """The formula of a tristimulus value."""
        parts, off = list[str](), 0.0
        for name, weights in self.weights.items():
            black = self.black.get(name, 0.0)
            factor = weights[place] / (self.white[name] - black)
            parts.append(f"{factor:.7g} * '{name}'")
            off += factor * black
        return " + ".join(parts) + (f" - {off:.9g}" if off else "")


class LabColour(Section):
    """A colour in CIE 1976 L*a*b*, and how far off the true one may be."""

    L: float = Field(ge=0)
    a: float
    b: float
    delta_e: float = Field(default=1.0, gt=0)
    """Largest distance, Delta E*ab of 1976. Each coordinate is held within its part of it, 1 / sqrt(3), so that the
    distance is kept whichever way the three are off."""

    @property
    def wishes(self) -> dict[str, str]:
        """What is wanted of each coordinate, by the name of the quantity."""
        part = self.delta_e / math.sqrt(3)
        return {
            f"{name}*": f"{value:.12g} ± {part:.12g}"
            for name, value in zip("Lab", (self.L, self.a, self.b), strict=True)
        }

    def describe(self, readings: Mapping[str, float]) -> str:
        """Say how far a colour is from this one; empty where its coordinates are not known.

        >>> LabColour(L=71, a=-26, b=19).describe({"L*": 71.3, "a*": -26.0, "b*": 19.4})
        '0.50, and at most 1 is allowed'
        """
        off = math.dist((self.L, self.a, self.b), [readings.get(f"{name}*", math.nan) for name in "Lab"])
        return "" if math.isnan(off) else f"{off:.2f}, and at most {self.delta_e:g} is allowed"


def with_wishes(target: Any) -> Any:
    """Return a target as it is written, with what its colour wants of L*, a* and b* among its readings."""
    if not isinstance(target, dict) or target.get("colour") is None:
        return target
    readings = target.get("readings", {})
    try:
        colour = target["colour"]
        colour = colour if isinstance(colour, LabColour) else LabColour.model_validate(colour)
    except ValidationError:  # which the field itself says
        return target
    return {**target, "readings": {**readings, **colour.wishes}} if isinstance(readings, dict) else target


def _bands(wavelengths: list[float]) -> Iterator[float]:
    """The width of the band that each of some wavelengths, in their order, stands for."""
    edges = [(one + other) / 2 for one, other in pairwise(wavelengths)]
    first, last = 2 * wavelengths[0] - edges[0], 2 * wavelengths[-1] - edges[-1]
    yield from (high - low for low, high in pairwise([first, *edges, last]))


def _lightness(quantity: str, white: float) -> str:
    """The formula of a share of white by which the eye sees it: its cube root, or a line where it is dark.

    The line touches the root from above, so that each counts for the part of the share on its own side.
    """
    share, dark = f"'{quantity}' / {white:.9g}", f"{DARK:.9g}"
    return f"cbrt(max({share}, {dark})) + {STEEP:.9g} * (min({share}, {dark}) - {dark})"
