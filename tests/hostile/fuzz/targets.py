"""What is fuzzed: every reader of bytes that a stranger wrote, each held against a second reader.

A target takes any bytes and returns, or raises: then they are a finding. Hypothesis and atheris
drive the same targets, so what one finds the other replays.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import json as lax
import random
import time
from collections.abc import Callable, Iterator

import pydantic_core
from cryptography.exceptions import InvalidSignature
from hostile.fuzz import oracles
from multidict import CIMultiDict

from pbac.adapters.http_connection import Exchange, HttpConnection
from pbac.adapters.http_exchange import _lines
from pbac.base import json
from pbac.base.source import Source
from pbac.crypto import base64url, jose
from pbac.crypto.keys import generate_signing_key
from pbac.mcp import headers, jsonrpc, messages, modern
from pbac.mcp.event_stream import EventStreamError, EventStreamReader
from pbac.mcp.parameter_headers import check_headers, parameter_headers, render_headers
from pbac.mcp.versions import choose_era
from pbac.mcp.wire_errors import JsonRpcError
from pbac.oauth.errors import OAuthError
from pbac.oauth.form import parse_form
from pbac.pdp.administration import prepare
from pbac.pdp.bundle import parse_bundle, render_bundle
from pbac.pdp.bundle_files import BUNDLE_CODES, BundleError
from pbac.web.middleware import SENT_ONCE, ambiguous
from pbac.web.peer import client_address, networks

# --- policies ---------------------------------------------------------------------------------

POLICY_SECONDS_MAX = 5.0
POLICY_BYTES_MAX = 16 * 1024


def policy(data: bytes) -> None:
    """Any text compiles or earns diagnostics that can be shown, in bounded time."""
    try:
        text = data[:POLICY_BYTES_MAX].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return
    started = time.thread_time()
    publication = prepare([Source("fuzz.pbac", text)])
    assert publication.policy_set is not None or publication.problems()
    publication.text().encode()
    took = time.thread_time() - started
    assert took < POLICY_SECONDS_MAX, f"{took:.1f} s for {len(text)} characters"


# --- JSON -------------------------------------------------------------------------------------


def strict_json(data: bytes) -> None:
    """What is accepted, three other readers see alike; and the short way sees the long way."""
    for decode, decoder in (
        (json.decode, json._DECODER),
        (json.decode_answer, json._ANSWER_DECODER),
    ):
        shortly = _told(decode, data)
        longly = _told(lambda text, way=decoder: json._decode_strictly(text, way), data)
        if not isinstance(longly, RecursionError):
            deep = shortly[1].startswith("nested deeper") if shortly[0] == "parse_error" else False
            assert deep or shortly == longly, (shortly, longly)
        if shortly[0] != "":
            continue
        value = decode(data)
        assert repr(lax.loads(data)) == repr(value)
        for written in (json.encode(value), json.canonical(value)):
            assert repr(lax.loads(written)) == repr(pydantic_core.from_json(written))
            assert json.canonical(lax.loads(written)) == json.canonical(value)
        assert repr(decode(json.encode(value))) == repr(value)


def _told(read, data: bytes):
    try:
        return "", repr(read(data))
    except json.JsonError as error:
        return error.code, error.message
    except RecursionError as error:  # only the long way alone: depth is bounded before it
        return error


# --- JSON-RPC and MCP -------------------------------------------------------------------------


def message(data: bytes) -> None:
    """A body is a message that can be read to its end, or is refused with a word of the table."""
    try:
        found = jsonrpc.parse(data)
        choose_era(CIMultiDict(), found, None)
        for each in found.messages if isinstance(found, jsonrpc.Batch) else (found,):
            if isinstance(each, jsonrpc.Request):
                read = {
                    "tools/call": messages.read_tool_call,
                    "tools/list": messages.read_list,
                    "initialize": messages.read_initialize,
                }.get(each.method, messages.read_meta)
                read(each)
                sent = CIMultiDict(
                    {"mcp-method": each.method, "mcp-protocol-version": "2026-07-28"}
                )
                modern.read_envelope(each, sent)
    except JsonRpcError as refusal:
        json.encode(refusal.answer())


# --- event streams ----------------------------------------------------------------------------


def event_stream(data: bytes) -> None:
    """Any chunking gives the events that the standard's own algorithm gives."""
    for cap in (40, 4096):
        expected = oracles.events(data, cap)
        for chunks in chunkings(data):
            assert _events(chunks, cap) == expected, (chunks, cap)


def _events(chunks: list[bytes], cap: int):
    reader, found = EventStreamReader(cap), []
    try:
        for chunk in chunks:
            found += reader.feed(chunk)
    except EventStreamError as error:
        return error.code
    return found


def chunkings(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and two cuts made from the data itself."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    rng = random.Random(data)
    for _ in range(2):
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
        yield [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# --- JWT --------------------------------------------------------------------------------------

NOW = 1_800_000_000
ISSUER, AUDIENCE = "https://publisher.example", "https://gw.example"
PROFILE = jose.Profile(
    types=frozenset({"statement+jwt"}),
    required=frozenset({"sub", "aud", "iat"}),
    lifetime_seconds_max=3_600,
)
CLAIMS = {"iss": ISSUER, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 600}


@functools.cache
def _key():
    return generate_signing_key("EdDSA")


def jwt(data: bytes) -> None:
    """A token as it came; the same bytes as claims, and as a header, correctly signed."""
    _verified(data.decode("latin-1"))
    key = _key()
    header = {"alg": "EdDSA", "typ": "statement+jwt", "kid": key.public.kid}
    _verified(_signed(json.encode(header), data))
    _verified(_signed(data.replace(b"KID", key.public.kid.encode()), json.encode(CLAIMS)))


def honest_token() -> bytes:
    """A token that is accepted."""
    header = {"alg": "EdDSA", "typ": "statement+jwt", "kid": _key().public.kid}
    return _signed(json.encode(header), json.encode(CLAIMS)).encode()


def _signed(header: bytes, claims: bytes) -> str:
    signed = f"{base64url.encode(header)}.{base64url.encode(claims)}"
    return f"{signed}.{base64url.encode(_key().material.sign(signed.encode()))}"


def _verified(token: str) -> None:
    with contextlib.suppress(jose.JoseError):
        jose.read_unverified_issuer(token)
    try:
        found = jose.verify(
            token, [_key().public], PROFILE,
            issuer=ISSUER, audiences=frozenset({AUDIENCE}), now_ms=NOW * 1000,
        )  # fmt: skip
    except jose.JoseError:
        return
    header, claims, signature = (base64url.decode(part) for part in token.split("."))
    assert ".".join(map(base64url.encode, (header, claims, signature))) == token
    try:
        _key().public.material.verify(signature, token.rpartition(".")[0].encode())
    except InvalidSignature:
        raise AssertionError("accepted without a signature") from None
    assert lax.loads(claims) == found
    assert lax.loads(header)["alg"] == "EdDSA"
    assert (found["iss"], found["aud"]) == (ISSUER, AUDIENCE)
    assert type(found["exp"]) is int
    assert NOW < found["exp"] <= NOW + 3_630


# --- policy bundles ---------------------------------------------------------------------------

BUNDLED = {"data/orgs.json": b"[1]", "shop.pbac": b"package shop on server shop\n"}


def bundle(data: bytes) -> None:
    """A file as it came; the same bytes as payload, and as a header, correctly signed."""
    key = _key()
    _bundled(data)
    header = {"alg": "EdDSA", "kid": key.public.kid, "typ": "pbac-bundle+jws"}
    _bundled(_signed(json.canonical(header), data).encode())
    _bundled(_signed(data.replace(b"KID", key.public.kid.encode()), bundle_payload()).encode())


def honest_bundle() -> bytes:
    """A bundle that is accepted."""
    return render_bundle(BUNDLED, name="shop", number=7, made_ms=NOW * 1000, key=_key())


def bundle_payload() -> bytes:
    """What is in it."""
    return base64url.decode(honest_bundle().decode().split(".")[1])


def _bundled(data: bytes) -> None:
    """What is accepted has one spelling: the one that the same content is written in."""
    try:
        found = parse_bundle(data, [_key().public])
    except BundleError as refusal:
        BUNDLE_CODES.index(refusal.code)
        return
    assert data == render_bundle(
        found.files, name=found.name, number=found.number, made_ms=found.made_ms, key=_key()
    )


# --- answers of upstreams ---------------------------------------------------------------------


def http_answer(data: bytes) -> None:
    """Any chunking is read alike, and h11 sees the same answer wherever it sees one."""
    results = [_answered(chunks) for chunks in chunkings(data)]
    assert all(result == results[0] for result in results), results
    status, whole, told = results[0]
    if whole:
        theirs = oracles.h11_answer(data)
        assert theirs is None or theirs == (status, told[1]), (theirs, results[0])


def _answered(chunks: list[bytes]):
    """Status, whether the answer is all there, and what it holds or why it does not."""
    loop = _loop()
    transport, keeper = oracles.Transport(), oracles.Keeper()
    connection = HttpConnection(loop, keeper)
    connection.connection_made(transport)
    exchange = Exchange(loop, 60)
    connection.start(exchange, b"GET / HTTP/1.1\r\n\r\n")
    for chunk in chunks:
        if not transport.closing:
            connection.data_received(chunk)
    if not transport.closing:
        connection.connection_lost(None)
    whole = exchange.complete
    told = (exchange.headers, b"".join(exchange._unread)) if whole else str(exchange.failure)
    exchange.release()
    return exchange.status, whole, told


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


# --- header values ----------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {
        "s": {"type": "string", "x-mcp-header": "S"},
        "n": {"type": "integer", "x-mcp-header": "N"},
        "b": {"type": "boolean", "x-mcp-header": "B"},
    },
}
PROXIES = networks(["10.0.0.0/8", "::1/128"])


def header_values(data: bytes) -> None:
    """What is written into a head stays on its line, and reads back; what is read never raises."""
    _written(data)
    text = data.decode("utf-8", "surrogateescape")  # as aiohttp hands on header bytes
    sent = CIMultiDict({"mcp-name": text, "mcp-param-s": text, "mcp-param-n": text})
    refused = _refusal(headers.single, sent, "mcp-name")
    assert refused == (
        None
        if text.strip(" \t").replace("\t", "").isprintable() and text.isascii()
        else "header_mismatch"
    )
    if refused is None:
        headers.decode_value(text.strip(" \t"))
    arguments = {"s": text, "n": 1}
    refused = _refusal(check_headers, parameter_headers(SCHEMA), arguments, sent, 1)
    assert refused in (None, "header_mismatch")
    lines = [tuple(line.partition(b":")[::2]) for line in data.split(b"\n")]
    once = [name for name, _ in lines if name.lower() in SENT_ONCE]
    doubled = len({name.lower() for name in once}) < len(once)
    assert doubled <= (ambiguous(lines) is not None)
    address = client_address("10.0.0.1", text, PROXIES)
    assert address == "" or client_address(address, None, ()) == address
    try:
        form = parse_form(data)
        assert all(form.values())
    except OAuthError:
        pass


def _refusal(read, *arguments) -> str | None:
    try:
        read(*arguments)
    except JsonRpcError as refusal:
        return refusal.code
    return None


def _written(data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    coded = headers.encode_value(text)
    assert headers.decode_value(coded) == text
    arguments = {"s": text, "n": len(text), "b": True}
    rendered = render_headers(parameter_headers(SCHEMA), arguments)
    lines = _lines(tuple(rendered.items()))
    assert lines.count(b"\r\n") == lines.count(b"\n") == lines.count(b"\r") == len(rendered)
    read = http.client.parse_headers(oracles.lines(lines + b"\r\n"))
    check_headers(parameter_headers(SCHEMA), arguments, CIMultiDict(read.items()), 1)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "bundle": bundle,
    "event_stream": event_stream,
    "header_values": header_values,
    "http_answer": http_answer,
    "json": strict_json,
    "jwt": jwt,
    "message": message,
    "policy": policy,
}
"""Target → what takes any bytes."""
