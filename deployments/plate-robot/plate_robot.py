"""A robot that fills a plate and a reader that reads it, by PyLabRobot, as an instrument of plates.

Both devices are simulated. For your own, name their backends in ``_devices``, such as ``STARBackend()`` and
``CLARIOstarBackend()``, and say in ``_lay_out`` what stands where; whatever else is here stays.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import groupby
from operator import methodcaller

from pylabrobot import resources as labware
from pylabrobot.liquid_handling import LiquidHandler
from pylabrobot.plate_reading import PlateReader
from pylabrobot.resources import Coordinate, Trough, Well, hamilton
from simulated_devices import Chemistry, SimulatedReader, SimulatedRobot

from sdl.errors import InstrumentUnavailable
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Channel, Knob, Plate, Space

DYES = ("yellow", "red", "blue")
BUFFER = "buffer"
FULL_UL = 200.0
"""What each well is filled up to."""
WAVELENGTHS = {"450nm": 450, "540nm": 540, "630nm": 630}
TIPS = 8
"""Channels of the robot; each liquid takes as many tips."""


class PlateRobot:
    """Three dyes and buffer are pipetted into the wells of a plate, and their absorbances are read.

    Args:
        seed: Of the noise of the simulated reader.
    """

    space = Space(
        knobs=tuple(Knob(name=dye, high=60, unit="uL", resolution=0.5) for dye in DYES),
        channels=tuple(Channel(name=name, unit="AU", floor=None, integral=False) for name in WAVELENGTHS),
        plate=Plate(rows=8, columns=12),
    )
    patience = Patience(attempts=2, first_wait=0.0)

    def __init__(self, seed: int = 0) -> None:
        self.identity = f"plate-robot-{seed}"
        self._chemistry = Chemistry(seed)

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading, in a well of a plate of its own."""
        ((_, reply),) = self.measure_many({"D6": settings})
        return reply

    def measure_many(self, settings: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, Reply]]:
        """Fill a plate and read it.

        Raises:
            InstrumentUnavailable: with what the robot or the reader reports, and what they did before.
        """
        told = StringIO()
        try:
            with redirect_stdout(told):  # the simulated devices say on the terminal whatever they do
                read = asyncio.run(self._fill_and_read(settings))
        except Exception as error:
            words = f"{self.identity}: {type(error).__name__}: {error}"
            raise InstrumentUnavailable(words, raw=told.getvalue()) from error
        for well, readings in read.items():
            yield well, Reply(settings[well], readings, json.dumps(readings))

    def close(self) -> None:
        """Robot and reader are let go after each plate."""

    def _devices(self) -> tuple[LiquidHandler, PlateReader]:
        """The robot and the reader, which are not connected yet."""
        robot = LiquidHandler(SimulatedRobot(self._chemistry), hamilton.STARLetDeck())
        return robot, PlateReader("reader", size_x=127, size_y=86, size_z=20, backend=SimulatedReader(self._chemistry))

    async def _fill_and_read(self, settings: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
        robot, reader = self._devices()
        rack, troughs, plate = _lay_out(robot, reader)
        wells = {name: plate.get_well(name) for name in settings}
        await robot.setup()
        await reader.setup()
        try:
            for place, trough in enumerate(troughs):
                volumes = {wells[name]: _volume(amounts, trough.name) for name, amounts in settings.items()}
                await robot.pick_up_tips(rack[TIPS * place : TIPS * (place + 1)])
                await _pour(robot, trough, {well: volume for well, volume in volumes.items() if volume > 0})
                await robot.discard_tips()
            await robot.move_plate(plate, reader)
            grids = {
                channel: (await reader.read_absorbance(wavelength, use_new_return_type=True))[0]["data"]
                for channel, wavelength in WAVELENGTHS.items()
            }
        finally:
            await reader.stop()
            await robot.stop()
        return {
            name: {channel: grid[well.get_row()][well.get_column()] for channel, grid in grids.items()}
            for name, well in wells.items()
        }


def _lay_out(robot: LiquidHandler, reader: PlateReader) -> tuple[labware.TipRack, list[Trough], labware.Plate]:
    """What a person puts on the deck before each plate: tips, a trough for each liquid, and an empty plate."""
    racks, vats = hamilton.TIP_CAR_480_A00("tips"), hamilton.Trough_CAR_4R200_A00("troughs")
    plates = hamilton.PLT_CAR_L5AC_A00("plates")
    for rails, carrier in ((1, racks), (8, vats), (15, plates)):
        robot.deck.assign_child_resource(carrier, rails=rails)
    robot.deck.assign_child_resource(reader, location=Coordinate(700, 100, 100))
    racks[0] = rack = hamilton.hamilton_96_tiprack_300uL_filter("rack")
    plates[0] = plate = labware.cor_96_wellplate_360uL_Fb("plate")
    troughs = [hamilton.hamilton_1_trough_200mL_Vb(liquid) for liquid in (*DYES, BUFFER)]
    for place, trough in enumerate(troughs):
        vats[place] = trough
    return rack, troughs, plate


def _volume(amounts: Mapping[str, float], liquid: str) -> float:
    """Microlitres of a liquid in one well: of a dye what was asked for, of buffer what is left."""
    return amounts[liquid] if liquid in amounts else FULL_UL - sum(amounts.values())


async def _pour(robot: LiquidHandler, trough: Trough, volumes: Mapping[Well, float]) -> None:
    """Bring volumes of one liquid into wells, a column of the plate after the other."""
    in_order = sorted(volumes, key=lambda well: (well.get_column(), well.get_row()))
    for _, column in groupby(in_order, key=methodcaller("get_column")):
        wells: Sequence[Well] = [*column]
        amounts = [volumes[well] for well in wells]
        await robot.aspirate([trough] * len(wells), amounts, use_channels=[*range(len(wells))])
        await robot.dispense(wells, amounts, use_channels=[*range(len(wells))])
