"""Addresses, URLs and paths as *text that may lie*: whatever is odd is unknown.

A policy compares what it reads here; somebody else's parser acts on the same text later. Where two
parsers are known to disagree (userinfo, backslashes, percent signs, octal addresses, dot segments)
no answer is given, so a forbid applies and a permit does not.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from pbac.base.limits import TEXT_OPERAND_CHARACTERS_MAX
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.model.values import Value

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

ADDRESS_CHARACTERS_MAX: Final = 64
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


def _address(text: Value) -> _Address | None:
    """The address with IPv4-in-IPv6 unmapped first; None for anything else, zones included."""
    if type(text) is not str or len(text) > ADDRESS_CHARACTERS_MAX or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _network(text: Value) -> _Network:
    """A network as `in cidr` reads it.

    Raises:
        ValueError: for other text, host bits set, or a value that is no text.
    """
    if type(text) is not str or len(text) > ADDRESS_CHARACTERS_MAX or "%" in text:
        raise ValueError("a network is written like `10.0.0.0/8`")
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        base = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((int(base or 0), network.prefixlen - 96))
    return network


def in_cidr(network: Value) -> Callable[[Value], Value]:
    """Prepares `address in cidr "10.0.0.0/8"`; an address of the other family is outside.

    Raises:
        ValueError: when the network cannot be used.
    """
    known = _network(network)

    def inside(address: Value) -> Value:
        read = _address(address)
        return UNKNOWN if read is None else read in known

    return inside


# --- paths ---------------------------------------------------------------------------------

_ODD_IN_PATH: Final = re.compile(r"[\x00-\x1f\x7f\\%]")


def _segments(path: Value) -> list[str] | None:
    """The names of an absolute POSIX path, `.` dropped; None when it is odd.

    Two slashes are odd: POSIX leaves leading ones to the implementation (`//host/share`), object
    stores and web servers take an empty name for a name.
    """
    if type(path) is not str or not path.startswith("/") or "//" in path:
        return None
    if len(path) > TEXT_OPERAND_CHARACTERS_MAX:
        return None
    if _ODD_IN_PATH.search(path):
        return None
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    return None if ".." in segments else segments


def within(path: Value, root: Value) -> Value:
    """`path within root`: the path is the root or below it, by its text alone.

    Unknown on `..`, `//`, a backslash, `%`, control characters and relative paths, on either side.
    """
    inner, outer = _segments(path), _segments(root)
    if inner is None or outer is None:
        return UNKNOWN
    return inner[: len(outer)] == outer


# --- URLs ----------------------------------------------------------------------------------

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?:[/?#][\x21-\x7e]*)?"
)
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_NUMERIC: Final = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")


def _url(text: Value) -> tuple[str, str] | None:
    """(scheme, authority) of an ordinary absolute URL in printable ASCII; None when odd."""
    if type(text) is not str or "\\" in text:
        return None
    found = _URL.fullmatch(text)
    return None if found is None else (found["scheme"].lower(), found["authority"])


def _host(authority: str) -> str | None:
    """The host in lower case; an IPv6 address without brackets, in its shortest form."""
    found = _AUTHORITY.fullmatch(authority)
    if found is None or int(found["port"] or 0) > 65_535:
        return None
    if found["six"] is not None:
        address = _address(found["six"])
        return None if address is None else str(address)
    name: str = found["name"].lower()
    # WHATWG URL 3.5: a host that ends in a number is an IPv4 address in one of many spellings.
    # Only the dotted quad means the same to everyone.
    if _NUMERIC.fullmatch(name.rpartition(".")[2]) and _address(name) is None:
        return None
    return name


def host(url: Value) -> Value:
    """`host("https://Api.Example.com:8443/x")` is `api.example.com`; unknown on anything odd.

    Odd: no `://`, an empty host, userinfo, a backslash, spaces, control or non-ASCII characters,
    a percent sign or a trailing dot in the host, an IPv4 address that is no dotted quad.
    """
    parts = _url(url)
    name = None if parts is None else _host(parts[1])
    return UNKNOWN if name is None else name


def scheme(url: Value) -> Value:
    """`scheme("HTTPS://example.com")` is `https`; unknown when the host would be.

    `file:///path` is the one URL whose scheme is known without a host.
    """
    parts = _url(url)
    if parts is None or (parts != ("file", "") and _host(parts[1]) is None):
        return UNKNOWN
    return parts[0]
