"""A person as the instrument: knobs and channels stand in the campaign file, and readings come when somebody says them.

Nothing is asked here. What is wanted stands in the ledger as samples, and ``sdl.measurement.hand_bench`` takes what
persons said of them from there.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sdl.errors import InstrumentRefused, InvalidInput
from sdl.instruments.protocol import Patience, Reply
from sdl.space import UNCONSTRAINED, Channel, Constraints, Knob, Plate, Space, StatedChannel

STEPS = 1000
"""Steps of a knob that states none, at least: nobody sets sixteen digits by hand."""

RESERVED = ("sample", "purpose", "failed", "note")
"""Columns that every sheet has."""


class ByHand:
    """A person who sets knobs and says, perhaps days later, what was read.

    Args:
        knobs: With ``name``, ``low``, ``high``, and ``unit``, ``resolution`` or ``off`` if it has them; a knob that
            states no ``resolution`` is set in steps of a power of ten, a thousand of them at least.
        channels: With ``name``, and ``unit``, ``floor``, ``ceiling`` or ``noise`` if they are known.
        constraints: What all settings have to keep, ``always`` and ``never``.
        plate: What many samples are measured on at once, with ``rows`` and ``columns``; none to ask for one after the
            other.
    """

    patience = Patience(attempts=1)
    read_by_persons = True

    def __init__(
        self,
        knobs: list[Knob],
        channels: list[StatedChannel],
        constraints: Constraints = UNCONSTRAINED,
        plate: Plate | None = None,
    ) -> None:
        stated = tuple(Channel(**channel.model_dump()) for channel in channels)
        space = Space(knobs=tuple(map(_in_steps, knobs)), channels=stated, plate=plate)
        self.space = space.with_constraints(constraints)
        if slow := [knob.name for knob in knobs if knob.max_step is not None]:
            raise InvalidInput(f"max_step of {', '.join(slow)}: a person moves the knobs here: leave it out")
        names = [quantity.name.casefold() for quantity in self.space.quantities]
        if twice := sorted({name for name in names if name in RESERVED or names.count(name) > 1}):
            raise InvalidInput(
                f"knobs and channels are columns of one sheet, beside {', '.join(RESERVED)}, so each needs a name of "
                f"its own, found twice: {', '.join(twice)}"
            )
        if blank := [name for name in (q.name for q in self.space.quantities) if name != " ".join(name.split())]:
            raise InvalidInput(f"the blanks of {', '.join(map(repr, blank))} would be lost in a sheet: leave them out")
        headings = (", ".join(parts) for parts in (self.space.knob_names, self.space.channel_names))
        self.identity = f"a person at {' to '.join(headings)}"

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Refuse: a person has no answer at once.

        Raises:
            InvalidInput: settings that the space does not have.
            InstrumentRefused: always, with the commands that ask a person.
        """
        self.space.settings(settings)
        raise InstrumentRefused(
            "a person reads this instrument: write a campaign file, let 'sdl propose FILE' say what to measure, and "
            "'sdl tell' what was read",
            sent=False,
        )

    def close(self) -> None:
        """Nothing is held."""


def _in_steps(knob: Knob) -> Knob:
    if knob.resolution is not None or knob.values is not None:
        return knob
    if knob.scale == "log":
        listed = {float(f"{value:.3g}") for value in np.geomspace(knob.low, knob.high, STEPS)} | {knob.low, knob.high}
        return Knob(**knob.model_dump(exclude={"values"}), values=tuple(sorted(listed)))
    values: dict[str, Any] = {"resolution": 10.0 ** math.floor(math.log10((knob.high - knob.low) / STEPS))}
    return knob.model_copy(update=values)
