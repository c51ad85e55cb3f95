"""Where a webhook may go: names are resolved here, and addresses of one's own network are refused unless they are allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import httpx

__all__ = ["Network", "Target", "TargetRefused", "check_url", "resolve"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
# They carry an IPv4 address on to wherever it points.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))


class TargetRefused(Exception):
    """The address of a webhook is out of bounds, or its name has none."""


@dataclass(frozen=True, slots=True)
class Target:
    """The very address that was checked, and the name it is to be asked under: what a second look-up says does not matter any more."""

    url: httpx.URL
    host_header: str
    server_name: str


def check_url(text: str) -> httpx.URL:
    """Raises `ValueError` saying what would be right."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise ValueError(f"is no address: {exc}") from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("should be https://HOST/PATH (or http://)")
    if url.userinfo or url.fragment:
        raise ValueError("may hold neither a password nor a fragment: the signature says who sends")
    return url


async def resolve(url: httpx.URL, allowed: Sequence[Network]) -> Target:
    """Look the host up. Raises `TargetRefused` where any of its addresses is out of bounds."""
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise TargetRefused(f"{url.host} cannot be looked up: {exc}") from exc
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if not _permitted(address, allowed):
            raise TargetRefused(f"{url.host} is {address}, an address of this network; DUALRUN_WEBHOOKS_ALLOW may allow it")
    return Target(url.copy_with(host=str(addresses[0])), url.netloc.decode("ascii"), url.host)


def _permitted(address: _Address, allowed: Sequence[Network]) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return _permitted(address.ipv4_mapped, allowed)
    if any(address in network for network in allowed):
        return True
    return address.is_global and not address.is_multicast and not any(address in network for network in _TRANSLATED)
