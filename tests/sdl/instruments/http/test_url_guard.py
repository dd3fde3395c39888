"""Addresses that the instrument must not have are refused before connecting."""

import socket
from typing import Any

import pytest
from wire import DIM

from sdl import errors
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.http.url_guard import address_fault


@pytest.mark.fault("N-08")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "instrument",
        "/api",
        "//host/api",
        "file:///etc/passwd",
        "ftp://host/api",
        "http://",
        "http:///api",
        "http://host:0/api",
        "http://host:99999/api",
        "http://host:port/api",
        "http://[::1/api",
        "http://[fe80::1%25eth0]/api",
        "http://ho%73t/api",
        "http://host/api?x=1",
        "http://host/api?",
        "http://host/api#x",
        "http://host /api",
        "http://host/a\tpi",
        "http://host\n/api",
        "http://host\\@other/api",
        "http://hóst/api",
        "http://１２７.0.0.1/api",  # full-width digits
        "http://-host/api",
        "http://host..org/api",
        f"http://{'a' * 64}.org/api",
        f"http://{'a.' * 130}org/api",
        "http://host/a/../api",
        "http://host/%2E/api",
    ],
)
def test_a_url_that_cannot_be_is_refused_at_once(url):
    with pytest.raises(errors.InvalidInput, match=r"^url: "):
        ClaudeLight(url, allow_private=True)


@pytest.mark.fault("O-31")
@pytest.mark.parametrize("path", ["/lab/api", "/lab/api/", "/l%61b/api", "/%6cab/ap%69/"])
@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "LOCALHOST.:", "127.1", "[::1]:080", "0x7f000001"])
def test_one_place_has_one_name_however_it_is_spelt(host, path):
    spelt = ClaudeLight(f"HTTP://{host}{path}", allow_private=True).identity
    assert spelt == "claude-light http://127.0.0.1:80/lab/api"


@pytest.mark.fault("N-08")
@pytest.mark.parametrize("url", ["http://user:word@host/api", "http://user:word@ho st/api", "http://:word@[/"])
def test_a_password_is_refused_and_not_repeated(url):
    with pytest.raises(errors.InvalidInput) as caught:
        ClaudeLight(url)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.fault("N-08")
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.1",
        "2852039166",  # 169.254.169.254 as one number
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
        "[64:ff9b:1::7f00:1]",
        "[64:ff9b:1:ffff::a00:1]",
        "[::a9fe:a9fe]",
        "[::ffff:0:a9fe:a9fe]",
        "[100::1]",
        "[5f00::1]",
        "[4000::1]",
        "[3fff::1]",
        "[2001:0:1:2:3:4:5601:5601]",  # 169.254.169.254 at the end of a Teredo tunnel
        "[2a00::5efe:a9fe:a9fe]",
        "192.88.99.1",
        "255.255.255.255",
    ],
)
def test_some_addresses_are_always_refused(host):
    with pytest.raises(errors.InvalidInput, match="never an instrument"):
        ClaudeLight(f"http://{host}/api", allow_private=True)


@pytest.mark.fault("N-08")
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "017700000001", "[::1]",
     "[::ffff:127.0.0.1]", "10.0.0.1", "192.168.1.20", "172.16.0.1", "100.64.0.1", "[fd12::1]",
     "[fec0::1]", "[feff::1]", "[::7f00:1]", "[::ffff:0:7f00:1]", "[::c0a8:101]", "[64:ff9b::7f00:1]",
     "[2002:7f00:1::]", "[2a00::5efe:7f00:1]", "[2a00:1:2:3:200:5efe:a00:1]"],
)  # fmt: skip
def test_private_addresses_only_when_allowed(host):
    with pytest.raises(errors.InvalidInput, match="allow_private = true"):
        ClaudeLight(f"http://{host}/api")
    ClaudeLight(f"http://{host}/api", allow_private=True)


@pytest.mark.fault("N-08")
@pytest.mark.parametrize("host", ["claude-light.cheme.cmu.edu", "8.8.8.8", "[2606:4700::1111]", "my_pi.example."])
def test_public_hosts_pass_without_asking_a_name_server(host, monkeypatch):
    monkeypatch.delattr(socket, "getaddrinfo")
    ClaudeLight(f"https://{host}/api")


@pytest.mark.fault("N-08")
@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1"])
def test_a_name_that_leads_inside_is_refused_before_connecting(address, monkeypatch):
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 80)) for each in ("8.8.8.8", address)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)
    monkeypatch.delattr("urllib3.util.connection.create_connection")
    with pytest.raises(errors.InstrumentRefused, match=address) as caught:
        ClaudeLight("http://inside.example/api").measure(DIM)
    assert not caught.value.sent


@pytest.mark.fault("N-08")
def test_a_name_that_leads_elsewhere_the_second_time_gets_no_request(monkeypatch):
    with InstrumentServer(Twin()) as server:
        answers = iter(["8.8.8.8", "127.0.0.1"])

        def rebinding(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        with pytest.raises(errors.InstrumentRefused, match=r"127\.0\.0\.1"):
            ClaudeLight(f"http://rebound.example:{server.server_port}/api").measure(DIM)
        assert server.requests == 0


@pytest.mark.fault("N-08")
def test_every_address_has_a_verdict():
    assert address_fault("fe80::1%eth0", allow_private=True)
    assert address_fault("1.1.1.1", allow_private=False) is None
