"""Files that commands read and write: rows, reports, the ledger, and links that are not followed."""

import sqlite3
import stat

import pytest
from commands import on_twin

from flows import environment
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin

pytestmark = pytest.mark.usefixtures("no_prefect")


@pytest.fixture
def rows(tmp_path):
    """Rows of a twin in the paper's format."""
    twin, path = Twin(seed=1, session_gain=False), tmp_path / "rows.jsonl"
    settings = [dict(zip("RGB", (i / 12, (5 * i % 13) / 12, (8 * i % 13) / 12), strict=True)) for i in range(13)]
    path.write_text("".join(f"{twin.measure(each).raw}\n" for each in settings), encoding="utf-8")
    return path


def test_a_file_goes_in_and_comes_out_the_same(sdl, rows, tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    assert sdl("import", rows).said == f"13 rows of {rows} are campaign rows now"
    assert sdl("export", "rows", first).said == str(first)
    assert sdl("import", first, "--name", "Again!", "--json").json == {"campaign": "again", "rows": 13, "epoch": []}
    assert sdl("export", "again", second, "--json").json == {"file": str(second)}
    assert first.read_bytes() == second.read_bytes()
    assert sdl("export", "again", second).code == 2
    assert sdl("export", "again", second, "--force").code == 0


def test_a_report_is_written_where_it_is_asked_for(sdl, rows, home, tmp_path):
    sdl("import", rows)
    assert sdl("report", "rows").said == str(home / "reports" / "rows.html")
    page = tmp_path / "page.html"
    assert sdl("report", "rows", "--output", page, "--json").json == {"report": str(page)}
    assert page.read_text(encoding="utf-8").startswith("<!")


def test_what_it_prints_is_what_it_was_given(sdl, rows, tmp_path):
    page = tmp_path / ("long " * 20) / "[b]not bold[/b] :smile:.html"
    sdl("import", rows)
    assert sdl("report", "rows", "--output", page).out == f"{page}\n"


def test_solving_offers_settings_by_each_model(sdl, rows):
    target = ("--target", "445nm=16384", "--target", "515nm=16384", "--target", "630nm=16384")
    told = sdl("solve", rows, *target)
    assert told.code == 0
    assert "mixture" in told.out
    result = sdl("solve", rows, *target, "--model", "linear", "--json")
    assert result.code == 0
    (linear,) = result.json["models"]
    assert set(linear["candidates"][0]["settings"]) == {"R", "G", "B"}


def test_solving_what_cannot_be_reached_is_no_success(sdl, rows):
    told = sdl("solve", rows, "--target", "445nm=60000", "--model", "linear")
    assert told.code == 3
    assert "NOT REACHABLE" in told.said


# ---------------------------------------------------------------------- in the data directory


@pytest.mark.fault("N-04")
@pytest.mark.parametrize(
    ("link", "words"),
    [("reports", ["report", "rows"]), ("bundles", ["bundle", "rows"]), ("ledger.sqlite", ["status"])],
)
def test_a_link_in_the_data_directory_is_not_followed(sdl, rows, home, tmp_path, link, words):
    sdl("import", rows)
    (home / link).unlink(missing_ok=True)
    (tmp_path / "elsewhere").mkdir()
    (home / link).symlink_to(tmp_path / "elsewhere")
    told = sdl(*words)
    assert (told.code, "none is followed there: put it aside" in told.said) == (2, True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.fault("N-04")
def test_words_of_a_server_go_to_no_link_and_are_for_their_owner(tmp_path):
    with environment.log_file(tmp_path / "up.log") as words:
        words.write(b"hello")
    assert stat.S_IMODE((tmp_path / "up.log").stat().st_mode) == 0o600
    (tmp_path / "server.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="is a link to"):
        environment.log_file(tmp_path / "server.log")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", [["status"], ["run", *on_twin()]], ids=["status", "run"])
def test_a_ledger_that_is_none_is_left_alone(sdl, tmp_path, command):
    other = tmp_path / "other.sqlite"
    other.write_text("this is a diary, not a ledger. " * 50, encoding="utf-8")
    before = other.read_bytes()
    told = sdl(*command, "--ledger", other)
    assert told.code == 7
    assert "file is not a database; check that it is a ledger" in told.said
    assert other.read_bytes() == before


@pytest.mark.fault("O-16")
def test_a_ledger_of_a_newer_program_is_refused(sdl, rows, home):
    sdl("import", rows)
    with sqlite3.connect(home / "ledger.sqlite") as connection:
        connection.execute("UPDATE about SET version = 99")
    told = sdl("status", "--json")
    assert (told.code, told.json["error"]) == (7, "SchemaMismatch")
    assert "install the version that wrote it" in told.json["faults"][0]
