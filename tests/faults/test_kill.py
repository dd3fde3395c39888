"""A campaign whose process is killed or interrupted at any moment goes on as if nothing had happened."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from traps import DESIGN, EXAM, LEARNING, LIGHT

from sdl.campaign.definition import Campaign
from sdl.errors import InstrumentUnavailable
from sdl.instruments.claude_light.twin import Twin
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

pytestmark = pytest.mark.slow


@pytest.fixture
def unharmed(paper):
    """What a campaign asks whose process nobody harms."""
    rehearsal = Simulation(Plan(Campaign.parse(paper), Twin().space), Twin(**LIGHT))
    rehearsal.run()
    return [(*each.key, each.purpose, *each.settings.tolist()) for each in rehearsal.observations]


def asked(rows):
    return [(each["round"], each["index"], each["replicate"], each["purpose"], *each["settings"]) for each in rows]


def lost(rows):
    return [each for each in rows if each["verdict"] == "UNKNOWN"]


def answered(rows):
    return [each for each in rows if each["state"] == "DONE"]


def servers_of(home):
    """Processes of Prefect servers that were started for this data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = str(home).encode() in (process / "environ").read_bytes()
            if ours and b"flows.server" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_until(true, within_s=30.0):
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.002)


def replies_in(ledger):
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM attempts WHERE state = 'DONE'").fetchone()[0]
    except sqlite3.OperationalError:  # it is not there yet
        return 0


class TestKilled:
    @pytest.mark.fault("O-02", "O-18")
    @pytest.mark.parametrize(("at", "measured"), [(DESIGN, False), (EXAM, True)], ids=["in the design", "in the exam"])
    def test_with_a_request_under_way(
        self, at, measured, prefect, trap, served, run, ended, sdl, go_on, trail, unharmed
    ):
        """Whether the instrument took the measurement or not, nobody can know: it is UNKNOWN and taken again."""

        def kill(measure):
            if measured:
                measure()
            process.kill()
            raise InstrumentUnavailable("nobody listens any more")

        trap.at, trap.act = at, kill
        process = run()
        assert ended(process).code == -signal.SIGKILL
        (row,) = sdl("status", "--json").json
        assert (row["state"], row["requests"], row["held by"]) == ("INTERRUPTED", at, None)
        go_on()
        rows = trail()
        assert [each["seq"] for each in lost(rows)] == [at]
        same = at if measured else len(unharmed)  # what was measured for nobody took its noise with it
        assert asked(answered(rows))[:same] == unharmed[:same]
        assert (served.requests, served.most_in_flight) == (len(rows), 1)

    @pytest.mark.fault("O-04")
    def test_just_after_a_reply(self, prefect, served, home, run, ended, go_on, trail, unharmed):
        process = run()
        wait_until(lambda: replies_in(home / "ledger.sqlite") >= 6)
        process.kill()
        assert ended(process).code == -signal.SIGKILL
        go_on()
        rows = trail()
        missing = lost(rows)
        assert len(missing) <= 1  # if the next request was quicker than the kill, or at least its intent
        same = missing[0]["seq"] if missing else len(unharmed)  # what is measured again has other noise
        assert asked(answered(rows))[:same] == unharmed[:same]
        assert len(rows) - len(lost(rows)) <= served.requests <= len(rows)

    def test_with_a_prefect_server_of_its_own_which_ends_by_itself(
        self, home, trap, run, ended, go_on, served, trail, unharmed, monkeypatch, request
    ):
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        servers = []

        def kill(_):
            servers.extend(servers_of(home))
            process.kill()
            raise InstrumentUnavailable("nobody listens any more")

        def interrupt(measure):
            os.killpg(process.pid, signal.SIGINT)
            return measure()

        trap.at, trap.act = DESIGN, kill
        process = run()
        assert ended(process).code == -signal.SIGKILL
        assert len(servers) == 1
        wait_until(lambda: not servers_of(home), 15)

        trap.at, trap.act = LEARNING, interrupt
        process = run()
        assert ended(process).code == 130
        assert not servers_of(home)

        request.getfixturevalue("prefect")
        go_on()
        assert [each["seq"] for each in lost(trail())] == [DESIGN]
        assert asked(answered(trail())) == unharmed
        assert served.requests == len(trail())


@pytest.mark.fault("O-13")
class TestInterrupted:
    @pytest.mark.parametrize(
        ("number", "options"),
        [(signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGHUP, []), (signal.SIGHUP, ["--no-server"])],
        ids=["SIGINT", "SIGTERM", "SIGHUP", "SIGHUP without a server"],
    )
    def test_once_finishes_the_measurement_and_keeps_it(
        self, number, options, prefect, trap, served, run, ended, sdl, go_on, trail, unharmed
    ):
        def interrupt(measure):
            os.killpg(process.pid, number)  # as Ctrl-C in a terminal reaches it and its children
            time.sleep(0.3)
            return measure()

        trap.at, trap.act = EXAM, interrupt
        process = run(*options)
        result = ended(process)
        assert result.code == 130
        assert result.err.endswith("interrupted; everything measured is kept, run the campaign again to go on\n")
        assert [each["state"] for each in trail()] == ["DONE"] * EXAM
        (row,) = sdl("status", "--json").json
        assert (row["state"], row["requests"], row["held by"]) == ("SUSPENDED", EXAM, None)
        go_on()
        assert asked(trail()) == unharmed
        assert served.requests == len(unharmed)

    def test_twice_ends_at_once(self, prefect, trap, served, run, ended, go_on, trail):
        codes = []

        def interrupt_twice(measure):
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            codes.append(process.wait(timeout=5))  # while the instrument is still measuring
            return measure()

        trap.at, trap.act = DESIGN, interrupt_twice
        process = run()
        assert ended(process).code == 130
        wait_until(lambda: codes == [130])
        assert [each["state"] for each in trail()] == ["DONE"] * (DESIGN - 1) + ["SENT"]
        go_on()
        assert [each["seq"] for each in lost(trail())] == [DESIGN]
        assert (served.requests, served.most_in_flight) == (len(trail()), 1)


@pytest.mark.fault("O-17")
def test_a_prefect_server_that_dies_takes_nothing_with_it(home, trap, run, ended, go_on, trail, unharmed, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")  # of five, which take minutes

    def kill_the_server(measure):
        (server,) = servers_of(home)
        os.kill(server, signal.SIGKILL)
        return measure()

    trap.at, trap.act = EXAM, kill_the_server
    result = ended(run())
    assert result.code == 1
    assert "Prefect's server no longer answers" in result.err
    assert asked(trail()) == unharmed
    assert not servers_of(home)
    go_on()
    assert asked(trail()) == unharmed
