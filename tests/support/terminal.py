"""One shell in which a page's commands are typed, one after the other, as its reader would.

`pbac` and `python` are those of the running tests, and so is `.venv/bin/python` in the folder. The
port that pages serve on, 8080, is another one in here, in commands, files and what is shown.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PORT_ON_PAGES = "8080"
SHIM = '#!/bin/sh\nexec "{python}" {module} "$@"\n'
DONE = "<done {}>"


class Terminal:
    """A running `bash` in a folder. `typed` gives the exit code and everything shown meanwhile."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], port: str) -> None:
        self.folder, self._process, self._port = folder, process, port

    def adapted(self, text: str) -> str:
        """Text of a page as it is in here."""
        return text.replace(PORT_ON_PAGES, self._port)

    def typed(self, line: str) -> tuple[int, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        after = f"\nprintf '\\n{DONE.format('%s')}\\n' $?\n"
        self._process.stdin.write(self.adapted(line) + after)
        self._process.stdin.flush()
        shown = []
        for told in self._process.stdout:
            code = re.fullmatch(DONE.format(r"(\d+)"), told.rstrip("\n"))
            if code:
                return int(code[1]), "".join(shown)
            shown.append(told)
        raise AssertionError(f"the shell ended at `{line}`: {''.join(shown)}")


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """A shell in the folder; whatever it started ends with it."""
    scripts = folder / ".venv/bin"
    scripts.mkdir(parents=True)
    for name, module in (("pbac", "-m pbac"), ("python", ""), ("python3", "")):
        (scripts / name).write_text(SHIM.format(python=sys.executable, module=module))
        (scripts / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
    }
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Terminal(folder, process, str(_free_port()))
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def shows(output: str, wanted: str) -> bool:
    """Whether a line of the output has this in it; `…` stands for anything."""
    pattern = ".*".join(map(re.escape, wanted.split("…")))
    return any(re.search(pattern, line) for line in output.splitlines())
