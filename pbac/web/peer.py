"""The address a request came from. Forwarded headers count only from proxies we were told of."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

from aiohttp import web

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Configured proxies as networks."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def address_of(request: web.Request, trusted: tuple[Network, ...]) -> str:
    """The client's address of a request. Proxies may add a line of their own: all are one list."""
    lines = request.headers.getall("X-Forwarded-For", ())
    return client_address(request.remote or "", ", ".join(lines) or None, trusted)


def client_address(peer: str, forwarded_for: str | None, trusted: tuple[Network, ...]) -> str:
    """The client's address, canonical text, or "" when it cannot be known.

    `X-Forwarded-For` is read from the right, past trusted proxies only: what stands further
    left was written by the client itself.
    """
    if not trusted and ":" not in peer:
        return peer  # the socket's own IPv4 address is canonical
    hop = _address(peer)
    if hop is None or forwarded_for is None or not _is_within(hop, trusted):
        return str(hop) if hop else ""
    for text in reversed(forwarded_for.split(",")):
        hop = _address(text.strip())
        if hop is None:
            return ""
        if not _is_within(hop, trusted):
            break
    return str(hop)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_within(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, trusted: tuple[Network, ...]
) -> bool:
    return any(address.version == net.version and address in net for net in trusted)
