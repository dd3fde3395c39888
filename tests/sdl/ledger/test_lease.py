"""The lease: one controller an instrument, a token that only grows, and the dead and the sleeping are overtaken."""

import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from sdl.errors import LeaseHeld, LeaseLost
from sdl.ledger import lease as leasing
from sdl.ledger.ledger import Ledger
from sdl.ledger.tables import leases
from sdl.system.processes import this_host

HOLDS = """
import sys, time
import sdl.ledger.lease as leasing
from sdl.errors import LeaseHeld, LeaseLost
from sdl.ledger.database import open_database

where, owner, leasing.BEAT_S, jump = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
engine = open_database(where)
print("ready", flush=True)
sys.stdin.readline()
try:
    with leasing.hold_lease(engine, "light", owner) as lease:
        leasing.now = lambda: time.time() + jump
        print("held", lease.token, flush=True)
        for line in sys.stdin:
            with engine.execution_options(writes=True).begin() as connection:
                lease.check(connection)
            print("written", flush=True)
except (LeaseHeld, LeaseLost) as error:
    print(type(error).__name__, error, flush=True)
"""
NEVER = 1000.0


class Holder:
    """Another process that holds the instrument."""

    def __init__(self, where, owner="other", beat_s=NEVER, jump=0.0):
        command = [sys.executable, "-c", HOLDS, where, owner, str(beat_s), str(jump)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.process = subprocess.Popen(command, **pipes)

    def said(self):
        return self.process.stdout.readline().strip()

    def ready(self):
        """Wait until it has its imports behind it."""
        assert self.said() == "ready"
        return self

    def go(self):
        """Let it go one step further: take the instrument, then write at each call."""
        self.process.stdin.write("\n")
        return self

    def kill(self):
        self.process.kill()

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def holders(where):
    """Makes holders of the place where the test's ledger lies, and ends them afterwards."""
    made = []

    def make(**options):
        made.append(Holder(where, **options))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def ledger(where):
    with Ledger(where) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch):
    """Fractions of a second instead of seconds."""
    monkeypatch.setattr(leasing, "TTL_S", 0.3)
    monkeypatch.setattr(leasing, "BEAT_S", 0.1)


# ---------------------------------------------------------------------- one holder


def test_the_token_only_grows(ledger):
    tokens = []
    for _ in range(3):
        with ledger.hold("light", "me") as lease:
            tokens.append(lease.token)
    assert tokens == [1, 2, 3]


def test_every_instrument_has_a_lease_of_its_own(ledger):
    with ledger.hold("light", "me"), ledger.hold("lamp", "me") as lamp:
        assert lamp.token == 1


@pytest.mark.fault("O-19")
def test_a_second_holder_learns_who_holds_it_and_since_when(ledger):
    with ledger.hold("light", "campaign 'white'"):
        with pytest.raises(LeaseHeld) as caught, ledger.hold("light", "another"):
            pytest.fail("held twice")
        assert ledger.holder("light") in str(caught.value)
    pattern = (
        rf"light is held by campaign 'white' \(process {os.getpid()} on .+\) since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d, "
    )
    assert re.match(pattern + r"last sign of life \d+ s ago; wait for it to end", str(caught.value))


def test_it_is_free_after_the_block_however_that_ends(ledger):
    assert ledger.holder("light") is None
    with contextlib.suppress(ZeroDivisionError), ledger.hold("light", "me"):
        assert ledger.holder("light").startswith("me (process ")
        raise ZeroDivisionError
    assert ledger.holder("light") is None
    with ledger.hold("light", "another"):
        pass


@pytest.mark.fault("O-19")
def test_of_many_that_reach_for_it_at_once_one_holds_it(holders):
    said = reach(crowd(holders))
    assert sorted(word.split()[0] for word in said) == ["LeaseHeld"] * 2 + ["held"]
    assert said.count("held 1") == 1


def test_of_many_that_reach_for_one_that_was_left_one_holds_it(ledger, holders):
    with ledger.hold("light", "me"):
        waiting = crowd(holders)
    said = reach(waiting)
    assert sorted(word.split()[0] for word in said) == ["LeaseHeld"] * 2 + ["held"]
    assert said.count("held 2") == 1


def crowd(holders):
    """Three processes that are ready to reach for the instrument."""
    started = [holders(owner=f"number {i}") for i in range(3)]
    return [each.ready() for each in started]


def reach(waiting):
    """What each says after all have reached for it at once."""
    for each in waiting:
        each.go()
    return [each.said() for each in waiting]


# ---------------------------------------------------------------------- the dead


@pytest.mark.fault("O-18")
def test_a_killed_process_frees_it_at_once(ledger, holders):
    other = holders().ready().go()
    assert other.said() == "held 1"
    with pytest.raises(LeaseHeld, match="held by other"), ledger.hold("light", "me"):
        pass
    other.kill()
    other.process.wait()
    taken = at_once(ledger)
    assert (taken.token, taken.abandoned) == (2, True)


def test_a_killed_process_whose_parent_does_not_care_frees_it_too(ledger, holders):
    other = holders().ready().go()
    assert other.said() == "held 1"
    other.kill()
    stat = Path(f"/proc/{other.process.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert ledger.holder("light") is None
    assert at_once(ledger).token == 2


def test_a_process_that_has_the_number_of_a_dead_one_does_not_hold_it(ledger):
    with ledger.hold("light", "me"):
        change(ledger, process=f"process {os.getpid()}@1")
        assert at_once(ledger).token == 2


@pytest.mark.fault("O-32")
def test_who_let_go_of_it_while_the_database_was_away_has_it_again_at_once(ledger, monkeypatch):
    written = leasing._write
    with ledger.hold("light", "me"):
        monkeypatch.setattr(leasing, "_write", lambda *_, **values: True)  # as where no database answers
    monkeypatch.setattr(leasing, "_write", written)
    with ledger.reading() as connection:
        assert leasing.lease_holders(connection) == {}
    assert at_once(ledger).token == 2


@pytest.mark.fault("O-21")
def test_a_holder_whose_clock_alone_is_off_is_no_news(ledger, monkeypatch, caplog):
    monkeypatch.setattr(leasing, "BEAT_S", 0.1)
    with ledger.hold("light", "me"), caplog.at_level("WARNING", "sdl"):
        monkeypatch.setattr(leasing, "now", lambda: time.time() + 60.0)
        for _ in range(5):
            change(ledger, beat=leases.c.beat + 1, beat_at=time.time())
            assert ledger.holder("light").startswith("me ")
    assert caplog.text == ""


ELSEWHERE = {
    "another host": "elsewhere (boot 11111111, 4026531836)",
    "a container beside this one": this_host().replace(")", "1)"),
    "a board with a copy of this card": this_host().replace("(boot ", "(boot 0"),
    "this host as an earlier version named it": platform.node(),
}


@pytest.mark.fault("O-28")
@pytest.mark.parametrize("host", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_process_elsewhere_is_never_known_to_be_dead(ledger, hasty, host):
    with ledger.hold("light", "me"):
        change(ledger, host=host, process="process 999999@1")
        with pytest.raises(LeaseHeld, match="process 999999 on"), ledger.hold("light", "another"):
            pass


@pytest.mark.fault("O-29")
@pytest.mark.parametrize("age_s", [86_400.0, -86_400.0], ids=["a day ago", "by a clock a day ahead"])
def test_a_holder_that_died_elsewhere_blocks_no_longer_than_its_silence_is_watched(ledger, hasty, monkeypatch, age_s):
    monkeypatch.setattr(leasing, "BEAT_S", NEVER)
    with ledger.hold("light", "gone"):
        monkeypatch.setattr(leasing, "BEAT_S", 0.1)
        change(ledger, host="elsewhere", beat_at=time.time() - age_s)
        assert ledger.holder("light") is None
        with ledger.reading() as connection:
            assert leasing.lease_holders(connection) == {}, "who only looks sees no holder any more"
        with ledger.hold("light", "me") as lease:
            assert lease.token == 2


@pytest.mark.fault("O-29")
def test_who_only_looks_calls_nobody_silent_at_the_first_look(ledger, monkeypatch):
    monkeypatch.setattr(leasing, "BEAT_S", NEVER)
    with ledger.hold("light", "elsewhere"):
        change(ledger, host="elsewhere", beat_at=time.time() - 7200)
        with ledger.reading() as connection:
            assert leasing.lease_holders(connection)["light"].sign_of_life == "2 h ago"


@pytest.mark.fault("O-21")
@pytest.mark.parametrize("skew_s", [60.0, -60.0])
def test_a_clock_that_is_off_leaves_a_stalled_heart_its_whole_time(ledger, monkeypatch, skew_s):
    monkeypatch.setattr(leasing, "BEAT_S", 0.1)
    monkeypatch.setattr(leasing, "TTL_S", 3.0)
    with ledger.hold("light", "stalls") as lease:
        change(ledger, host="elsewhere")
        monkeypatch.setattr(leasing, "now", lambda: time.time() + skew_s)
        stalled = threading.Timer(1.0, set_back, [ledger, skew_s])
        monkeypatch.setattr(leasing, "_write", lambda *_, **values: "owner" not in values or True)
        stalled.start()
        with pytest.raises(LeaseHeld, match="held by stalls"), ledger.hold("light", "me"):
            pass
        stalled.join()
        ledger.reconcile(lease, 1)


def set_back(ledger, skew_s):
    """A heartbeat after a pause, by the clock of its host."""
    change(ledger, beat=leases.c.beat + 1, beat_at=time.time() - skew_s)


def at_once(ledger):
    """The lease, which is to be had without waiting for any heartbeat."""
    with pytest.MonkeyPatch.context() as patch:
        never = SimpleNamespace(sleep=lambda _: pytest.fail("it waited for a sign of life"), monotonic=time.monotonic)
        patch.setattr(leasing, "time", never)  # and no other thread's clock
        with ledger.hold("light", "me") as lease:
            return lease


def change(ledger, **values):
    with ledger.engine.begin() as connection:
        connection.execute(update(leases).values(**values))


# ---------------------------------------------------------------------- the sleeping


@pytest.mark.fault("O-20")
def test_a_stopped_holder_is_overtaken_and_refused_when_it_wakes(ledger, holders, hasty):
    other = holders().ready().go()
    assert other.said() == "held 1"
    assert other.go().said() == "written"
    os.kill(other.process.pid, signal.SIGSTOP)
    time.sleep(leasing.TTL_S)
    with ledger.hold("light", "me") as lease:
        assert lease.token == 2
        ledger.reconcile(lease, 1)
        os.kill(other.process.pid, signal.SIGCONT)
        assert re.match(
            "LeaseLost light was taken over by me since .*: this process no longer writes", other.go().said()
        )
        other.process.wait()
        assert ledger.holder("light").startswith("me "), "who was overtaken must not set free what is not its own"
        ledger.reconcile(lease, 1)


def test_a_holder_that_was_overtaken_stops_its_heartbeat_and_leaves_the_lease_alone(ledger, monkeypatch):
    monkeypatch.setattr(leasing, "BEAT_S", NEVER)
    with contextlib.ExitStack() as stack:
        with ledger.hold("light", "sleeper") as old:
            monkeypatch.setattr(leasing, "BEAT_S", 0.05)
            monkeypatch.setattr(leasing, "TTL_S", 0.0)
            new = stack.enter_context(ledger.hold("light", "me"))
            with pytest.raises(LeaseLost, match="taken over by me"):
                ledger.reconcile(old, 1)
        ledger.reconcile(new, 1)
        assert ledger.holder("light").startswith("me ")


def test_a_slow_holder_keeps_it_as_long_as_its_heart_beats(ledger, monkeypatch):
    monkeypatch.setattr(leasing, "BEAT_S", 0.2)
    with ledger.hold("light", "slow") as lease:
        monkeypatch.setattr(leasing, "TTL_S", 0.0)  # its last heartbeat is always too old
        with pytest.raises(LeaseHeld, match="held by slow"), ledger.hold("light", "me"):
            pass
        ledger.reconcile(lease, 1)


# ---------------------------------------------------------------------- clocks


@pytest.mark.fault("O-21")
@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_jump_of_our_clock_steals_nothing(ledger, holders, monkeypatch, jump):
    monkeypatch.setattr(leasing, "BEAT_S", 0.2)
    other = holders(beat_s=0.1).ready().go()
    assert other.said() == "held 1"
    monkeypatch.setattr(leasing, "now", lambda: time.time() + jump)
    with pytest.raises(LeaseHeld), ledger.hold("light", "me"):
        pass
    assert other.go().said() == "written"


@pytest.mark.fault("O-21")
@pytest.mark.parametrize("where", ["sqlite"], indirect=True)
@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_jump_of_the_holders_clock_loses_nothing_and_blocks_nothing(ledger, holders, monkeypatch, jump):
    monkeypatch.setattr(leasing, "BEAT_S", 0.2)
    other = holders(beat_s=0.1, jump=jump).ready().go()
    assert other.said() == "held 1"
    time.sleep(0.3)  # until it has beaten by its new clock
    with pytest.raises(LeaseHeld), ledger.hold("light", "me"):
        pass
    assert other.go().said() == "written"
    other.kill()
    other.process.wait()
    assert at_once(ledger).token == 2
