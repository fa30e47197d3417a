"""Which files of a policy folder there are: one rule for loading, watching, testing and formatting.

Whatever is hidden counts for nothing (`.git`, an editor's swap files, the folders behind a mounted
ConfigMap), nor do files named `*_bad.pbac`, which show mistakes. Links to folders are not followed:
they may lead round in circles. Links to files are listed; who reads them says whether they may lead
out of the folder.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path


def listed(folder: Path, pattern: str, most: int) -> list[Path]:
    """Files and links below a folder that match, in order; of more than `most`, one more than that.

    Raises:
        OSError: when a folder vanishes meanwhile.
    """
    found = (
        path
        for path in folder.rglob(pattern)
        if not any(map(is_hidden, path.relative_to(folder).parts))
        and (path.is_file() or path.is_symlink())
    )
    return sorted(islice(found, most + 1))


def is_policy(path: Path) -> bool:
    """By its name."""
    return path.suffix == ".pbac" and not path.stem.endswith("_bad") and not is_hidden(path.name)


def is_hidden(name: str) -> bool:
    """By the name of a file or folder."""
    return name.startswith(".")
