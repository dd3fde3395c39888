"""Commands that need no Prefect: what they print for people and for programs, and that errors are sentences."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from places import KNOBS, PAPER, on_twin

from sdl.instruments.claude_light.twin import Twin
from sdl.ledger.ledger import Ledger
from strategies.models.linear.bayesian_linear import BayesianLinear

pytestmark = pytest.mark.usefixtures("no_prefect")


def test_plugins_are_listed_with_what_they_are(sdl):
    result = sdl("plugins")
    assert result.code == 0
    for name in ("claude-light", "maximin-latin-hypercube", "mixture", "uncertainty"):
        assert name in result.out
    assert "Claude-Light, simulated." in result.said


def test_plugins_as_json_are_names_by_group(sdl):
    found = sdl("plugins", "--json").json
    assert {"claude-light", "twin", "recorded"} <= set(found["sdl.instruments"])
    assert {"linear", "pls", "mixture"} <= set(found["sdl.inverse_models"])


def test_the_status_of_an_empty_ledger_says_how_to_begin(sdl):
    assert sdl("status").said == "no campaign yet: begin one with 'sdl run CAMPAIGN.toml'"
    assert sdl("status", "--json").json == []


def test_pause_stop_and_resume_are_written_for_the_campaign_to_read(sdl, home):
    with Ledger(home / "ledger.sqlite") as book:
        book.register("rows", "twin", Twin().space, {}, {})
    assert sdl("pause", "rows").said == "rows pauses before its next request"
    assert sdl("status", "rows", "--json").json[0]["control"] == "pause"
    assert sdl("stop", "rows").said == "rows stops before its next request"
    assert sdl("resume", "rows", "--json").json == {"campaign": "rows", "control": "run", "held_by": None}


@pytest.mark.fault("I-25")
def test_nothing_but_json_is_on_standard_output_whatever_a_plug_in_prints_there(sdl, tmp_path, monkeypatch):
    def fit(model, readings, settings):
        os.write(1, b"a library of C says something\n")
        subprocess.run(["echo", "and so does a program"], check=True)
        return real(model, readings, settings)

    real = BayesianLinear.fit
    monkeypatch.setattr(BayesianLinear, "fit", fit)
    (tmp_path / "a.csv").write_text("in.a,out.y\n" + "".join(f"{k},{3 * k + k % 2}\n" for k in range(9)))
    result = sdl("solve", tmp_path / "a.csv", "--target", "y=10±2", "--model", "bayesian-linear", "--json")
    assert result.json["models"][0]["error"] is None
    assert "a library of C says something" in result.err
    assert "and so does a program" in result.err


# ---------------------------------------------------------------------- what cannot be done


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "no.toml"], "cannot read no.toml: No such file or directory"),
        (["run", "."], "cannot read .: Is a directory"),
        (["run", __file__], "test_app.py is not TOML"),
        (["run", *on_twin("budgte=9", "seed=-1")], "seed: Input should be greater than or equal to 0, got -1 "
         "budgte: unknown key; did you mean 'budget'?"),
        (["run", *on_twin("instrument.sed=1")], "instrument.sed: 'twin' has no such option; did you mean 'seed'?"),
        (["run", *on_twin("models=['liner']")], "unknown inverse model 'liner'; did you mean 'linear'?"),
        (["run", *on_twin("targets.0.readings={445mm=1}")], "did you mean '445nm'?"),
        (["run", *on_twin("targets.0.readings={445nm=65535}")], "reaches the ceiling of the sensor"),
        (["run", *on_twin("targets.7.name=x")], "--set 'targets.7.name': the file has no such place"),
        (["run", *on_twin("name.x=1")], "--set 'name.x': the file has no such place"),
        (["run", *on_twin("targets.7.name=x", "name.x=1")], "--set 'name.x': the file has no such place"),
        (["run", *on_twin("name=2026-11-21")], "name: Input should be a valid string"),
        (["run", *on_twin("name='../..'")], "name needs letters or digits"),
        (["run", *on_twin("budget")], "--set needs KEY=VALUE, got 'budget'"),
        (["run", PAPER, "--set", "instrument.url=http://169.254.169.254/api"], "169.254.169.254"),
        (["measure", "R=2", "G=0", "B=0"], "knob 'R' needs a number from 0.0 to 1.0, got 2"),
        (["measure", "R=1"], "knob 'G' is missing: give a value from 0.0 to 1.0"),
        (["measure", "R", "G=0", "B=0"], "a setting needs KEY=VALUE, got 'R'"),
        (["measure", "R=0.1", "R=0.2", "G=0", "B=0"], "a setting: R is given twice"),
        (["measure", *KNOBS, "-i", "twn"], "unknown instrument 'twn'; did you mean 'twin'?"),
        (["measure", *KNOBS, "-o", "sed=1"], "'twin' has no such option; did you mean 'seed'?"),
        (["measure", *KNOBS, "-i", "claude-light"], "url: 'claude-light' needs this option "
         "--option KEY=VALUE gives 'claude-light' what it needs, or -i FILE a campaign file that has it"),
        (["survey", "points"], "--n says how many points"),
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
def test_what_cannot_be_done_is_said_at_once(sdl, words, sentence):
    result = sdl(*words)
    assert result.code == 2
    assert sentence in result.said.replace("│ ", "")


def test_all_that_is_wrong_is_one_list_for_programs_too(sdl):
    result = sdl("run", *on_twin("budgte=9", "seed=-1"), "--json")
    assert result.code == result.json["exit"] == 2
    assert result.json["error"] == "InvalidInput"
    assert len(result.json["faults"]) == 2
    assert not result.err


@pytest.mark.fault("O-19")
def test_an_instrument_that_is_held_is_not_waited_for(sdl, home):
    with Ledger(home / "ledger.sqlite") as book, book.hold("twin-2", "campaign 'theirs'"):
        result = sdl("run", *on_twin())
        assert result.code == 5
        assert f"twin-2 is held by campaign 'theirs' (process {os.getpid()} on" in result.said
        assert "since 20" in result.said
        assert sdl("run", *on_twin(), "--json").json["error"] == "LeaseHeld"


def test_the_version_is_that_of_the_distribution(sdl):
    assert sdl("--version").out == f"sdl {version('inverse-sdl')}\n"


def test_help_loads_no_library_that_a_command_is_for():
    asked = (
        "import sys; from flows.cli.app import app; app(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    loaded = done.stdout[done.stdout.rindex("[") :]
    assert "'flows.cli.app'" in loaded
    assert [name for name in ("numpy", "pydantic", "sqlalchemy", "prefect") if f"'{name}'" in loaded] == []


@pytest.mark.parametrize(
    ("words", "offered"), [("sdl sol", "solve"), ("sdl who en", "end"), ("sdl compare --kn", "--knob")]
)
def test_a_shell_completes_commands_and_options(words, offered):
    asked = {"_SDL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    program = Path(sys.executable).with_name("sdl")
    done = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [offered]


def test_a_misspelt_command_is_answered_with_the_nearest(sdl):
    result = sdl("statsu")
    assert result.code == 2
    assert "Did you mean 'status'?" in result.said
