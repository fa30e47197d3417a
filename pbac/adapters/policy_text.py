"""One policy file's text: read as it is, replaced in one step.

Beside `policy_directory`, which reads a whole set or nothing: a formatter works on files, and one
that cannot be read is no reason to leave the others.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pbac.adapters.policy_listing import irregular, is_policy, listed
from pbac.base.errors import PbacError
from pbac.base.limits import POLICY_FILE_BYTES_MAX, POLICY_FILES_MAX


class PolicyTextError(PbacError):
    """A file or folder that cannot be read or written."""

    code = "policy_text"


def policy_files(path: Path) -> list[Path]:
    """The policy files below a folder, as when a set is loaded; a file is itself.

    Raises:
        PolicyTextError: when nothing is there, or too much.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        if path.exists():
            return [path]  # no regular file, which is told when it is read
        what = "file" if path.suffix == ".pbac" else "file or folder"
        raise PolicyTextError(f"there is no {what} `{path}`")
    try:
        every = listed(path, "*.pbac", POLICY_FILES_MAX)
    except OSError as error:
        raise PolicyTextError(f"`{path}` cannot be listed: {_reason(error)}") from None
    if len(every) > POLICY_FILES_MAX:
        raise PolicyTextError(f"more than {POLICY_FILES_MAX} files in `{path}` match `*.pbac`")
    found = [file for file in every if is_policy(file)]
    if not found:
        raise PolicyTextError(f"there is no `.pbac` file in `{path}`")
    return found


def read_policy_text(path: Path) -> bytes:
    """The bytes of one file.

    Raises:
        PolicyTextError: when it cannot be read, or is too large to be a policy.
    """
    try:
        if kind := irregular(path):
            raise PolicyTextError(f"`{path}` is no regular file but {kind}")
        with path.open("rb") as file:
            data = file.read(POLICY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyTextError(f"`{path}` cannot be read: {_reason(error)}") from None
    if len(data) > POLICY_FILE_BYTES_MAX:
        raise PolicyTextError(f"`{path}` is larger than {POLICY_FILE_BYTES_MAX} bytes")
    return data


def replace_policy_text(path: Path, data: bytes) -> None:
    """Another content, in one step: nobody ever reads half of it. Mode and owner stay.

    A link stays one: the file it leads to is replaced.

    Raises:
        PolicyTextError: when it cannot be written; the file is then as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        _replace(target, data)
    except OSError as error:
        raise PolicyTextError(f"`{path}` cannot be written: {_reason(error)}") from None


def _replace(target: Path, data: bytes) -> None:
    # Hidden, so that a gateway that watches the folder never takes it for a policy.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _resemble(made, target.stat())
        made.replace(target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _resemble(made: Path, before: os.stat_result) -> None:
    found = made.stat()
    if (found.st_uid, found.st_gid) != (before.st_uid, before.st_gid):
        os.chown(made, before.st_uid, before.st_gid)
    made.chmod(before.st_mode & 0o7777)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown").lower()
