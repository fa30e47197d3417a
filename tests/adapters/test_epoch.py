"""The shared number that empties caches: seen by every process, never left as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from pbac.adapters.epoch import Epoch


def test_a_change_is_seen_through_another_mapping(tmp_path):
    writer, reader = Epoch(tmp_path / "e"), Epoch(tmp_path / "e")
    seen = {reader.current()}
    for _ in range(100):
        writer.advance()
        assert reader.current() == writer.current()
        seen.add(reader.current())
    assert len(seen) == 101
    writer.close()
    reader.close()


def test_a_change_is_seen_from_another_process_at_once(tmp_path):
    epoch = Epoch(tmp_path / "e")
    before = epoch.current()
    code = "import sys, pathlib; from pbac.adapters.epoch import Epoch\n"
    code += "Epoch(pathlib.Path(sys.argv[1])).advance()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "e")], check=True)
    assert epoch.current() != before
    epoch.close()


def test_the_file_is_private(tmp_path):
    Epoch(tmp_path / "e").close()
    assert (tmp_path / "e").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_told_when_it_is_made(tmp_path, monkeypatch):
    """Only lengthened, its page would be missing when it is stored into, which kills a process."""

    def no_room(*_):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "write", no_room)
    with pytest.raises(OSError, match="no room"):
        Epoch(tmp_path / "e")
