"""Whom the stage trusts beside its local publisher: publishers and resource servers of attacks.

`acme` has one key of each algorithm, so that every algorithm can be confused with every other.
`sibling` is trusted as much, for itself. `rs1` and `scanner` may introspect.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hostile.forge import jwk

ALGORITHMS = ("EdDSA", "ES256", "RS256")
ACME, SIBLING = "https://acme.example", "https://sibling.example"
SECRETS = {"HOSTILE_RS1": "resource-server-secret-1", "HOSTILE_SCANNER": "resource-server-secret-2"}
RESOURCE_SERVERS = {"rs1": SECRETS["HOSTILE_RS1"], "scanner": SECRETS["HOSTILE_SCANNER"]}

_GENERATE = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65_537, 2_048),
}


@cache
def key(owner: str, algorithm: str):
    """The one private key of this owner (`acme`, `agent`, `attacker`) for this algorithm."""
    return _GENERATE[algorithm]()


def kid(owner: str, algorithm: str) -> str:
    return f"{owner}-{algorithm}"


def jwks(owner: str) -> dict:
    """All public keys of an owner."""
    each = [jwk(key(owner, name), kid=kid(owner, name), alg=name) for name in ALGORITHMS]
    return {"keys": each}


def trusting(text: str, folder: Path) -> str:
    """A configuration that trusts them, their keys written to `folder`."""
    tables = []
    for name, issuer in (("acme", ACME), ("sibling", SIBLING)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(jwks(name)))
        tables.append(
            f'[[publishers]]\nname = "{name}"\nissuer = "{issuer}"\nkey = "{path}"\n'
            'tier_ceiling = "developer"\nscopes = ["shop:**"]\n'
        )
    tables += [
        f'[[introspectors]]\nid = "{server}"\nsecret = "env:{name}"\n'
        for server, name in zip(RESOURCE_SERVERS, SECRETS, strict=True)
    ]
    return text.replace("[[publishers]]", "\n".join([*tables, "[[publishers]]"]), 1)
