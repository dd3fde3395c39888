"""TLS: the driver against certificates of an authority that it is made to trust."""

from contextlib import contextmanager

import pytest
import requests
from wire import DIM, Authority, measure

from sdl import errors
from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer
from sdl.instruments.http.bounded_request import AUTHORITIES


@pytest.fixture
def authority(tmp_path, monkeypatch):
    for name in AUTHORITIES:
        monkeypatch.delenv(name, raising=False)
    return Authority(tmp_path)


@pytest.fixture
def serving(authority):
    @contextmanager
    def serve(**wrong):
        with InstrumentServer(Twin()) as server:
            context = authority.context(**wrong)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            yield server

    return serve


@pytest.fixture
def trusted(authority, monkeypatch):
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", authority.file)


def test_a_valid_certificate_is_trusted(serving, trusted):
    with serving() as server:
        assert measure(server.url.replace("http:", "https:")).applied == DIM


@pytest.mark.fault("I-22")
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"days": 1}, "expired"),
        ({"address": "127.0.0.2"}, "mismatch"),
        ({"signed": False}, "self-signed"),
    ],
    ids=["expired", "wrong host", "self-signed"],
)
def test_any_other_is_refused_before_sending(serving, trusted, wrong, reason):
    with serving(**wrong) as server:
        with pytest.raises(errors.InstrumentRefused, match=reason) as caught:
            measure(server.url.replace("http:", "https:"))
        assert server.requests == 0
    assert not caught.value.sent


@pytest.mark.fault("I-22")
def test_an_answer_in_the_clear_is_refused():
    with InstrumentServer(Twin()) as server, pytest.raises(errors.InstrumentRefused, match="TLS"):
        measure(server.url.replace("http:", "https:"))


@pytest.mark.fault("O-44")
@pytest.mark.parametrize("variable", AUTHORITIES)
def test_an_authority_of_ones_own_is_trusted_where_the_environment_names_it(serving, authority, monkeypatch, variable):
    with serving() as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(errors.InstrumentRefused, match="TLS"):
            measure(url)
        monkeypatch.setenv(variable, authority.file)
        assert measure(url).applied == DIM


@pytest.mark.fault("O-44")
def test_or_where_the_instrument_names_it(serving, authority, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/authority.pem")
    with serving() as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(errors.InstrumentRefused, match="no certificates to trust at /nowhere/"):
            measure(url)
        reply = ClaudeLight(url, allow_private=True, ca_file=authority.file).measure(DIM)
        assert reply.applied == DIM
    with pytest.raises(errors.InvalidInput, match="ca_file: needs a file of certificates"):
        ClaudeLight(url, allow_private=True, ca_file="/nowhere/authority.pem")
