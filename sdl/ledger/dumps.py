"""A campaign as its tables have it, in plain rows: for reports, exports and bundles."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select

from sdl.ledger import row_mapping as rows
from sdl.ledger.tables import attempts, changes, exams, findings, notices, requests, rounds

Rows = list[dict[str, Any]]


def attempted(connection: Connection, campaign: int, numbers: Collection[int] | None) -> Rows:
    """Attempts with their requests, in the order of sending; of these numbers alone, if some are told."""
    query = (
        select(
            attempts.c.id.label("seq"),
            *requests.c["round", "replicate", "purpose", "settings"],
            requests.c.idx.label("index"),
            *attempts.c[rows.ATTEMPTED],
        )
        .join(requests, attempts.c.request == requests.c.id)
        .where(attempts.c.campaign == campaign)
        .order_by(attempts.c.id)
    )
    if numbers is not None:
        query = query.where(attempts.c.id.in_(numbers))
    return [dict(row) for row in connection.execute(query).mappings()]


def account(connection: Connection, campaign: int) -> dict[str, Rows]:
    """All but the attempts, in the order of writing."""
    queries = {
        "rounds": rows.ordered(rounds, campaign),
        "planned": rows.planned(campaign),
        "exams": rows.ordered(exams, campaign),
        "findings": rows.ordered(findings, campaign),
        "changes": rows.ordered(changes, campaign),
        "notices": rows.ordered(notices, campaign),
    }
    return {name: [dict(row) for row in connection.execute(query).mappings()] for name, query in queries.items()}
