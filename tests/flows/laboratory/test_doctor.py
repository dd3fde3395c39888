"""The doctor finds what is wrong and says what to do; and the files for other machines are what they should be."""

import re
import shutil
import socket
import subprocess

import pytest
import yaml
from places import ROOT
from prefect import settings

from flows import environment
from flows.laboratory.definition import Laboratory
from flows.server import service_lock as instance
from sdl.errors import InvalidInput
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer

DEPLOYMENTS = ROOT / "deployments"


@pytest.fixture
def doctor(sdl, home, monkeypatch):
    """What the doctor says, by question, and its exit code."""
    for variable in ("PREFECT_API_URL", "PREFECT_HOME", *environment.AUTHORITIES):
        monkeypatch.delenv(variable, raising=False)

    def ask(*words):
        result = sdl("doctor", "--json", *words)
        return result.code, {each["what"]: each for each in result.json}

    return ask


def test_a_good_set_up_has_no_fault(doctor, home):
    code, found = doctor("--port", 1)
    assert code == 0
    assert {each["state"] for each in found.values()} == {"ok"}, found
    assert {"python", "libraries", "plug-ins", "data directory", "disk", "ledger", "Prefect server"} == set(found)
    assert not any(each["advice"] for each in found.values())


def test_as_a_table_too(sdl):
    result = sdl("doctor", "--port", 1)
    assert result.code == 0
    assert "what to do" in result.out
    assert "all there" in result.out


def test_files_that_others_may_read(doctor, home):
    home.mkdir()
    home.chmod(0o755)
    (home / "ledger.sqlite").touch(mode=0o644)
    (home / "ledger.sqlite").chmod(0o644)
    code, found = doctor("--port", 1)
    assert code == 0
    assert found["data directory"]["state"] == "warning"
    assert found["data directory"]["advice"] == f"chmod 600 {home}/ledger.sqlite"


def test_a_ledger_that_is_none(doctor, home):
    home.mkdir(mode=0o700)
    (home / "ledger.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 30)
    (home / "ledger.sqlite").chmod(0o600)
    code, found = doctor("--port", 1)
    assert code == 3
    assert found["ledger"]["state"] == "fault"
    assert "check that it is a ledger" in found["ledger"]["found"]


def test_without_a_ledger_no_instrument_is_asked_or_blamed(doctor, home, tmp_path):
    home.mkdir(mode=0o700)
    (home / "ledger.sqlite").write_bytes(b"no database, but long enough to look like one" * 100)
    (tmp_path / "lab.toml").write_text('instruments = {lamp = "twin"}', encoding="utf-8")
    _, found = doctor("--port", 1, tmp_path / "lab.toml")
    assert (found["ledger"]["state"], found["lamp"]["state"]) == ("fault", "warning")
    assert found["lamp"]["advice"] == "see to the ledger first"


def test_a_disk_that_is_full(doctor, home, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=50_000_000))
    code, found = doctor("--port", 1)
    assert (code, found["disk"]["state"], found["disk"]["found"]) == (3, "fault", f"50 MB free where {home} lies")
    assert found["disk"]["advice"].startswith("make room")


def test_libraries_that_do_not_fit(doctor, monkeypatch):
    from flows.laboratory import doctor as module

    versions = {"prefect": "3.8.8", "rich": "1.0"}
    real = module.version
    monkeypatch.setattr(module, "version", lambda name: versions.get(name) or real(name))
    code, found = doctor("--port", 1)
    assert code == 3
    assert found["library prefect"]["found"] == "3.8.8, needed is <4,>=3.9.1"
    assert "-c constraints.txt 'prefect<4,>=3.9.1'" in found["library prefect"]["advice"]
    assert "library rich" in found


def test_a_configured_server_that_is_not_there(doctor, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, found = doctor("--port", 1)
    assert code == 3
    assert "does not answer" in found["configured Prefect server"]["found"]
    assert "unset PREFECT_API_URL" in found["configured Prefect server"]["advice"]


def test_a_port_that_is_taken(doctor):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, found = doctor("--port", port)
    assert code == 0
    assert found[f"port {port}"]["found"] == "another program listens there"


def test_a_service_that_does_not_answer(doctor, home):
    home.mkdir(mode=0o700)
    with instance.alone(home):
        instance.tell(home, instance.Service(1, "http://127.0.0.1:9/api", ready=True))
        code, found = doctor("--port", 1)
    assert code == 3
    assert "'sdl down'" in found["'sdl up'"]["advice"]


def test_a_plug_in_that_cannot_be_imported(doctor, monkeypatch):
    from flows.laboratory import doctor as module

    real = module.plugins.load

    def load(group, name):
        if name == "twin":
            raise InvalidInput("'twin' cannot be imported: spam is not installed")
        return real(group, name)

    monkeypatch.setattr(module.plugins, "load", load)
    code, found = doctor("--port", 1)
    assert code == 3
    assert found["plug-in twin"]["state"] == "fault"


def test_a_campaign_file_with_faults_has_a_line_for_each(doctor, tmp_path):
    file = tmp_path / "wrong.toml"
    file.write_text('name = "x"\nbugdet = 3\ninstrument = "twni"\n[[targets]]\nreadings = { 445nm = 1000 }\n')
    code, found = doctor("--port", 1, file)
    assert code == 3
    assert found["wrong.toml"]["state"] == "fault"


def test_an_instrument_that_answers_and_one_that_does_not(doctor, tmp_path):
    file = tmp_path / "good.toml"
    with InstrumentServer(Twin()) as server:
        options = f'url = "{server.url}"\nallow_private = true\nfirst_wait_s = 0.01\n'
        file.write_text(
            f'name = "x"\n[instrument]\nplugin = "claude-light"\n{options}[[targets]]\nreadings = {{ 445nm = 9000 }}\n'
        )
        code, found = doctor("--port", 1, file)
        assert (code, found["good.toml"]["found"], found["instrument"]["state"]) == (0, "valid", "ok")
        assert server.requests == 1
    code, found = doctor("--port", 1, file)
    assert (code, found["instrument"]["state"]) == (3, "fault")
    assert "switched on" in found["instrument"]["advice"]


def test_an_instrument_that_persons_read_is_not_asked(doctor, tmp_path):
    file = tmp_path / "lab.toml"
    file.write_text(
        "[instruments.bench]\nplugin = 'by-hand'\nknobs = [{ name = 'T', low = 0, high = 1 }]\n"
        "channels = [{ name = 'y', unit = '', noise = 1.0 }]\n"
    )
    code, found = doctor("--port", 1, file)
    assert (code, found["bench"]["state"], found["bench"]["found"][:7]) == (0, "ok", "persons")


# ---------------------------------------------------------------------- one service a data directory


def test_one_process_at_a_time_is_the_service(tmp_path):
    assert instance.running(tmp_path) is None
    with instance.alone(tmp_path):
        instance.tell(tmp_path, instance.Service(4242, "http://127.0.0.1:4200/api"))
        assert instance.running(tmp_path).ui == "http://127.0.0.1:4200"
        with pytest.raises(instance.AlreadyUp, match="process 4242 since"), instance.alone(tmp_path):
            pass
    assert instance.running(tmp_path) is None
    with instance.alone(tmp_path):
        assert instance.running(tmp_path) == instance.Service(0)


def test_what_is_no_lock_is_named(tmp_path):
    (tmp_path / "up.lock").mkdir()
    words = r"up.lock: is a directory, where 'sdl up' keeps its lock: move it away"
    with pytest.raises(InvalidInput, match=words), instance.alone(tmp_path):
        pass
    with pytest.raises(InvalidInput, match=words):
        instance.former_owner(tmp_path)
    with pytest.raises(InvalidInput, match=words):
        instance.keep_owner(tmp_path, "somebody")
    (tmp_path / "up.lock").rmdir()
    (tmp_path / "up.lock").write_bytes(b"\xff\xfe")  # nothing that this service is called
    with instance.alone(tmp_path):
        assert instance.former_owner(tmp_path) != instance.describe_owner(tmp_path)


# ---------------------------------------------------------------------- files for other machines


def units():
    return sorted((DEPLOYMENTS / "systemd").glob("*.service"))


def compose():
    return yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text(encoding="utf-8"))


def example():
    lines = (DEPLOYMENTS / "lab.env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_no_fault_in_the_units(tmp_path):
    for unit in units():
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(re.sub(r"/opt/sdl/bin/\w+", "/bin/true", text))
    files = [str(tmp_path / unit.name) for unit in units()]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(files) == 4


def test_the_units_keep_secrets_out_of_the_command_line_and_end_in_order():
    for unit in units():
        text = unit.read_text(encoding="utf-8")
        assert "EnvironmentFile=" in text
        assert "AUTH_STRING=" not in text
        assert "StateDirectoryMode=0700" in text
        assert "0.0.0.0" not in text
        assert "Restart=on-failure" in text


def test_compose_listens_on_loopback_alone_and_names_only_what_it_has():
    services = compose()["services"]
    assert {"server", "database", "worker", "twin"} <= set(services)
    ports = [port for each in services.values() for port in each.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    for name, each in services.items():
        assert set(each.get("depends_on", {})) <= set(services), name
        assert each["env_file"] == "lab.env"
        assert "AUTH_STRING" not in str(each)
    mounted = [volume.split(":")[0] for volume in services["database"]["volumes"]]
    assert all(place in compose()["volumes"] or (DEPLOYMENTS / place).exists() for place in mounted)


@pytest.mark.fault("O-45")
def test_compose_loses_nothing_with_a_container_and_grows_within_bounds():
    written = compose()
    for name, each in written["services"].items():
        assert each["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert "network_mode" not in each  # one that is started anew would take the network of others away
        mounted = [volume.split(":")[0] for volume in each["volumes"]]
        assert all(place in written["volumes"] or (DEPLOYMENTS / place).exists() for place in mounted)
        assert name == "database" or f"data:{example()['SDL_HOME']}" in each["volumes"]
    assert f"mkdir -m 700 {example()['SDL_HOME']}" in (DEPLOYMENTS / "Dockerfile").read_text(encoding="utf-8")
    ours, theirs = (Laboratory.read(DEPLOYMENTS / name).model_dump() for name in ("lab.toml", "compose-lab.toml"))
    address, _ = (each["instruments"]["twin"].pop("url") for each in (theirs, ours))
    for laboratory in (ours, theirs):  # a campaign that is scheduled is on the instrument of its laboratory
        for schedule in laboratory["schedule"]:
            schedule["parameters"].get("config", {}).pop("instrument", None)
    assert ours == theirs
    twin = written["services"]["twin"]["command"].split()
    assert address == f"http://twin:{twin[twin.index('--port') + 1]}/api"
    assert twin[twin.index("--host") + 1] == "0.0.0.0"
    assert written["services"]["deploy"]["command"].split()[2] == "deployments/compose-lab.toml"


@pytest.mark.fault("O-45")
def test_every_server_forgets_what_has_ended_long_ago():
    kept = {name: value for name, value in environment.SETTINGS.items() if "VACUUM" in name or "RETENTION" in name}
    assert len(kept) == 3
    assert kept.items() <= example().items()


def test_the_environment_file_asks_for_a_secret_and_holds_settings_that_prefect_has():
    written = example()
    assert written["PREFECT_SERVER_API_AUTH_STRING"] == written["PREFECT_API_AUTH_STRING"]
    assert "CHANGE-ME" in written["PREFECT_API_AUTH_STRING"]
    unknown = [name for name in written if name.startswith("PREFECT_") and not hasattr(settings, name)]
    assert unknown == []
    ours = {k: v for k, v in environment.SETTINGS.items() if k in written}
    assert {name: written[name] for name in ours} == ours
    assert "lab.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
