"""Where a gateway's policies come from: a folder, a file, or a signed bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pbac.adapters.policy_files import Files, read_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The files, and the bundle they came in (`name number`), if any."""

    files: Files
    bundle: str = ""


def read_source(
    path: Path, keys: Sequence[str] = (), accepted: Mapping[str, tuple[int, str]] | None = None
) -> Found:
    """The files of a policy set.

    Args:
        path: a folder, one policy file, or a bundle.
        keys: files of the public keys that sign bundles.
        accepted: highest number and digest of each bundle that was in force.

    Raises:
        PolicyError, BundleError: when they cannot be read, or must not be used.
    """
    return Found(files=read_files(path))
