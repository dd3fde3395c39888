"""What nobody chose goes with its row: out of a file into a ledger, out of that into files, and in again."""

import pytest

from sdl.errors import InvalidInput
from sdl.interchange.export_import import export_campaign, import_campaign, read_data
from sdl.ledger.ledger import Ledger

ROWS = """in.x,out.y,cond.temperature,cond.feed
0.1,1,20.5,3
0.2,2,,3
0.3,3,21.25,
"""


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def entered(ledger, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return import_campaign(ledger, path, "rows")


def test_conditions_are_kept_with_their_reading(ledger, entered):
    assert entered.space.condition_names == ("temperature", "feed")
    assert [row["conditions"] for row in ledger.trail(entered.id)] == [
        {"temperature": 20.5, "feed": 3.0},
        {"feed": 3.0},
        {"temperature": 21.25},
    ]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_export_import_and_export_give_the_same_bytes(ledger, entered, tmp_path, suffix):
    first, again = tmp_path / f"first{suffix}", tmp_path / f"again{suffix}"
    export_campaign(ledger, "rows", first)
    import_campaign(ledger, first, "again")
    export_campaign(ledger, "again", again)
    assert first.read_bytes() == again.read_bytes()
    data = read_data(first)
    assert data.space.condition_names == (("feed", "temperature") if suffix != ".jsonl" else ("temperature", "feed"))
    assert sorted(data.conditions[0].tolist()) == [3.0, 20.5]


def test_a_column_of_another_name_may_be_called_a_condition(ledger, tmp_path):
    from sdl.interchange.formats.jsonl import FileWords

    path = tmp_path / "rows.csv"
    path.write_text("in.x,out.y,room\n0,1,20\n1,2,21\n")
    entry = import_campaign(ledger, path, "rows", words=FileWords({"room": "cond.temperature"}))
    assert entry.space.condition_names == ("temperature",)


def test_a_condition_that_is_no_number_is_a_fault_with_its_place(ledger, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("in.x,out.y,cond.temperature\n0,1,warm\n1,2,nan\n")
    with pytest.raises(InvalidInput) as caught:
        import_campaign(ledger, path, "rows")
    assert "line 2: cond.temperature is 'warm', not a number" in str(caught.value)
    assert "line 3: cond.temperature is nan: leave the cell empty" in str(caught.value)
