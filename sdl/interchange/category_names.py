"""Names in the settings of rows from elsewhere, such as those of solvents: each becomes its place in a category."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sdl.errors import InvalidInput
from sdl.interchange.formats.jsonl import Fault, Record, are_names
from sdl.space import Space

Names = tuple[str, ...]


@dataclass(frozen=True)
class Placed:
    """Records whose settings are numbers, as far as their names are known."""

    records: Sequence[tuple[int, Record]]
    categories: Mapping[str, Names] = field(default_factory=dict)
    """By knob the names that were found, in the order of their places."""
    faults: Sequence[Fault] = ()
    """Records with a name that the category does not have; they are left out."""


def place_names(records: Sequence[tuple[int, Record]], knobs: Sequence[str], space: Space | None) -> Placed:
    """Put a number in the place of each name in the settings of records.

    A knob is a category by the space, or without one if its settings are names in all records. Text that is of no
    category is left as it is, for whoever wants a number.

    Args:
        records: Each with its line or row; ``in`` are its settings in the order of the knobs.
        knobs: Names of these.
        space: Which names there are; None if nobody has said.
    """
    rows = [record["in"] for _, record in records if _fits(record, knobs)]
    if not any(isinstance(value, str) for row in rows for value in row):
        return Placed(records)
    if space is None:
        columns = dict(zip(knobs, zip(*rows, strict=True), strict=True))
        categories = {knob: tuple(sorted({*map(str.strip, each)})) for knob, each in columns.items() if are_names(each)}
    else:
        categories = {knob.name: knob.names for knob in space.knobs if knob.names}
    placed, faults = list[tuple[int, Record]](), list[Fault]()
    for number, record in records:
        if not _fits(record, knobs):
            placed.append((number, record))
            continue
        try:
            pairs = zip(knobs, record["in"], strict=True)
            settings = [_place(knob, value, categories.get(knob, ()), space) for knob, value in pairs]
            placed.append((number, {**record, "in": settings}))
        except InvalidInput as error:
            faults.append((number, str(error)))
    return Placed(placed, categories if space is None else {}, faults)


def _fits(record: Record, knobs: Sequence[str]) -> bool:
    return isinstance(record.get("in"), list) and len(record["in"]) == len(knobs)


def _place(knob: str, value: object, names: Names, space: Space | None) -> object:
    if not isinstance(value, str) or not names:
        return value
    name = value.strip()
    return float(names.index(name)) if space is None else space.knobs[space.knob_names.index(knob)].setting(name)
