"""What agents propose: campaigns and readings that are written down, and send nothing before a person approved.

A proposal is a campaign whose approval is asked for as a whole. That it waits is looked up in the transaction that
writes the intent of each request (``Ledger.intend``), so that it does not matter who starts it, or by which way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from sdl.errors import InvalidInput, NotAllowed
from sdl.formatting import count_words, escape_invisible, format_value
from sdl.history import PROPOSAL, Entry, NoticeKind, State
from sdl.ledger import statements
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.look_alikes import look_alike
from sdl.ledger.people.tokens import Identity, Role, present
from sdl.ledger.row_mapping import row_of_campaign
from sdl.ledger.tables import approvals, campaigns
from sdl.space import Space
from sdl.system.clock import now

HOUR_S, DAY_S = 3600.0, 86_400.0
LONGEST_REASON = 1000


@dataclass(frozen=True)
class Used:
    """What somebody proposed of late, declined or not."""

    proposals: int
    """Within the last hour."""
    requests: int
    """That those within the last 24 hours may need."""


@dataclass(frozen=True, eq=False)
class Proposals:
    """The gate through which the holder of a token may ask for requests."""

    ledger: Ledger
    by: Identity

    def used(self) -> Used:
        """Return what this holder proposed of late."""
        with self.ledger.reading() as connection:
            return _used(connection, self.by.id)

    def refuse_excess(self, requests: int) -> None:
        """Refuse early what ``enter`` would refuse for the limits of the token; errors as there."""
        with self.ledger.reading() as connection:
            _refuse_excess(self.by, _used(connection, self.by.id), requests)

    def enter(
        self,
        name: str,
        instrument: str,
        space: Space,
        config: Mapping[str, Any],
        versions: Mapping[str, str],
        *,
        title: str,
        why: str,
    ) -> Entry:
        """Write down what is proposed; it waits for a person from then on.

        Args:
            name: That no campaign has.
            instrument: What the instrument calls itself.
            space: Its knobs and channels.
            config: What is to be done, with the ``budget`` of requests.
            versions: Of the programs.
            title: The name as it was written.
            why: For the person who decides, in the proposer's words.

        Raises:
            NotAllowed: if the token was ended, is a viewer's, or has used up what it may propose.
            InvalidInput: if the name is taken.
        """
        why = escape_invisible(" ".join(why.split()))[:LONGEST_REASON]  # one line: more could look like ours
        words = "an agent proposed it"
        row = row_of_campaign(name, title, instrument, space, config, versions, state=State.PAUSED, reason=words)
        with self.ledger.writing() as connection:
            holder = present(connection, self.by)
            _refuse_excess(holder, _used(connection, holder.id), config["budget"])
            if connection.execute(select(campaigns.c.id).where(campaigns.c.name == name)).first() is not None:
                raise InvalidInput(f"there is a campaign {format_value(name)} already: give this one another name")
            for known in connection.execute(select(campaigns.c.title)).scalars():
                if look_alike(known, title):
                    raise InvalidInput(
                        f"there is a campaign {format_value(known)}, which looks like {format_value(title)}: give this "
                        "one another name"
                    )
            campaign = statements.inserted_id(connection.execute(insert(campaigns).values(**row)))
            asked = {"campaign": campaign, "round": PROPOSAL, "granted": None, "by": "", "at": now()}
            reason = f"proposed by {holder.name} ({holder.known})"
            connection.execute(insert(approvals).values(**asked, proposer=holder.id, why=reason))
            words = f"proposed{f': {why}' if why else ''}"
            statements.insert_notice(connection, campaign, NoticeKind.WAITING, words, holder.name, holder.known)
        return self.ledger.entry(name)


def _refuse_excess(holder: Identity, used: Used, requests: int) -> None:
    if not holder.role.covers(Role.OPERATOR):
        raise NotAllowed(f"{holder.name!r} may read and not propose: it has {holder.known}")
    if used.proposals >= holder.hourly:
        raise NotAllowed(
            f"{holder.name!r} may make {count_words(holder.hourly, 'proposal')} an hour, and made as many: wait"
        )
    if used.requests + requests > holder.daily:
        raise NotAllowed(
            f"{holder.name!r} may propose {count_words(holder.daily, 'request')} in 24 hours; {used.requests} are "
            f"proposed already, and this asks for {requests}: ask for fewer, or wait"
        )


def _used(connection: Connection, proposer: int) -> Used:
    query = select(campaigns.c.created, campaigns.c.config).join(approvals, approvals.c.campaign == campaigns.c.id)
    own = (approvals.c.proposer == proposer) & (campaigns.c.created > now() - DAY_S)
    rows = connection.execute(query.where(own)).all()
    lately = sum(row.created > now() - HOUR_S for row in rows)
    return Used(lately, sum(row.config.get("budget", 0) for row in rows))
