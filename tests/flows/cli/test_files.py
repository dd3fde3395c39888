"""Files that commands read and write: rows, reports, the ledger, and links that are not followed."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from places import on_twin

from flows import environment
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger

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
    outcome = sdl("solve", rows, *target)
    assert outcome.code == 0
    assert "mixture" in outcome.out
    result = sdl("solve", rows, *target, "--model", "linear", "--json")
    assert result.code == 0
    (linear,) = result.json["models"]
    assert set(linear["candidates"][0]["settings"]) == {"R", "G", "B"}


def test_solving_what_cannot_be_reached_is_no_success(sdl, rows):
    outcome = sdl("solve", rows, "--target", "445nm=60000", "--model", "linear")
    assert outcome.code == 3
    assert "NOT REACHABLE" in outcome.said


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
    outcome = sdl(*words)
    assert (outcome.code, "none is followed there: put it aside" in outcome.said) == (2, True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.fault("N-14")
def test_words_of_a_server_wait_for_nobody_who_reads_them(tmp_path):
    os.mkfifo(tmp_path / "up.log")
    with pytest.raises(OSError, match=r"No such device or address"):
        environment.log_file(tmp_path / "up.log")


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
    outcome = sdl(*command, "--ledger", other)
    assert outcome.code == 7
    assert "file is not a database; check that it is a ledger" in outcome.said
    assert other.read_bytes() == before


@pytest.mark.fault("O-16")
def test_a_ledger_of_a_newer_program_is_refused(sdl, rows, home):
    sdl("import", rows)
    with sqlite3.connect(home / "ledger.sqlite") as connection:
        connection.execute("UPDATE about SET version = 99")
    outcome = sdl("status", "--json")
    assert (outcome.code, outcome.json["error"]) == (7, "SchemaMismatch")
    assert "install the version that wrote it" in outcome.json["faults"][0]


# ---------------------------------------------------------------------- what the system refuses


def run_outside(command, folder, home):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
    program = Path(sys.executable).with_name("sdl")
    return subprocess.run(
        ["sh", "-c", command.format(sdl=program, home=home)], cwd=folder, env=clean, capture_output=True, text=True
    )


@pytest.mark.fault("N-14")
@pytest.mark.parametrize("words", ["status --home {home}", "status --home {home} --json", "plugins", "--version"])
def test_a_full_disk_behind_its_words_is_a_sentence(tmp_path, words):
    done = run_outside(f"{{sdl}} {words} > /dev/full", tmp_path, tmp_path / "home")
    assert done.returncode == 2
    assert "could not be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.fault("N-14")
@pytest.mark.parametrize("words", ["status --home {home}", "status nosuch --home {home}", "nonsense"])
@pytest.mark.parametrize("json", ["", " --json"])
@pytest.mark.parametrize("ends", [">/dev/full", "2>/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_wherever_its_words_go_the_exit_code_says_what_came_of_it(tmp_path, words, json, ends):
    done = run_outside(f"{{sdl}} {words}{json} {ends}", tmp_path, tmp_path / "home")
    lost = words == "status --home {home}" and not ends.startswith(">/dev/full")
    assert done.returncode == (0 if lost else 2)
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.fault("N-14")
@pytest.mark.parametrize(("option", "shown"), [("", "10.0 \\xb1 2"), ("--json", '"10.0 \\u00b1 2.0"')])
def test_a_terminal_without_a_character_spells_it_out(tmp_path, option, shown):
    (tmp_path / "a.csv").write_text("in.a,out.y\n" + "".join(f"{k},{3 * k + k % 2}\n" for k in range(9)))
    ascii_only = "LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii"
    done = run_outside(
        f"{ascii_only} {{sdl}} solve a.csv --target y=10 --tolerance 2 --model linear {option}", tmp_path, tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


@pytest.mark.fault("N-14")
@pytest.mark.parametrize("width", [1, 20, 40])
def test_a_narrow_terminal_shows_every_cell(tmp_path, width):
    home = environment.home(tmp_path / "home")
    with Ledger(home / "ledger.sqlite") as book:
        book.register("rows", "twin", Twin().space, {}, {})
    done = run_outside(f"COLUMNS={width} {{sdl}} status --home {{home}}", tmp_path, home)
    assert "rows" in "".join(done.stdout.split())
    assert "INTERRUPTED" in "".join(done.stdout.split())


@pytest.mark.fault("N-14")
def test_a_deleted_folder_is_a_sentence(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run_outside("rmdir ../gone && {sdl} status", gone, tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "the folder in which this runs was deleted: go to another one"


@pytest.mark.fault("N-14")
def test_a_twin_is_served_at_an_address_of_ipv6():
    with InstrumentServer(Twin(seed=1), host="::1") as served:
        assert served.url.startswith("http://[::1]:")
        assert ClaudeLight(served.url, allow_private=True).measure({"R": 0.1, "G": 0.2, "B": 0.3}).raw


@pytest.mark.fault("N-14")
@pytest.mark.parametrize("wait", ["nan", "inf", "1e300"])
def test_a_twin_that_would_wait_for_ever_is_not_served(sdl, wait):
    outcome = sdl("twin", "serve", "--port", 0, "--hold-s", wait, "--", "true")
    assert outcome.code == 2
    assert "hold" in outcome.said


@pytest.mark.fault("N-14")
@pytest.mark.parametrize("words", ["report rows --output", "export rows --force", "bundle rows --force"])
def test_a_device_or_a_pipe_is_not_replaced_by_a_file(sdl, rows, tmp_path, words):
    """Whoever is root may do so, and the machine would be without it."""
    assert sdl("import", rows).code == 0
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    result = sdl(*words.split(), pipe)
    assert (result.code, "is left as it is: give the name of a file" in result.said) == (2, True), result.said
    assert stat.S_ISFIFO(pipe.stat().st_mode)


BY_HAND = """
name = "dyes"
[instrument]
plugin = "by-hand"
knobs = [{ name = "red", low = 0, high = 4 }]
channels = [{ name = "450nm" }]
[[targets]]
readings = { 450nm = 1000 }
"""
PIPED = {
    "import {pipe}.csv": "it is a pipe or a device", "solve {pipe}.jsonl --target y=1": "it is a pipe or a device",
    "compare {pipe}.parquet --target y=1": "it is a pipe or a device", "reproduce {pipe}.zip": "is no file",
    "solve {pipe}.json --target y=1": "it is a pipe or a device", "run {pipe}.toml --no-server": "name: is missing",
    "tell {campaign} {pipe}.csv": "it is a pipe or a device", "doctor {pipe}.toml": "",
    "restore {pipe}": "it is a pipe or a device",
}  # fmt: skip


@pytest.mark.fault("N-14")
@pytest.mark.parametrize("words", PIPED)
def test_a_pipe_that_nobody_writes_to_is_waited_for_by_nobody(sdl, tmp_path, words):
    for name in ("pipe.csv", "pipe.jsonl", "pipe.parquet", "pipe.zip", "pipe.json", "pipe.toml"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "manifest.json")
    (tmp_path / "campaign.toml").write_text(BY_HAND, encoding="utf-8")
    places = {"pipe": tmp_path / "pipe", "campaign": tmp_path / "campaign.toml"}
    if words.startswith("tell"):
        assert sdl("propose", places["campaign"]).code in (0, 6)
    result = sdl(*(word.format(**places) for word in words.split()))
    assert result.code != 0
    assert PIPED[words] in result.said


@pytest.mark.fault("N-01")
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_told_how_to_save_it(sdl, tmp_path, encoding):
    (tmp_path / "a.toml").write_text(BY_HAND.replace("dyes", "Größe"), encoding=encoding)
    result = sdl("run", "--no-server", tmp_path / "a.toml")
    assert result.code == 2
    assert "a.toml is no text in UTF-8" in result.said
    assert "save it as UTF-8" in result.said
