"""Prefect's own client, for one question to a server: it brings the secret and the CSRF token that are asked for."""

from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING

PATIENCE_S = 5
"""Seconds that one answer is waited for."""


def open_client(api: str) -> SyncPrefectClient:
    """Return a client of a server, to be used in a ``with`` block; it raises ``httpx.HTTPError``.

    Args:
        api: URL of the server's API.
    """
    settings = {"timeout": PATIENCE_S}
    return SyncPrefectClient(api, auth_string=PREFECT_API_AUTH_STRING.value(), httpx_settings=settings)
