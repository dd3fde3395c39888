"""Where an instrument may stand: a campaign file must not point the laboratory into somebody's network."""

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from sdl.errors import InstrumentRefused, InvalidInput
from sdl.formatting import CONFIDENTIAL, SECRET_PLACE, hide_secrets

PORTS = {"http": 80, "https": 443}
"""Schemes that an instrument over HTTP may have, with the ports that they stand for."""
METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds keep their secrets, beyond the link-local 169.254.169.254."""
WRAPPING = tuple(map(IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
"""Where IPv4 addresses are written as IPv6: behind NAT64, "compatible" and "translated" ones."""
WITHIN_SELF = IPv6Network("::/127")
"""The unspecified address and this machine, which are no IPv4 addresses."""
SITE_LOCAL = IPv6Network("fec0::/10")
ASSIGNED = (*map(IPv6Network, ("::1/128", "2000::/3", "fc00::/7")), SITE_LOCAL)
"""All of IPv6 where an instrument may stand; what may be assigned later, or is translated, is not among it."""
NOWHERE = [*map(ip_network, ("2001::/32", "3fff::/20", "192.88.99.0/24"))]
"""Tunnels of former days (Teredo, 6to4's relays), which hide where they lead, and addresses for documents."""
ISATAP = (0x5EFE, 0x200_5EFE)
"""Before an IPv4 address, the lower half of an IPv6 address that is a tunnel to it, whatever network it names."""
LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
PRINTABLE = re.compile(r"[!-\[\]-~]+")
ESCAPED, PLAIN = re.compile(r"%[0-9A-Fa-f]{2}"), re.compile(r"[A-Za-z0-9._~-]")
LONG_PIECE, TURNS = 20, 3
"""Characters of a word of a path that may be a secret, and how often it goes from letters to digits or back."""
MIXED = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
NAMED = re.compile(rf"({CONFIDENTIAL.pattern})[\w.-]*=[^{{/]", re.IGNORECASE)


@dataclass(frozen=True)
class GuardedUrl:
    """The URL of an instrument after the guard has passed it."""

    scheme: str
    host: str
    """Lower case; an IPv6 address without its brackets."""
    port: int
    path: str
    allow_private: bool = False
    """Whether private and loopback addresses are let through."""

    @classmethod
    def parse(cls, url: str, allow_private: bool = False, ports: Mapping[str, int] = PORTS) -> Self:
        """Read a URL without asking any name server.

        Args:
            url: As written.
            allow_private: Whether it may lead to this machine or a private network.
            ports: Schemes that it may have, the usual one first, with the ports that they stand for.

        Raises:
            InvalidInput: every reason to refuse it; a password in the URL is not repeated.
        """
        example = "write it like " + next(f"{scheme}://192.168.1.20:{port}" for scheme, port in ports.items())
        if not PRINTABLE.fullmatch(url):
            raise InvalidInput(f"url: needs ASCII without spaces and backslashes; {example}")
        try:
            parts = urlsplit(url)
            host, stated = _host(parts), parts.port
        except ValueError:
            raise InvalidInput(f"url: cannot be read; {example}") from None
        if faults := _faults(url, parts, host, allow_private, ports, example):
            raise InvalidInput(f"url: {fault}" for fault in faults)
        port = ports[parts.scheme] if stated is None else stated
        return cls(parts.scheme, host, port, _spell_plainly(parts.path), allow_private)

    @classmethod
    def faults(cls, url: str, allow_private: bool = False, ports: Mapping[str, int] = PORTS) -> list[str]:
        """Return every reason why ``parse`` would refuse a URL; none if it would not."""
        try:
            cls.parse(url, allow_private, ports)
        except InvalidInput as error:
            return list(error.faults)
        return []

    def __str__(self) -> str:
        return _spelled(self.scheme, self.host, self.port, self.path)

    @property
    def canonical(self) -> str:
        """One spelling for all URLs of the same place, for telling whether two are the same."""
        host = "127.0.0.1" if self.host in ("localhost", "::1") else self.host
        return _spelled(self.scheme, host, self.port, self.path.rstrip("/"))

    def check_resolved(self) -> None:
        """Ask the resolver, and judge every address that it names.

        Raises:
            OSError: the name cannot be resolved.
            InstrumentRefused: one of its addresses is not allowed.
        """
        for *_, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            self.check(str(address[0]))

    def check(self, address: str) -> None:
        """Judge one address that the host's name led to.

        Raises:
            InstrumentRefused: the address is not allowed.
        """
        if fault := address_fault(address, self.allow_private):
            raise InstrumentRefused(f"{self} leads to {address}: {fault}", sent=False)


def address_fault(address: str, allow_private: bool) -> str | None:
    """Say why no instrument may stand at this address; None if it may.

    >>> address_fault("169.254.169.254", allow_private=True)
    'a link-local, multicast, reserved or metadata address is never an instrument'
    >>> address_fault("::ffff:8.8.8.8", allow_private=False)
    """
    ip = _meant(address)
    reserved = ip.is_reserved if ip.version == 4 else not any(ip in network for network in ASSIGNED)
    reserved = reserved or any(ip in network for network in NOWHERE)
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or reserved or ip in METADATA:
        return "a link-local, multicast, reserved or metadata address is never an instrument"
    if (not ip.is_global or ip in SITE_LOCAL) and not allow_private:
        return "a private or loopback address; set allow_private = true if the instrument is on your own network"
    return None


def _meant(address: str) -> IPv4Address | IPv6Address:
    """The address itself, or the IPv4 address that is wrapped in it."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip
    tunnel = int(ip) >> 32 & 0xFFFF_FFFF in ISATAP
    if tunnel or (ip not in WITHIN_SELF and any(ip in network for network in WRAPPING)):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def seems_secret(path: str) -> bool:
    """Return whether a path seems to say a secret: one after its name, or letters and digits as nobody names things.

    Secrets that this process was told by their names are hidden wherever they stand, and are none here.

    >>> [seems_secret(path) for path in ("/api/1028d66426293e821ecfd9ef1a0731df/lights/1", "/api/token=abc/x")]
    [True, True]
    >>> [seems_secret(path) for path in ("/api/{secret:bridge}/lights/1", "/v2/550e8400-e29b-41d4-a716-446655440000")]
    [False, False]
    """
    if hide_secrets(path) != path:
        return False
    pieces = re.split(r"[^A-Za-z0-9]", SECRET_PLACE.sub("", path))
    jumbled = any(len(piece) >= LONG_PIECE and len(MIXED.findall(piece)) >= TURNS for piece in pieces)
    return jumbled or NAMED.search(path) is not None


def _spell_plainly(path: str) -> str:
    """A path in its one usual spelling: letters, digits and their like as they are (RFC 3986, 6.2.2.2)."""
    return ESCAPED.sub(
        lambda found: unquote(found[0]) if PLAIN.fullmatch(unquote(found[0])) else found[0].upper(), path
    )


def _host(parts: SplitResult) -> str:
    """Host in lower case, and an IP address in its one usual spelling."""
    host = (parts.hostname or "").removesuffix(".")
    with suppress(ValueError):
        return str(_meant(host))
    with suppress(OSError):  # resolvers also take 127.1, 0x7f000001 and 017700000001
        return str(IPv4Address(socket.inet_aton(host)))
    return host


def _faults(
    url: str, parts: SplitResult, host: str, allow_private: bool, ports: Mapping[str, int], example: str
) -> list[str]:
    faults = []
    if parts.scheme not in ports:
        faults.append(f"needs {' or '.join(ports)}, got {parts.scheme!r}; {example}")
    if "@" in parts.netloc:
        faults.append("must not hold a user name or a password, because it is shown and stored")
    if "?" in url or "#" in url:
        faults.append("must end with its path, without query and fragment")
    if parts.port == 0:
        faults.append("needs a port from 1 to 65535, got 0")
    if {".", ".."} & set(_spell_plainly(parts.path).split("/")):
        faults.append("needs its path without the parts '.' and '..', by which one place has many names")
    if seems_secret(parts.path):
        faults.append(
            "seems to hold a secret in its path, and is shown and stored: write {secret:lab-token} in its place, and "
            "set SDL_SECRET_LAB_TOKEN"
        )
    if fault := _host_fault(host, "%" in parts.netloc, allow_private, example):
        faults.append(fault)
    return faults


def _host_fault(host: str, escaped: bool, allow_private: bool, example: str) -> str | None:
    if not host or escaped:
        return f"needs a plain host; {example}"
    with suppress(ValueError):
        fault = address_fault("127.0.0.1" if host == "localhost" else host, allow_private)
        return f"{host} is {fault}" if fault else None
    return None if HOST.fullmatch(host) else f"needs a host of letters, digits, dots and hyphens, got {host!r}"


def _spelled(scheme: str, host: str, port: int, path: str) -> str:
    return f"{scheme}://[{host}]:{port}{path}" if ":" in host else f"{scheme}://{host}:{port}{path}"
