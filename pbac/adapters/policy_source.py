"""Where a gateway's policies come from: a folder, a file, or a signed bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from pbac.adapters.policy_bundle import load_bundle
from pbac.adapters.policy_files import Files, read_files
from pbac.base.errors import PbacError
from pbac.crypto.keys import KeyFormatError, PublicKey, parse_public_keys
from pbac.pdp.bundle import SUFFIX, require_newer


class Bundled(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that files came in; see `pdp.bundle.Bundle`."""

    name: str
    number: int
    digest: str


class PolicySource(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about the policies.

    Attributes:
        path: a folder, one policy file, or a bundle.
        keys: files of the public keys that sign bundles.
        bundle: the name a bundle must have.
    """

    path: str
    keys: tuple[str, ...] = ()
    bundle: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The files, and the bundle they came in, if any."""

    files: Files
    bundled: Bundled | None = None


_NO_NAME: Final = "write its name as `policy_bundle`: numbers count for each name by itself"
_NO_KEYS: Final = "name the public keys of who may sign it in `policy_keys`"


def read_source(source: PolicySource, accepted: Mapping[str, tuple[int, str]]) -> Found:
    """The files of a policy set.

    `accepted`: number and digest of the last bundle of each name that came into force.

    Raises:
        PolicyError, BundleError: when they cannot be read, or must not be used.
    """
    path = Path(source.path)
    if path.suffix != SUFFIX:
        return Found(files=read_files(path))
    if not source.bundle:
        raise PbacError(f"`{path}` is a bundle, and it is not said which", help=_NO_NAME)
    keys = [key for name in source.keys for key in _keys(Path(name))]
    if not keys:
        raise PbacError(f"`{path}` is a bundle, and no key is trusted to sign one", help=_NO_KEYS)
    bundle = load_bundle(path, keys, name=source.bundle)
    require_newer(bundle, accepted)
    return Found(
        files=dict(bundle.files),
        bundled=Bundled(name=bundle.name, number=bundle.number, digest=bundle.digest),
    )


def _keys(path: Path) -> tuple[PublicKey, ...]:
    try:
        return parse_public_keys(path.read_bytes())
    except (OSError, KeyFormatError) as error:
        raise PbacError(f"`{path}` is no public key: {error}") from None
