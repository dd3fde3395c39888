"""The driver of Claude-Light in a hurry or patient, and servers on real sockets that answer whatever a test says."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

import pytest

from sdl.instruments.claude_light.driver import ClaudeLight
from sdl.instruments.protocol import Reply

DIM = {"R": 0.12, "G": 0.45, "B": 1.0}
GOOD = b'{"in":[0.12,0.45,1.0],"out":{"515nm":31083}}'
PATIENT = {"connect_s": 2.0, "read_s": 4.0, "deadline_s": 5.0, "allow_private": True}
HASTY = {"read_s": 0.3, "deadline_s": 0.6}


def driver(url: str, **options: Any) -> ClaudeLight:
    return ClaudeLight(url, **{**PATIENT, **options})


def measure(url: str, **options: Any) -> Reply:
    return driver(url, **options).measure(DIM)


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request from each connection and hands the connection to ``serve``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.recv(65536)
                        serve(connection)

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    with raw_server(lambda connection: connection.sendall(answer)) as url:
        yield url


class Authority:
    """An authority that signs certificates of servers on this machine; its own is the file to trust."""

    def __init__(self, folder):
        self.x509 = pytest.importorskip("cryptography.x509")
        self.folder, self.key = folder, self._key()
        path = folder / "authority.pem"
        path.write_bytes(self._certificate("authority", None, self.key, "authority", self.key, 100))
        self.file = str(path)

    def context(self, days=100, address="127.0.0.1", signed=True):
        """A server's side of TLS, with a certificate that began ten days ago."""
        from cryptography.hazmat.primitives import serialization

        key, plain = self._key(), serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        issuer, issuer_key = ("authority", self.key) if signed else ("server", key)
        alternative = self.x509.IPAddress(ip_address(address))
        chain = self.folder / "server.pem"
        chain.write_bytes(pem + self._certificate("server", alternative, key, issuer, issuer_key, days))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    @staticmethod
    def _key():
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.generate_private_key(ec.SECP256R1())

    def _certificate(self, subject, alternative, key, issuer, issuer_key, days):
        from cryptography.hazmat.primitives import hashes, serialization

        x509, start = self.x509, datetime.now(UTC) - timedelta(days=10)
        builder = x509.CertificateBuilder().subject_name(self._name(subject)).issuer_name(self._name(issuer))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=days))
        basic = x509.BasicConstraints(ca=alternative is None, path_length=None)
        builder = builder.add_extension(basic, critical=True)
        if alternative is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _name(self, text):
        return self.x509.Name([self.x509.NameAttribute(self.x509.NameOID.COMMON_NAME, text)])


class Answers:
    """A web server that gives the answers it is told to, by path, and else a page."""

    def __init__(self, answers, tls=None):
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                status, body = answers.get(self.path.partition("?")[0], (200, "<html>something else</html>"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *_):
                pass

        self.served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.served.socket = tls.wrap_socket(self.served.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.served.server_port}"

    def __enter__(self):
        threading.Thread(target=self.served.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.served.shutdown()
        self.served.server_close()


def prefect(at="/api", version="3.9.1", status=200):
    """What a Prefect server answers to the doctor's questions."""
    more = {f"{at}/csrf-token": (404, "{}"), f"{at}/deployments/filter": (200, "[]")}
    return {f"{at}/health": (200, "true"), f"{at}/admin/version": (status, json.dumps(version)), **more}
