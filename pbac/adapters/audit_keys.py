"""The keys of the audit log, in a directory that is not the log's.

keys/audit.key             Ed25519 private key, PEM, mode 0600: signs checkpoints
keys/audit.pub             verifier key of C2SP signed-note, for anyone who verifies
keys/audit_arguments.key   32 random bytes in hex, mode 0600: keys the argument digests
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pbac.audit.checkpoint import CheckpointError, NoteKey, Signer, Verifier, parse_key, render_key
from pbac.base.errors import PbacError
from pbac.crypto.keys import (
    KeyFormatError,
    generate_signing_key,
    parse_private_pem,
    render_private_pem,
)

_SECRET_BYTES: Final = 32
_DIRECTORY_MODE: Final = 0o700
_SECRET_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644


class AuditKeyError(PbacError):
    """The keys of the log are not usable, so it can neither be continued nor verified."""

    code = "audit_key_error"


class AuditKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What one log is written and verified with; `arguments_key` is for `redact`."""

    signer: Signer
    verifier: Verifier
    arguments_key: bytes


def open_audit_keys(directory: Path, origin: str) -> AuditKeys:
    """The keys in the directory, made on first use.

    `origin` names a new log (C2SP: a schema-less URL); an existing one keeps the name it has, as
    its checkpoints say it.

    Raises:
        AuditKeyError: when one half is missing or they do not fit. A key is never replaced.
    """
    directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    private, public = directory / "audit.key", directory / "audit.pub"
    if not private.exists() and not public.exists():
        _write(private, render_private_pem(generate_signing_key("EdDSA")), _SECRET_MODE)
    material = _load_private(private)
    key = NoteKey(name=origin, public=material.public_key().public_bytes_raw())
    if not public.exists():
        _write(public, f"{render_key(key)}\n".encode(), _PUBLIC_MODE)
    verifier = load_verifier(public)
    if verifier.key.public != key.public:
        raise AuditKeyError(f"`{public}` is not the public half of `{private}`")
    arguments = directory / "audit_arguments.key"
    if not arguments.exists():
        _write(arguments, secrets.token_hex(_SECRET_BYTES).encode(), _SECRET_MODE)
    return AuditKeys(
        signer=Signer(key=verifier.key, sign=material.sign),
        verifier=verifier,
        arguments_key=_load_secret(arguments),
    )


def load_verifier(path: Path) -> Verifier:
    """The public key that `pbac audit verify` uses.

    Raises:
        AuditKeyError: when there is none or it is damaged.
    """
    try:
        key = parse_key(path.read_text("ascii"))
        material = Ed25519PublicKey.from_public_bytes(key.public)
    except FileNotFoundError:
        raise AuditKeyError(
            f"there is no public key `{path}`", help="name the log's public key with --key"
        ) from None
    except OSError as error:
        raise AuditKeyError(f"`{path}` cannot be read: {(error.strerror or '').lower()}") from None
    except (ValueError, CheckpointError):  # not ASCII, not of this form, not on the curve
        raise AuditKeyError(
            f"`{path}` is no verifier key",
            help="name the log's `audit.pub`, one line such as `gateway.example/audit+1a2b3c4d+A…`",
        ) from None
    return Verifier(key=key, verify=_verifying(material))


def _verifying(material: Ed25519PublicKey) -> Callable[[bytes, bytes], bool]:
    def verify(message: bytes, signature: bytes) -> bool:
        try:
            material.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _load_private(path: Path) -> Ed25519PrivateKey:
    try:
        material = parse_private_pem(path.read_bytes()).material
    except (OSError, KeyFormatError) as error:
        raise AuditKeyError(
            f"the log's key `{path}` cannot be read: {error}",
            help="restore it from a copy; without it the log cannot be continued",
        ) from None
    if not isinstance(material, Ed25519PrivateKey):
        raise AuditKeyError(f"`{path}` is not an Ed25519 key")
    return material


def _load_secret(path: Path) -> bytes:
    try:
        secret = bytes.fromhex(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise AuditKeyError(f"`{path}` cannot be read: {error}") from None
    if len(secret) != _SECRET_BYTES:
        raise AuditKeyError(f"`{path}` does not hold {_SECRET_BYTES} bytes")
    return secret


def _write(path: Path, data: bytes, mode: int) -> None:
    """A new file, whole or not there."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
