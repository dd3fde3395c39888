"""A plate of dyes in a reader, simulated: volumes of three dyes in each well, absorbances at three wavelengths."""

import json
from collections.abc import Iterator, Mapping

import numpy as np

from sdl.errors import InvalidInput
from sdl.instruments.protocol import Patience, Reply
from sdl.instruments.simulated.base import EXACT
from sdl.space import Channel, Knob, Plate, Readings, Settings, Space

WAVELENGTHS = ("450nm", "540nm", "630nm")
DYES = ("yellow", "red", "blue")
WARMING = 0.008
"""Largest part by which a dye absorbs more or less for each degree ..."""
ROOM = 40.0
"""... away from this temperature."""
STRAY = 0.01
"""The part of ``stray`` light, by default, which bends high absorbances."""
FULL_UL = 200.0
"""Volume that each well is filled up to with buffer, in microlitres."""


class PlateReader:
    """Three dyes are pipetted into wells and filled up with buffer; the reader tells absorbances of each well.

    ``A = -log10((1 - s) 10^(-E c) + s)`` with concentrations ``c``, absorptivities ``E`` drawn with the seed, and stray
    light ``s``: the law of Lambert and Beer as readers show it.

    Args:
        seed: Of the dyes, and of noise and missing wells.
        noise: Standard deviation of one reading, as a part of it, and of a tenth of an absorbance where that is more.
        rim: By which part wells at the rim read more, since they dry.
        between: Standard deviation of what the readings of a plate are off together, in absorbance.
        missing: Part of the wells that give no result.
        plate: The wells; none to measure one sample after the other.
        stray: Part of the light that reaches the detector past the well: the more, the lower the absorbance at which
            readings saturate.
        oven: Whether a fourth knob is the temperature, which all wells of a plate have in common.
    """

    def __init__(
        self,
        seed: int = 0,
        noise: float = 0.02,
        rim: float = 0.0,
        between: float = 0.0,
        missing: float = 0.0,
        plate: Plate | None = Plate(),  # noqa: B008
        oven: bool = False,
        stray: float = STRAY,
    ) -> None:
        faults = [
            f"{name}: needs a number from 0 on and below 1, got {value}"
            for name, value in (
                ("noise", noise),
                ("rim", rim),
                ("between", between),
                ("missing", missing),
                ("stray", stray),
            )
            if not 0 <= value < 1
        ]
        if faults:
            raise InvalidInput(faults)
        knobs = tuple(Knob(name=name, unit="uL", high=60.0, resolution=0.5) for name in DYES)
        if oven:
            whole = plate is not None
            knobs += (Knob(name="oven", unit="°C", low=20, high=60, resolution=0.5, constant_within_batch=whole),)
        stated = max(noise, EXACT)  # of a reading of 1 AU, the middle of the range
        channels = tuple(
            Channel(name=name, unit="AU", floor=None, integral=False, noise=stated) for name in WAVELENGTHS
        )
        self.space = Space(knobs=knobs, channels=channels, plate=plate)
        self.patience = Patience(attempts=3, first_wait=0.0)
        self.identity = f"plate-reader-{seed}"
        self.noise, self.rim, self.between, self.missing, self.stray = noise, rim, between, missing, stray
        dyes = np.random.default_rng([seed, 1])
        self._warming = np.random.default_rng([seed, 3]).uniform(-WARMING, WARMING, 3)
        self._absorptivity = np.diag(dyes.uniform(4, 7, 3)) + dyes.uniform(0.2, 1.5, (3, 3))
        self._rng = np.random.default_rng([seed, 2])

    def truth(self, settings: Settings) -> Readings:
        """Return noise-free absorbances ``(n, 3)`` of wells inside at settings ``(n, d)``: volumes in microlitres."""
        asked = np.asarray(settings, float)
        warm = 1 + self._warming * (asked[:, 3:] - ROOM) if len(self.space.knobs) > len(DYES) else 1.0
        passed = 10.0 ** -(warm * asked[:, :3] / FULL_UL @ self._absorptivity.T)
        return np.asarray(-np.log10((1 - self.stray) * passed + self.stray))

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading, in a cuvette."""
        return self._reply(settings, 1.0, np.zeros(3))

    def measure_many(self, settings: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Reply]]:
        """Read a plate, and yield the results of its wells as they come."""
        plate, off = self.space.plate or Plate(), self.between * self._rng.standard_normal(3)
        for well in self._rng.permutation(sorted(settings)).tolist():
            if self._rng.random() >= self.missing:
                yield well, self._reply(settings[well], 1 + self.rim * plate.outermost(well), off)

    def _reply(self, settings: Mapping[str, float], gain: float, off: Readings) -> Reply:
        asked = self.space.settings(settings)
        readings = gain * self.truth(asked[None])[0] + off
        noisy = readings + self.noise * np.maximum(np.abs(readings), 0.1) * self._rng.standard_normal(3)
        named = self.space.named_readings(noisy.round(5))
        applied = self.space.named_settings(asked)
        return Reply(applied, named, json.dumps({"in": list(applied.values()), "out": named}))

    def close(self) -> None:
        """Nothing to leave safe."""
