"""Which files of a policy folder there are: one rule for loading, watching, testing and formatting.

Whatever is hidden counts for nothing (`.git`, an editor's swap files, the folders behind a mounted
ConfigMap), nor do files named `*_bad.pbac`, which show mistakes. Links to folders are not followed:
they may lead round in circles. Links to files are listed; who reads them says whether they may lead
out of the folder.
"""

from __future__ import annotations

import stat
from itertools import islice
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
)


def listed(folder: Path, pattern: str, most: int, *, deep: bool = True) -> list[Path]:
    """What matches below a folder but folders, in order; of more than `most`, one more than that.

    What is no regular file is listed too: it is told by who reads it. Not `deep`: nothing but what
    the pattern names from the folder itself.

    Raises:
        OSError: when a folder vanishes meanwhile.
    """
    found = (
        path
        for path in (folder.rglob(pattern) if deep else folder.glob(pattern))
        if not any(map(is_hidden, path.relative_to(folder).parts))
        and (path.is_symlink() or not path.is_dir())
    )
    return sorted(islice(found, most + 1))


def irregular(path: Path) -> str | None:
    """What it is when it is there and no regular file, which reading might wait for forever.

    Raises:
        OSError: when nobody may look.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return None
    return next((told for is_kind, told in _KINDS if is_kind(mode)), "a device")


def is_policy(path: Path) -> bool:
    """By its name."""
    return path.suffix == ".pbac" and not path.stem.endswith("_bad") and not is_hidden(path.name)


def is_hidden(name: str) -> bool:
    """By the name of a file or folder."""
    return name.startswith(".")
