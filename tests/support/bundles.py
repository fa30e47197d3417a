"""Policy bundles as they are, and as an attacker who can sign, or cannot, would make them."""

from __future__ import annotations

import pytest

from pbac.base import json
from pbac.crypto import base64url
from pbac.crypto.keys import generate_signing_key, thumbprint
from pbac.pdp.bundle import TYPE, parse_bundle, render_bundle
from pbac.pdp.bundle_files import BUNDLE_CODES, BundleError

KEY = generate_signing_key()
OTHER = generate_signing_key()
EC_KEY = generate_signing_key("ES256")
MADE_MS = 1_800_000_000_000
FILES = {
    "shop.pbac": b"package shop on server shop\n",
    "teams/data/orgs.json": b'{"a": [1]}',
    "tools/shop.json": b"{}",
}


def rendered(files=FILES, *, name="acme", number=7, made_ms=MADE_MS, key=KEY):
    return render_bundle(files, name=name, number=number, made_ms=made_ms, key=key)


def tree(**changes):
    """The members of a payload; `...` leaves one out."""
    texts = {path: data.decode() for path, data in FILES.items()}
    base = {"files": texts, "made_ms": MADE_MS, "name": "acme", "number": 7}
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def signed(payload, key=KEY, **header):
    """Any payload under any header, with a signature that holds."""
    if not isinstance(payload, bytes):
        payload = json.canonical(payload)
    head = {"alg": "EdDSA", "kid": thumbprint(key.public), "typ": TYPE, **header}
    return sealed(json.canonical({n: v for n, v in head.items() if v is not ...}), payload, key)


def sealed(header: bytes, payload: bytes, key=KEY) -> bytes:
    text = f"{base64url.encode(header)}.{base64url.encode(payload)}".encode()
    return text + b"." + base64url.encode(key.material.sign(text)).encode()


def refused(data, code, keys=(KEY.public,), **how):
    with pytest.raises(BundleError) as caught:
        parse_bundle(data, keys, **how)
    assert caught.value.code == code, caught.value.message
    assert code in BUNDLE_CODES
    assert caught.value.message
    assert caught.value.help
    return caught.value


def parts(data: bytes) -> list[bytes]:
    return data.split(b".")
