"""A backend as the operator configured it. Nothing here is ever taken from a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from pbac.base.errors import PbacError
from pbac.catalog.scopes import ScopeRules, scope_rules

NAME_SEPARATOR: Final = "__"
"""Stands between backend and tool in public names, so no backend's name may hold it."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEMES: Final = frozenset({"http", "https"})
_URL_HELP: Final = "write where its MCP endpoint is, like `https://mcp.example/mcp`"
_RESERVED_HEADERS: Final = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length",
        "content-type", "cookie", "host", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


class BackendError(PbacError):
    """A backend that cannot be configured so."""

    code = "invalid_backend"


class HttpTransport(msgspec.Struct, frozen=True, kw_only=True):
    """Streamable HTTP. `headers` are sent with every request: the *gateway's* credential."""

    url: str
    headers: Mapping[str, str] = {}


class StdioTransport(msgspec.Struct, frozen=True, kw_only=True):
    """A child process. No shell; `env` is its whole environment."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    cwd: str | None = None


Transport: TypeAlias = HttpTransport | StdioTransport


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One server behind the gateway, with the scopes its tools need."""

    name: str
    transport: Transport
    scopes: ScopeRules


def backend(
    name: str, transport: Transport, scopes: Mapping[str, Sequence[str]] | None = None
) -> Backend:
    """A checked backend; `scopes` maps a scope to the patterns of the tools that need it.

    Raises:
        BackendError: naming what is wrong.
    """
    if not _NAME.fullmatch(name) or NAME_SEPARATOR in name:
        raise BackendError(
            f"`{name}` cannot be the name of a backend",
            help="use a-z, 0-9, `-` and single `_`, up to 64 characters",
        )
    match transport:
        case HttpTransport():
            _check_http(name, transport)
        case StdioTransport():
            _check_stdio(name, transport)
    return Backend(name=name, transport=transport, scopes=scope_rules(name, scopes or {}))


def url_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with a backend's url, after a name for it, and what to write instead.

    The url itself is not told: it may hold a secret.
    """
    try:
        parts = urlsplit(url)
        callable_ = parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:  # brackets or a port that are none
        return "is no address", _URL_HELP
    if parts.scheme not in _SCHEMES:
        found = f"has the scheme `{parts.scheme}`" if parts.scheme else "has no scheme"
        return f"{found}; `http` and `https` are allowed", _URL_HELP
    if parts.username or parts.password or parts.fragment:
        return "holds a user, a password or a fragment", "put credentials in `headers`"
    if not parts.hostname or not callable_:
        return "is no address", _URL_HELP
    return None


def _check_http(name: str, transport: HttpTransport) -> None:
    if problem := url_problem(transport.url):
        raise BackendError(f"the url of `{name}` {problem[0]}", help=problem[1])
    for header, value in transport.headers.items():
        lower = header.lower()
        if not _HEADER.fullmatch(header) or not _HEADER_VALUE.fullmatch(value):
            raise BackendError(f"the header `{ascii(header)[1:-1]}` of `{name}` is malformed")
        if lower in _RESERVED_HEADERS or lower.startswith("mcp-"):
            raise BackendError(f"the header `{header}` of `{name}` is set by the gateway itself")


def _check_stdio(name: str, transport: StdioTransport) -> None:
    if not transport.command:
        raise BackendError(f"`{name}` has an empty command")
    words = (transport.command, *transport.args, *transport.env.values(), transport.cwd or "")
    if any("\0" in word for word in words):
        raise BackendError(f"`{name}` has a NUL in its command, arguments or environment")
    for variable in transport.env:
        if not _VARIABLE.fullmatch(variable):
            raise BackendError(f"`{ascii(variable)[1:-1]}` is not the name of a variable")
