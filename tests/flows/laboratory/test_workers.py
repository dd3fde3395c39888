"""A laboratory on workers: PostgreSQL below all, two workers, four instruments; one of the workers is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from places import DEPLOYMENTS

from flows.server import server
from sdl.campaign.definition import Campaign
from sdl.errors import InstrumentUnavailable
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger
from strategies.evaluation.simulation import Simulation
from strategies.plan.plan import Plan

pytestmark = pytest.mark.slow

TWINS = ("twin-1", "twin-2", "twin-3", "twin-4")
GATE = 9
"""Request of each campaign at which its instrument waits: all four are then at work."""
SILENT_S = 40
"""After which a silent run counts as crashed, here; runs tell every 30 s that they live."""
SOON_S = 300
"""A hang ends here; a machine that is busy with other work takes its time."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}
SECRET = "sdl:as good as any"
TOKEN, VARIABLE = "known to few", "SDL_SECRET_LAB_TOKEN"


class Gated:
    """A twin that waits in one of its measurements until it may go on."""

    def __init__(self, seed, go):
        self.twin, self.go, self.count, self.waits = Twin(seed=seed), go, 0, threading.Event()
        self.forsaken = False

    def __getattr__(self, name):
        return getattr(self.twin, name)

    def measure(self, settings):
        self.count += 1
        if self.count == GATE:
            self.waits.set()
            assert self.go.wait(SOON_S)
            if self.forsaken:
                raise InstrumentUnavailable("nobody listens any more")
        return self.twin.measure(settings)


class Lab:
    """A server with its database, workers, and what they are asked for."""

    def __init__(self, folder, database, ledger):
        self.folder, self.ledger, self.started = folder, ledger, []
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
        port = server.free_port()
        self.api = server.address(port)
        self.environment = clean | written(DEPLOYMENTS / "lab.env.example") | {
            "PREFECT_API_DATABASE_CONNECTION_URL": database,
            "PREFECT_SERVER_API_AUTH_STRING": SECRET,
            "PREFECT_API_AUTH_STRING": SECRET,
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(folder / "prefect"),
            "SDL_HOME": str(folder / "home"),
            "SDL_LEDGER": ledger,
            "OPENBLAS_NUM_THREADS": "1",
        }  # fmt: skip
        self.browser = requests.Session()
        self.browser.auth = tuple(SECRET.split(":"))
        self.start("prefect", "server", "start", "--host", "127.0.0.1", "--port", port)

    def wait(self):
        until(lambda: server.healthy(self.api), what=lambda: self.words)
        token = self.ask("/csrf-token?client=test")["token"]
        self.browser.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})

    def start(self, program, *words):
        command = [Path(sys.executable).with_name(program), *map(str, words)]
        with (self.folder / f"{program}-{len(self.started)}.log").open("wb") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": self.folder}
            self.started.append(subprocess.Popen(command, env=self.environment, start_new_session=True, **options))
        return self.started[-1]

    def tool(self, program, *words):
        process = self.start(program, *words)
        assert process.wait(SOON_S) == 0, self.words
        return self.words

    @property
    def words(self):
        return "\n".join(each.read_text(errors="replace") for each in sorted(self.folder.glob("*.log")))

    def ask(self, path, body=None, method=None):
        method = method or ("GET" if body is None else "POST")
        answer = self.browser.request(method, self.api + path, json=body, timeout=60)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def trigger(self, twin):
        deployment = self.ask(f"/deployments/name/campaign/{twin}")["id"]
        return self.ask(f"/deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]

    def state(self, run):
        return self.ask(f"/flow_runs/{run}")["state"]

    def end(self):
        for process in reversed(self.started):
            for pid in [*family(process.pid), process.pid]:
                kill(pid)
            process.wait(10)


def written(file):
    """The lines of an environment file, its addresses and secrets aside."""
    lines = [line.partition("=") for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: value for name, _, value in lines if "CHANGE-ME" not in value and not name.startswith("POSTGRES")}


def until(true, within_s=SOON_S, what=""):
    deadline = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline, what and what()
        time.sleep(0.05)
    return found


def family(pid):
    """Numbers of the processes that a process started, and of those that they started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def runs_of(worker):
    """The flow runs that a worker has at work, each with the environment of its process."""
    found = {}
    for pid in family(worker.pid):
        variables = dict(each.partition("=")[::2] for each in Path(f"/proc/{pid}/environ").read_text().split("\0"))
        if run := variables.get("PREFECT__FLOW_RUN_ID"):
            found.setdefault(run, variables)
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.fixture
def lab(postgres, tmp_path):
    postgres.execute("CREATE DATABASE prefect")
    database = f"postgresql+asyncpg://sdl@/prefect?host={postgres.folder}"
    made = Lab(tmp_path, database, postgres.fresh())
    try:
        made.wait()
        yield made
    finally:
        made.end()


@pytest.fixture
def instruments():
    """Four twins over HTTP, each with the gate at which it waits."""
    go = threading.Event()
    twins = {name: Gated(seed, go) for seed, name in enumerate(TWINS)}
    served = {name: InstrumentServer(twin) for name, twin in twins.items()}
    for each in served.values():
        each.__enter__()
    yield served, twins, go
    go.set()
    for each in served.values():
        each.__exit__(None, None, None)


def unharmed(config, seed):
    """What a campaign asks whose worker nobody harms."""
    rehearsal = Simulation(Plan(Campaign.parse(config), Twin().space), Twin(seed=seed))
    rehearsal.run()
    return [(*each.key, each.purpose, *each.settings.tolist()) for each in rehearsal.observations]


def keep_in_a_block(lab):
    """Give the runs of the pool a secret that a block of the server keeps, as lab.env.example says."""
    lab.tool("python", "-c", f"from prefect.blocks.system import Secret; Secret(value={TOKEN!r}).save('lab-token')")
    template = lab.ask("/work_pools/laboratory")["base_job_template"]
    template["variables"]["properties"]["env"]["default"] = {VARIABLE: "{{ prefect.blocks.secret.lab-token }}"}
    lab.ask("/work_pools/laboratory", {"base_job_template": template}, "PATCH")


@pytest.mark.fault("O-18")
def test_four_campaigns_on_two_workers_of_which_one_is_killed(lab, instruments):
    served, twins, go = instruments
    parts = [f'[instruments.{name}]\nplugin = "claude-light"\nurl = "{each.url}"\nallow_private = true\n'
             for name, each in served.items()]  # fmt: skip
    (lab.folder / "lab.toml").write_text("\n".join(parts))
    lab.tool("sdl", "deploy", lab.folder / "lab.toml")
    (silent,) = lab.ask("/automations/filter", {})
    sooner = {"name": silent["name"], "actions": silent["actions"], "trigger": silent["trigger"] | {"within": SILENT_S}}
    lab.ask(f"/automations/{silent['id']}", sooner, "PUT")
    keep_in_a_block(lab)
    workers = [lab.start("prefect", "worker", "start", "--pool", "laboratory", "--limit", 2) for _ in range(2)]

    runs = {lab.trigger(name): name for name in TWINS}
    until(lambda: all(each.waits.is_set() for each in twins.values()), what=lambda: lab.words)
    at_work = [runs_of(each) for each in workers]
    assert [len(each) for each in at_work] == [2, 2]
    assert {*at_work[0], *at_work[1]} == {*runs}
    assert {each[VARIABLE] for part in at_work for each in part.values()} == {TOKEN}
    doomed, survivors = at_work
    for pid in (workers[0].pid, *family(workers[0].pid)):
        kill(pid)
    for run in doomed:
        twins[runs[run]].forsaken = True
    go.set()

    again = {lab.trigger(runs[run]): runs[run] for run in doomed}  # a person asks for each once more, and that is all
    for run in (*survivors, *again):
        state = until(lambda run=run: (found := lab.state(run))["type"] in ENDED and found, what=lambda: lab.words)
        assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), lab.words
    for run in doomed:
        assert lab.state(run)["type"] == "CRASHED"
        assert "run it again to go on" in lab.state(run)["message"]

    with Ledger(lab.ledger) as book:
        entries = {each.title.removeprefix("campaign "): each for each in book.entries()}
        assert sorted(entries) == sorted(TWINS)  # none was begun anew
        for seed, name in enumerate(TWINS):
            entry, rows = entries[name], book.trail(entries[name].id)
            assert [each.verdict for each in book.history(entry.id).findings][-1] == "VERIFIED"
            answered = [each for each in rows if each["state"] == "DONE"]
            keys = [(each["round"], each["index"], each["replicate"], each["purpose"], *each["settings"])
                    for each in answered]  # fmt: skip
            assert keys == unharmed(entry.config, seed)
            lost = [each["seq"] for each in rows if each["verdict"] == "UNKNOWN"]
            assert len(lost) == (name in again.values())  # what was under way when its worker died
            assert len(rows) <= entry.config["budget"]
            assert all(each["raw"] for each in answered)
            assert (served[name].requests, served[name].most_in_flight) == (len(rows), 1)
            assert book.holder(entry.instrument) is None
