"""The two large tables of the ledger read in bulk: a campaign may have a million rows of each.

One row at a time costs SQLAlchemy, JSON and NumPy more than the row is worth: the cells of a column are parsed as one
list, and the arrays of the rows are views of one array.
"""

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, ColumnElement, Connection, Text, case, cast, select

from sdl.history import Observation, Purpose, ReplyClass, Request
from sdl.ledger.row_mapping import USABLE
from sdl.ledger.tables import attempts, requests

CHUNK = 10_000
"""Rows that are parsed at once."""
PURPOSES = {each.value: each for each in Purpose}
CLASSES = {each.value: each for each in ReplyClass}


def planned(connection: Connection, campaign: int, after: int = 0) -> dict[int, Request]:
    """Planned measurements by the number of their row, in the order in which they were planned.

    Args:
        connection: To the ledger.
        campaign: Its number.
        after: Number of the last row that is known already; 0 for none.
    """
    columns = requests.c["id", "round", "idx", "replicate", "purpose"]
    whose = requests.c.campaign
    # By the number of the row where some are known: by campaign, a database would go through those too.
    mine = (requests.c.id > after) & (whose + 0 == campaign) if after else whose == campaign
    found = dict[int, Request]()
    with _without_rest():
        read = connection.execute(select(*columns, _text(requests.c.settings)).where(mine))
        for part in read.partitions(CHUNK):
            ids, *places, purposes, settings = zip(*part, strict=True)
            values = zip(*places, map(PURPOSES.__getitem__, purposes), _array(settings), strict=True)
            found |= zip(ids, starmap(Request, values), strict=True)
        return dict(sorted(found.items()))  # nearly in order already, which a database does not know


def observations(
    connection: Connection,
    campaign: int,
    requested: Mapping[int, Request],
    found: dict[int, Observation],
    between: tuple[int, int],
) -> tuple[int, int]:
    """Add the first usable reply of each planned measurement, in the order of sending.

    Args:
        connection: To the ledger.
        campaign: Its number.
        requested: What ``planned`` gave in the same transaction, and before it.
        found: The observations so far by the number of what was planned; to be added to.
        between: Numbers of the first and the last attempt that may be added.

    Returns:
        The number of the last usable attempt, and that of what it observed, 0 where it is not the first there.
    """
    columns = [*attempts.c["id", "request", "verdict"], _text(attempts.c.readings), _text(attempts.c.censored)]
    mine = (attempts.c.campaign == campaign) & attempts.c.id.between(*between)
    query = select(*columns).where(mine, attempts.c.verdict.in_(USABLE)).order_by(attempts.c.id)
    masks, last, new = dict[str, NDArray[np.bool_]](), between[0], 0
    with _without_rest():
        for part in connection.execute(query).partitions(CHUNK):
            *_, readings, censored = zip(*part, strict=True)
            masks |= {text: np.array(json.loads(text), bool) for text in set(censored) - masks.keys()}
            for (attempt, number, verdict, _, mask), row in zip(part, _array(readings), strict=True):
                last, new = attempt, 0 if number in found else number
                if new:
                    place = requested[number]
                    found[number] = Observation(
                        *(place.round, place.index, place.replicate, place.purpose, place.settings),
                        *(len(found), CLASSES[verdict], row, masks[mask]),
                    )
    return last, new


@dataclass(frozen=True, eq=False)
class Sendings:
    """What became of every attempt of a campaign, in the order of sending: columns of ``n`` each."""

    rows: NDArray[np.int_]
    """Numbers of their rows."""
    counts: NDArray[np.bool_]
    """Whether it brought a usable reading."""
    observed: NDArray[np.int_]
    """Places, from 0, of the attempts that became the observations, in their order."""


def sendings(connection: Connection, campaign: int) -> Sendings:
    """What became of every attempt of a campaign."""
    useful = case((attempts.c.verdict.in_(USABLE), 1), else_=0)
    query = select(*attempts.c["id", "request"], useful).where(attempts.c.campaign == campaign)
    with _without_rest():
        read = connection.execute(query.order_by(attempts.c.id)).partitions(CHUNK)
        parts = [np.array(list(zip(*part, strict=True)), int) for part in read]
    ids, asked, counts = np.concatenate([np.empty((3, 0), int), *parts], axis=1)
    usable = np.flatnonzero(counts)
    _, first = np.unique(asked[usable], return_index=True)
    return Sendings(ids, counts.astype(bool), usable[np.sort(first)])


def _text(column: Column[Any]) -> ColumnElement[str]:
    """A cell of JSON as it is written."""
    return cast(column, Text)


def _array(cells: Sequence[str]) -> NDArray[np.float64]:
    """Lists of numbers, as one array of a row each; NaN for null."""
    return np.array(json.loads(f"[{','.join(cells)}]"), float)


@contextmanager
def _without_rest() -> Iterator[None]:
    """Keep the collector of garbage from looking through millions of new objects, again and again, for cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
