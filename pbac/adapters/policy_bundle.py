"""Policy bundles on disk. What becomes one is told by `policy_files`, what is in one by `pdp`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pbac.adapters.policy_listing import irregular
from pbac.base.limits import BUNDLE_BYTES_MAX
from pbac.crypto.keys import PublicKey
from pbac.pdp.bundle import Bundle, parse_bundle
from pbac.pdp.bundle_files import BundleError


def load_bundle(path: Path, keys: Iterable[PublicKey], *, name: str | None = None) -> Bundle:
    """The bundle in a file, verified. `name` as in `parse_bundle`.

    Raises:
        BundleError: with the name of the file; `bundle_file` when it cannot be read.
    """
    try:
        return parse_bundle(_read(path), keys, name=name)
    except OSError as error:
        message = f"`{path}` cannot be read: {_reason(error)}"
        raise BundleError(message, code="bundle_file") from None
    except BundleError as error:
        message = f"`{path}`: {error.message}"
        raise BundleError(message, code=error.code, help=error.help) from None


def write_bundle(path: Path, data: bytes) -> None:
    """Write a bundle in one step: who reads meanwhile sees the old file or the new one.

    Raises:
        BundleError: `bundle_file` when it cannot be written; what was there is then as it was.
    """
    target = Path(os.path.realpath(path))
    # Hidden, so that nobody who looks for bundles takes it for one.
    made = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    try:
        _replace(target, made, data)
    except OSError as error:
        message = f"`{path}` cannot be written: {_reason(error)}"
        raise BundleError(message, code="bundle_file") from None


def _replace(target: Path, made: Path, data: bytes) -> None:
    with made.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            made.replace(target)
        except BaseException:
            made.unlink(missing_ok=True)
            raise


def _read(path: Path) -> bytes:
    """At most one byte more than allowed: enough to tell."""
    if kind := irregular(path):
        raise BundleError(f"no regular file but {kind}", code="bundle_file")
    with path.open("rb") as file:
        return file.read(BUNDLE_BYTES_MAX + 1)


def _reason(error: OSError) -> str:
    return (error.strerror or "it failed").lower()
