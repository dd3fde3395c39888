"""The laboratory as a service, for real: up, what it offers, a run from its API, and down without a trace."""

import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import yaml
from places import ROOT
from services import ENDED, SOON_S, Lab

from flows.laboratory.definition import Laboratory
from flows.laboratory.deployments import CONTROLS, ENTRYPOINTS, define_deployments
from flows.server import server
from flows.server import service_lock as instance
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.ledger.ledger import Ledger

STEERED = {entrypoint for entrypoint, _ in CONTROLS.values()}


@pytest.fixture(scope="class")
def lab(tmp_path_factory):
    made = Lab(tmp_path_factory.mktemp("lab") / "home")
    made.home.mkdir(mode=0o700)
    yield made
    made.sdl("down")


@pytest.mark.slow
class TestUp:
    """One life after another of one data directory; each step goes on where the one before ended."""

    @pytest.mark.fault("O-22")
    def test_one_life_after_another(self, lab, monkeypatch):
        monkeypatch.delenv("PREFECT_API_URL", raising=False)  # else that server is the one that commands use
        for step in (
            self.it_serves_the_page_and_every_flow,
            self.one_limit_is_shared_by_all_flows_of_an_instrument,
            self.the_form_has_the_knobs_of_the_instrument_and_refuses_what_is_out_of_bounds,
            self.a_second_one_says_who_runs,
            self.a_campaign_started_from_the_api_ends_verified,
            self.the_wall_and_prefect_lead_to_one_another_and_to_the_report,
            self.what_is_the_laboratorys_to_say_cannot_be_changed_by_who_starts_a_run,
            self.of_many_missed_runs_one_is_made_up_for,
            self.down_finishes_the_measurement_and_leaves_no_process,
            self.a_later_life_remembers_runs_and_what_a_person_switched_off,
            self.a_kill_ends_the_runs_too_and_the_next_life_says_what_became_of_them,
            self.ctrl_c_at_the_terminal_ends_everything_in_order,
        ):
            step(lab)

    def it_serves_the_page_and_every_flow(self, lab):
        lab.up("--twin", "--twin-port", 0)
        page = requests.get(lab.service["ui"], timeout=60)
        assert page.ok
        assert "<html" in page.text
        offered = lab.ask("/deployments/filter", {})
        assert {each["entrypoint"] for each in offered} == {*ENTRYPOINTS.values(), *STEERED}
        assert requests.get(lab.service["twin"], timeout=60).json()["in"] == [0, 0, 0]
        assert server.api(lab.home) == lab.service["api"]  # what other commands then use

    def one_limit_is_shared_by_all_flows_of_an_instrument(self, lab):
        offered = [each for each in lab.ask("/deployments/filter", {}) if each["entrypoint"] not in STEERED]
        assert {(each["global_concurrency_limit"]["name"], each["global_concurrency_limit"]["limit"])
                for each in offered} == {("instrument:twin", 1)}  # fmt: skip
        strategies = {each["entrypoint"]: each["concurrency_options"]["collision_strategy"] for each in offered}
        assert strategies.pop(ENTRYPOINTS["calibrate"]) == "CANCEL_NEW"
        assert set(strategies.values()) == {"ENQUEUE"}

    def the_form_has_the_knobs_of_the_instrument_and_refuses_what_is_out_of_bounds(self, lab):
        form = lab.deployment("measure")["parameter_openapi_schema"]["properties"]
        assert set(form) == {"settings", "n"}
        assert (form["n"]["minimum"], form["n"]["maximum"]) == (1, 1000)
        knob = form["settings"]["properties"]["R"]
        assert (knob["minimum"], knob["maximum"]) == (0, 1)
        assert knob["description"] == "from 0 to 1 duty"
        wrong = {"settings": {"R": 1.5, "G": 0, "B": 0}}
        with pytest.raises(requests.HTTPError, match="409"):
            lab.trigger("measure", wrong)
        help_ = lab.deployment("campaign")["parameter_openapi_schema"]["definitions"]["Target"]["properties"]
        assert "Largest allowed error" in help_["tolerance"]["description"]

    def a_second_one_says_who_runs(self, lab):
        second = lab.sdl("up", "--port", 0, "--detach")
        assert second.returncode == 5
        assert f"runs already for {lab.home}: process {lab.service['pid']} since" in second.stderr
        assert lab.service["ui"] in second.stderr

    def a_campaign_started_from_the_api_ends_verified(self, lab):
        state = lab.until(lab.trigger("campaign"), ENDED)
        assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), state
        with Ledger(lab.home / "ledger.sqlite") as book:
            findings = book.history(book.entry("campaign-twin").id).findings
        assert findings[-1].verdict == "VERIFIED"

    def the_wall_and_prefect_lead_to_one_another_and_to_the_report(self, lab):
        board, until = {}, time.monotonic() + SOON_S
        while not (board and board["next"] and all(campaign["run"] for campaign in board["campaigns"].values())):
            assert time.monotonic() < until, board
            time.sleep(0.2)
            board = requests.get(f"{lab.service['wall']}/api/news", timeout=60).json()["board"]
        (card,), (campaign,) = board["instruments"], board["campaigns"].values()
        assert (card["name"], card["kind"], campaign["name"]) == ("twin", "free", "campaign-twin")
        assert (board["next"][0]["what"], board["next"][0]["instrument"]) == ("calibrate", "twin")
        assert lab.ask(f"/flow_runs/{campaign['run']}")["name"]
        artifacts = {each["key"]: each["data"] for each in lab.ask("/artifacts/filter", {})}
        assert (
            artifacts["campaign-twin-pages"] == "[Report](/wall/report/campaign-twin) and [wall](/wall#campaign-twin)"
        )
        assert "[Report](/wall/report/campaign-twin)" in artifacts["campaign-twin-verdict"]
        report = lab.home / "reports" / "campaign-twin.html"
        for there in (True, False):  # written when the campaign ended, and anew where somebody put it away
            if not there:
                report.unlink()
            page = requests.get(f"{lab.service['wall']}/report/campaign-twin", timeout=SOON_S)
            assert "VERIFIED" in page.text
            assert page.headers["Content-Security-Policy"].startswith("sandbox")
        missing = requests.get(f"{lab.service['wall']}/report/..%2f..%2fup.log", timeout=SOON_S)
        assert missing.status_code in (400, 404)

    def what_is_the_laboratorys_to_say_cannot_be_changed_by_who_starts_a_run(self, lab):
        other = {"plugin": "claude-light", "url": "http://127.0.0.1:9/", "allow_private": True}
        run = lab.trigger("measure", {"instrument": other, "ledger": str(lab.home / "other.sqlite")})
        state = lab.until(run, ENDED)
        assert (state["type"], state["name"]) == ("FAILED", "InvalidInput")
        assert "ledger: is for the laboratory to say" in state["message"]
        assert "got claude-light http://127.0.0.1:9;" in state["message"]
        assert not (lab.home / "other.sqlite").exists()

    def of_many_missed_runs_one_is_made_up_for(self, lab):
        missed = [datetime.now(UTC) - timedelta(days=days) for days in range(1, 6)]
        runs = []
        for due in missed:
            state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
            runs.append(lab.trigger("calibrate", state=state, tags=["auto-scheduled"]))
        names = [lab.until(run, ENDED)["name"] for run in runs]
        assert names.count("Completed") == 1, names
        assert set(names) <= {"Completed", "Cancelled", "Skipped"}
        assert len(lab.trail("calibration")) == 4

    def down_finishes_the_measurement_and_leaves_no_process(self, lab):
        lab.ask(f"/deployments/{self.switched_off(lab)}", {"paused": False}, "PATCH")
        ended = lab.sdl("down")
        assert (ended.returncode, ended.stdout[:6]) == (0, "ended:")
        assert lab.gone() == []
        assert instance.running(lab.home) is None
        assert lab.sdl("down").stdout == f"nothing runs for {lab.home}\n"

    def switched_off(self, lab):
        """Switch the nightly calibration off, as a person does in the UI."""
        found = lab.deployment("calibrate")
        schedule = found["schedules"][0]
        lab.ask(f"/deployments/{found['id']}/schedules/{schedule['id']}", {"active": False}, "PATCH")
        return found["id"]

    def a_later_life_remembers_runs_and_what_a_person_switched_off(self, lab):
        lab.up("--twin", "--twin-port", 0)
        assert [each["active"] for each in lab.deployment("calibrate")["schedules"]] == [False]
        done = lab.ask("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["campaign-campaign twin"]}}})
        assert [each["state"]["type"] for each in done] == ["COMPLETED"]
        assert len(lab.ask("/automations/filter", {})) == 1

    def a_kill_ends_the_runs_too_and_the_next_life_says_what_became_of_them(self, lab):
        stalled = requests.post(lab.service["twin"].replace("/api", "/faults"), json=["stall"], timeout=60)
        assert stalled.ok
        run = lab.trigger("measure", {"settings": {"R": 0.1, "G": 0.1, "B": 0.1}})
        lab.until(run, {"RUNNING"})
        os.kill(lab.service["pid"], signal.SIGKILL)
        assert lab.gone() == []
        lab.front("--twin", "--twin-port", 0)
        state = lab.until(run, ENDED)
        assert state["type"] == "CRASHED"
        assert "run it again to go on" in state["message"]

    def ctrl_c_at_the_terminal_ends_everything_in_order(self, lab):
        lab.process.send_signal(signal.SIGINT)
        out, err = lab.process.communicate(timeout=SOON_S)
        assert lab.process.returncode == 0
        assert "Traceback" not in out + err
        assert lab.gone() == []


@pytest.mark.slow
def test_a_port_in_use_is_told_with_what_to_do(tmp_path):
    lab = Lab(tmp_path / "home")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = lab.sdl("up", "--port", port, "--detach")
    assert result.returncode == 1
    assert f"another program listens at port {port}: give another --port" in result.stderr
    assert lab.gone() == []


@pytest.mark.slow
def test_with_an_auth_string_only_those_who_have_it_are_served(tmp_path):
    lab = Lab(tmp_path / "home")
    lab.home.mkdir(mode=0o700)
    lab.environment["PREFECT_SERVER_API_AUTH_STRING"] = "sdl:as good as any"
    try:
        lab.up()
        with pytest.raises(requests.HTTPError, match=r"40[13]"):
            lab.ask("/deployments/filter", {})
        measured = lab.sdl("measure", "R=0.1", "G=0.2", "B=0.3", "--json")  # by the service's server
        assert measured.returncode == 0, measured.stderr
    finally:
        assert lab.sdl("down").returncode == 0


@pytest.mark.parametrize(
    ("url", "why"), [("", "names no Prefect server"), ("http://127.0.0.1:9/api", "no Prefect server")]
)
def test_deploy_needs_the_server_of_the_workers(url, why, sdl, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", url)
    refused = sdl("deploy", ROOT / "deployments" / "lab.toml")
    assert refused.code == 2
    assert why in refused.said


class TestLaboratoryFile:
    def test_ours_is_valid_and_prefect_yaml_says_the_same(self):
        laboratory = Laboratory.read(ROOT / "deployments" / "lab.toml")
        written = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8"))
        assert written["deployments"] == [each.written("laboratory") for each in define_deployments(laboratory)]

    def test_the_file_of_automations_says_what_a_service_and_deploy_make(self):
        from prefect.events.schemas.automations import AutomationCore

        from flows.server.housekeeping import silence

        (written,) = yaml.safe_load((ROOT / "deployments" / "automations.yaml").read_text())["automations"]
        assert AutomationCore.model_validate(written) == silence()

    def test_faults_are_told_with_their_keys_and_what_is_expected(self):
        faulty = {
            "timezone": "Mars/Olympus",
            "instruments": {"Twin 1": "twin", "other": {"plugin": "twin", "sped": 2}},
            "schedule": [{"run": "calibrate", "instrument": "oter", "cron": "0 3 * *"},
                         {"run": "calibrat", "instrument": "other"}],
        }  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            Laboratory.parse(faulty)
        result = "\n".join(caught.value.faults)
        assert "timezone: needs a time zone such as 'Europe/Berlin'" in result
        assert "schedule.0.cron: needs five fields" in result
        assert "schedule.1.run" in result

    def test_names_and_plug_ins_are_checked_too(self):
        faulty = {"instruments": {"Twin 1": "twin", "other": {"plugin": "twin", "sped": 2}},
                  "schedule": [{"run": "calibrate", "instrument": "oter", "cron": "0 3 * * *"}]}  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            Laboratory.parse(faulty)
        result = "\n".join(caught.value.faults)
        assert "an instrument's name is written 'twin-1', got 'Twin 1'" in result
        assert "no 'oter'; did you mean 'other'?" in result
        assert "instruments.other: sped: 'twin' has no such option; did you mean 'speed'?" in result

    @pytest.mark.parametrize(
        ("cron", "comes"),
        [
            ("0 0 31 2 *", False),
            ("0 0 31 4,6 *", False),
            ("0 0 29 2 *", True),
            ("0 0 31 2,3 *", True),
            ("0 0 31 2 1", True),
        ],
    )
    def test_a_schedule_that_never_comes_is_refused(self, cron, comes):
        schedule = [{"run": "calibrate", "instrument": "lamp", "cron": cron}]
        laboratory = {"instruments": {"lamp": "twin"}, "schedule": schedule}
        if comes:
            assert Laboratory.parse(laboratory).schedule[0].cron == cron
            return
        with pytest.raises(InvalidInput, match=r"schedule\.0\.cron: needs a day that the month has, .*never comes"):
            Laboratory.parse(laboratory)

    def test_one_table_where_a_list_of_them_belongs(self):
        one = {"run": "calibrate", "instrument": "twin", "every_min": 5}
        with pytest.raises(InvalidInput) as caught:
            Laboratory.parse({"instruments": {"twin": "twin"}, "schedule": one})
        assert caught.value.faults == ("schedule: needs a list, got one table; write [[schedule]] for each",)


@pytest.mark.slow
def test_a_worker_of_a_pool_runs_what_prefect_yaml_deploys(prefect, tmp_path):
    lab = Lab(tmp_path / "home")
    lab.environment |= {"PREFECT_API_URL": prefect, "PREFECT_HOME": str(tmp_path / "prefect")}
    lab.service = {"api": prefect}

    def tool(*words, where=ROOT):
        command = [Path(sys.executable).with_name("prefect"), *words]
        done = subprocess.run(command, cwd=where, env=lab.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    with InstrumentServer(Twin()) as twin:
        written = (ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8")
        (tmp_path / "prefect.yaml").write_text(written.replace("http://127.0.0.1:5005/api", twin.url), encoding="utf-8")
        tool("work-pool", "create", "laboratory", "--type", "process", "--overwrite")
        tool("--no-prompt", "deploy", "--prefect-file", tmp_path / "prefect.yaml", "--all")
        run = lab.trigger("measure", {"settings": {"R": 0.1, "G": 0.2, "B": 0.3}})
        tool("worker", "start", "--pool", "laboratory", "--run-once", where=tmp_path)  # none of our files lie there
        assert lab.until(run, ENDED)["type"] == "COMPLETED"
        assert twin.requests == len(lab.trail("by-hand")) == 1
    tool("automation", "create", "--from-file", "deployments/automations.yaml")
    for each in lab.ask("/automations/filter", {}):  # other tests use this server too
        lab.ask(f"/automations/{each['id']}", method="DELETE")
    assert lab.deployment("calibrate")["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
