"""What the columns of a model's rows mean: for a model that reasons in names and units, such as a physical law."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from sdl.space.space import Settings, Space


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """Names and units of what a model otherwise sees as points of a unit box and columns of readings."""

    knobs: tuple[str, ...]
    """Names of all knobs."""
    channels: tuple[str, ...]
    """Names of the columns of readings."""
    axes: int
    """Of the unit box."""
    settings: Callable[[Settings], Settings]
    """Points ``(m, axes)`` of the unit box to all knobs ``(m, len(knobs))`` in their units, on no step yet."""
    off: Settings | None
    """All knobs where the background was read that was subtracted from the readings; None where none was."""

    @classmethod
    def of(cls, space: Space, channels: Sequence[str], *, subtracted: bool) -> Self:
        """The columns of an instrument, of whose readings those with all knobs off were subtracted, or not."""
        return cls(space.knob_names, tuple(channels), space.u, space.settings_at, space.off if subtracted else None)


@runtime_checkable
class NeedsUnits(Protocol):
    """A model that has to know what its columns mean before it is fitted."""

    def in_units(self, columns: NamedColumns) -> Any:
        """Say it, and return the model.

        Raises:
            InvalidInput: if the model knows nothing of these knobs or channels.
        """
