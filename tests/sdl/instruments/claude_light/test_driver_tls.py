"""TLS: the driver against certificates of an authority that it is made to trust."""

import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
import requests
from wire import DIM, measure

from sdl import errors
from sdl.instruments.claude_light.twin import Twin
from sdl.instruments.emulator.server import InstrumentServer


@pytest.fixture
def serving(tmp_path, monkeypatch):
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject, alternative, key, issuer, issuer_key, days):
        start = datetime.now(UTC) - timedelta(days=10)
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=days))
        authority = x509.BasicConstraints(ca=alternative is None, path_length=None)
        builder = builder.add_extension(authority, critical=True)
        if alternative is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority_key = ec.generate_private_key(ec.SECP256R1())
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(certificate("authority", None, authority_key, "authority", authority_key, 100))
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(trusted))

    @contextmanager
    def serve(days=100, address="127.0.0.1", issuer="authority"):
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.IPAddress(ip_address(address))
        issuer_key = authority_key if issuer == "authority" else key
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = tmp_path / "server.pem"
        chain.write_bytes(pem + certificate("server", alternative, key, issuer, issuer_key, days))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        with InstrumentServer(Twin()) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            yield server

    return serve


def test_a_valid_certificate_is_trusted(serving):
    with serving() as server:
        assert measure(server.url.replace("http:", "https:")).applied == DIM


@pytest.mark.fault("I-22")
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"days": 1}, "expired"),
        ({"address": "127.0.0.2"}, "mismatch"),
        ({"issuer": "server"}, "self-signed"),
    ],
    ids=["expired", "wrong host", "self-signed"],
)
def test_any_other_is_refused_before_sending(serving, wrong, reason):
    with serving(**wrong) as server:
        with pytest.raises(errors.InstrumentRefused, match=reason) as caught:
            measure(server.url.replace("http:", "https:"))
        assert server.requests == 0
    assert not caught.value.sent


@pytest.mark.fault("I-22")
def test_an_answer_in_the_clear_is_refused():
    with InstrumentServer(Twin()) as server, pytest.raises(errors.InstrumentRefused, match="TLS"):
        measure(server.url.replace("http:", "https:"))
