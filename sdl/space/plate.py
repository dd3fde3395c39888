"""A plate, or any carrier of samples that is measured at once: its wells, and in which order they are filled."""

import re
from collections.abc import Sequence
from functools import cached_property
from math import gcd
from string import ascii_uppercase
from typing import Literal

from pydantic import Field

from sdl.space.knob import Value

GOLDEN = 0.6180339887498949
"""Share of all wells between two that are filled one after the other, so that neighbours in time are far apart."""


class Plate(Value):
    """Wells in rows A, B, ... and columns 1, 2, ...; a carousel is a plate of one row whose rim is like the rest."""

    rows: int = Field(default=8, ge=1, le=32)
    columns: int = Field(default=12, ge=1, le=48)
    rim: Literal["apart", "alike", "unused"] = "apart"
    """What wells at the rim are, where more evaporates and more light falls in: ``apart`` fills them last and with no
    replicates as long as others are left, and learns from all of them by how much they are off; ``alike`` are like the
    rest, and ``unused`` stay empty."""
    parallel: bool = Field(default=False, exclude_if=lambda parallel: not parallel)
    """Whether wells are instruments side by side: one that stands idle saves nothing, and the readings of a batch have
    no error in common that those of the next one do not have."""

    @property
    def capacity(self) -> int:
        """Measurements that one plate takes."""
        return len(self._inside) + len(self._outside)

    @property
    def wells(self) -> tuple[str, ...]:
        """Every well, row by row."""
        return tuple(name for name, _ in self._wells)

    def at_rim(self, well: str) -> bool:
        """Whether a well reads apart from those inside."""
        return self.rim == "apart" and self.outermost(well)

    def outermost(self, well: str) -> bool:
        """Whether a well lies at the rim, whatever that is said to be."""
        return dict(self._wells).get(well, False)

    def fill(self, replicates: Sequence[bool]) -> list[str]:
        """Return the well of each measurement, in their order: equal ones are spread over the plate.

        Args:
            replicates: Whether each is one of several at the same settings; these go inside first.
        """
        if len(replicates) > self.capacity:
            raise ValueError(f"a plate of {self.capacity} wells does not take {len(replicates)} measurements")
        wells = [*self._inside, *self._outside]
        order = sorted(range(len(replicates)), key=lambda place: not replicates[place])
        found = dict(zip(order, wells, strict=False))
        return [found[place] for place in range(len(replicates))]

    @cached_property
    def _inside(self) -> tuple[str, ...]:
        return _spread([name for name, rim in self._wells if self.rim == "alike" or not rim])

    @cached_property
    def _outside(self) -> tuple[str, ...]:
        return _spread([name for name, rim in self._wells if self.rim == "apart" and rim])

    @cached_property
    def _wells(self) -> tuple[tuple[str, bool], ...]:
        """Every well, and whether it lies at the rim."""
        return tuple(
            (f"{_letters(row)}{column + 1}", row in (0, self.rows - 1) or column in (0, self.columns - 1))
            for row in range(self.rows)
            for column in range(self.columns)
        )


def plain_well(name: str) -> str:
    """The name of a well as this program has it, for one that readers write with small letters or zeros.

    >>> plain_well("b02"), plain_well(" AA 12"), plain_well("waste")
    ('B2', 'AA12', 'waste')
    """
    found = re.fullmatch(r"\s*([A-Z]{1,2})\s*0*([1-9]\d*)\s*", name, re.ASCII | re.IGNORECASE)
    return f"{found[1].upper()}{found[2]}" if found else name


def _letters(row: int) -> str:
    """A to Z, then AA to AF.

    >>> _letters(0), _letters(31)
    ('A', 'AF')
    """
    first, last = divmod(row, len(ascii_uppercase))
    return (ascii_uppercase[first - 1] if first else "") + ascii_uppercase[last]


def _spread(wells: Sequence[str]) -> tuple[str, ...]:
    """The wells in an order in which those next to each other lie far apart."""
    n = len(wells)
    step = next((step for step in range(max(round(GOLDEN * n), 1), n) if gcd(step, n) == 1), 1)
    return tuple(wells[place * step % n] for place in range(n))
