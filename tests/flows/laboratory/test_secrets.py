"""A password of the ledger, planted where it may stand, is found nowhere that others look."""

import os
import shutil
import subprocess

import pytest
from services import Lab

from flows import environment
from flows.run_policy.fixed_parameters import describe_changes
from sdl.campaign.definition import Campaign
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from sdl.system.database_copies import dump_postgresql

PASSWORD = "Plum-Tr33/p@ss"
QUOTED = "Plum-Tr33%2Fp%40ss"
URL = f"postgresql+psycopg://sdl:{QUOTED}@127.0.0.1:1/lab"


@pytest.fixture
def place(postgres):
    """The URL of a ledger in which a password stands, which this server does not ask for."""
    return postgres.fresh().replace("sdl@", f"sdl:{QUOTED}@")


def found(text):
    return PASSWORD in text or QUOTED in text


AUTHORISED = "sdl:Quince-Au7h"
SECRETS = (PASSWORD, QUOTED, "Quince-Au7h")
LABORATORY = """
[instruments.lamp]
plugin = "claude-light"
url = { secret = "lab-url" }
apparatus = "the lamp"
allow_private = true
first_wait_s = 0.01
"""
BY_HAND = """
name = "dyes"
[instrument]
plugin = "by-hand"
knobs = [{ name = "red", low = 0, high = 4 }]
channels = [{ name = "450nm" }]
[[targets]]
readings = { 450nm = 1000 }
"""


@pytest.fixture
def lab(place, postgres, tmp_path, monkeypatch):
    """A laboratory with a secret in every option that takes one, and an instrument whose address is one too."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    made = Lab(tmp_path / "home")
    made.home.mkdir(mode=0o700)
    postgres.execute("CREATE DATABASE secrets")
    made.environment |= {
        "SDL_LEDGER": place,
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://sdl:{QUOTED}@/secrets?host={postgres.folder}",
        "PREFECT_SERVER_API_AUTH_STRING": AUTHORISED,
        "PREFECT_API_AUTH_STRING": AUTHORISED,
        "https_proxy": f"http://me:{QUOTED}@127.0.0.1:9",
    }
    with InstrumentServer(Twin(seed=3)) as served:
        made.address = served.url
        made.environment["SDL_SECRET_LAB_URL"] = served.url
        (tmp_path / "lab.toml").write_text(LABORATORY, encoding="utf-8")
        yield made
        made.sdl("down")


@pytest.mark.slow
@pytest.mark.fault("N-12")
def test_no_secret_is_in_a_process_list_a_database_a_log_a_report_a_bundle_a_backup_or_a_message(lab, place, tmp_path):
    def found(text):
        return [secret for secret in (*SECRETS, lab.address) if secret in text]

    lab.up(tmp_path / "lab.toml")
    assert found("".join(lab.processes())) == []
    lab.until(lab.trigger("measure", name="lamp"), {"COMPLETED"})
    campaign = {**lab.deployment("campaign", "lamp")["parameters"]["config"], "name": "white"}
    lab.until(lab.trigger("campaign", {"config": campaign}, name="lamp"), {"COMPLETED"})
    sheet = tmp_path / "dyes.toml"
    sheet.write_text(BY_HAND, encoding="utf-8")
    commands = [
        ("status",), ("doctor", "--port", 1, tmp_path / "lab.toml"), ("bundle", "white", tmp_path / "white.zip"),
        ("propose", sheet, "--sheet", tmp_path / "sheet.csv"), ("tell", sheet, tmp_path / "sheet.csv"),
        ("bundle", "white", "--crate", tmp_path / "white.eln"), ("export", "white", tmp_path / "white.nxs"),
        ("backup", tmp_path / "backup"),
    ]  # fmt: skip
    for words in commands:
        result = lab.sdl(*words)
        assert found(result.stdout + result.stderr) == [], words
        assert "Traceback" not in result.stderr, words
    assert (tmp_path / "backup" / "manifest.json").exists()
    assert (tmp_path / "white.nxs").exists()
    for packed in ("white.zip", "white.eln"):
        shutil.unpack_archive(tmp_path / packed, tmp_path / f"{packed} unpacked", "zip")
    kinds = ("flow_runs", "deployments", "logs", "events", "artifacts", "automations", "task_runs", "variables")
    shown = {kind: str(lab.ask(f"/{kind}/filter", {})) for kind in kinds}
    assert len(shown["logs"]) > 1000
    assert {kind: found(text) for kind, text in shown.items() if found(text)} == {}
    assert lab.sdl("down").returncode == 0
    for database in (place, place.partition("/postgres?")[0] + "/secrets?" + place.partition("?")[2].partition("&")[0]):
        dump_postgresql(database, tmp_path / "dump")
        words = ["pg_restore", "--file=-", tmp_path / "dump"]
        dumped = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        assert found(dumped) == []
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size < 1e8]
    holding = {path: found(path.read_bytes().decode(errors="replace")) for path in files}
    assert {path: secrets for path, secrets in holding.items() if secrets} == {}


@pytest.mark.fault("N-12")
@pytest.mark.parametrize(
    "where",
    [
        URL,
        f"postgresql+psycopg://sdl@127.0.0.1:1/lab?password={QUOTED}",
        f"postgresql+psycopg://sdl@127.0.0.1:1/lab?connect_timeout=2&options=-c%20lab.token%3D{QUOTED}",
        f"odd://a:{QUOTED}@b",
    ],
)
def test_no_message_repeats_it(where, sdl, home, monkeypatch):
    refused = sdl("status", "--ledger", where)
    assert refused.code == 2
    assert "a password on a command line is seen by every user" in refused.said
    monkeypatch.setenv("SDL_LEDGER", where)
    result = sdl("status")
    assert result.code in (2, 7)
    assert not found(refused.said + result.said)


@pytest.mark.fault("N-12")
@pytest.mark.parametrize(
    "where",
    [
        f"postgresql+psycopg://sdl@127.0.0.1:1/lab?PassWord={QUOTED}",
        f"postgresql+psycopg://sdl:{QUOTED}@127.0.0.1:port/lab",
        f"postgresql+asyncpg://sdl:{QUOTED}@127.0.0.1:1/lab",
        f"host=127.0.0.1 user=sdl password={PASSWORD}",
        f"postgresql+psycopg//sdl:{QUOTED}@127.0.0.1/lab",
        f"postgres:sdl:{QUOTED}@127.0.0.1/lab",
        f"sqlite:///lab.sqlite?password={QUOTED}",
    ],
)
def test_nor_does_that_of_a_url_which_is_none(where, home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput, match=r"postgresql\+psycopg://user@host/name") as caught:
        Ledger(environment.ledger(where, home))
    assert not found(str(caught.value))
    assert list(tmp_path.iterdir()) == []


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
    result = sdl("status", "--home", home)
    assert result.code == 0
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
@pytest.mark.parametrize("option", ["--ledger", "--home"])
def test_the_home_of_nobody_is_a_sentence(sdl, option):
    result = sdl("status", option, "~nobody-of-this-name/lab")
    assert (result.code, "nobody of that name has a home here" in result.said) == (2, True)


@pytest.mark.fault("N-13")
@pytest.mark.parametrize("place", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite://"])
def test_a_ledger_that_would_be_lost_with_the_command_is_refused(sdl, place):
    result = sdl("status", "--ledger", place)
    assert (result.code, "is in memory and would be lost" in result.said) == (2, True)


@pytest.mark.fault("N-13")
@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_misspelt_ledger_is_said_and_not_made(sdl, tmp_path, prefix):
    result = sdl("status", "--ledger", f"{prefix}{tmp_path / 'typo.sqlite'}")
    assert result.code == 2
    assert "there is no ledger" in result.said
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
        result = sdl("status", "--ledger", folder / "ledger.sqlite", "--json")
        assert result.code == 0, result.err
        assert "white" in result.out
        assert sdl("backup", tmp_path / "kept", "--ledger", folder / "ledger.sqlite").code == 0
        with Ledger(tmp_path / "kept" / "ledger") as book:
            assert [entry.name for entry in book.entries()] == ["white"]
        paused = sdl("pause", "white", "--ledger", folder / "ledger.sqlite")
        assert paused.code == 7
        assert "readonly" in paused.said
    finally:
        subprocess.run(["umount", str(folder)], check=True)
