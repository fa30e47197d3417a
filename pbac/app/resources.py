"""Files that ship with the package: found in a wheel and in a checkout alike."""

from __future__ import annotations

from pathlib import Path

import pbac


def shipped(name: str) -> Path:
    """The path of a shipped folder or file such as `policies/starter`.

    In a wheel it lies within the package, in a checkout beside it.
    """
    package = Path(pbac.__file__).parent
    within = package / name
    return within if within.exists() else package.parent / name
