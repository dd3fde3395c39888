"""Campaigns of any size with made-up replies, which the database itself draws: for benchmarks of large ledgers."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection, insert, text, update

from sdl.history import Entry, Finding, Round, State
from sdl.ledger.row_mapping import row_of_finding, row_of_round
from sdl.ledger.tables import campaigns, findings, rounds


def fill_campaign(
    connection: Connection, entry: Entry, rounds_: Sequence[Round], finding: Finding, observations: int
) -> None:
    """Give an empty campaign rounds, a finding and observations that are spread over its rounds, and finish it.

    Args:
        connection: To a ledger in SQLite, as ``ledger.writing()`` yields it.
        entry: The campaign.
        rounds_: Its rounds, numbered from 0.
        finding: Its verdict.
        observations: How many there are to be; every eleventh is a reference.
    """
    connection.execute(insert(rounds), [row_of_round(entry.id, round_) for round_ in rounds_])
    connection.execute(insert(findings).values(**row_of_finding(entry.id, finding)))
    connection.execute(update(campaigns).where(campaigns.c.id == entry.id).values(state=State.FINISHED))
    parameters = {"campaign": entry.id, "instrument": entry.instrument, "size": observations, "rounds": len(rounds_)}
    for statement in (
        _planned_sql(entry.space.knob_names),
        _replies_sql(entry.space.knob_names, entry.space.channel_names),
    ):
        connection.execute(text(statement), parameters)


def _planned_sql(knobs: Sequence[str]) -> str:
    """Return the statement that makes requests at random settings."""
    place = "WITH RECURSIVE place(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n + 1 < :size) "
    setting = "(random() / 18446744073709551616.0 + 0.5)"
    settings = f"printf('[{', '.join(['%.17g'] * len(knobs))}]', {', '.join([setting] * len(knobs))})"
    return (
        "INSERT INTO requests (campaign, round, idx, replicate, purpose, settings) "
        f"{place} SELECT :campaign, n * :rounds / :size, n, 0, CASE WHEN n % 11 THEN 'learning' ELSE 'reference' END, "
        f"CASE WHEN n % 11 THEN {settings} ELSE '{json.dumps([0.0] * len(knobs))}' END FROM place"
    )


def _replies_sql(knobs: Sequence[str], channels: Sequence[str]) -> str:
    """Return the statement that makes the replies, as they look when a twin is asked."""
    counts = ", ".join(f"abs(random() % 60000) AS c{i}" for i in range(len(channels)))
    values = ", ".join(f"c{i}" for i in range(len(channels)))
    out = _quoted("{" + ", ".join(f'"{name}": %d' for name in channels) + "}")
    readings = _quoted("[" + ", ".join(["%d.0"] * len(channels)) + "]")
    censored, applied = _quoted(json.dumps([False] * len(channels))), _quoted(json.dumps(dict.fromkeys(knobs, 0.5)))
    raw = _quoted('{"in": ') + " || settings || " + f"', \"out\": ' || printf({out}, {values}) || '}}'"
    # Materialized, or SQLite draws a count anew in each column that it stands in.
    return (
        "INSERT INTO attempts (campaign, instrument, request, attempt, token, state, verdict, reason, applied, out, "
        "readings, censored, raw, sent_at, done_at, seconds) "
        f"WITH drawn AS MATERIALIZED (SELECT *, {counts} FROM requests WHERE campaign = :campaign) "
        f"SELECT :campaign, :instrument, id, 1, 1, 'DONE', 'OK', '', {applied}, printf({out}, {values}), "
        f"printf({readings}, {values}), {censored}, {raw}, 1.7e9 + idx, 1.7e9 + idx + 0.8, 0.8 "
        "FROM drawn"
    )


def _quoted(value: str) -> str:
    """Return a text as a literal of SQL, with colons that name no parameter."""
    return "'" + value.replace("'", "''").replace(":", r"\:") + "'"
