"""Every command: what it prints for people and for programs, its exit code, and that errors are sentences."""

import json
import os
import signal
import sqlite3
import stat
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from flows import environment, server
from sdl.errors import InvalidInput
from sdl.instruments.twin import Twin
from sdl.ledger import Ledger
from strategies.designs import LatinHypercube

PAPER = Path(__file__).parent.parent / "deployments" / "paper.toml"
KNOBS = ("R=0.1", "G=0.2", "B=.3")
WHITE = ("445nm", "515nm", "630nm")
TWIN = "instrument={plugin='twin', seed=2}"
OUT_OF_REACH = "targets=[{name='glare', readings={445nm=60000}}]"
with_prefect = [pytest.mark.slow, pytest.mark.xdist_group("prefect")]


def on_twin(*changes):
    """The paper's campaign on a twin in this process."""
    return (PAPER, *(word for change in (TWIN, *changes) for word in ("--set", change)))


@pytest.fixture
def no_prefect(monkeypatch):
    """Prefect must not be needed."""
    monkeypatch.setattr(server, "api", lambda _: pytest.fail("Prefect was started"))


@pytest.fixture
def rows(tmp_path):
    """Rows of a twin in the paper's format."""
    twin, path = Twin(seed=1, session_gain=False), tmp_path / "rows.jsonl"
    settings = [dict(zip("RGB", (i / 12, (5 * i % 13) / 12, (8 * i % 13) / 12), strict=True)) for i in range(13)]
    path.write_text("".join(f"{twin.measure(each).raw}\n" for each in settings), encoding="utf-8")
    return path


# ---------------------------------------------------------------------- without Prefect


@pytest.mark.usefixtures("no_prefect")
class TestWithoutPrefect:
    def test_plugins_are_listed_with_what_they_are(self, sdl):
        told = sdl("plugins")
        assert told.code == 0
        for name in ("claude-light", "maximin-latin-hypercube", "mixture", "uncertainty"):
            assert name in told.out
        assert "Claude-Light, simulated." in told.said

    def test_plugins_as_json_are_names_by_group(self, sdl):
        found = sdl("plugins", "--json").json
        assert {"claude-light", "twin", "recorded"} <= set(found["sdl.instruments"])
        assert {"linear", "pls", "mixture"} <= set(found["sdl.inverse_models"])

    def test_the_status_of_an_empty_ledger_says_how_to_begin(self, sdl):
        assert sdl("status").said == "no campaign yet: begin one with 'sdl run CAMPAIGN.toml'"
        assert sdl("status", "--json").json == []

    def test_a_file_goes_in_and_comes_out_the_same(self, sdl, rows, tmp_path):
        first, second = tmp_path / "first.csv", tmp_path / "second.csv"
        assert sdl("import", rows).said == f"13 rows of {rows} are campaign rows now"
        assert sdl("export", "rows", first).said == str(first)
        assert sdl("import", first, "--name", "Again!", "--json").json == {"campaign": "again", "rows": 13, "epoch": []}
        assert sdl("export", "again", second, "--json").json == {"file": str(second)}
        assert first.read_bytes() == second.read_bytes()
        assert sdl("export", "again", second).code == 2
        assert sdl("export", "again", second, "--force").code == 0

    def test_a_report_is_written_where_it_is_asked_for(self, sdl, rows, home, tmp_path):
        sdl("import", rows)
        assert sdl("report", "rows").said == str(home / "reports" / "rows.html")
        page = tmp_path / "page.html"
        assert sdl("report", "rows", "--output", page, "--json").json == {"report": str(page)}
        assert page.read_text(encoding="utf-8").startswith("<!")

    def test_what_it_prints_is_what_it_was_given(self, sdl, rows, tmp_path):
        page = tmp_path / ("long " * 20) / "[b]not bold[/b] :smile:.html"
        sdl("import", rows)
        assert sdl("report", "rows", "--output", page).out == f"{page}\n"

    def test_solving_offers_settings_by_each_model(self, sdl, rows):
        target = ("--target", "445nm=16384", "--target", "515nm=16384", "--target", "630nm=16384")
        told = sdl("solve", rows, *target)
        assert told.code == 0
        assert "mixture" in told.out
        result = sdl("solve", rows, *target, "--model", "linear", "--json")
        assert result.code == 0
        (linear,) = result.json["models"]
        assert set(linear["candidates"][0]["settings"]) == {"R", "G", "B"}

    def test_solving_what_cannot_be_reached_is_no_success(self, sdl, rows):
        told = sdl("solve", rows, "--target", "445nm=60000", "--model", "linear")
        assert told.code == 3
        assert "NOT REACHABLE" in told.said

    def test_pause_stop_and_resume_are_written_for_the_campaign_to_read(self, sdl, home):
        with Ledger(home / "ledger.sqlite") as book:
            book.register("rows", "twin", Twin().space, {}, {})
        assert sdl("pause", "rows").said == "rows pauses before its next request"
        assert sdl("status", "rows", "--json").json[0]["control"] == "pause"
        assert sdl("stop", "rows").said == "rows stops before its next request"
        assert sdl("resume", "rows", "--json").json == {"campaign": "rows", "control": "run", "held_by": None}

    @pytest.mark.fault("N-04")
    @pytest.mark.parametrize(
        ("link", "words"),
        [("reports", ["report", "rows"]), ("bundles", ["bundle", "rows"]), ("ledger.sqlite", ["status"])],
    )
    def test_a_link_in_the_data_directory_is_not_followed(self, sdl, rows, home, tmp_path, link, words):
        sdl("import", rows)
        (home / link).unlink(missing_ok=True)
        (tmp_path / "elsewhere").mkdir()
        (home / link).symlink_to(tmp_path / "elsewhere")
        told = sdl(*words)
        assert (told.code, "none is followed there: put it aside" in told.said) == (2, True)
        assert list((tmp_path / "elsewhere").iterdir()) == []

    @pytest.mark.fault("N-04")
    def test_words_of_a_server_go_to_no_link_and_are_for_their_owner(self, tmp_path):
        with environment.log_file(tmp_path / "up.log") as words:
            words.write(b"hello")
        assert stat.S_IMODE((tmp_path / "up.log").stat().st_mode) == 0o600
        (tmp_path / "server.log").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(InvalidInput, match="is a link to"):
            environment.log_file(tmp_path / "server.log")
        assert not (tmp_path / "elsewhere").exists()

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["run", "no.toml"], "cannot read no.toml: No such file or directory"),
            (["run", "."], "cannot read .: Is a directory"),
            (["run", __file__], "test_cli.py is not TOML"),
            (["run", *on_twin("budgte=9", "seed=-1")], "seed: Input should be greater than or equal to 0, got -1 "
             "budgte: unknown key; did you mean 'budget'?"),
            (["run", *on_twin("instrument.sed=1")], "instrument.sed: 'twin' has no such option; did you mean 'seed'?"),
            (["run", *on_twin("models=['liner']")], "unknown inverse model 'liner'; did you mean 'linear'?"),
            (["run", *on_twin("targets.0.readings={445mm=1}")], "did you mean '445nm'?"),
            (["run", *on_twin("targets.0.readings={445nm=65535}")], "reaches the ceiling of the sensor"),
            (["run", *on_twin("targets.7.name=x")], "--set 'targets.7.name': the file has no such place"),
            (["run", *on_twin("name.x=1")], "--set 'name.x': the file has no such place"),
            (["run", *on_twin("name=2026-11-21")], "name: Input should be a valid string"),
            (["run", *on_twin("name='../..'")], "name needs letters or digits"),
            (["run", *on_twin("budget")], "--set needs KEY=VALUE, got 'budget'"),
            (["run", PAPER, "--set", "instrument.url=http://169.254.169.254/api"], "169.254.169.254"),
            (["measure", "R=2", "G=0", "B=0"], "knob 'R' needs a number from 0.0 to 1.0, got 2"),
            (["measure", "R=1"], "knob 'G' is missing: give a value from 0.0 to 1.0"),
            (["measure", "R", "G=0", "B=0"], "a setting needs KEY=VALUE, got 'R'"),
            (["measure", *KNOBS, "-i", "twn"], "unknown instrument 'twn'; did you mean 'twin'?"),
            (["measure", *KNOBS, "-o", "sed=1"], "'twin' has no such option; did you mean 'seed'?"),
            (["measure", *KNOBS, "-o", "plugin=1"], "name the instrument by --instrument"),
            (["measure", *KNOBS, "--n", "0"], "--n"),
            (["verify", PAPER, *KNOBS, "--target", "whit"], f"no target 'whit' in {PAPER}; it has white"),
            (["verify", PAPER, "R=1"], "knob 'G' is missing"),
            (["calibrate", "-o", "daylight=-1"], "daylight needs 'dark', 'hours' or counts >= 0, got -1"),
            (["status", "nobody"], "no campaign 'nobody' in this ledger"),
            (["report", "nobody"], "no campaign 'nobody' in this ledger"),
            (["stop", "nobody"], "no campaign 'nobody' in this ledger"),
            (["export", "nobody", "x.csv"], "no campaign 'nobody' in this ledger"),
            (["import", "no.csv"], "cannot read no.csv: No such file or directory"),
            (["import", __file__], "no format for the suffix '.py'"),
            (["solve", "no.csv", "--target", "445nm=1"], "cannot read no.csv: No such file or directory"),
            (["twin", "serve", "--fault", "stal@2"], "unknown word 'stal'; did you mean 'stall'?"),
            (["twin", "serve", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:5005"),
            (["twin", "serve", "--port", "0", "--", "no-such-command"], "cannot run 'no-such-command'"),
            (["status", "--home", "/proc/self/mem/x"], "cannot make the folder /proc/self/mem/x"),
            (["status", "--ledger", "nosql://x"], "give a file or a URL"),
            (["frobnicate"], "No such command 'frobnicate'"),
            (["run"], "Missing argument"),
            (["status", "--colour"], "No such option: --colour"),
            ([], "From the readings you want to verified settings."),
        ],
        ids=lambda value: " ".join(str(word)[-24:] for word in value)[:60] if isinstance(value, list) else "",
    )  # fmt: skip
    def test_what_cannot_be_done_is_said_at_once(self, sdl, words, sentence):
        told = sdl(*words)
        assert told.code == 2
        assert sentence in told.said.replace("│ ", "")

    def test_all_that_is_wrong_is_one_list_for_programs_too(self, sdl):
        told = sdl("run", *on_twin("budgte=9", "seed=-1"), "--json")
        assert told.code == told.json["exit"] == 2
        assert told.json["error"] == "InvalidInput"
        assert len(told.json["faults"]) == 2
        assert not told.err

    @pytest.mark.parametrize("command", [["status"], ["run", *on_twin()]], ids=["status", "run"])
    def test_a_ledger_that_is_none_is_left_alone(self, sdl, tmp_path, command):
        other = tmp_path / "other.sqlite"
        other.write_text("this is a diary, not a ledger. " * 50, encoding="utf-8")
        before = other.read_bytes()
        told = sdl(*command, "--ledger", other)
        assert told.code == 7
        assert "file is not a database; check that it is a ledger" in told.said
        assert other.read_bytes() == before

    @pytest.mark.fault("O-16")
    def test_a_ledger_of_a_newer_program_is_refused(self, sdl, rows, home):
        sdl("import", rows)
        with sqlite3.connect(home / "ledger.sqlite") as connection:
            connection.execute("UPDATE about SET version = 99")
        told = sdl("status", "--json")
        assert (told.code, told.json["error"]) == (7, "SchemaMismatch")
        assert "install that version of sdl" in told.json["faults"][0]

    @pytest.mark.fault("O-19")
    def test_an_instrument_that_is_held_is_not_waited_for(self, sdl, home):
        with Ledger(home / "ledger.sqlite") as book, book.hold("twin-2", "campaign 'theirs'"):
            told = sdl("run", *on_twin())
            assert told.code == 5
            assert f"twin-2 is held by campaign 'theirs' (process {os.getpid()} on" in told.said
            assert "since 20" in told.said
            assert sdl("run", *on_twin(), "--json").json["error"] == "LeaseHeld"


# ---------------------------------------------------------------------- with Prefect


@pytest.mark.usefixtures("prefect")
class TestWithPrefect:
    pytestmark = with_prefect

    def test_measure_shows_a_column_for_each_reading(self, sdl):
        told = sdl("measure", *KNOBS, "--n", 2, "-o", "seed=7")
        assert told.code == 0
        assert "reading 1" in told.out
        assert "445nm" in told.out
        same = Twin(seed=7)
        wanted = [same.measure({"R": 0.1, "G": 0.2, "B": 0.3}).readings for _ in range(2)]
        rows = sdl("measure", *KNOBS, "--n", 2, "-o", "seed=7", "--json").json
        assert [row["readings"] for row in rows] == wanted
        assert [row["settings"] for row in rows] == [{"R": 0.1, "G": 0.2, "B": 0.3}] * 2

    @pytest.mark.fault("I-19")
    def test_calibrate_compares_with_the_calibration_before(self, sdl):
        first = sdl("calibrate", "--json")
        assert (first.code, first.json["change"]) == (0, None)
        other = sdl("calibrate", "-o", "seed=1", "--json")  # another twin, which has none before
        assert other.json["change"] is None
        told = sdl("calibrate", "-o", "noise=2")
        assert told.code == 0
        assert told.out.count("changed") == 3
        assert " % " in told.out

    def test_verify_examines_what_a_person_offers(self, sdl, home):
        told = sdl("verify", *on_twin(), *KNOBS)
        assert told.code == 3
        assert told.said.startswith("REFUTED white: off by more than the tolerance")
        near = ("R=0.536", "G=0.248", "B=0.535")  # the paper's answer in the dark
        found = sdl("verify", *on_twin("targets.0.tolerance='3 %'", "instrument.seed=3"), *near, "--json")
        assert (found.code, found.json["verdict"], found.json["target"]) == (0, "VERIFIED", "white")
        assert found.json["facts"]["replicates"] == 8

    def test_a_campaign_from_the_first_run_to_the_files(self, sdl, home, tmp_path):
        told = sdl("run", *on_twin())
        assert told.code == 0
        assert "VERIFIED white: within the tolerance" in told.said
        assert f"report: {home}/reports/paper.html" in told.out.replace("\n", "")
        assert (home / "reports" / "paper.html").exists()

        again = sdl("run", *on_twin(), "--json")
        assert (again.code, again.json["verified"], again.json["campaign"]) == (0, True, "paper")
        assert "--again begins it anew" in again.err
        anew = sdl("run", *on_twin(), "--again", "--json").json
        assert (anew["campaign"], anew["targets"]) == ("paper-2", again.json["targets"])

        assert "FINISHED" in sdl("status").out
        standing = {row["campaign"]: row for row in sdl("status", "--json").json}
        assert {name: row["verified"] for name, row in standing.items()} == {"paper": "1 of 1", "paper-2": "1 of 1"}
        changed = sdl("run", *on_twin("design.n=6"))
        assert changed.code == 2
        assert "was begun with another design: give this one another name" in changed.said

        files = [tmp_path / f"{name}.jsonl" for name in ("out", "back")]
        sdl("export", "paper", files[0])
        assert sdl("import", files[0], "--name", "copy").code == 0
        sdl("export", "copy", files[1])
        assert files[0].read_bytes() == files[1].read_bytes()
        assert len(files[0].read_text().splitlines()) == again.json["requests"]

    def test_done_and_not_verified_is_neither_success_nor_error(self, sdl):
        told = sdl("run", *on_twin("name='glare'", OUT_OF_REACH))
        assert told.code == 3
        assert "NOT REACHABLE glare: no setting of the knobs gives this: the nearest that can be reached" in told.said
        short = sdl("run", *on_twin("name='short'", "budget=5"), "--json")
        assert (short.code, short.json["verified"], short.json["targets"][0]["verdict"]) == (3, False, "UNSETTLED")
        assert "requests are left, too few for an exam" in short.json["reason"]

    @pytest.mark.fault("I-01", "I-21")
    def test_an_instrument_that_is_gone_suspends_then_a_person_decides(self, sdl, spawn, ended, home):
        gone = ("run", PAPER, "--set", "instrument.url=http://127.0.0.1:9/api", "--set", "instrument.first_wait_s=0.01")
        told = ended(spawn(*gone))
        assert told.code == 4
        assert "no connection to http://127.0.0.1:9/api: [Errno 111] Connection refused. Nothing is lost" in told.said
        (row,) = sdl("status", "--json").json
        assert (row["state"], row["held by"], row["verified"]) == ("SUSPENDED", None, "0 of 1")
        assert "paper: claude-light http://127.0.0.1:9/api gave no usable reading" in sdl("status").said

        for verb, kind in (("pause", "CampaignPaused"), ("stop", "CampaignStopped")):
            assert sdl(verb, "paper").code == 0
            refused = sdl(*gone, "--json")
            assert (refused.code, refused.json["error"]) == (6, kind)
            assert "'sdl resume paper'" in refused.json["faults"][0]
            assert sdl("status", "--json").json[0]["control"] == verb
        assert sdl("status", "--json").json[0]["requests"] == row["requests"]

        told = sdl("resume", "paper").said
        assert told == "paper may go on: a run that waits does so by itself, else 'sdl run' its file again"
        back = sdl("run", *on_twin(), "--json")
        assert (back.code, back.json["verified"]) == (0, True)

    def test_a_survey_reads_a_design_with_the_background_in_between(self, sdl, tmp_path):
        told = sdl("survey", "points", "--n", 7, "--every", 3, "--seed", 5)
        assert told.code == 0
        assert "7 readings are campaign points now" in told.said
        rows = tmp_path / "points.jsonl"
        sdl("export", "points", rows)
        settings = np.array([json.loads(line)["in"] for line in rows.read_text().splitlines()])
        dark = np.flatnonzero((settings == 0).all(axis=1))
        assert dark.tolist() == [0, 4, 8]
        expected = LatinHypercube().propose(Twin().space, 7, np.random.default_rng(5))
        np.testing.assert_allclose(np.delete(settings, dark, axis=0), expected)
        found = sdl("solve", rows, "--model", "linear", "--json", *(f"--target={name}=16384" for name in WHITE)).json
        assert (found["rows"], found["models"][0]["reachable"]) == (7, True)

    def test_an_instrument_that_is_held_is_not_measured_by_hand_either(self, sdl, home):
        with Ledger(home / "ledger.sqlite") as book, book.hold("twin-0", "campaign 'theirs'"):
            told = sdl("measure", *KNOBS)
        assert told.code == 5
        assert "twin-0 is held by campaign 'theirs'" in told.said

    @pytest.mark.fault("O-17")
    def test_a_server_that_is_configured_and_gone_is_replaced_by_one_of_our_own(self, sdl, monkeypatch, prefect):
        monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        for part, stand_in in (("launch", None), ("wait", None), ("stop", None), ("address", prefect)):
            monkeypatch.setattr(server, part, lambda *_, stand_in=stand_in: stand_in)
        told = sdl("measure", *KNOBS)
        assert told.code == 0
        assert "no Prefect server answers at http://127.0.0.1:9/api: going on with one of our own" in told.said


# ---------------------------------------------------------------------- as processes of their own


class TestServing:
    def test_a_command_runs_against_the_served_twin_and_its_exit_code_is_ours(self, spawn, ended):
        ask = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1] + '?R=0.5').read().decode()); sys.exit(9)"
        told = ended(spawn("twin", "serve", "--port", 0, "--", sys.executable, "-c", ask, "{url}"))
        assert told.code == 9
        assert json.loads(told.out)["in"] == [0.5, 0, 0]

    def test_in_the_foreground_it_tells_where_and_serves_with_faults_until_ctrl_c(self, spawn, ended):
        words = ("--port", 0, "--json", "-o", "seed=5", "--fault", "busy@2")
        process = spawn("twin", "serve", *words)
        told = ""
        while not told.endswith("}\n"):
            told += process.stdout.readline()
        url = json.loads(told)["url"]
        assert json.loads(told) == {"url": url, "instrument": "twin-5", "faults": ["busy@2"]}
        assert [requests.get(url, timeout=5).status_code for _ in range(3)] == [200, 503, 200]
        process.send_signal(signal.SIGINT)
        assert ended(process, 5).code == 130

    def test_ctrl_c_leaves_the_command_the_time_it_takes_to_finish(self, spawn, ended):
        finish = "import signal, time; signal.signal(2, lambda *_: (time.sleep(1), exit(7))); print('up', flush=True);"
        process = spawn("twin", "serve", "--port", 0, "--", sys.executable, "-c", f"{finish} time.sleep(30)")
        assert process.stdout.readline() == "up\n"
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process, 10).code == 7


def test_a_survey_is_refused_before_the_first_reading(sdl):
    assert "unknown design 'latin'" in sdl("survey", "a", "--design", "latin").said
    assert "LatinHypercube has no number of points of its own: give n >= 1" in sdl("survey", "a").said
    assert sdl("survey", "///", "--n", 5).code == 2


@pytest.mark.fault("N-05")
def test_words_of_strangers_in_a_fault_move_no_cursor(sdl):
    told = sdl("import", "\x1b[2Jgone.csv")
    assert told.code == 2
    assert "\x1b" not in told.err


@pytest.mark.slow
def test_ctrl_c_while_it_still_loads_is_no_traceback(spawn, ended):
    process = spawn("status")
    wait_until_it_loads(process.pid)
    process.send_signal(signal.SIGINT)
    assert ended(process).code == -signal.SIGINT


def wait_until_it_loads(pid):
    """Wait until the process has opened the first library that the command line needs."""
    until = time.monotonic() + 30
    while "pydantic_core" not in Path(f"/proc/{pid}/maps").read_text():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_bad_input_is_answered_before_prefect_is_imported(spawn, ended, home):
    told = ended(spawn("run", PAPER, "--set", "budgte=9"))
    assert (told.code, told.out) == (2, "")
    assert told.err == "budgte: unknown key; did you mean 'budget'?\n"
    assert not (home / "prefect").exists()


@pytest.mark.fault("O-17")
@pytest.mark.slow
def test_a_prefect_server_that_does_not_start_is_a_sentence_too(spawn, ended, home, monkeypatch, tmp_path):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{tmp_path}")  # a folder
    told = ended(spawn("measure", *KNOBS, "--json"))
    assert (told.code, told.json["error"], told.json["exit"]) == (1, "TimeoutError", 1)
    assert told.json["faults"] == [f"Prefect's server did not start; see {home}/prefect/server.log"]


@pytest.mark.fault("O-25")
@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
@pytest.mark.parametrize("name", ["prefect", "reports"])
def test_a_folder_that_cannot_be_made_is_found_out_before_the_first_request(sdl, home, monkeypatch, name, request):
    home.mkdir()
    (home / name).touch()
    if name == "reports":
        request.getfixturevalue("prefect")
    told = sdl("run", *on_twin())
    assert told.code == 2
    assert f"cannot make the folder {home}/{name}: File exists; give another --home" in told.said
    assert sdl("status", "--json").json == []
