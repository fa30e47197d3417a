"""Other people's servers, run on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager


@contextmanager
def listening(command, **environment):
    """A server on a free port, which it is told by a `{port}` of its command or environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [word.format(port=port) for word in command],
        env={**os.environ, **{name: each.format(port=port) for name, each in environment.items()}},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(10)
