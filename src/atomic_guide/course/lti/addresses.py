"""Web addresses: their origins, and which machines may be called. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}
# IPv6 addresses that carry an IPv4 address in their last 32 bits: behind a NAT64 they reach that machine.
_NAT64 = IPv6Network("64:ff9b::/96")

Ip = IPv4Address | IPv6Address


class Reach(NamedTuple):
    """Which machines may be called beside those of the public internet, and whether plain http is taken there."""

    loopback: bool = False
    networks: tuple[str, ...] = ()
    whose: str = "the LMS"
    remedy: str = "if your LMS stands there, allow it with the setting lti.allow_networks"

    def allows(self, address: Ip) -> bool:
        """Whether a connection to `address` may be opened."""
        plain = _embedded(address)
        if plain.is_loopback:
            return self.loopback
        if any(plain in ip_network(network, strict=False) for network in self.networks):
            return True
        return plain.is_global and not plain.is_multicast


def _embedded(address: Ip) -> Ip:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def origin_of(url: str) -> str:
    """Scheme, host and, where it is not the usual one, port of a web address; ValueError where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        message = f"{url!r} is no web address"
        raise ValueError(message)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    # The host goes into response headers: only what a host may consist of.
    if not all(char.isalnum() or char in "-._:[]" for char in host) or not host.isascii():
        message = f"{url!r} has no usable host"
        raise ValueError(message)
    port = parts.port
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _DEFAULT_PORTS[parts.scheme] else "")


def problem_with(url: str, reach: Reach) -> str | None:
    """Why the tool may not use a web address, in plain words; None where it may."""
    try:
        origin = origin_of(url)
    except ValueError:
        return "it is not a web address such as https://lms.example.edu/path"
    if any(char.isspace() or not char.isprintable() for char in url):
        return "it contains a space or a character that cannot be seen"
    if "#" in url:
        return "it has a fragment (#...)"
    host = urlsplit(url).hostname or ""
    if origin.startswith("http://") and not (reach.loopback and is_loopback_name(host)):
        return "it is plain http; only https is taken, save from an LMS on this computer in development"
    try:
        numeric = ip_address(host)
    except ValueError:
        return None
    return None if reach.allows(numeric) else f"{host} is an address inside a private network"


def is_loopback_name(host: str) -> bool:
    """Whether a host name means this computer."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def with_query(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    """The address with more query parameters behind those it has."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
