"""A child process that speaks in lines: started from configuration, ended for certain.

No shell is involved, and the environment is exactly what the operator declared: not even `PATH`
is inherited, so a command is best given as an absolute path (without a declared `PATH` a bare
name is looked for in the system's default directories only). The child leads a process group of
its own, so that what it started ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, TypeAlias

from pbac.adapters import upstream_session as wire
from pbac.base.limits import STDIO_LINE_BYTES_MAX, STDIO_STOP_SECONDS_MAX
from pbac.catalog.backends import StdioTransport

OnStderr: TypeAlias = Callable[[str], None]
"""Takes one line a child wrote to its standard error, shortened; must not block."""

_CHUNK_BYTES: Final = 64 * 1024
_STDERR_CHARACTERS_MAX: Final = 2_000
_STDERR_LINES_PER_SECOND_MAX: Final = 50


class LineBuffer:
    """Bytes in, whole lines out, each found by looking at every byte once."""

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their ends.

        Raises:
            ValueError: when a line grows beyond the bound.
        """
        searched = len(self._buffer)
        self._buffer += chunk
        lines = []
        start = 0
        while (end := self._buffer.find(b"\n", max(start, searched))) >= 0:
            lines.append(bytes(self._buffer[start:end]).rstrip(b"\r"))
            start = end + 1
        del self._buffer[:start]
        if len(self._buffer) > self._line_bytes_max or any(
            len(line) > self._line_bytes_max for line in lines
        ):
            raise ValueError("a line is too long")
        return lines


def _start_help(transport: StdioTransport) -> str:
    """What to look at, told to who configured it."""
    if transport.cwd is not None and not Path(transport.cwd).is_dir():
        return f"`cwd` says `{transport.cwd}`, which is no folder"
    if "/" not in transport.command and "PATH" not in transport.env:
        return (
            f"write the whole path of `{transport.command}`, as `command -v` tells it, or set "
            "`PATH` in `env`: nothing is inherited"
        )
    return f"see whether `{transport.command}` is there and may be executed"


class StdioProcess:
    """One running child."""

    def __init__(self, process: asyncio.subprocess.Process, on_stderr: OnStderr) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._stderr_task = asyncio.create_task(_drain(process.stderr, on_stderr))

    @classmethod
    async def spawn(cls, transport: StdioTransport, on_stderr: OnStderr) -> StdioProcess:
        """Start the configured command.

        Raises:
            UpstreamError: when it cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                transport.command,
                *transport.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(transport.env),
                cwd=transport.cwd,
                start_new_session=True,
            )
        except OSError as error:
            reason = (error.strerror or "unknown").lower()
            raise wire.unreachable(
                f"the command of the upstream cannot be started: {reason}",
                help=_start_help(transport),
            ) from error
        return cls(process, on_stderr)

    async def write(self, line: bytes) -> None:
        """Send one line; waits while the child does not read.

        Raises:
            UpstreamError: when the child has closed its end. It may have read the line.
        """
        self.put(line)
        try:
            await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise wire.unreachable("the upstream process has ended", executed=None) from error

    def put(self, line: bytes) -> None:
        """Send one line, or lose it: does not wait and does not complain."""
        if not self._stdin.is_closing():
            self._stdin.write(line + b"\n")

    async def lines(self) -> AsyncIterator[bytes]:
        """Every line of standard output until the child closes it.

        Raises:
            UpstreamError: at a line beyond `STDIO_LINE_BYTES_MAX`; nothing after it is readable.
        """
        buffer = LineBuffer(STDIO_LINE_BYTES_MAX)
        while chunk := await self._stdout.read(_CHUNK_BYTES):
            try:
                lines = buffer.feed(chunk)
            except ValueError:
                raise wire.too_large(
                    f"it wrote a line longer than {STDIO_LINE_BYTES_MAX} bytes", executed=None
                ) from None
            for line in lines:
                yield line

    async def stop(self) -> int:
        """End the child and return its exit status.

        2025-11-25 lifecycle, shutdown over stdio: close its input, wait, SIGTERM, wait, SIGKILL.
        """
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            if not await self._ended():
                self._signal(force=False)
                if not await self._ended():
                    self._signal(force=True)
            status = await self._process.wait()
        except asyncio.CancelledError:
            self._signal(force=True)
            raise
        self._stderr_task.cancel()
        await asyncio.wait([self._stderr_task])
        # What the child left unread in its pipes keeps them open: there is no public way to
        # close them, and left alone they complain when the loop is closed.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
        await asyncio.sleep(0)
        return status

    async def _ended(self) -> bool:
        """Whether the child ends within its grace."""
        try:
            async with asyncio.timeout(STDIO_STOP_SECONDS_MAX):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    def _signal(self, *, force: bool) -> None:
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill() if force else self._process.terminate()
            else:
                os.killpg(self._process.pid, signal.SIGKILL if force else signal.SIGTERM)


async def _drain(stderr: asyncio.StreamReader, on_stderr: OnStderr) -> None:
    """Pass standard error on, at a bounded rate, so that a noisy child fills no disk."""
    buffer = LineBuffer(STDIO_LINE_BYTES_MAX)
    loop = asyncio.get_running_loop()
    second, passed = 0, 0
    while chunk := await stderr.read(_CHUNK_BYTES):
        try:
            lines = buffer.feed(chunk)
        except ValueError:
            buffer, lines = LineBuffer(STDIO_LINE_BYTES_MAX), [b"(a line too long to show)"]
        for line in lines:
            if int(loop.time()) != second:
                second, passed = int(loop.time()), 0
            passed += 1
            if passed <= _STDERR_LINES_PER_SECOND_MAX:
                on_stderr(line.decode("utf-8", "replace")[:_STDERR_CHARACTERS_MAX])
