"""The few system calls that the audit log trusts: one place to inject faults in."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

_FILE_MODE = 0o600


class Disk:
    """Append-only files. Every method raises `OSError` as the system call does."""

    def open_append(self, path: Path, *, new: bool) -> int:
        """A descriptor for reading and writing; `new`: the file must not exist yet."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_EXCL if new else 0)
        return os.open(path, flags, _FILE_MODE)

    def write(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write some of the bytes at the offset; how many."""
        return os.pwrite(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        """When it returns, the bytes and the length of the file are on the medium."""
        if sys.platform == "darwin":  # fsync(2) there stops at the drive's cache
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(descriptor)

    def sync_directory(self, descriptor: int) -> None:
        """When it returns, the names in the directory are on the medium."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(descriptor, size)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes from the offset."""
        return os.pread(descriptor, size, offset)

    def remove(self, path: Path) -> None:
        """Remove one file."""
        path.unlink()

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        os.close(descriptor)
