"""Claude-Light over its REST API: an RGB lamp in front of a ten-channel light sensor."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdl.errors import BadReply, InvalidInput
from sdl.formatting import parse_json
from sdl.instruments.claude_light.channels import SPACE
from sdl.instruments.http.bounded_request import HttpRequest, Limits, send_request
from sdl.instruments.http.statuses import check_status
from sdl.instruments.http.url_guard import GuardedUrl
from sdl.instruments.protocol import Patience, Reply
from sdl.space import Space


class ClaudeLight:
    """A Claude-Light, or anything that speaks its API.

    The API tells nothing of its errors, so the driver refuses before sending what it would garble: it takes a missing
    knob for 0, clamps silently, and is blocked for about 50 s by a NaN.

    Args:
        url: Where it answers, such as ``https://claude-light.cheme.cmu.edu/api``.
        connect_s: Longest time for connecting, seconds.
        read_s: Longest silence while waiting for the answer, seconds. Shorter than the 50 s for which the instrument
            itself waits for its pins, it leaves measurements running that nobody reads.
        deadline_s: Longest time for the whole request, seconds.
        quiet_s: Seconds to leave the instrument alone after an answer that did not come.
        allow_private: Whether it may stand on this machine or a private network.
        attempts: Requests for one measurement before giving up, the first one included.
        first_wait_s: Wait before the second attempt, seconds.
        longest_wait_s: Longest wait before an attempt, also if the instrument asks for more, seconds.
        ca_file: Certificates of the authority that signed its own, for ``https``; by default what
            ``REQUESTS_CA_BUNDLE`` or ``SSL_CERT_FILE`` names, else the public authorities.

    Raises:
        InvalidInput: with every option that cannot be.

    References:
        https://github.com/jkitchin/claude-light
    """

    def __init__(
        self,
        url: str,
        connect_s: float = 5.0,
        read_s: float = 60.0,
        deadline_s: float = 75.0,
        quiet_s: float = 50.0,
        allow_private: bool = False,
        attempts: int = 4,
        first_wait_s: float = 0.5,
        longest_wait_s: float = 60.0,
        ca_file: str | None = None,
    ) -> None:
        times = {"connect_s": connect_s, "read_s": read_s, "deadline_s": deadline_s}
        faults = [f"{name}: needs seconds > 0, got {s}" for name, s in times.items() if not 0 < s < math.inf]
        if ca_file is not None and not Path(ca_file).is_file():
            faults.append(f"ca_file: needs a file of certificates, and there is none at {ca_file}")
        if attempts < 1:
            faults.append(f"attempts: needs at least 1, got {attempts}")
        waits = {"first_wait_s": first_wait_s, "quiet_s": quiet_s}
        faults += [
            f"{name}: needs seconds from 0 to longest_wait_s = {longest_wait_s}, got {s}"
            for name, s in waits.items()
            if not 0 <= s <= longest_wait_s < math.inf
        ]
        try:
            self.url = GuardedUrl.parse(url, allow_private)
        except InvalidInput as error:
            faults += error.faults
        if faults:
            raise InvalidInput(faults)
        self.space: Space = SPACE
        self.identity = f"claude-light {self.url.canonical}"
        self.patience = Patience(attempts, first_wait_s, longest_wait_s)
        self._limits = Limits(connect_s, read_s, deadline_s, quiet_s, ca_file=ca_file)

    def measure(self, settings: Mapping[str, float]) -> Reply:
        """Take one reading at R, G and B, each from 0 to 1; one request, never repeated here.

        Raises:
            InvalidInput: settings that must not be sent.
            InstrumentUnavailable: not reached, broken off, or a passing fault of the server (429, 5xx).
            InstrumentSilent: sent, and no complete answer in time.
            InstrumentRefused: any other status, a redirect, a TLS fault, an address that is not allowed.
            BadReply: an answer that is not Claude-Light's.
        """
        duty = self.space.named_settings(self.space.settings(settings))
        started = time.monotonic()
        answer = send_request(self.url, HttpRequest(params=duty), self._limits)
        check_status(answer, str(self.url), self.patience.longest_wait)
        try:
            applied, readings = _parsed(answer.body)
        except (ValueError, RecursionError) as error:
            raise BadReply(f"{self.url} did not answer as Claude-Light: {error}", raw=answer.text) from error
        named_settings = dict(zip(self.space.knob_names, applied, strict=True))
        return Reply(applied=named_settings, readings=readings, raw=answer.text, seconds=time.monotonic() - started)

    def close(self) -> None:
        """Nothing is kept open between two measurements."""


def _parsed(body: bytes) -> tuple[list[Any], dict[str, Any]]:
    """The applied settings and the readings, of whatever types; ValueError says what else it is.

    NaN and Infinity pass, so that they are judged with the other readings that cannot be.
    """
    match parse_json(body.decode("utf-8")):
        case {"in": [_, _, _] as applied, "out": dict() as readings}:
            return applied, readings
    raise ValueError('expected {"in": [R, G, B], "out": {channel: count}}')
