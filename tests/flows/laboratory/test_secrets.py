"""A password of the ledger, planted where it may stand, is found nowhere that others look."""

import os
import subprocess

import pytest
from places import PAPER
from services import Lab

from flows.run_policy.fixed_parameters import describe_changes
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.ledger.ledger import Ledger

PASSWORD = "Plum-Tr33/p@ss"
QUOTED = "Plum-Tr33%2Fp%40ss"
URL = f"postgresql+psycopg://sdl:{QUOTED}@127.0.0.1:1/lab"


@pytest.fixture
def place(postgres):
    """The URL of a ledger in which a password stands, which this server does not ask for."""
    return postgres.fresh().replace("sdl@", f"sdl:{QUOTED}@")


def found(text):
    return PASSWORD in text or QUOTED in text


@pytest.mark.slow
@pytest.mark.fault("N-12")
def test_a_ledgers_password_is_in_no_process_list_no_parameter_no_log_and_no_report(place, tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    lab = Lab(tmp_path / "home")
    lab.home.mkdir(mode=0o700)
    lab.environment["SDL_LEDGER"] = place
    lab.up("--twin", "--twin-port", 0)
    try:
        assert not any(map(found, lab.processes()))
        run = lab.trigger("measure")
        lab.until(run, {"COMPLETED"})
        done = lab.sdl("run", PAPER, "--set", f"instrument.url={lab.told['twin']}", "--json")
        assert done.returncode == 0, done.stderr
        for words in (("status",), ("doctor", "--port", 1), ("bundle", "paper", tmp_path / "paper.zip")):
            told = lab.sdl(*words)
            assert not found(told.stdout + told.stderr), words
        runs = lab.ask("/flow_runs/filter", {})
        assert len(runs) >= 2
        assert not found(str(runs) + str(lab.ask("/deployments/filter", {})) + str(lab.ask("/logs/filter", {})))
    finally:
        lab.sdl("down")
    with Ledger(place) as book:
        assert {entry.name for entry in book.entries()} >= {"paper"}
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and _holds(path)]
    assert holding == []


def _holds(path):
    content = path.read_bytes()
    return PASSWORD.encode() in content or QUOTED.encode() in content


@pytest.mark.fault("N-12")
@pytest.mark.parametrize(
    "where", [URL, f"postgresql+psycopg://sdl@127.0.0.1:1/lab?password={QUOTED}", f"odd://a:{QUOTED}@b"]
)
def test_no_message_repeats_it(where, sdl, home, monkeypatch):
    refused = sdl("status", "--ledger", where)
    assert refused.code == 2
    assert "a password on a command line is seen by every user" in refused.said
    monkeypatch.setenv("SDL_LEDGER", where)
    told = sdl("status")
    assert told.code in (2, 7)
    assert not found(refused.said + told.said)


@pytest.mark.fault("N-12")
def test_a_campaign_file_may_not_hold_it(paper):
    written = paper | {"history": {"ledger": URL}}
    with pytest.raises(InvalidInput, match=r"history\.ledger: .*must not hold a password") as caught:
        Campaign.parse(written)
    assert not found(str(caught.value))


@pytest.mark.fault("N-09")
def test_a_form_names_no_ledger_that_a_run_would_open(tmp_path):
    own = {"config": {"name": "a", "instrument": "twin"}}
    for place in (str(tmp_path / "made.sqlite"), "postgresql+psycopg://somewhere.example/lab"):
        run = {"config": own["config"] | {"history": {"ledger": place}}}
        assert describe_changes(run, own) == ["history.ledger: is for the laboratory to say, leave it out"]
    assert describe_changes({"config": own["config"] | {"history": {"campaigns": "all"}}}, own) == []


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_history_that_is_not_there_is_not_made(paper, tmp_path, prefix):
    from flows.engine.opening import open_session

    file = tmp_path / "typo.sqlite"
    written = paper | {"instrument": "twin", "history": {"ledger": f"{prefix}{file}"}}
    with (
        pytest.raises(InvalidInput, match=r"history\.ledger: there is no file"),
        open_session(written, tmp_path, str(tmp_path / "ledger.sqlite")),
    ):
        pass
    assert not file.exists()


# ---------------------------------------------------------------------- where a ledger lies


@pytest.mark.fault("N-13")
@pytest.mark.parametrize("name", ["what?", "a#b", "100%", "with space", "ü&x=1"])
def test_a_ledger_lies_where_it_was_put_whatever_the_folder_is_called(sdl, tmp_path, monkeypatch, name):
    home = tmp_path / name
    told = sdl("status", "--home", home)
    assert told.code == 0
    assert (home / "ledger.sqlite").is_file()
    assert {path.name for path in tmp_path.iterdir()} <= {name, "home", "prefect"}
    with Ledger(home / "ledger.sqlite") as book, Ledger(book.url) as again:
        assert again.file == book.file == home / "ledger.sqlite"


@pytest.mark.fault("N-13")
def test_a_tilde_is_the_persons_home(sdl, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Ledger(tmp_path / "mine.sqlite").close()
    assert sdl("status", "--ledger", "~/mine.sqlite").code == 0
    assert not (tmp_path / "~").exists()


@pytest.mark.fault("N-13")
@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_misspelt_ledger_is_said_and_not_made(sdl, tmp_path, prefix):
    told = sdl("status", "--ledger", f"{prefix}{tmp_path / 'typo.sqlite'}")
    assert told.code == 2
    assert "there is no ledger" in told.said
    assert not (tmp_path / "typo.sqlite").exists()


@pytest.mark.fault("N-13")
def test_a_ledger_on_a_disk_that_nobody_can_write_is_read(sdl, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with Ledger(folder / "ledger.sqlite") as book:
        from sdl.instruments.claude_light.channels import SPACE

        book.register("white", "light", SPACE, {}, {})
    mount = ["mount", "--bind", str(folder), str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        told = sdl("status", "--ledger", folder / "ledger.sqlite", "--json")
        assert told.code == 0, told.err
        assert "white" in told.out
        paused = sdl("pause", "white", "--ledger", folder / "ledger.sqlite")
        assert paused.code == 7
        assert "readonly" in paused.said
    finally:
        subprocess.run(["umount", str(folder)], check=True)
