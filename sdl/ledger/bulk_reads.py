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

from sdl.history import USABLE, Observation, Purpose, ReplyClass, Request
from sdl.ledger.tables import attempts, requests

CHUNK = 10_000
"""Rows that are parsed at once."""
PURPOSES = {purpose.value: purpose for purpose in Purpose}
NOTHING: Mapping[str, float] = {}
"""Conditions of a reading that has none."""
CLASSES = {reply_class.value: reply_class for reply_class in ReplyClass}


def read_planned(connection: Connection, campaign: int, after: int = 0) -> dict[int, Request]:
    """Read planned measurements by the number of their row, in the order in which they were planned.

    Args:
        connection: To the ledger.
        campaign: Its number.
        after: Number of the last row that is known already; 0 for none.
    """
    columns = requests.c["id", "round", "idx", "replicate", "purpose"]
    whose = requests.c.campaign
    # By the number of the row where some are known: by campaign, a database would go through those too.
    new = (requests.c.id > after) & (whose + 0 == campaign) if after else whose == campaign
    planned = dict[int, Request]()
    with _without_rest():
        rows = connection.execute(select(*columns, _text(requests.c.settings)).where(new))
        for part in rows.partitions(CHUNK):
            ids, *places, purposes, settings = zip(*part, strict=True)
            values = zip(*places, map(PURPOSES.__getitem__, purposes), _array(settings), strict=True)
            planned |= zip(ids, starmap(Request, values), strict=True)
        return dict(sorted(planned.items()))  # nearly in order already, which a database does not know


def add_observations(
    connection: Connection,
    campaign: int,
    requested: Mapping[int, Request],
    observations: dict[int, Observation],
    between: tuple[int, int],
) -> tuple[int, int]:
    """Add the first usable reply of each planned measurement, in the order of sending.

    Args:
        connection: To the ledger.
        campaign: Its number.
        requested: What ``read_planned`` gave in the same transaction, and before it.
        observations: Those so far by the number of what was planned; to be added to.
        between: Numbers of the first and the last attempt that may be added.

    Returns:
        The number of the last usable attempt, and that of what it observed, 0 where it is not the first there.
    """
    numbered = attempts.c["id", "request", "verdict", "sample", "conditions"]
    columns = [*numbered, _text(attempts.c.readings), _text(attempts.c.censored)]
    in_range = (attempts.c.campaign == campaign) & attempts.c.id.between(*between)
    query = select(*columns).where(in_range, attempts.c.verdict.in_(USABLE)).order_by(attempts.c.id)
    masks, last, new = dict[str, NDArray[np.bool_]](), between[0], 0
    with _without_rest():
        for part in connection.execute(query).partitions(CHUNK):
            *_, readings, censored = zip(*part, strict=True)
            masks |= {text: np.array(json.loads(text), bool) for text in set(censored) - masks.keys()}
            for (attempt, number, verdict, sample, known, _, mask), row in zip(part, _array(readings), strict=True):
                last, new = attempt, 0 if number in observations else number
                if new:
                    place = requested[number]
                    observations[number] = Observation(
                        *(place.round, place.index, place.replicate, place.purpose, place.settings),
                        *(len(observations), CLASSES[verdict], row, masks[mask]),
                        sample or "",
                        known or NOTHING,
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


def read_sendings(connection: Connection, campaign: int) -> Sendings:
    """Read what became of every attempt of a campaign."""
    useful = case((attempts.c.verdict.in_(USABLE), 1), else_=0)
    query = select(*attempts.c["id", "request"], useful).where(attempts.c.campaign == campaign)
    with _without_rest():
        rows = connection.execute(query.order_by(attempts.c.id)).partitions(CHUNK)
        parts = [np.array(list(zip(*part, strict=True)), int) for part in rows]
    ids, request_ids, counts = np.concatenate([np.empty((3, 0), int), *parts], axis=1)
    usable = np.flatnonzero(counts)
    _, first = np.unique(request_ids[usable], return_index=True)
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
