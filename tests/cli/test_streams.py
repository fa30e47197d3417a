"""Where output goes: full disks, closed pipes, colours. Run as real processes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

POLICY = "package pay\npermit x\n  on tool y\n  when usr.id == 1\n"
FULL = Path("/dev/full")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pay").mkdir()
    (tmp_path / "pay" / "pay.pbac").write_text(POLICY)
    (tmp_path / "good.pbac").write_text(
        'package good\npermit x\n  on tool y\ntest "t"\n  call y => deny\n'
    )
    return tmp_path


def run(*arguments, unbuffered="", **options):
    command = [sys.executable, "-m", "pbac", *arguments]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    return subprocess.run(
        command, check=False, stderr=subprocess.PIPE, text=True, env=env, **options
    )


@pytest.mark.skipif(not FULL.exists(), reason="there is no full device here")
@pytest.mark.parametrize(
    "command",
    [
        ("check", "pay"),
        ("check", "pay", "--format", "json"),
        ("fmt", "--diff", "good.pbac"),
        ("test", "good.pbac", "--json"),
        ("eval", "good.pbac", "--tool", "y"),
        ("explain", "good.pbac", "--tool", "y"),
        ("completion", "bash"),
        ("--help",),
    ],
)
def test_a_full_disk_is_one_line(folder, command):
    unbuffered = "1" if command[0] == "check" else ""
    with FULL.open("w") as full:
        ran = run(*command, stdout=full, unbuffered=unbuffered)
    assert ran.returncode == 1
    assert ran.stderr == "error: output cannot be written: no space left on device\n"


@pytest.mark.parametrize("command", [("check", "pay"), ("test", "good.pbac"), ("--help",)])
def test_a_closed_pipe_is_silent(folder, command):
    reading, writing = os.pipe()
    os.close(reading)
    ran = run(*command, stdout=writing)
    os.close(writing)
    assert ran.stderr == ""


def on_terminal(*arguments, **environment):
    """What a command writes to a terminal."""
    outer, inner = pty.openpty()
    env = {**os.environ, "TERM": "xterm", **environment}
    command = [sys.executable, "-m", "pbac", *arguments]
    with subprocess.Popen(command, stdout=inner, stderr=inner, env=env) as process:
        os.close(inner)
        told = b""
        while True:
            try:
                part = os.read(outer, 65536)
            except OSError:  # nobody writes any more
                break
            if not part:
                break
            told += part
        process.wait()
    os.close(outer)
    return told.decode()


@pytest.mark.parametrize(
    "command",
    [
        ("check", "pay"),
        ("test", "good.pbac"),
        ("eval", "good.pbac", "--tool", "z"),
        ("explain", "good.pbac", "--tool", "z"),
        ("fmt", "--diff", "good.pbac"),
        ("eval", "good.pbac", "--tool", "y", "--tier", "nope"),
    ],
)
def test_one_place_decides_about_colour(folder, command, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" in on_terminal(*command)
    assert "\x1b" not in on_terminal(*command, NO_COLOR="1")
    assert "\x1b" not in on_terminal(*command, TERM="dumb")
    assert "\x1b" in on_terminal(*command, NO_COLOR="")
