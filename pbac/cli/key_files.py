"""Key files that options name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pbac.base.errors import PbacError

T = TypeVar("T")


def read_key_file(path: Path, parse: Callable[[bytes], T]) -> T:
    """What a reader of keys makes of a file.

    Raises:
        PbacError: with the name of the file, and what to give instead.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise PbacError(f"`{path}` cannot be read: {reason}") from None
    except PbacError as error:
        raise PbacError(f"`{path}`: {error.message}", help=error.help) from None
