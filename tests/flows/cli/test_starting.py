"""As a command starts: what is wrong is found out before the first request, and an interrupt is no traceback."""

import os
import signal

import pytest
from places import KNOBS, PAPER, on_twin


def test_a_survey_is_refused_before_the_first_reading(sdl):
    assert "unknown design 'latin'" in sdl("survey", "a", "--design", "latin").said
    assert "LatinHypercube has no number of points of its own: give n >= 1" in sdl("survey", "a").said
    assert sdl("survey", "///", "--n", 5).code == 2
    said = sdl("survey", "a", "--design", "full-factorial:lvls=5").said
    assert "'full-factorial' has no such option; did you mean 'levels'? (its options: levels)" in said
    assert "n is no option of a design: give --n" in sdl("survey", "a", "--design", "sobol:n=5").said
    assert "needs 3 knobs or more" in sdl("survey", "a", "-i", "sinewave", "--design", "box-behnken").said


@pytest.mark.fault("N-05")
def test_words_of_strangers_in_a_fault_move_no_cursor(sdl):
    result = sdl("import", "\x1b[2Jgone.csv")
    assert result.code == 2
    assert "\x1b" not in result.err


def test_bad_input_is_answered_before_prefect_is_imported(spawn, ended, home):
    result = ended(spawn("run", PAPER, "--set", "budgte=9"))
    assert (result.code, result.out) == (2, "")
    first, more = result.err.splitlines()
    assert first == "budgte: unknown key; did you mean 'budget'?"
    assert more.startswith("more in deployments/reference.md:")
    assert not (home / "prefect").exists()


@pytest.mark.fault("O-17")
@pytest.mark.slow
def test_a_prefect_server_that_does_not_start_is_a_sentence_too(spawn, ended, home, monkeypatch, tmp_path):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", f"sqlite+aiosqlite:///{tmp_path}")  # a folder
    result = ended(spawn("measure", *KNOBS, "--json"))
    assert (result.code, result.json["error"], result.json["exit"]) == (2, "InvalidInput", 2)
    (fault,) = result.json["faults"]
    assert fault.startswith("Prefect's server cannot start: OperationalError: unable to open database file (stated in")
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" in fault


@pytest.mark.fault("O-25")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["prefect", "reports"])
def test_a_folder_that_cannot_be_made_is_found_out_before_the_first_request(sdl, home, monkeypatch, name, request):
    home.mkdir()
    (home / name).touch()
    if name == "reports":
        request.getfixturevalue("prefect")
    result = sdl("run", *on_twin())
    assert result.code == 2
    assert f"cannot make the folder {home}/{name}: File exists; give another --home" in result.said
    assert sdl("status", "--json").json == []


@pytest.mark.slow
def test_ctrl_c_while_it_still_loads_is_no_traceback(spawn, ended, tmp_path, monkeypatch):
    # In place of the first library that the command line needs: it says when it is loaded, and goes on being so.
    (tmp_path / "typer.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(1000)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    process = spawn("status")
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    assert ended(process).code == -signal.SIGINT
