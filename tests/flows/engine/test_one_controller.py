"""One campaign has one controller and one instrument, whatever its file says by now."""

import json
import re
import sys
import threading

import pytest
from chemist import WRITTEN
from places import ROOT
from sqlalchemy import update

from flows.engine.opening import open_session
from sdl import Lab
from sdl.errors import InvalidInput, LeaseHeld, LeaseLost, ReadingsWanted
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.interchange.bundle_writer import write_bundle
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.controls import Controls
from sdl.ledger.tables import campaigns
from strategies.plan.steps import Stop

HERE, THERE = ({"plugin": "twin", "seed": seed, "daylight": 1500.0} for seed in (3, 4))
LAMP = "the lamp in room 12"


@pytest.fixture
def opened(paper, tmp_path, where):
    """Opens the paper's campaign on an instrument."""

    def on(instrument, moved=False, **changes):
        return open_session(paper | {"instrument": instrument} | changes, tmp_path, where, moved=moved)

    return on


@pytest.fixture
def book(where):
    with Ledger(where) as ledger:
        yield ledger


def advance(session, steps=3):
    for _ in range(steps):
        if not isinstance(step := session.propose(), Stop):
            session.execute(step)


@pytest.mark.fault("O-30")
def test_a_begun_campaign_is_not_gone_on_with_elsewhere(opened, book):
    with opened(HERE) as session:
        advance(session)
        name, sent = session.entry.name, session.history.sent
    with (
        pytest.raises(InvalidInput, match=r"was begun on twin-3, and this is twin-4: .*--moved.*apparatus"),
        opened(THERE),
    ):
        pass
    assert book.entry(name).instrument == "twin-3"
    assert book.sent(book.entry(name).id) == sent > 0


@pytest.mark.fault("O-30")
def test_it_goes_on_elsewhere_if_a_person_says_so_and_that_is_written_down(opened, book):
    with opened(HERE) as session:
        advance(session)
        before = session.history.sent
    with opened(THERE, moved=True) as session:
        advance(session, 50)
        entry = session.entry
    devices = [row["instrument"] for row in book.trail(entry.id)]
    assert devices == ["twin-3"] * before + ["twin-4"] * (len(devices) - before)
    assert set(devices) == {"twin-3", "twin-4"}
    (notice,) = (each for each in Controls(book).notices(entry.id) if each.kind == "moved")
    assert notice.text == "goes on with twin-4 instead of twin-3"
    assert notice.sent == before
    with pytest.raises(InvalidInput, match="was begun on twin-4"), opened(HERE):
        pass


@pytest.mark.fault("O-30")
def test_nobody_moves_a_campaign_that_somebody_is_at_work_on(opened):
    with opened(HERE) as session:
        advance(session)
        with pytest.raises(LeaseHeld, match="twin-3 is held by campaign"), opened(THERE, moved=True):
            pass
        advance(session)


@pytest.mark.fault("O-30")
def test_who_slept_while_it_was_moved_sends_nothing_any_more(opened, book):
    """The sleeper holds the lease of the first instrument by a token that is no longer the highest."""
    with opened(HERE) as session:
        advance(session)
        asleep = session.lease
        with book.writing() as connection:
            connection.exec_driver_sql("UPDATE leases SET process = 'process 1@1'")  # as if it had died
        with opened(THERE, moved=True) as other:
            sent = other.history.sent
            with pytest.raises(LeaseLost, match="twin-3 was taken over by one who let go of it again"):
                book.reconcile(asleep, session.entry.id)
            assert other.history.sent == sent


def test_a_campaign_without_a_reading_may_get_another_address(opened):
    with opened(HERE) as session:
        assert not session.history.observations
    with opened(THERE) as session:
        assert session.entry.instrument == "twin-4"


@pytest.mark.fault("O-30")
def test_of_two_that_begin_it_at_once_on_two_instruments_one_does(opened, book):
    began, refused = list[str](), list[str]()
    gate, done = threading.Barrier(2), threading.Barrier(2)

    def begin(instrument):
        gate.wait()
        try:
            with opened(instrument) as session:
                advance(session, 2)
                began.append(session.entry.instrument)
                done.wait()
        except (InvalidInput, LeaseHeld) as error:
            refused.append(str(error))
            done.wait()

    threads = [threading.Thread(target=begin, args=[instrument]) for instrument in (HERE, THERE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(began), len(refused)) == (1, 1)
    (entry,) = book.entries()
    assert {row["instrument"] for row in book.trail(entry.id)} == set(began)


@pytest.mark.fault("O-30")
def test_what_one_found_is_not_shown_as_found_by_another(opened, where, tmp_path, sdl, monkeypatch):
    """A finished campaign asks no instrument any more, so nothing else would notice."""
    with opened(HERE) as session:
        advance(session, 50)
        assert isinstance(session.propose(), Stop)
    monkeypatch.setenv("SDL_LEDGER", where)
    file = tmp_path / "paper.toml"
    text = (ROOT / "deployments" / "paper.toml").read_text(encoding="utf-8")
    for instrument, code, words in ((HERE, 0, "VERIFIED"), (THERE, 2, "was begun on twin-3, and this is twin-4")):
        table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in instrument.items())
        file.write_text(re.sub(r"\[instrument\][^\[]*", f"[instrument]\n{table}\n", text), encoding="utf-8")
        result = sdl("run", file, "--no-server")
        assert (result.code, words in result.said) == (code, True), result.said


@pytest.mark.fault("O-30")
def test_nor_in_a_notebook_and_defaults_that_changed_since_are_no_other_file(where, home, sdl):
    def campaign(seed):
        lab = Lab("twin", ledger=where, seed=seed)
        return lab.campaign("white", {"445nm": 16384, "515nm": 16384, "630nm": 16384})

    campaign(3).run()
    with Ledger(where) as book, book.writing() as connection:
        earlier = book.entry("white").config | {"background": {"every": "planned", "max_age_s": 60.0}}
        connection.execute(update(campaigns).values(config=earlier))
    assert campaign(3).verified
    with pytest.raises(InvalidInput, match="was begun on twin-3, and this is twin-4"):
        campaign(4)


@pytest.mark.fault("O-30")
def test_what_persons_were_asked_no_instrument_goes_on_with(where, tmp_path):
    """What they told would be in no decision, and what they tell later in none either."""
    with pytest.raises(ReadingsWanted), open_session(WRITTEN, tmp_path, where) as session:
        advance(session)
    code = "import json; print(json.dumps({'readings': {'450nm': 1, '650nm': 1}}))"
    machine = {
        "plugin": "command",
        "program": [sys.executable, "-c", code],
        "channels": WRITTEN["instrument"]["channels"],
    }
    machine["knobs"] = [knob.model_dump(exclude={"formula"}) for knob in session.entry.space.knobs]
    for moved in (False, True):
        with (
            pytest.raises(InvalidInput, match=r"measured by persons, who were asked for .* another name"),
            open_session(WRITTEN | {"instrument": machine}, tmp_path, where, moved=moved),
        ):
            pass
    assert session.entry.instrument.startswith("a person")


@pytest.mark.fault("O-31")
def test_two_addresses_of_one_apparatus_are_one_instrument(opened):
    with InstrumentServer(Twin(seed=3)) as one, InstrumentServer(Twin(seed=3)) as other:
        first, second = (
            {"plugin": "claude-light", "url": server.url, "allow_private": True, "apparatus": LAMP}
            for server in (one, other)
        )
        with opened(first, name="first") as session:
            assert session.entry.instrument == LAMP
            with pytest.raises(LeaseHeld, match=LAMP), opened(second, name="second"):
                pass
            advance(session, 1)
        with opened(second, name="first") as session:
            assert session.history.sent > 0


@pytest.mark.parametrize("name", ["", " lamp", "la\nmp", 7, ["lamp"], "x" * 201])
def test_a_name_that_no_apparatus_has_is_refused(opened, name):
    with pytest.raises(InvalidInput, match=r"instrument\.apparatus: needs a name"), opened(HERE | {"apparatus": name}):
        pass


def test_a_bundle_of_a_campaign_that_was_moved_says_so(opened, book, tmp_path):
    with opened(HERE) as session:
        advance(session)
    with opened(THERE, moved=True) as session:
        advance(session, 50)
    assert write_bundle(book, session.entry.name, tmp_path / "moved.zip").exists()
