"""What a browser says of the page that sent a request: pages of strangers, open on this machine, drive nothing here."""

from collections.abc import Mapping
from urllib.parse import urlsplit

OURSELVES = ("127.0.0.1", "localhost", "::1")
"""Names by which a machine calls itself; every other one may lead here only because somebody's name server says so."""
ELSEWHERE = ("cross-site", "same-site")
"""What ``Sec-Fetch-Site`` says of a request that another origin's page sent."""


def stranger_fault(headers: Mapping[str, str], *, loopback: bool = True, is_page: bool = False) -> str:
    """Say why a request is not ours to answer; empty if it is. Programs that are no browsers send none of the headers.

    Args:
        headers: Of the request, by lower-case names.
        loopback: Whether the server listens on this machine alone, so that it has no other name than the machine's own.
        is_page: Whether it asks for a page, which somebody may follow a link to.

    >>> stranger_fault({"host": "127.0.0.1:4200"})
    ''
    >>> stranger_fault({"host": "localhost:4200", "origin": "http://evil.example"})
    "a page of 'http://evil.example' sent it"
    >>> stranger_fault({"host": "evil.example:4200"})
    "it was sent to 'evil.example:4200', and this machine has no such name"
    """
    host = headers.get("host", "")
    try:
        asked = urlsplit(f"//{host}")
        name, port = asked.hostname, asked.port
        if "@" in host or (loopback and host and name not in OURSELVES):
            return f"it was sent to {host[:100]!r}, and this machine has no such name"
        if (origin := headers.get("origin")) is not None:
            page = urlsplit(origin)
            same = page.port == port and (page.hostname == name or {page.hostname, name} <= set(OURSELVES))
            return "" if same and page.scheme in ("http", "https") else f"a page of {origin[:100]!r} sent it"
    except ValueError:
        return "its host or origin cannot be read"
    site = headers.get("sec-fetch-site", "none")
    follows_link = is_page and headers.get("sec-fetch-dest") == "document"
    return "" if site not in ELSEWHERE or follows_link else "a page of another origin sent it"
