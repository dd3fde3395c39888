"""Commands that measure, with Prefect: what they print, from the first run to the files, and their exit codes."""

import json
import re
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from places import KNOBS, PAPER, on_twin

from flows.server import server
from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from strategies.designs import LatinHypercube

WHITE = ("445nm", "515nm", "630nm")
OUT_OF_REACH = "targets=[{name='glare', readings={445nm=60000}}]"
pytestmark = [pytest.mark.usefixtures("prefect"), pytest.mark.slow]


def test_measure_shows_a_column_for_each_reading(sdl):
    result = sdl("measure", *KNOBS, "--n", 2, "-o", "seed=7")
    assert result.code == 0
    assert "reading 1" in result.out
    assert "445nm" in result.out
    same = Twin(seed=7)
    wanted = [same.measure({"R": 0.1, "G": 0.2, "B": 0.3}).readings for _ in range(2)]
    rows = sdl("measure", *KNOBS, "--n", 2, "-o", "seed=7", "--json").json
    assert [row["readings"] for row in rows] == wanted
    assert [row["settings"] for row in rows] == [{"R": 0.1, "G": 0.2, "B": 0.3}] * 2


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (("measure", *KNOBS, "--n", 3), [(1, 3), (2, 3), (3, 3)]),
        (("survey", "few", "--n", 3, "--every", 2), [(place + 1, 5) for place in range(5)]),
        (("calibrate",), [(place + 1, 4) for place in range(4)]),
        (("verify", *on_twin(), *KNOBS, "--replicates", 2), [(1, 3), (2, 3), (3, 3)]),
    ],
    ids=["measure", "survey", "calibrate", "verify"],
)
def test_each_says_with_what_it_measures_whether_that_is_simulated_and_how_far_it_is(sdl, monkeypatch, words, steps):
    seen = []

    @contextmanager
    def shown(what, *, quiet=False):
        yield lambda done, of: seen.append((done, of))

    monkeypatch.setattr("flows.cli.instruments.show_progress", shown)
    result = sdl(*words)
    assert result.err.startswith("twin-"), result.err
    assert ", simulated\n" in result.err
    assert seen == steps


@pytest.mark.fault("I-19")
def test_calibrate_compares_with_the_calibration_before(sdl):
    first = sdl("calibrate", "--json")
    assert (first.code, first.json["change"]) == (0, None)
    other = sdl("calibrate", "-o", "seed=1", "--json")  # another twin, which has none before
    assert other.json["change"] is None
    result = sdl("calibrate", "-o", "noise=2")
    assert result.code == 0
    assert result.out.count("changed") == 3
    assert " % " in result.out


def test_verify_examines_what_a_person_offers(sdl, home):
    result = sdl("verify", *on_twin(), *KNOBS)
    assert result.code == 3
    assert result.said.startswith("REFUTED white: off by more than the tolerance")
    near = ("R=0.536", "G=0.248", "B=0.535")  # the paper's answer in the dark
    found = sdl("verify", *on_twin("targets.0.tolerance='3 %'", "instrument.seed=3"), *near, "--json")
    assert (found.code, found.json["verdict"], found.json["target"]) == (0, "VERIFIED", "white")
    assert found.json["facts"]["replicates"] == 8


def test_a_campaign_from_the_first_run_to_the_files(sdl, home, tmp_path):
    result = sdl("run", *on_twin())
    assert result.code == 0
    assert "VERIFIED white: within the tolerance" in result.said
    assert f"report: {home}/reports/paper.html" in result.out.replace("\n", "")
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


def test_done_and_not_verified_is_neither_success_nor_error(sdl):
    result = sdl("run", *on_twin("name='glare'", OUT_OF_REACH))
    assert result.code == 3
    assert "NOT REACHABLE glare: no setting of the knobs gives this: the nearest that can be reached" in result.said
    short = sdl("run", *on_twin("name='short'", "budget=5"), "--json")
    assert (short.code, short.json["verified"], short.json["targets"][0]["verdict"]) == (3, False, "UNSETTLED")
    assert short.json["reason"] == "all 5 requests of the budget are sent"
    said = r"no candidate was examined; the nearest of \d readings was 445nm \d+ for 16384 ± 164, 515nm \d+ for "
    assert re.match(said, short.json["targets"][0]["sentence"])


@pytest.mark.fault("I-01", "I-21")
def test_an_instrument_that_is_gone_suspends_then_a_person_decides(sdl, spawn, ended, home):
    gone = ("run", PAPER, "--set", "instrument.url=http://127.0.0.1:9/api", "--set", "instrument.first_wait_s=0.01")
    result = ended(spawn(*gone))
    assert result.code == 4
    assert "no connection to http://127.0.0.1:9/api: [Errno 111] Connection refused. Nothing is lost" in result.said
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

    result = sdl("resume", "paper").said
    assert result.startswith("paper may go on: a run that waits does so by itself, else 'sdl run' its file again; one")
    assert result.endswith("gets a new run by 'resume' in Prefect's UI once 'sdl up' runs")
    back = sdl("run", *on_twin(), "--json")
    assert (back.code, back.json["verified"]) == (0, True)


def test_a_survey_reads_a_design_with_the_background_in_between(sdl, tmp_path):
    result = sdl("survey", "points", "--n", 7, "--every", 3, "--seed", 5)
    assert result.code == 0
    assert "7 readings were entered as campaign points" in result.said
    rows = tmp_path / "points.jsonl"
    sdl("export", "points", rows)
    settings = np.array([json.loads(line)["in"] for line in rows.read_text().splitlines()])
    dark = np.flatnonzero((settings == 0).all(axis=1))
    assert dark.tolist() == [0, 4, 8]
    expected = LatinHypercube().propose(Twin().space, 7, np.random.default_rng(5))
    np.testing.assert_allclose(np.delete(settings, dark, axis=0), expected)
    found = sdl("solve", rows, "--model", "linear", "--json", *(f"--target={name}=16384" for name in WHITE)).json
    assert (found["rows"], found["models"][0]["reachable"]) == (7, True)


def test_a_survey_takes_the_options_of_its_design(sdl):
    result = sdl("survey", "corners", "--design", "full-factorial:levels=2", "--every", 0)
    assert "8 readings were entered as campaign corners" in result.said


def test_an_instrument_that_is_held_is_not_measured_by_hand_either(sdl, home):
    with Ledger(home / "ledger.sqlite") as book, book.hold("twin-0", "campaign 'theirs'"):
        result = sdl("measure", *KNOBS)
    assert result.code == 5
    assert "twin-0 is held by campaign 'theirs'" in result.said


@pytest.mark.fault("O-17")
def test_a_server_that_is_configured_and_gone_is_replaced_by_one_of_our_own(sdl, monkeypatch, prefect):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    running = SimpleNamespace(api=prefect, wait=lambda: None, stop=lambda: None)  # that of all tests, to save time
    monkeypatch.setattr(server, "OwnServer", lambda _: running)
    result = sdl("measure", *KNOBS)
    assert result.code == 0
    assert "no Prefect server answers at http://127.0.0.1:9/api" in result.said
    assert "going on with one of our own" in result.said
