"""REST of any shape: method, path, query, headers, body, and where in the answer a number stands."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, field_validator

from sdl.campaign.section import Section
from sdl.formatting import SECRET_PLACE, format_value, keep_secret
from sdl.instruments.configured.definition import InstrumentDefinition, read_definition
from sdl.instruments.configured.driver import ConfiguredInstrument
from sdl.instruments.configured.templates import SAYS_ONE, refuse_open_secrets, reveal, show_json, write_json
from sdl.instruments.configured.transport import Deadline
from sdl.instruments.http.bounded_request import HttpRequest, Limits, send_request
from sdl.instruments.http.statuses import check_status
from sdl.instruments.http.url_guard import GuardedUrl, seems_secret
from sdl.plugins import fill_secrets


def _printable(headers: dict[str, str | SecretStr]) -> dict[str, str | SecretStr]:
    for name, value in headers.items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not (name.replace("-", "").isalnum() and name.isascii() and text.isascii() and text.isprintable()):
            raise ValueError(f"{format_value(name)}: a header is one line of ASCII")
        if isinstance(value, str) and "key" in name.lower() and not SECRET_PLACE.search(value):
            raise ValueError(f'{name} must not stand in the file: write {name} = {{ secret = "lab-token" }}')
    refuse_open_secrets(headers)
    return headers


Headers = Annotated[dict[str, str | SecretStr], AfterValidator(_printable)]


class RestRequest(Section):
    """One request."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str = ""
    """Appended to the URL of the instrument."""
    params: Annotated[dict[str, str | float | int | SecretStr], AfterValidator(refuse_open_secrets)] = Field(
        default_factory=dict
    )
    """What stands after the question mark."""
    body: Annotated[Any, AfterValidator(refuse_open_secrets)] = None
    """A table or a list is sent as JSON, in which a text that is only ``{NAME}`` becomes a number; text as it is."""
    headers: Headers = Field(default_factory=dict)
    """Of this request, beside those of the instrument."""
    status: tuple[int, ...] = (200, 201, 202, 204)
    """Statuses of a request that was done; 429 and 5xx are worth another try, every other one is not."""

    @field_validator("path")
    @classmethod
    def _no_query(cls, path: str) -> str:
        if path and (not path.startswith("/") or set(path) & set("?# \\\r\n")):
            raise ValueError("needs a path such as /api/led; what comes after a question mark stands in params")
        if seems_secret(path):
            raise ValueError(SAYS_ONE)
        return path

    def __str__(self) -> str:
        """The request for people: without headers and secrets."""
        rest = "".join(f" {show_json(part)}" for part in (self.params, self.body) if part)
        return f"{self.method} {self.path or '/'}{rest}"


class RestDefinition(InstrumentDefinition[RestRequest]):
    """An instrument with a REST API."""

    url: str
    """What all its paths begin with, such as ``http://192.168.1.20:5005/api``."""
    headers: Headers = Field(default_factory=dict)
    """Of all requests."""
    allow_private: bool = False
    """Whether it may stand on this machine or a private network."""
    ca_file: str | None = None
    """Certificates of the authority that signed its own, for ``https``; by default the public authorities."""

    def faults(self) -> list[str]:
        """Return what of it does not go together, and what is wrong with its URL."""
        return [*super().faults(), *GuardedUrl.faults(self.url, self.allow_private)]


def rest(**options: Any) -> ConfiguredInstrument[RestRequest]:
    """An instrument with a REST API, by configuration."""
    definition = read_definition(RestDefinition, options, "rest")
    every = [definition.headers, *(request.headers for request in _requests(definition))]
    for text in (text for headers in every for text in headers.values() if isinstance(text, SecretStr)):
        keep_secret(text.get_secret_value().split()[-1])  # "Bearer ..." may come back without its first word
    return ConfiguredInstrument("rest", definition, HttpLine(definition))


class HttpLine:
    """Requests to one URL, each by a connection of its own, under the limits of the lamp's driver.

    Args:
        definition: With the URL and the limits.
    """

    def __init__(self, definition: RestDefinition) -> None:
        self._definition = definition
        self._url = GuardedUrl.parse(definition.url, definition.allow_private)
        self.place = self._url.canonical
        self._known = False
        self._urls = dict[str, GuardedUrl]()

    def open(self, deadline: Deadline) -> bool:
        """There is nothing to open; the first request is one to an instrument that was not prepared yet."""
        fresh, self._known = not self._known, True
        return fresh

    def send(self, order: RestRequest, value: float | str | None, deadline: Deadline) -> None:
        """Send a request whose answer says no more than its status."""
        self.ask(order, deadline)

    def ask(self, order: RestRequest, deadline: Deadline) -> str:
        """Send a request and return the body of its answer."""
        definition, left = self._definition, deadline.left
        limits = Limits(min(definition.connect_s, left), left, left, definition.quiet_s, ca_file=definition.ca_file)
        as_it_is = order.body is None or isinstance(order.body, str)
        body = reveal(order.body) if as_it_is else write_json(order.body)
        headers = {} if as_it_is else {"Content-Type": "application/json"}
        headers |= reveal(definition.headers | order.headers)
        if order.path not in self._urls:
            whole = fill_secrets(f"{str(self._url).rstrip('/')}{order.path}", quote)
            self._urls[order.path] = GuardedUrl.parse(whole, definition.allow_private)
        url = self._urls[order.path]
        answer = send_request(url, HttpRequest(order.method, reveal(order.params), headers, body), limits)
        check_status(answer, f"{url}", definition.longest_wait_s, order.status)
        return answer.text

    def drop(self) -> None:
        """Whoever answers next may have been started anew."""
        self._known = False


def _requests(definition: RestDefinition) -> list[RestRequest]:
    """All requests of a definition."""
    found = [*definition.prepare, *definition.safe, definition.write, definition.query]
    for knob in definition.knobs:
        found += [knob.write, knob.readback.query if knob.readback else None]
    found += [channel.query for channel in definition.channels]
    found += [each.query for each in (definition.errors, definition.ready) if each]
    return [request for request in found if request is not None]
