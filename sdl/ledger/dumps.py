"""A campaign as its tables have it, in plain rows: for reports, exports and bundles."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select

from sdl.ledger import statements
from sdl.ledger.tables import attempts, changes, exams, findings, notices, requests, rounds

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
