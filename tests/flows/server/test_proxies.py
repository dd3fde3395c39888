"""Whatever proxy the environment names: what this machine says to itself does not go through it."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from requests.utils import get_environ_proxies, select_proxy

from flows import environment

DEAD = "http://127.0.0.1:9"
SOCKS = "socks5://127.0.0.1:9"
ENVIRONMENTS = {
    "socks for all": {"ALL_PROXY": SOCKS, "all_proxy": SOCKS, "NO_PROXY": "example.org"},
    "nonsense": {"HTTP_PROXY": "http://[", "ALL_PROXY": "nowhere://x:1"},
    "every name, with exceptions": dict.fromkeys(
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "WS_PROXY", "WSS_PROXY", "FTP_PROXY"], DEAD
    )
    | {"SOCKS_PROXY": SOCKS, "no_proxy": "example.org, .example.com"},
}


@pytest.mark.slow
@pytest.mark.fault("O-35")
@pytest.mark.parametrize("variables", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_server_of_our_own_starts_and_a_reading_is_taken(tmp_path, variables):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDL_"))}
    command = [
        Path(sys.executable).with_name("sdl"),
        "measure",
        "R=0.1",
        "G=0.2",
        "B=0.3",
        "--home",
        tmp_path,
        "--json",
    ]
    done = subprocess.run(command, env=clean | variables, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert '"readings"' in done.stdout


@pytest.mark.fault("O-35")
@pytest.mark.parametrize(
    ("exempt", "direct", "through"),
    [
        ("", ["http://127.0.0.1:4200", "http://localhost", "http://[::1]:8000"], ["http://lamp.example"]),
        ("*", ["http://127.0.0.1:4200", "http://lamp.example"], []),
        (
            " lamp.example , 10.0.0.0/8",
            ["http://localhost", "http://lamp.example", "http://10.1.2.3"],
            ["http://x.org"],
        ),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_what_no_proxy_says_holds_and_this_machine_besides(monkeypatch, name, exempt, direct, through):
    variables = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", variables | {"http_proxy": DEAD, name: exempt})
        environment.keep_loopback_direct()
        chosen = {url: select_proxy(url, get_environ_proxies(url)) for url in (*direct, *through)}
    assert chosen == dict.fromkeys(direct) | dict.fromkeys(through, DEAD)


@pytest.mark.fault("O-35")
@pytest.mark.parametrize("alone", [True, False])
def test_what_no_library_reads_of_no_proxy_is_set_aside_and_told(monkeypatch, alone):
    variables = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    odd = {"NO_PROXY": "lamp.example,[::1],fe80::/10,http://foo:bar,lämp", **({} if alone else {"http_proxy": DEAD})}
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", variables | odd)
        patch.setattr(environment, "set_aside", {})
        environment.keep_loopback_direct()
        httpx.Client().close()
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "lamp.example,::1,127.0.0.1,localhost"
        assert environment.set_aside == {
            "NO_PROXY": "NO_PROXY has 'fe80::/10', 'http://foo:bar', 'lämp', which not every library can read"
        }


@pytest.mark.fault("O-35")
def test_the_doctor_tells_of_proxies(sdl, monkeypatch, prefect_server):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)  # or the doctor starts one
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hushhush@proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    result = sdl("doctor", "--port", 1, "--json")
    found = [each for each in result.json if each["what"] == "proxy"]
    assert [each["state"] for each in found] == ["warning", "ok"]
    assert found[0]["found"].startswith(f"ALL_PROXY = {SOCKS} is a SOCKS proxy, which needs: pip install")
    assert "instruments are asked through HTTPS_PROXY = http://me:***@proxy.example:3128" in found[1]["found"]
    assert "hushhush" not in result.out
