"""A campaign as its tables have it, in plain rows: for reports, exports and bundles."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, func, select

from sdl.ledger import statements
from sdl.ledger.tables import attempts, campaigns, changes, exams, findings, notices, requests, rounds

Rows = list[dict[str, Any]]


def read_trail(connection: Connection, campaign: int, numbers: Collection[int] | None) -> Rows:
    """Return the attempts with their requests, in the order of sending; of these numbers alone, if some are given."""
    query = (
        select(
            attempts.c.id.label("seq"),
            *requests.c["round", "replicate", "purpose", "settings"],
            requests.c.idx.label("index"),
            *attempts.c[statements.ATTEMPT_COLUMNS],
        )
        .join(requests, attempts.c.request == requests.c.id)
        .where(attempts.c.campaign == campaign)
        .order_by(attempts.c.id)
    )
    if numbers is not None:
        query = query.where(attempts.c.id.in_(numbers))
    return [dict(row) for row in connection.execute(query).mappings()]


def read_account(connection: Connection, campaign: int) -> dict[str, Rows]:
    """Return all that the tables hold of a campaign but its attempts, in the order of writing."""
    queries = {
        "rounds": statements.select_rows(rounds, campaign),
        "planned": statements.select_planned(campaign),
        "exams": statements.select_rows(exams, campaign),
        "findings": statements.select_rows(findings, campaign),
        "changes": statements.select_rows(changes, campaign),
        "notices": statements.select_rows(notices, campaign),
    }
    return {name: [dict(row) for row in connection.execute(query).mappings()] for name, query in queries.items()}


Extent: TypeAlias = Mapping[str, Mapping[str, float]]
"""How much a ledger holds: of each campaign when it was created and changed last, and rows by table."""


def read_extent(connection: Connection) -> Extent:
    """Return how much the ledger holds."""
    found = defaultdict[str, dict[str, float]](dict)
    for name, created, updated in connection.execute(select(*campaigns.c["name", "created", "updated"])):
        found[name] |= {"created": created, "updated": updated}
    for table in (rounds, attempts, exams, findings, changes, notices):
        counted = select(campaigns.c.name, func.count()).join(table, table.c.campaign == campaigns.c.id)
        for name, count in connection.execute(counted.group_by(campaigns.c.name)):
            found[name][table.name] = count
    return found


def lacking(present: Extent, other: Extent) -> list[str]:
    """Return what a ledger holds and another one lacks, one phrase a campaign; nothing if all of it is there."""
    phrases = list[str]()
    for name, held in present.items():
        has = other.get(name)
        if has is None or has["created"] != held["created"]:
            phrases.append(f"campaign {name!r}")
            continue
        more = [f"{held[key] - has.get(key, 0):.0f} {key}" for key in held if held[key] > has.get(key, 0)]
        if rows := [phrase for phrase in more if not phrase.endswith("updated")] or ["its last state"] * bool(more):
            phrases.append(f"{', '.join(rows)} of {name!r}")
    return phrases
