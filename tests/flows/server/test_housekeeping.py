"""What an earlier life left in Prefect's record is told by the next command; what still lives is left alone."""

import os
import signal

import pytest
import requests

from flows.server import housekeeping
from sdl.errors import InstrumentUnavailable
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.system.processes import is_dead, process_name, this_host

pytestmark = pytest.mark.slow


class Deadly(Twin):
    """A twin that kills whoever asks it, once it knows whom; ``victim`` is a process."""

    victim = None

    def measure(self, settings):
        if self.victim is None:
            return super().measure(settings)
        self.victim.kill()
        self.victim.wait()
        raise InstrumentUnavailable("nobody listens any more")


def runs(api, tag):
    asked = {"flow_runs": {"tags": {"all_": [tag]}}}
    return requests.post(f"{api}/flow_runs/filter", json=asked, timeout=20).json()


def begin(api, tag):
    """A run that shows as running, as one whose process was killed does."""
    flow = requests.post(f"{api}/flows/", json={"name": "campaign"}, timeout=20).json()["id"]
    body = {"flow_id": flow, "tags": [tag], "state": {"type": "RUNNING"}}
    return requests.post(f"{api}/flow_runs/", json=body, timeout=20).json()["id"]


@pytest.mark.fault("O-18")
def test_a_run_from_a_terminal_that_was_killed_is_marked_by_the_next_command(prefect, spawn, sdl):
    lamp = Deadly()
    with InstrumentServer(lamp) as served:
        ask = ("measure", "R=0.1", "G=0.2", "B=0.3", "--instrument", "claude-light")
        ask += ("-o", f"url={served.url}", "-o", "allow_private=true")
        lamp.victim = process = spawn(*ask)
        out, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, out + err
        mark = next(
            tag for each in recent(prefect) for tag in each["tags"] if tag.startswith(f"process {process.pid}@")
        )
        assert [each["state"]["type"] for each in runs(prefect, mark)] == ["RUNNING"]
        lamp.victim = None
        assert sdl(*ask).code == 0
    (found,) = runs(prefect, mark)
    assert found["state"]["type"] == "CRASHED"
    assert "run it again to go on" in found["state"]["message"]


def recent(api):
    return requests.post(f"{api}/flow_runs/filter", json={"sort": "START_TIME_DESC", "limit": 5}, timeout=20).json()


def test_a_run_whose_process_lives_or_is_another_hosts_is_left_alone(prefect, sdl):
    here = f"{process_name(os.getpid())} on {this_host()}"
    elsewhere, reborn = "process 1@77 on another-host", f"process {os.getpid()}@1 on {this_host()}"
    begun = {tag: begin(prefect, tag) for tag in (here, elsewhere, reborn, "process x@y on nowhere")}
    assert sdl("measure", "R=0.1", "G=0.2", "B=0.3", "--instrument", "twin").code == 0
    states = {tag: requests.get(f"{prefect}/flow_runs/{run}", timeout=20).json()["state"]["type"]
              for tag, run in begun.items()}  # fmt: skip
    assert states.pop(reborn) == "CRASHED"  # the number was given again
    assert set(states.values()) == {"RUNNING"}


def test_a_process_is_known_by_its_birth_and_only_here():
    mine = process_name(os.getpid())
    assert housekeeping.BY_PROCESS.fullmatch(f"{mine} on {this_host()}")
    assert not is_dead(this_host(), mine)
    assert is_dead(this_host(), f"process {os.getpid()}@1")
    assert not is_dead("another-host", f"process {os.getpid()}@1")
