"""In what dress a request comes: media types, codings, credentials, before any body is read."""

from __future__ import annotations

from hostile.areas.speaking import counted, sound
from hostile.stage import NEWEST, VERSIONS

# --- media types --------------------------------------------------------------------------------

MEDIA = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    None,
    "",
]
MEDIA += [
    "application/json-patch+json",
    "application/json-seq",
    "application/jsonp",
    "text/json",
    "*/*",
]
MEDIA += [
    "application/ld+json",
    "application/json, text/plain",
    "text/plain, application/json",
    "json",
]
MEDIA += [
    "application/json; boundary=x",
    "application/json;",
    "application/json text/plain",
    "application/",
]
MEDIA += [
    "application/*",
    "application /json",
    "application/json\\",
    "application/json+",
    "application/xml",
]
CHARSETS = [
    "utf-7",
    "utf-16",
    "utf-16le",
    "utf-32",
    "cp037",
    "rot13",
    "nope",
    "latin-1",
    "us-ascii",
    "utf8",
]
CHARSETS += [
    "utf_8",
    "UTF-8-SIG",
    "",
    " ",
    '""',
    "utf-8,utf-7",
    "utf-8; charset=utf-7",
    "'utf-8'",
    "idna",
]
CHARSETS += [
    "utf-8 utf-7",
    "unicode_escape",
    "hex",
    "base64",
    "zlib",
    "utf-8;q=1",
    "*",
    "undefined",
    "mbcs",
]


def media_types(stage):
    """A simple cross-site form is no call, and nor is anything that is only like JSON."""
    for world in stage.worlds:
        for media in MEDIA:
            yield world.send(replace={"Content-Type": media})
    for media in ("application/json", "APPLICATION/JSON", "application/json ; charset=UTF-8"):
        answer = stage.plain.send(replace={"Content-Type": media})
        assert answer.status == 200, answer.body
        stage.honest_calls += 1


def charsets(stage):
    """The caller does not choose how its bytes are read."""
    body = sound().replace("shop__echo", "shop__close")
    for charset in CHARSETS:
        for separator in ("; charset=", ";CHARSET=", " ;charset = "):
            yield stage.plain.send(
                replace={"Content-Type": f"application/json{separator}{charset}"}
            )
    for charset in ("utf-7", "utf-16", "utf-32", "cp037", "utf-16-be"):
        media = {"Content-Type": f"application/json; charset={charset}", "Mcp-Name": "shop__close"}
        yield stage.plain.send(body.encode(charset), replace=media)
    yield stage.plain.send(
        replace={"Content-Type": "application/json; charset=utf-8; charset=utf-7"}
    )


CODINGS = [
    "foo",
    "gzip, gzip",
    "br",
    "deflate",
    "gzip",
    "x-gzip",
    "zstd",
    "compress",
    "identity, gzip",
]
CODINGS += [
    "gzip, identity",
    "identity;q=1",
    "*",
    "",
    "aes128gcm",
    "identity,",
    "chunked",
    "exi",
    "utf-8",
]


def encodings(stage):
    """A body is what it looks like: no coding is known, so none hides anything."""
    squeezed = (
        b"\x1f\x8b\x08\x00" + b"\x00" * 20,
        b"\x78\x9cgarbage",
        sound().encode() + b"\x00trailing",
    )
    for coding in CODINGS:
        yield stage.plain.send(replace={"Content-Encoding": coding})
        for body in squeezed:
            yield stage.plain.send(body, replace={"Content-Encoding": coding})
    twice = stage.plain.send(
        more=[("Content-Encoding", "identity"), ("Content-Encoding", "identity")]
    )
    assert (twice.status, twice.error) == (400, "duplicate_header")
    answer = stage.plain.send(replace={"Content-Encoding": "Identity"})
    assert answer.status == 200
    stage.honest_calls += 1


def accepts(stage):
    """Both forms of an answer have to be welcome, since either may come."""
    narrow = [
        None,
        "",
        "text/html",
        "application/json",
        "text/event-stream",
        "application/*",
        "text/*",
        "json",
    ]
    narrow += [
        "application/xml, text/event-stream",
        "application/json; text/event-strea",
        "image/*, text/html",
    ]
    for version in VERSIONS:
        dressed = stage.dress("tools/call", "shop__echo", version=version)
        for accept in narrow:
            yield stage.plain.send(sound(version).encode(), replace=dressed | {"Accept": accept})
    for accept in ("*/*", "text/event-stream;q=0.1, APPLICATION/JSON"):
        assert stage.plain.send(replace={"Accept": accept}).status == 200
        stage.honest_calls += 1
    # RFC 9110 5.3: a list over two lines is one list.
    two = {"Accept": "application/json"}
    assert stage.plain.send(replace=two, more=[("Accept", "text/event-stream")]).status == 200
    stage.honest_calls += 1


# --- credentials --------------------------------------------------------------------------------


def authorizations(stage):
    """RFC 6750 2.1, to the letter: one scheme, one blank, one token."""
    world, token = stage.plain, stage.plain.token
    odd = [
        f"Bearer\t{token}",
        f"Bearer  {token}",
        f"Bearer {token},{token}",
        f"Bearer {token} {token}",
    ]
    odd += [
        "Basic YTpi",
        "Bearer",
        "Bearer ",
        token,
        f"Token {token}",
        f"Bearer={token}",
        f'Bearer "{token}"',
    ]
    odd += [
        f"Bearer {token}é",
        "Bearer \xff\xfe",
        f"Beårer {token}",
        f"Bearer {token}\xa0",
        f"DPoP {token}",
    ]
    odd += [
        f"Bearer {token[:-1]}",
        f"Bearer {token}x",
        f"Bearer {token.swapcase()}",
        f"Bearer: {token}",
        "",
    ]
    odd += [
        f"Bearer {token}=",
        f"Bearer {token};",
        f"Bearer,{token}",
        f"BearerBearer {token}",
        "Negotiate x",
    ]
    odd += [
        "Bearer " + "a" * 7_000,
        f"Basic Bearer {token}",
        f"Bearer {token}, Basic YTpi",
        f"MAC {token}",
    ]
    for version in (NEWEST, "2025-11-25"):
        dressed = stage.dress("tools/call", "shop__echo", version=version)
        for value in odd:
            answer = world.send(sound(version).encode(), replace=dressed | {"Authorization": value})
            assert 'error="invalid_token"' in answer.headers["www-authenticate"], value
            yield answer
    for scheme in ("bearer", "BEARER", "bEaReR"):
        answer = world.send(replace={"Authorization": f"{scheme} {token}"})
        assert answer.status == 200, answer.body
        stage.honest_calls += 1
    twice = world.send(more=[("authorization", f"Bearer {token}")])
    assert (twice.status, twice.error) == (400, "duplicate_header")
    # Nowhere else is a token looked for.
    nowhere = {"Authorization": None, "Cookie": f"access_token={token}", "X-Access-Token": token}
    yield world.send(replace=nowhere)
    yield world.send(line=f"POST /mcp?access_token={token} HTTP/1.1", replace=nowhere)
    yield world.send(replace=nowhere | {"Proxy-Authorization": f"Bearer {token}"})
    forms = [("Authorization", "Bearer \xff\xfe"), ("Authorization", "Basic \xff")]
    for name, value in forms:
        form = {"Content-Type": "application/x-www-form-urlencoded", name: value}
        answer = world.send(
            b"grant_type=client_credentials", line="POST /token HTTP/1.1", replace=form
        )
        assert answer.status in (400, 401), answer.body


POISON = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
    "Forwarded": "host=evil.example;proto=https",
    "X-Original-URL": "/evil",
    "Referer": "https://evil.example/",
}


def challenges(stage):
    """The challenge leads to our own metadata, and that to ourselves, whatever the request says."""
    for world in stage.worlds:
        metadata = f"{world.gateway.origin}/.well-known/oauth-protected-resource/mcp"
        for version in VERSIONS:
            dressed = stage.dress("tools/call", "shop__echo", version=version, world=world)
            for poison in (*({name: value} for name, value in POISON.items()), POISON, {}):
                for authorization in (None, "Bearer x", f"Bearer {world.token}x"):
                    nobody = dressed | poison | {"Authorization": authorization}
                    answer = world.send(sound(version).encode(), replace=nobody)
                    told = answer.headers["www-authenticate"]
                    assert f'resource_metadata="{metadata}"' in told, told
                    assert "evil" not in told
                    assert ("error=" in told) == (authorization is not None)
                    yield answer
        line = "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1"
        document = world.send(b"", line=line, replace=POISON)
        assert document.json["resource"] == world.gateway.url
        assert b"evil" not in document.body
        for body in (b"", b"{", b"x" * 100_000):
            yield world.send(body, replace={"Authorization": None, "Content-Type": "text/plain"})
        rebound = world.send(replace={"Host": "evil.example", "Authorization": None})
        assert (rebound.status, "www-authenticate" in rebound.headers) == (403, False)


ATTACKS = {
    "MCP-25": counted(media_types),
    "MCP-26": counted(charsets),
    "MCP-27": counted(encodings),
    "MCP-28": counted(accepts),
    "MCP-30": counted(authorizations),
    "MCP-31": counted(challenges),
}
