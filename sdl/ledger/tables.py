"""The tables of the ledger."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class _Words(TypeDecorator[str]):
    """Text from outside: neither NUL, which PostgreSQL does not take, nor half a surrogate pair, which nobody does."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else storable(value)


def storable(text: str) -> str:
    """Return a text as the ledger keeps it."""
    return text.replace("\0", "\u2400").encode(errors="replace").decode()


metadata = MetaData()

about = Table("about", metadata, Column("version", Integer, nullable=False))

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("title", _Words, nullable=False),
    Column("instrument", _Words, nullable=False),
    Column("space", JSON, nullable=False),
    Column("config", JSON, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", _Words, nullable=False),
    Column("control", String, nullable=False, server_default="run"),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

rounds = Table(
    "rounds",
    metadata,
    Column("campaign", ForeignKey("campaigns.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("target", String),
    Column("facts", JSON, nullable=False),
    Column("at", Float, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("replicate", Integer, nullable=False),
    Column("purpose", String, nullable=False),
    Column("settings", JSON, nullable=False),
    UniqueConstraint("campaign", "round", "idx", "replicate"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("request", ForeignKey("requests.id"), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("instrument", _Words, index=True),  # empty in what was measured before schema 5
    Column("token", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("verdict", String),
    Column("reason", _Words, nullable=False),
    Column("applied", JSON),
    Column("out", JSON),
    Column("readings", JSON),
    Column("censored", JSON),
    Column("raw", _Words, nullable=False),
    Column("sent_at", Float),
    Column("done_at", Float),
    Column("seconds", Float),
    Column("uptime", Text),  # empty in what was measured before schema 6, and where no system tells
    Column("sample", String),  # plate and well; empty before schema 8, and where readings are taken one by one
    Column("conditions", JSON(none_as_null=True)),  # by name; empty before schema 9, and where none are known
    UniqueConstraint("request", "attempt"),
)

exams = Table(
    "exams",
    metadata,
    Column("campaign", ForeignKey("campaigns.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("target", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("model", String, nullable=False),
    Column("replicates", Integer, nullable=False),
    Column("background", JSON, nullable=False),
    Column("uncertainty", JSON, nullable=False),
    Column("looks", JSON),
    Column("at", Float, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("target", String, nullable=False),
    Column("verdict", String, nullable=False),
    Column("sentence", _Words, nullable=False),
    Column("settings", JSON),
    Column("facts", JSON, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("campaign", "round", "target"),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("sent", Integer, nullable=False),
    Column("before", JSON, nullable=False),
    Column("at", Float, nullable=False),
)
"""What a campaign's configuration was until so many requests were sent; the present one stands with the campaign."""

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("text", _Words, nullable=False),
    Column("by", _Words, nullable=False),
    Column("known", _Words),  # empty in what was written before schema 6
    Column("at", Float, nullable=False),
)
"""What persons asked for and what was suspended, in words, each after so many requests."""

approvals = Table(
    "approvals",
    metadata,
    Column("campaign", ForeignKey("campaigns.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("why", _Words, nullable=False),
    Column("granted", Boolean),
    Column("by", _Words, nullable=False),
    Column("known", _Words),  # empty in what was written before schema 6
    Column("proposer", Integer),  # empty but in a proposal, whose round is -1; and before schema 7
    Column("at", Float, nullable=False),
)
"""Rounds whose settings a person has to see before they are sent; ``granted`` is empty until somebody answered.

What an agent proposes is a campaign with such a row of its own, in place of a round."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _Words, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("role", String, nullable=False),
    Column("salt", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("hourly", Integer, nullable=False),
    Column("daily", Integer, nullable=False),
    Column("by", _Words, nullable=False),
    Column("at", Float, nullable=False),
    Column("ended", Float),
)
"""Persons, agents and services, each known by a token of which a salted hash alone is kept; none is ever removed."""

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False, index=True),
    Column("request", ForeignKey("requests.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Float, nullable=False),
    UniqueConstraint("request", "number"),
)
"""Planned measurements that persons were asked to take; one that failed is asked for again under the next number."""

editions = Table(
    "editions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sample", ForeignKey("samples.id"), nullable=False),
    Column("edition", Integer, nullable=False),
    Column("readings", JSON, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("note", _Words, nullable=False),
    Column("by", _Words, nullable=False),
    Column("at", Float, nullable=False),
    Column("attempt", ForeignKey("attempts.id")),
    UniqueConstraint("sample", "edition"),
)
"""What persons said of a sample, each time they did; ``attempt`` is what it was entered as, with all before it."""

leases = Table(
    "leases",
    metadata,
    Column("instrument", String, primary_key=True),
    Column("token", Integer, nullable=False),
    Column("owner", String, nullable=False),
    Column("host", String, nullable=False),
    Column("process", String, nullable=False),
    Column("since", Float, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("beat_at", Float, nullable=False),
)
