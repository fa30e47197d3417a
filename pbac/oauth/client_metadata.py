"""RFC 7591 2 client metadata: what a registration may say about itself, and how it must look.

Nothing named by a URI is ever fetched. Members that would give power are refused by name rather
than ignored, so that nobody believes they took effect.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from pbac.base.limits import IDENTIFIER_CHARACTERS_MAX
from pbac.crypto import keys
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import AuthMethod

GRANT_TYPES: Final = ("client_credentials",)
"""Grants a client can register for."""

AUTH_METHODS: Final[tuple[AuthMethod, ...]] = (
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
)
"""How a client may prove itself. `none` is missing on purpose: RFC 6749 4.4 forbids it here."""

KEY_METHODS: Final = frozenset({"private_key_jwt"})
"""Methods that need registered keys; the others need a secret."""

_GIVES_POWER: Final = frozenset(
    {"tier", "tier_source", "trusted", "verified", "publisher", "status", "kind", "provider"}
    | {"model", "tags", "owner", "client_id", "client_secret", "registration_access_token"}
)
_WOULD_BE_FETCHED: Final = frozenset(
    {"jwks_uri", "sector_identifier_uri", "request_uris", "initiate_login_uri"}
)
_SHOWN_TO_PEOPLE: Final = ("client_uri", "logo_uri", "policy_uri", "tos_uri")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# RFC 6761, RFC 8375 and ICANN's list: names that mean another host to everybody who resolves them.
_NOT_PUBLIC: Final = frozenset(
    {"alt", "arpa", "corp", "home", "internal", "invalid", "lan", "local", "localdomain"}
    | {"localhost", "mail", "onion", "test"}
)
_HOST_NAME: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]"
)
_NAME: Final = re.compile(r"[^\W_](?:[\w .'&()+/-]*[\w)+])?")
# Letters of European names that have no plain letter within, and the one they are read as.
_STROKED: Final = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l"} | {
    "þ": "p",
    "ħ": "h",
}
# Characters that pass for each other in most typefaces, beside case and accents.
_LOOK_ALIKE: Final = str.maketrans(
    {"0": "o", "1": "l", "i": "l", " ": None, "-": None, "_": None, ".": None, "'": None} | _STROKED
)
_LOOK_ALIKE_PAIRS: Final = (("rn", "m"), ("vv", "w"))


class ClientMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The members we use. Others are ignored (RFC 7591 2: "MUST ignore"), bar the refused ones.

    `grant_types` left out means the code grant (RFC 7591 2) when there is a redirect URI to end
    it at, and what is offered here otherwise: the answer says which (RFC 7591 3.2.1).
    """

    grant_types: tuple[str, ...] | None = None
    token_endpoint_auth_method: str = AUTH_METHODS[0]
    application_type: Literal["web", "native"] = "web"
    redirect_uris: tuple[str, ...] = ()
    jwks: dict[str, Any] | None = None
    scope: str | None = None


def check_request(members: Mapping[str, Any]) -> None:
    """Refuse what no request may say, even where its statement would overrule it.

    Members that only a statement, the operator or this server may set; addresses we might be
    tricked into fetching; names that mislead. Raises `OAuthError`.
    """
    if claimed := sorted(_GIVES_POWER & members.keys()):
        raise OAuthError(
            "invalid_client_metadata", f"a registration may not set `{claimed[0]}`; leave it out"
        )
    _check_uris(members)
    if "client_name" in members:
        check_name(members["client_name"])


def parse_metadata(members: Mapping[str, Any]) -> ClientMetadata:
    """Check request members, statement members already laid over them.

    Raises:
        OAuthError: `invalid_client_metadata` or `invalid_redirect_uri`, naming the member.
    """
    _check_uris(members)
    try:
        metadata = msgspec.convert(dict(members), ClientMetadata)
    except msgspec.ValidationError as error:
        raise OAuthError("invalid_client_metadata", _lower(str(error))) from None
    for uri in metadata.redirect_uris:
        _check_redirect_uri(uri, metadata.application_type)
    wanted = metadata.grant_types
    if wanted is None:
        wanted = ("authorization_code",) if metadata.redirect_uris else GRANT_TYPES
    if not wanted or set(wanted) - set(GRANT_TYPES):
        raise OAuthError(
            "invalid_client_metadata", "this server offers `grant_types: [client_credentials]` only"
        )
    if metadata.token_endpoint_auth_method not in AUTH_METHODS:
        raise OAuthError(
            "invalid_client_metadata",
            f"`token_endpoint_auth_method` must be one of {', '.join(AUTH_METHODS)}",
        )
    return msgspec.structs.replace(metadata, grant_types=wanted)


def parse_client_keys(metadata: ClientMetadata) -> tuple[dict[str, Any], ...]:
    """Public JWKs for `private_key_jwt`, re-rendered from the parsed keys; else empty."""
    wanted = metadata.token_endpoint_auth_method in KEY_METHODS
    if wanted is not (metadata.jwks is not None):
        raise OAuthError(
            "invalid_client_metadata", "`jwks` is needed for `private_key_jwt`, and only for it"
        )
    try:
        return (
            tuple(keys.render_jwk(key) for key in keys.parse_jwks(metadata.jwks)) if wanted else ()
        )
    except keys.KeyFormatError as error:
        raise OAuthError("invalid_client_metadata", f"`jwks`: {error.message}") from None


def check_name(name: Any) -> None:
    """Refuse names a person could misread: other scripts, hidden and compatibility characters.

    Only letters that are an ASCII one with accents, and a few of European names: one Cyrillic
    look-alike, one phonetic `ɡ` or click `ǀ` makes another name that reads the same. An operator
    who registers a client may name it in any script.
    """
    letters = [character for character in str(name) if character.isalpha()]
    if (
        not isinstance(name, str)
        or len(name) > IDENTIFIER_CHARACTERS_MAX
        or unicodedata.normalize("NFKC", name) != name
        or _NAME.fullmatch(name) is None
        or "  " in name
        or not all(_is_plain_letter(letter) for letter in letters)
        or not all(digit.isascii() for digit in name if digit.isdigit())
    ):
        raise OAuthError(
            "invalid_client_metadata",
            "`client_name` must be Latin letters, digits, single spaces and plain punctuation",
        )


def skeleton(name: str) -> str:
    """What is left of a name when case, accents, spacing and look-alike characters are ignored."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    folded = bare.casefold().translate(_LOOK_ALIKE)
    for pair, letter in _LOOK_ALIKE_PAIRS:
        folded = folded.replace(pair, letter)
    return folded


def _is_plain_letter(letter: str) -> bool:
    return unicodedata.normalize("NFKD", letter)[0].isascii() or letter.lower() in _STROKED


def _check_uris(members: Mapping[str, Any]) -> None:
    if sent := sorted(_WOULD_BE_FETCHED & members.keys()):
        raise OAuthError(
            "invalid_client_metadata", f"`{sent[0]}` is not supported; send keys inline as `jwks`"
        )
    for member in _SHOWN_TO_PEOPLE:
        uri = members.get(member)
        if uri is not None and not (isinstance(uri, str) and _is_public_https(uri)):
            raise OAuthError(
                "invalid_client_metadata", f"`{member}` must be an https address with a public name"
            )


def _check_redirect_uri(uri: str, application_type: str) -> None:
    """MCP SEP-837: a web client on https, a native one on loopback or a scheme of its own."""
    parts = _parse_uri(uri)
    loopback = parts.hostname in _LOOPBACK
    fits = {
        "web": parts.scheme == "https" and not _is_loopback(parts.hostname or "localhost"),
        "native": (parts.scheme == "http" and loopback) or "." in parts.scheme,
    }[application_type]
    if not fits or parts.fragment or parts.username is not None:
        raise OAuthError(
            "invalid_redirect_uri",
            f"not a redirect URI for an application of type {application_type}",
        )


def _is_public_https(uri: str) -> bool:
    parts = _parse_uri(uri)
    if parts.scheme != "https" or parts.username is not None or not parts.hostname:
        return False
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        top = parts.hostname.rpartition(".")[2]
        return _HOST_NAME.fullmatch(parts.hostname) is not None and top not in _NOT_PUBLIC
    return False


def _is_loopback(host: str) -> bool:
    """Also in the spellings that browsers and resolvers take for it: `127.1`, `x.localhost.`."""
    name = host.rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        last = name.rpartition(".")[2]
        # WHATWG URL, host parsing: a host whose last label is a number is an IPv4 address.
        return last == "localhost" or last.isdigit() or last.startswith("0x")
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _parse_uri(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts if uri.isascii() and uri.isprintable() and " " not in uri else urlsplit("")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
