"""The flag by which campaigns are steered, where somebody wrote nonsense over it: the last that was asked for holds."""

import logging

import numpy as np
import pytest
from sqlalchemy import update

from sdl.errors import CampaignPaused, CampaignStopped
from sdl.history import Control, Purpose, Request, Round, RoundKind
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.tables import campaigns
from sdl.reports.status import campaign_statuses
from sdl.space import Space

NONSENSE = ["", "PAUSE", " run", "paused", "null", "0", "\u202estop", "x" * 5000]
SPACE = Space.unit("x")


@pytest.fixture
def ledger(where):
    with Ledger(where) as book:
        book.register("white", "light", SPACE, {"targets": []}, {})
        yield book


def overwrite(ledger, flag):
    with ledger.writing() as connection:
        connection.execute(update(campaigns).values(control=flag))


def send(ledger, index):
    """What sending a request gives."""
    entry = ledger.entry("white")
    with ledger.hold("light", "me") as lease:
        request = Request(0, index, 0, Purpose.DESIGN, np.zeros(1))
        ledger.plan(lease, entry.id, Round(0, RoundKind.DESIGN), [request])
        return ledger.send(lease, entry.id, request, 100)


@pytest.mark.fault("O-27")
@pytest.mark.parametrize("flag", NONSENSE)
def test_nobody_asked_for_anything_so_it_goes_on_with_a_warning(ledger, flag, caplog):
    overwrite(ledger, flag)
    with caplog.at_level(logging.WARNING):
        assert send(ledger, 0) == 1
        assert send(ledger, 1) == 2
    (result,) = (each.getMessage() for each in caplog.records)
    assert result.startswith("campaign 'white' has the flag '")
    assert result.isprintable()
    assert ledger.entry("white").control is Control.RUN
    ledger.obey("white")


@pytest.mark.fault("O-27")
@pytest.mark.parametrize(("asked", "refused"), [(Control.PAUSE, CampaignPaused), (Control.STOP, CampaignStopped)])
@pytest.mark.parametrize("flag", NONSENSE[:3])
def test_what_was_asked_for_last_holds(ledger, asked, refused, flag):
    for each in (Control.PAUSE, Control.RUN, asked):
        Controls(ledger).ask("white", each)
    overwrite(ledger, flag)
    for call in (lambda: ledger.obey("white"), lambda: send(ledger, 0)):
        with pytest.raises(refused):
            call()
    assert [each.control for each in ledger.entries()] == [asked]
    assert [each.control for each in campaign_statuses(ledger)] == [asked]


@pytest.mark.fault("O-27")
def test_a_word_that_is_one_takes_over_again(ledger):
    overwrite(ledger, "nonsense")
    Controls(ledger).ask("white", Control.PAUSE)
    with pytest.raises(CampaignPaused):
        send(ledger, 0)
    Controls(ledger).ask("white", Control.RUN)
    assert send(ledger, 0) == 1


@pytest.mark.fault("O-27")
def test_status_shows_it(sdl, home):
    with Ledger(home / "ledger.sqlite") as book:
        book.register("white", "light", SPACE, {"targets": []}, {})
        overwrite(book, "nonsense")
    (row,) = sdl("status", "--json").json
    assert row["control"] == "run"
