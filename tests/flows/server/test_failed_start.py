"""Why a server of our own does not start is one line without a password; a request that fails is no such reason."""

import asyncio

import pytest
import requests
from sqlalchemy.exc import OperationalError

from flows.server.failed_start import describe_failed_start, tell_failed_start
from flows.server.server import OwnServer, run_with_server
from sdl.errors import InvalidInput


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidInput(["one", "two"]), "one; two"),
        (ValueError("no such\n  place"), "Prefect's server cannot start: ValueError: no such place"),
        (KeyError(), "Prefect's server cannot start: KeyError"),
        (OSError("postgresql://lab:hush@host/x is away"),
         "Prefect's server cannot start: OSError: postgresql://lab:***@host/x is away"),
        (OperationalError("SELECT 1", {}, OSError("locked")), "Prefect's server cannot start: OSError: locked"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line_without_a_password(error, sentence):
    assert describe_failed_start(error) == sentence


def test_a_request_that_fails_ends_no_server():
    async def faulty(scope, receive, send):
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        asyncio.run(tell_failed_start(faulty)({"type": "http"}, None, None))


def test_a_server_that_asks_for_what_this_process_has_not_is_not_started(home, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "lab:hushhush")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lab:other")
    with pytest.raises(InvalidInput, match=r"^PREFECT_API_AUTH_STRING is not what .* set both alike") as refused:
        OwnServer(home)
    assert "hushhush" not in str(refused.value)


@pytest.mark.slow
def test_one_of_our_own_answers_where_we_ask_whatever_was_stated_for_a_server_of_somebody_elses(home, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_SERVER_API_BASE_PATH", "/lab/prefect")
    monkeypatch.setenv("PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS", "*")
    own = OwnServer(home)
    own.wait()
    try:
        health = requests.get(f"{own.api}/health", headers={"Origin": "http://stranger.example"}, timeout=60)
    finally:
        own.stop()
    assert health.status_code == 403
    assert "Access-Control-Allow-Origin" not in health.headers


def test_what_a_server_refuses_is_a_sentence(prefect):
    from prefect.client.orchestration import get_client

    async def ask():
        async with get_client() as client:
            await client.hello()
            await client._client.get("/no/such/place")

    assert requests.get(f"{prefect}/no/such/place", timeout=60).status_code == 404
    with pytest.raises(TimeoutError, match=r"answered 404 Not Found to GET /api/no/such/place; .* 'sdl doctor'"):
        run_with_server(ask())
