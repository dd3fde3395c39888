"""A file of many rows goes in by and by: others write meanwhile, and what broke off is gone on with."""

import json
import signal
import threading

import pytest
from desk import request

from sdl.campaign.definition import Campaign
from sdl.errors import Interrupted, InvalidInput, LedgerError
from sdl.history import State
from sdl.instruments.claude_light.twin import Twin
from sdl.interchange.bundle_writer import write_bundle
from sdl.interchange.earlier_campaigns import freeze_lessons
from sdl.interchange.export_import import export_campaign, import_campaign
from sdl.ledger import imported_rows
from sdl.ledger.imported_rows import ImportedRows
from sdl.ledger.ledger import Ledger
from sdl.ledger.queries import campaign_overviews
from sdl.system import failpoints

ROWS = 60
BROKEN_OFF = f"10 of {ROWS} rows are entered, the same import again enters the others"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(imported_rows, "BATCH", 10)


@pytest.fixture
def many(tmp_path):
    """A file of rows; every third measurement was tried twice, and the rounds change within a batch."""
    path = tmp_path / "many.jsonl"
    with Ledger(tmp_path / "source.db") as source:
        plain = tmp_path / "plain.jsonl"
        lines = [{"in": [n / ROWS, 0.2, 0.3], "out": {"515nm": 1000 + n}} for n in range(ROWS)]
        plain.write_text("\n".join(map(json.dumps, lines)))
        rows = source.trail(import_campaign(source, plain, "plain").id)
        for n, row in enumerate(rows):
            place = n - 25 if n % 3 == 2 and n > 25 else n  # another attempt, batches later
            row |= {"round": place // 7, "index": place, "attempt": 1 if place == n else 2}
            row |= {"purpose": "learning", "settings": rows[place]["settings"]}
        ImportedRows("twin", Twin().space, rows, {}).enter(source, "many")
        return export_campaign(source, "many", path)


@pytest.fixture
def broken_off(where, many, monkeypatch):
    """A ledger with the first batch of the file, whose import was interrupted as by Ctrl-C."""

    def interrupt(place):
        if place == "in-import":
            raise KeyboardInterrupt

    with Ledger(where) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(failpoints, "pass_failpoint", interrupt)
            with pytest.raises(Interrupted, match=f"interrupted: {BROKEN_OFF}"):
                import_campaign(ledger, many, "many")
        yield ledger


def test_it_says_how_many_rows_are_entered_of_how_many(where, many):
    seen = []
    with Ledger(where) as ledger:
        import_campaign(ledger, many, "many", tell=lambda done, of: seen.append((done, of)))
    assert seen == [(done, ROWS) for done in range(10, ROWS + 1, 10)]


@pytest.mark.fault("O-47")
def test_batches_enter_what_one_transaction_did(where, many, tmp_path):
    with Ledger(where) as ledger:
        entry = import_campaign(ledger, many, "many")
        assert (entry.state, entry.reason) == (State.FINISHED, "imported")
        assert export_campaign(ledger, "many", tmp_path / "again.jsonl").read_bytes() == many.read_bytes()


@pytest.mark.fault("O-47")
def test_who_measures_goes_on_measuring(desk, many, monkeypatch):
    """Who waits for the database gets it between two batches, however many there are."""
    desk.plan(*map(request, range(50)))
    monkeypatch.setattr(imported_rows, "BATCH", 1)
    entered = threading.Event()

    def enter():
        with Ledger(desk.where) as ledger:
            import_campaign(ledger, many, "many")
        entered.set()

    importing, measured = threading.Thread(target=enter), 0
    importing.start()
    while not entered.is_set() and measured < 50:
        desk.measured(request(measured))
        measured += 1
    importing.join()
    assert measured > 3
    assert len(desk.history.observations) == measured
    with desk.ledger.reading() as connection:
        assert {each.name: each.sent for each in campaign_overviews(connection)} == {"white": measured, "many": ROWS}


@pytest.mark.fault("O-47")
def test_what_broke_off_is_told_refused_and_finished_by_the_same_import(broken_off, many, tmp_path, paper):
    entry = broken_off.entry("many")
    assert entry.state is State.IMPORTING
    assert entry.reason == "not all its rows are entered: the same import again enters the others"
    assert broken_off.sent(entry.id) == 10
    for use in (export_campaign, write_bundle):
        with pytest.raises(InvalidInput, match="campaign 'many' is there in part: not all its rows"):
            use(broken_off, "many", tmp_path / "part.jsonl")
    learning = paper | {"instrument": {"plugin": "twin"}, "history": {"campaigns": ["many"]}}
    with pytest.raises(InvalidInput, match=r"history.campaigns: campaign 'many' is there in part"):
        freeze_lessons(Campaign.parse(learning), broken_off, Twin())
    learning["history"] = {"campaigns": "all"}
    assert not freeze_lessons(Campaign.parse(learning), broken_off, Twin()).history.lessons
    assert import_campaign(broken_off, many, "many").state is State.FINISHED
    assert export_campaign(broken_off, "many", tmp_path / "again.jsonl").read_bytes() == many.read_bytes()
    with pytest.raises(InvalidInput, match="there is a campaign 'many' in this ledger already"):
        import_campaign(broken_off, many, "many")


@pytest.mark.fault("O-47")
def test_another_file_does_not_go_on_with_it(broken_off, many):
    many.write_bytes(many.read_bytes().replace(b"1001", b"1002"))
    with pytest.raises(InvalidInput, match="a campaign 'many' of other rows, entered in part, in this ledger already"):
        import_campaign(broken_off, many, "many")


@pytest.mark.fault("O-47")
def test_of_two_imports_at_once_one_ends_and_no_row_is_there_twice(where, many, tmp_path, monkeypatch):
    with Ledger(where) as one, Ledger(where) as other:

        def overtake(place):
            monkeypatch.undo()
            import_campaign(other, many, "many")

        monkeypatch.setattr(failpoints, "pass_failpoint", lambda place: place == "in-import" and overtake(place))
        with pytest.raises(LedgerError, match=rf"another process enters these rows too; {BROKEN_OFF}"):
            import_campaign(one, many, "many")
        assert export_campaign(one, "many", tmp_path / "again.jsonl").read_bytes() == many.read_bytes()


@pytest.mark.fault("O-47")
def test_killed_in_the_middle_the_same_command_enters_the_rest(sdl, spawn, ended, tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("R,G,B,515nm\n" + "".join(f"{n / 1500},0,0,{n}\n" for n in range(1500)))
    monkeypatch.setenv(failpoints.VARIABLE, "in-import")
    assert ended(spawn("import", path)).code == -signal.SIGKILL
    assert "rows: not all its rows are entered: the same import again enters the others" in sdl("status").said
    (status,) = sdl("status", "--json").json
    assert (status["state"], status["requests"], status["waits for"]) == ("IMPORTING", 1000, None)
    monkeypatch.setattr(imported_rows, "BATCH", 1000)
    assert sdl("import", path).said == f"1500 rows of {path} are campaign rows now"
    assert sdl("status", "--json").json[0]["requests"] == 1500
