"""The driver of Claude-Light in a hurry or patient, and servers on real sockets that answer whatever a test says."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

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
