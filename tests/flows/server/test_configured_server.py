"""A Prefect server that somebody configured: in files, with a secret, a stranger's certificate, or none at all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wire import Answers, Authority, prefect

from flows import environment
from flows.server import configured_server as configured
from flows.server import server
from sdl.errors import InvalidInput

SECRET = "sdl:hushhush"
FILES = {
    "a .env": {".env": "PREFECT_API_URL={url}\nPREFECT_API_AUTH_STRING={secret}\n"},
    "a prefect.toml": {"prefect.toml": '[api]\nurl = "{url}"\nauth_string = "{secret}"\n'},
    "a pyproject.toml": {"pyproject.toml": '[tool.prefect.api]\nurl = "{url}"\nauth_string = "{secret}"\n'},
    "a profile": {
        ".env": "PREFECT_PROFILES_PATH=mine.toml\n",
        "mine.toml": 'active = "lab"\n[profiles.lab]\n'
        'PREFECT_API_URL = "{url}"\nPREFECT_API_AUTH_STRING = "{secret}"\n',
    },
}


def command(variables, *words):
    """A command as a process of its own, which reads Prefect's settings anew."""
    program = [Path(sys.executable).with_name("sdl"), *map(str, words)]
    clear = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.run(program, env=clear | variables, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """Nothing configured, in an empty working directory."""
    for name in [*configured.PLACES, *environment.AUTHORITIES, "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"]:
        monkeypatch.delenv(name, raising=False)
    for known in (configured.adopted, environment.set_aside):  # of this process, by an earlier test
        known.clear()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.mark.fault("O-42")
@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_what_files_say_of_the_server_is_known_everywhere(clean, sdl, files):
    with Answers(prefect()) as answering:
        for name, text in files.items():
            (clean / name).write_text(text.format(url=f"{answering.url}/api", secret=SECRET), encoding="utf-8")
        found = {each["what"]: each for each in sdl("doctor", "--port", 1, "--json").json}
        assert found["configured Prefect server"]["found"] == f"{answering.url}/api, version 3.9.1"
        assert "PREFECT_API_URL is from " in found["Prefect's files"]["found"]
        assert "hushhush" not in str(found)
        assert environment.server_credentials() == tuple(SECRET.split(":"))


@pytest.mark.fault("O-42")
def test_the_environment_comes_first(clean, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://one/api")
    (clean / ".env").write_text("PREFECT_API_URL=http://two/api\n", encoding="utf-8")
    configured.adopt_files()
    assert os.environ["PREFECT_API_URL"] == "http://one/api"
    assert configured.adopted == {}


@pytest.mark.fault("O-42")
@pytest.mark.parametrize(
    ("file", "content"),
    [("prefect.toml", b"[api\n"), (".env", "PREFECT_API_URL=x".encode("utf-16")), ("pyproject.toml", b"\xff")],
)
def test_a_file_of_prefects_that_cannot_be_read_is_a_sentence(clean, sdl, file, content):
    (clean / file).write_bytes(content)
    result = sdl("status")
    assert result.code == 2
    assert f"{file}, which Prefect reads too, cannot be read" in result.said


@pytest.mark.slow
@pytest.mark.fault("O-42")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PREFECT_SERVER_API_PORT", "x"),
        ("PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS", "soon"),
        ("PREFECT_API_URL", "http://[::1/api"),
        ("PREFECT_CLIENT_CUSTOM_HEADERS", '["Pear"]'),
    ],
)
def test_the_doctor_names_it_as_the_environment_names_it(tmp_path, name, value):
    examined = command({name: value, "SDL_HOME": str(tmp_path)}, "doctor", "--port", 1, "--json")
    found = [each for each in json.loads(examined.stdout) if each["what"] == "Prefect's settings"]
    assert (examined.returncode, {each["state"] for each in found}) == (3, {"fault"})
    wanted = f"{'an address or another setting' if value.startswith('http') else name}, of the environment or a file "
    assert any(each["found"].startswith(f"{wanted}that Prefect reads") for each in found)
    assert not [word for word in ("Traceback", "Pear") if word in examined.stdout + examined.stderr]


@pytest.mark.slow
@pytest.mark.fault("O-42")
@pytest.mark.parametrize(
    ("setting", "words", "up"),
    [
        ({"PREFECT_API_REQUEST_TIMEOUT": "soon"}, "PREFECT_API_REQUEST_TIMEOUT, of the environment or a file", False),
        ({"PREFECT_CLIENT_CUSTOM_HEADERS": '["Pear"]'}, "PREFECT_CLIENT_CUSTOM_HEADERS, of the environment", True),
        ({"PREFECT_CLIENT_CUSTOM_HEADERS": '{"A": {"b": "Pear"}}'}, "PREFECT_CLIENT_CUSTOM_HEADERS_A, of the", False),
        ({"PREFECT_CLIENT_CUSTOM_HEADERS": "{Pear"}, "Prefect cannot read its settings, of the environment or", True),
    ],
)
def test_a_setting_of_prefects_that_is_none_is_a_sentence_without_secrets(tmp_path, setting, words, up):
    faulty = {**setting, "SDL_HOME": str(tmp_path)}
    ended = {2: command(faulty, "measure", "R=0.1", "G=0.2", "B=0.3")}
    if up:
        ended[1] = command(faulty, "up", "--twin", "--port", 0)
    for code, each in ended.items():
        assert each.returncode == code
        assert words in " ".join(each.stderr.split())
    printed = "".join(each.stderr + each.stdout for each in ended.values())
    kept = "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*.log"))
    assert not [word for word in ("Traceback", "Pear") if word in printed + kept]


@pytest.mark.slow
@pytest.mark.fault("O-42")
@pytest.mark.parametrize("file", ["project/.env", "home/prefect/profiles.toml"])
def test_with_a_secret_from_a_file_a_server_of_our_own_serves_us(tmp_path, clean, file):
    texts = {
        ".env": f"PREFECT_SERVER_API_AUTH_STRING={SECRET}\n",
        ".toml": f'active = "lab"\n[profiles.lab]\nPREFECT_SERVER_API_AUTH_STRING = "{SECRET}"\n',
    }
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(texts[file[file.rindex(".") :]], encoding="utf-8")
    measured = command({"SDL_HOME": str(tmp_path / "home")}, "measure", "R=0.1", "G=0.2", "B=0.3", "--json")
    assert measured.returncode == 0, measured.stderr
    assert "Traceback" not in measured.stderr
    assert len(json.loads(measured.stdout)) == 1


STRANGERS = {
    "a page for every address": ({}, "/api", "is no Prefect server", "mend it, or unset PREFECT_API_URL"),
    "other JSON": ({"/api/health": (200, '{"ok": true}')}, "/api", "is no Prefect server", "mend it"),
    "nothing found": ({"/api/health": (404, "?"), "/api/admin/version": (404, "?")}, "/api", "is no Prefect", "mend"),
    "without /api": (prefect(), "", "is no Prefect server", "/api"),
    "another secret": (prefect(status=401), "/api", "asks for an auth string", "PREFECT_SERVER_API_AUTH_STRING"),
    "an older Prefect": (prefect(version="2.20.0"), "/api", "is 2.20.0, and this is", "bring both to one version"),
}


@pytest.mark.fault("O-43")
@pytest.mark.parametrize(("answers", "path", "words", "advice"), STRANGERS.values(), ids=STRANGERS)
def test_whatever_answers_there_is_one_sentence(clean, sdl, monkeypatch, answers, path, words, advice):
    with Answers(answers) as answering:
        monkeypatch.setenv("PREFECT_API_URL", answering.url + path)
        found = {each["what"]: each for each in sdl("doctor", "--port", 1, "--json").json}["configured Prefect server"]
        assert (found["state"], words in found["found"], advice in found["advice"]) == ("fault", True, True), found
        assert not server.healthy(answering.url + path) or "asks" in words or "2.20" in words
        refused = sdl("deploy", Path(__file__).parents[3] / "deployments" / "lab.toml")
        assert refused.code == 2
        assert words in refused.said


@pytest.mark.fault("O-43")
def test_a_server_that_does_not_want_us_is_not_passed_over_in_silence(clean, monkeypatch, capsys):
    with Answers(prefect(status=401)) as answering:
        monkeypatch.setenv("PREFECT_API_URL", f"{answering.url}/api")
        with pytest.raises(InvalidInput, match="PREFECT_API_AUTH_STRING is not set: set it to what the server has"):
            configured.find_server()
    monkeypatch.setenv("PREFECT_API_URL", f"{answering.url}/api")  # gone by now
    assert configured.find_server() is None
    assert "going on with one of our own" in capsys.readouterr().err


@pytest.fixture
def authority(tmp_path):
    """An authority of one's own: its file, and a server's side of TLS with a certificate that it signed."""
    made = Authority(tmp_path)
    return made.file, made.context()


@pytest.mark.fault("O-44")
@pytest.mark.parametrize("variable", environment.AUTHORITIES)
def test_an_authority_of_ones_own_is_trusted_by_any_of_its_names(clean, monkeypatch, authority, variable):
    file, tls = authority
    with Answers(prefect(), tls) as answering:
        fault = configured.examine_server(f"{answering.url}/api")
        assert (fault.is_prefect, "is not trusted here" in fault.words) == (True, True)
        assert "SSL_CERT_FILE" in fault.advice
        monkeypatch.setenv(variable, file)
        environment.share_authorities()
        assert configured.examine_server(f"{answering.url}/api") == "3.9.1"
        assert server.healthy(f"{answering.url}/api")


@pytest.mark.slow
@pytest.mark.fault("O-44")
def test_so_does_all_of_a_command(clean, authority):
    file, tls = authority
    with Answers(prefect(), tls) as answering:
        variables = {"PREFECT_API_URL": f"{answering.url}/api", "REQUESTS_CA_BUNDLE": file, "SDL_HOME": str(clean)}
        done = command(variables, "doctor", "--port", 1, "--json")
        found = {each["what"]: each for each in json.loads(done.stdout)}
        assert found["configured Prefect server"]["state"] == "ok", found
        assert found["certificates"]["found"].startswith("those are trusted that ")


@pytest.mark.fault("O-44")
def test_a_file_of_certificates_that_is_not_there_is_told(clean, sdl, monkeypatch, prefect_server):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)  # or the doctor starts one
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authority.pem")
    found = {each["what"]: each for each in sdl("doctor", "--port", 1, "--json").json}
    assert found["certificates"]["state"] == "warning"
    assert "REQUESTS_CA_BUNDLE = /nowhere/authority.pem is no file that can be read" in found["certificates"]["found"]
