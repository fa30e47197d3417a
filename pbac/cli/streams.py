"""Where commands write: whether in colour, and what becomes of output that nobody can take."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Final

_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Why a write fails, with no file that could be named: disk full, quota, too large."""


def colour() -> bool | None:
    """What click asks for: False for no colour at all, None for colour on terminals.

    None unless `NO_COLOR` is set and not empty (https://no-color.org), or the terminal is `dumb`.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if plain else None


def in_colour() -> bool:
    """Does somebody look at standard output who wants colours?"""
    return colour() is None and sys.stdout.isatty()


def output_failed(error: OSError) -> bool:
    """Is this output that nobody can take? What was not written is then given up."""
    if error.filename is not None or error.errno not in _UNWRITABLE:
        return False
    try:
        sys.stdout.flush()
    except OSError:
        # Python writes again at its end what is still to be written, and would complain.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True
