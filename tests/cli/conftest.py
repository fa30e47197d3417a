"""What every test of a command shares: the command, run in this process."""

from __future__ import annotations

import io
import sys

import pytest
from support.ran import Ran

from pbac.cli import main


@pytest.fixture
def pbac(monkeypatch, capsys):
    """`pbac("check", path)` as it would be typed; `stdin` is what it reads, where it reads."""

    def run(*arguments, stdin=None):
        monkeypatch.setattr(sys, "argv", ["pbac", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return Ran(int(ended.value.code or 0), told.out, told.err)

    return run
