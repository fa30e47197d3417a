"""Requests in the wrong dress: nothing is forwarded, and the answer says what is wrong with them."""

from __future__ import annotations

import re

import pytest
from support.bad_input import call

HEADERS = {
    "text/plain": ({"Content-Type": "text/plain"}, 415),
    "no content type": ({"Content-Type": None}, 415),
    "charset utf-7": ({"Content-Type": "application/json; charset=utf-7"}, 415),
    "charset utf-16": ({"Content-Type": "application/json; charset=utf-16"}, 415),
    "two charsets": ({"Content-Type": "application/json; charset=utf-8; charset=utf-7"}, 415),
    "form": ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "json-seq": ({"Content-Type": "application/json-seq"}, 415),
    "accept html": ({"Accept": "text/html"}, 406),
    "accept nothing": ({"Accept": None}, 406),
    "accept half": ({"Accept": "application/json"}, 406),
    "gzip": ({"Content-Encoding": "gzip"}, 415),
    "brotli": ({"Content-Encoding": "br"}, 415),
    "gzip, identity": ({"Content-Encoding": "identity, gzip"}, 415),
    "upgrade": ({"Upgrade": "websocket", "Connection": "Upgrade"}, 400),
    "h2c": ({"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"}, 400),
    "odd expectation": ({"Expect": "magic"}, 417),
    "origin": ({"Origin": "https://evil.example"}, 403),
    "origin null": ({"Origin": "null"}, 403),
    "origin prefix": ({"Origin": "http://127.0.0.1.evil.example"}, 403),
    "host": ({"Host": "evil.example"}, 403),
    "host port": ({"Host": "127.0.0.1:1"}, 403),
    "host empty": ({"Host": ""}, 403),
    "host absent": ({"Host": None}, 400),
    "version unknown": ({"MCP-Protocol-Version": "2099-01-01"}, 400),
    "version not ascii": ({"MCP-Protocol-Version": "2026-07-28\xff"}, 400),
    "version of another era": ({"MCP-Protocol-Version": "2025-11-25"}, 400),
    "method missing": ({"Mcp-Method": None}, 400),
    "method other": ({"Mcp-Method": "tools/list"}, 400),
    "name missing": ({"Mcp-Name": None}, 400),
    "name other": ({"Mcp-Name": "shop__pay"}, 400),
    "name broken base64": ({"Mcp-Name": "=?base64?!!?="}, 400),
    "length signed": ({"Content-Length": "+5"}, 400),
    "length list": ({"Content-Length": "5, 5"}, 400),
    "length negative": ({"Content-Length": "-1"}, 400),
    "both lengths": ({"Transfer-Encoding": "chunked"}, 400),
    "coding unknown": ({"Content-Length": None, "Transfer-Encoding": "gzip"}, 400),
    "coding around chunks": ({"Content-Length": None, "Transfer-Encoding": "gzip, chunked"}, 400),
    "coding twice": ({"Content-Length": None, "Transfer-Encoding": "chunked, chunked"}, 400),
    "header too long": ({"X-Long": "a" * 20_000}, 400),
    "header name": ({"X Bad": "1"}, 400),
    "folded": ({"X-Folded": "a\r\n b"}, 400),
    "bare cr": ({"X-Bare": "a\rb"}, 400),
    "nul": ({"X-Nul": "a\0b"}, 400),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_request_in_the_wrong_dress_is_refused(world, name):
    replace, status = HEADERS[name]
    with world.nothing_forwarded():
        answer = world.send(replace=replace)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer x"),
        ("Mcp-Name", "shop__pay"),
        ("mcp-name", "shop__echo"),
        ("Host", "evil.example"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", "tools/list"),
        ("Content-Type", "text/plain"),
        ("Origin", "https://evil.example"),
    ],
)
def test_a_header_that_decides_anything_is_refused_when_sent_twice(world, header, value):
    more = [(header, value)] * (2 if header == "Origin" else 1)
    with world.nothing_forwarded():
        answer = world.send(more=more)
    assert answer.status == 400, answer.body


@pytest.mark.parametrize(
    "path",
    ["//mcp", "/%6Dcp", "/mcp/", "/mcp/.", "/./mcp", "/x/../mcp", "/MCP", "/mcp;x", "/mcp%00", "/"],
)
def test_another_spelling_of_the_path_is_not_found(world, path):
    with world.nothing_forwarded():
        answer = world.send(line=f"POST {path} HTTP/1.1")
    assert (answer.status, answer.error) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW"])
def test_another_method_is_not_allowed(world, method):
    answer = world.send(b"", line=f"{method} /mcp HTTP/1.1")
    assert answer.status in ((405,) if method != "BREW" else (400, 405)), answer.body
    if answer.status == 405:
        assert "POST" in answer.headers["allow"]


def test_a_modern_client_has_no_session_to_delete(world):
    assert world.send(b"", line="DELETE /mcp HTTP/1.1").status == 405


@pytest.mark.parametrize(
    "line",
    ["POST /mcp HTTP/1.0", "POST /mcp HTTP/0.9", "POST /mcp HTTP/2.0", "POST /mcp", "\x16\x03"],
)
def test_another_version_of_http_is_refused(world, line):
    with world.nothing_forwarded(), world.connect() as connection:
        connection.sendall(world.request(line=line, more=[("Connection", "close")]))
        with connection.makefile("rb") as answer:  # the server repeats the version it was told
            assert re.match(rb"HTTP/\d\.\d 400 ", answer.readline())


def test_an_absolute_address_of_another_host_is_refused(world):
    with world.nothing_forwarded():
        answer = world.send(line="POST http://evil.example/mcp HTTP/1.1")
    assert answer.status in (400, 403, 404)


def test_a_second_request_hidden_in_a_body_is_never_answered(world):
    hidden = world.request(call("echo", {"text": "smuggled"}))
    with world.connect() as connection:
        connection.sendall(world.request(hidden, replace={"Content-Length": str(len(hidden))}))
        assert world.read(connection).status == 400
    assert ("echo", {"text": "smuggled"}) not in world.upstream.calls()
