"""Keys of one gateway, made on first start and kept in its state directory."""

from __future__ import annotations

import os
from pathlib import Path

from pbac.app.private_files import read_or_create
from pbac.crypto.keys import (
    SigningKey,
    generate_signing_key,
    parse_private_pem,
    render_private_pem,
)


def audit_signing_key(state_directory: Path) -> SigningKey:
    """The key that signs checkpoints of the record."""
    pem = render_private_pem(generate_signing_key())
    return parse_private_pem(read_or_create(state_directory / "keys" / "audit.key", pem))


def arguments_key(state_directory: Path) -> bytes:
    """The key of argument digests: without it nobody can guess arguments from the record."""
    return read_or_create(state_directory / "keys" / "arguments.key", os.urandom(32))
