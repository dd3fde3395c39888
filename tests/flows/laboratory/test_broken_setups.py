"""The doctor on set-ups that are really broken: each is told in one sentence, with what to do about it."""

import contextlib
import os
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from postgres import programs, running
from wire import Answers, Authority, prefect

from flows import environment
from flows.server import configured_server as configured
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger import database_server
from sdl.ledger.ledger import Ledger
from sdl.ledger.people.tokens import Kind, Role, Tokens

LAMP = '[instruments.lamp]\nplugin = "{}"\nurl = "{}"\nallow_private = true\nfirst_wait_s = 0.01\n'
TWIN = '[instruments]\nlamp = "twin"\n'
DEAD = "http://127.0.0.1:9"
CLOSED = "127.0.0.1:9"


class Setup:
    """A laboratory on this machine, sound until a test breaks it; what was opened for that ends with it."""

    def __init__(self, folder, patch, stack):
        self.folder, self.patch, self.stack = folder, patch, stack
        self.home, self.file, self.words = folder / "home", folder / "lab.toml", []

    def write(self, text, name="lab.toml"):
        (self.folder / name).write_text(text, encoding="utf-8")
        return self.folder / name

    def set(self, name, value):
        self.patch.setenv(name, str(value))

    def open(self, context):
        return self.stack.enter_context(context)


# Each breaks one thing, and is named by what the doctor is to find: "question: state: words of the sentence -> advice".


def a_proxy_that_nobody_can_speak_to(setup):
    """proxy: warning: HTTPS_PROXY = nowhere://x:1 is no address of a proxy -> mend that variable"""
    setup.set("HTTPS_PROXY", "nowhere://x:1")


def a_proxy_that_is_dead(setup):
    """lamp: fault: through the proxy http://127.0.0.1:9 -> proxy"""
    setup.set("http_proxy", DEAD)
    setup.write(LAMP.format("claude-light", "http://lamp.example/api"))


def something_else_at_the_port(setup):
    """port {port}: warning: another program listens there -> give 'sdl up' another --port"""
    listener = setup.open(socket.create_server(("127.0.0.1", 0)))
    setup.words += ["--port", listener.getsockname()[1]]


def a_page_at_prefects_address(setup):
    """configured Prefect server: fault: is no Prefect server -> unset PREFECT_API_URL"""
    setup.set("PREFECT_API_URL", f"{setup.open(Answers({})).url}/api")


def another_secret_than_the_servers(setup):
    """configured Prefect server: fault: asks for an auth string, and PREFECT_API_AUTH_STRING is another one -> set"""
    setup.set("PREFECT_API_URL", f"{setup.open(Answers(prefect(status=401))).url}/api")
    setup.set("PREFECT_API_AUTH_STRING", "sdl:hushhush")


def a_server_of_another_version(setup):
    """configured Prefect server: fault: is 2.20.1, and this is -> bring both to one version"""
    setup.set("PREFECT_API_URL", f"{setup.open(Answers(prefect(version='2.20.1'))).url}/api")


def a_profile_that_names_a_server_that_is_gone(setup):
    """configured Prefect server: fault: does not answer -> take PREFECT_API_URL out of profile 'lab' of"""
    setup.set("PREFECT_PROFILES_PATH", setup.write(PROFILE, "mine.toml"))


PROFILE = f'active = "lab"\n[profiles.lab]\nPREFECT_API_URL = "{DEAD}/api"\n'


def a_server_whose_certificate_nobody_signed(setup):
    """configured Prefect server: fault: the certificate of {url}/api is not trusted here -> SSL_CERT_FILE"""
    served = setup.open(Answers(prefect(), tls=Authority(setup.folder).context()))
    setup.url = served.url
    setup.set("PREFECT_API_URL", f"{served.url}/api")


def certificates_that_are_not_there(setup):
    """certificates: warning: SSL_CERT_FILE = /nowhere/ca.pem is no file that can be read -> mend that variable"""
    setup.set("SSL_CERT_FILE", "/nowhere/ca.pem")


def certificates_of_the_instrument_that_are_not_there(setup):
    """lab.toml: fault: ca_file: needs a file of certificates, and there is none at /nowhere/ca.pem -> mend the file"""
    setup.write(LAMP.format("claude-light", "https://lamp.example/api") + 'ca_file = "/nowhere/ca.pem"\n')


def a_home_that_is_read_only(setup):
    """data directory: fault: {home} cannot be written -> give another --home"""
    setup.home.mkdir(mode=0o700)
    mounted(setup, setup.home, "ro")


def a_disk_that_is_full(setup):
    """disk: fault: MB free where {home} lies -> make room"""
    setup.home.mkdir(mode=0o700)
    mounted(setup, setup.home, "size=1m,mode=700")


def a_disk_without_room_for_files(setup):
    """disk: fault: no more files fit -> delete files"""
    setup.home.mkdir(mode=0o700)
    mounted(setup, setup.home, "size=3g,nr_inodes=3,mode=700")
    for name in "ab":
        with contextlib.suppress(OSError):
            (setup.home / name).touch()


def a_ledger_on_another_disk_that_is_full(setup):
    """disk: fault: MB free where {place} lies -> make room"""
    setup.place = setup.folder / "elsewhere"
    setup.place.mkdir()
    mounted(setup, setup.place, "size=2m,mode=700")
    setup.words += ["--ledger", setup.place / "ledger.sqlite"]


def a_ledger_of_a_newer_program(setup):
    """ledger: fault: the ledger has schema 99 -> follow what the ledger says"""
    Ledger(made(setup) / "ledger.sqlite").close()
    with contextlib.closing(sqlite3.connect(setup.home / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE about SET version = 99")


def a_ledger_that_is_none(setup):
    """ledger: fault: check that it is a ledger -> follow what the ledger says"""
    file = made(setup) / "ledger.sqlite"
    file.touch(mode=0o600)
    file.write_bytes(b"no database, but long enough to look like one" * 100)


def a_database_that_is_away(setup):
    """ledger: fault: cannot open the ledger at postgresql+psycopg://sdl@127.0.0.1:9/lab -> what the ledger says"""
    setup.set("SDL_LEDGER", f"postgresql+psycopg://sdl@{CLOSED}/lab")


def a_database_that_is_frozen(setup):
    """ledger: fault: cannot open the ledger at -> follow what the ledger says"""
    if (found := programs()) is None:
        pytest.skip("no PostgreSQL here: install Debian's package 'postgresql' to run this")
    database = setup.open(running(found))
    setup.patch.setitem(database_server.CONNECT, "connect_timeout", 2)
    setup.set("SDL_LEDGER", database.fresh())
    database.signal(19)


def prefects_database_of_a_newer_prefect(setup):
    """Prefect's database: fault: was written by a newer Prefect than the -> bring this one up to date"""
    with contextlib.closing(sqlite3.connect(prefects(setup))) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('f00f00f00f00')")


def prefects_database_that_is_none(setup):
    """Prefect's database: fault: is damaged: file is not a database -> aside and a new one is made"""
    prefects(setup).write_bytes(b"no database, but long enough to look like one" * 100)


def a_plug_in_that_nobody_has(setup):
    """lab.toml: fault: claude-ligth -> mend the file"""
    setup.write(LAMP.format("claude-ligth", DEAD))


def a_schedule_whose_campaign_file_is_misspelt(setup):
    """lab.toml: fault: nightly.tmol -> mend the file"""
    due = '[[schedule]]\nrun = "campaign"\ninstrument = "lamp"\ncron = "0 3 * * *"\nfile = "nightly.tmol"\n'
    setup.write(TWIN + due)


def a_schedule_at_no_time_that_there_is(setup):
    """lab.toml: fault: schedule.0.cron -> mend the file"""
    setup.write(TWIN + '[[schedule]]\nrun = "calibrate"\ninstrument = "lamp"\ncron = "61 3 * * *"\n')


def a_secret_that_is_not_set(setup):
    """lab.toml: fault: SDL_SECRET_LAB_TOKEN -> mend the file"""
    setup.write('[instruments.lamp]\nplugin = "claude-light"\nurl = { secret = "LAB_TOKEN" }\n')


def an_instrument_that_is_off(setup):
    """lamp: fault: no connection to http://127.0.0.1:9/api -> see that it is switched on"""
    setup.write(LAMP.format("claude-light", f"{DEAD}/api"))


def an_instrument_that_answers_with_a_page(setup):
    """lamp: fault: did not answer as Claude-Light -> its address is right"""
    setup.write(LAMP.format("claude-light", f"{setup.open(Answers({})).url}/api"))


def an_agent_beside_a_prefect_that_anybody_may_ask(setup):
    """agents: warning: bot may only propose, yet whoever reaches Prefect's API starts -> set PREFECT_SERVER_API_AUTH"""
    known(setup, time.time() - 60)
    with Ledger(setup.home / "ledger.sqlite") as book:
        tokens = Tokens(book)
        ada = tokens.identify(tokens.issue("Ada", Kind.PERSON, Role.APPROVER))
        tokens.issue("bot", Kind.AGENT, Role.OPERATOR, ada)


def a_clock_that_was_set_back(setup):
    """clock: warning: the ledger has something from 2 h in the future -> set the clock of this machine"""
    known(setup, time.time() + 7205)


def a_clock_of_a_board_without_a_battery(setup):
    """clock: fault: it is 1970-01-01 here -> set the clock of this machine"""
    setup.patch.setattr("sdl.system.clock.time.time", lambda real=time.time: real() % 86_400)


def a_block_that_nobody_made(setup):
    """notifications: warning: the server has no block 'slack-webhook/lab' -> make it in Prefect's UI"""
    no_block = {"/api/block_types/slug/slack-webhook/block_documents/name/lab": (404, "{}")}
    setup.set("PREFECT_API_URL", f"{setup.open(Answers(prefect() | no_block)).url}/api")
    setup.write(TWIN + '[notify]\nblock = "slack-webhook/lab"\n')


def a_database_of_a_kind_that_prefect_has_none_of(setup):
    """Prefect server: fault: Got dialect name 'mysql' (stated in the environment: -> mend or unset"""
    setup.set("PREFECT_API_DATABASE_CONNECTION_URL", "mysql://lab:hushhush@localhost/prefect")


def a_database_server_of_prefects_that_is_not_there(setup):
    """Prefect server: fault: Connect call failed ('127.0.0.1', 1) (stated in the environment: -> mend or unset"""
    setup.set("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://lab:hushhush@127.0.0.1:1/prefect")


def a_home_of_prefects_that_is_a_file(setup):
    """Prefect server: fault: unable to open database file (stated in the environment: PREFECT_HOME) -> mend or unset"""
    (made(setup) / "notes.txt").write_text("a file")
    setup.set("PREFECT_HOME", str(setup.home / "notes.txt"))


def a_secret_that_is_not_the_one_which_is_asked_for(setup):
    """Prefect server: fault: PREFECT_API_AUTH_STRING is not what PREFECT_SERVER_API_AUTH_STRING has -> mend or unset"""
    setup.set("PREFECT_SERVER_API_AUTH_STRING", "lab:hushhush")
    setup.set("PREFECT_API_AUTH_STRING", "lab:hushhush2")


BROKEN = [
    each for each in list(globals().values())
    if callable(each) and getattr(each, "__module__", "") == __name__ and (each.__doc__ or "").count(": ") >= 2
]  # fmt: skip


def made(setup):
    setup.home.mkdir(mode=0o700, exist_ok=True)
    return setup.home


def prefects(setup):
    (made(setup) / "prefect").mkdir(mode=0o700)
    return setup.home / "prefect" / "prefect.db"


def known(setup, moment):
    """A ledger with a campaign that changed at a moment."""
    with Ledger(made(setup) / "ledger.sqlite") as book:
        book.register("white", "twin", Twin().space, {}, {})
        with book.writing() as connection:
            connection.exec_driver_sql(f"UPDATE campaigns SET created = {moment}, updated = {moment}")
    for file in setup.home.glob("ledger.sqlite*"):
        file.chmod(0o600)


def mounted(setup, folder, options):
    """A small disk of its own, which takes root."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "sdl-tests", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    setup.stack.callback(subprocess.run, ["umount", "--lazy", folder], check=False)


@pytest.fixture
def setup(tmp_path, home, monkeypatch):
    proxies = [name for name in os.environ if name.lower() in (*environment.PROXIES, "no_proxy")]
    for name in (
        *proxies,
        *configured.PLACES,
        *environment.AUTHORITIES,
        "PREFECT_PROFILE",
        "PREFECT_PROFILES_PATH",
        "PREFECT_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    for noted in (configured.adopted, environment.set_aside):  # of this process, by an earlier test
        noted.clear()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    with contextlib.ExitStack() as stack:
        made = Setup(tmp_path, monkeypatch, stack)
        assert made.home == home
        yield made


@pytest.mark.fault("O-53")
@pytest.mark.parametrize("breaks", BROKEN, ids=lambda each: each.__name__.replace("_", " "))
def test_it_is_told_in_one_sentence_with_the_remedy(setup, sdl, breaks):
    breaks(setup)
    expected, _, advice = breaks.__doc__.partition(" -> ")
    given = {name: value for name, value in vars(setup).items() if isinstance(value, str | Path)}
    question, state, words = expected.format(**given, port=setup.words[-1] if setup.words else "").split(": ", 2)
    port = () if "--port" in setup.words else ("--port", 1)
    result = sdl("doctor", "--json", *setup.words, *port, *([setup.file] if setup.file.exists() else []))
    found = [each for each in result.json if each["what"] == question]
    fitting = [each for each in found if words in each["found"]]
    assert fitting, result.json
    assert fitting[0]["state"] == state
    assert advice.format(**given) in fitting[0]["advice"]
    assert "\n" not in fitting[0]["found"]
    assert result.code == (3 if state == "fault" else 0), [each for each in result.json if each["state"] != "ok"]
    others = [each for each in result.json if each["state"] != "ok" and each not in found]
    assert others == [], "one thing is broken, and one is told"
    assert "hushhush" not in result.out


def test_a_sound_one_has_nothing_to_tell(setup, sdl):
    with InstrumentServer(Twin()) as served:
        setup.write(LAMP.format("claude-light", served.url))
        result = sdl("doctor", "--json", "--port", 1, setup.file)
    assert (result.code, {each["state"] for each in result.json}) == (0, {"ok"}), result.json
