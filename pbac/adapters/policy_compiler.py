"""Compiling in a child process: whatever policies take, the process that serves does not feel it.

Parent and child talk over the child's standard input and output, one message each way at a time: a
length of four bytes, then MessagePack. The child keeps what it compiled last, so that a change
compiles its package only. It ends when its input does. It may use so much memory and time and no
more; one that ends early, or answers nonsense, is a refused publication and is started again for
the next one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from pbac.adapters.policy_build import Builder, Built, defect, unreadable
from pbac.adapters.policy_cache import PolicyCache, open_policy_cache
from pbac.adapters.policy_contents import content_of
from pbac.adapters.policy_source import Found, PolicySource, read_source
from pbac.adapters.policy_store import PolicyStore, PolicyStoreError, open_policy_store
from pbac.base.collector import collect_seldom
from pbac.base.diagnostics import PolicyError
from pbac.base.errors import PbacError
from pbac.base.limits import POLICY_COMPILE_SECONDS_MAX, POLICY_COMPILER_BYTES_MAX

NICENESS: Final = 5
"""How much the child stands back behind those who serve."""

_SMALLER: Final = "split the policies, or look for what they have that is very large"
_LENGTH: Final = struct.Struct(">I")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is asked: to build what is at a path, or a version that is kept.

    Attributes:
        source: of the policies; None for `version`.
        sealed: as `Builder.build` has it.
        known: the content that the source had before: what that permits is not asked about again.
            None asks about nothing (`Builder.build`, guarded).
    """

    source: PolicySource | None = None
    version: str = ""
    sealed: tuple[str, ...] = ()
    known: str | None = None

    def __str__(self) -> str:
        return self.source.path if self.source else self.version


class PolicyCompiler:
    """The parent's end. One order at a time; others wait."""

    def __init__(self, state_directory: Path) -> None:
        self._state_directory = state_directory
        self._turn = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None

    async def build(self, order: Order) -> Built:
        """What came of an order. Never raises for anything the child does."""
        async with self._turn:
            try:
                async with asyncio.timeout(POLICY_COMPILE_SECONDS_MAX):
                    try:
                        return await self._ask(order)
                    except (OSError, EOFError):  # it was ended, or ended between two orders
                        await self._end()
                        return await self._ask(order)
            except TimeoutError:
                await self._end()
                told = f"compiling took longer than {POLICY_COMPILE_SECONDS_MAX:.0f} s"
            except asyncio.CancelledError:  # its answer would be taken for that of the next order
                await self._end()
                raise
            except (OSError, EOFError, msgspec.DecodeError) as fault:
                await self._end()
                told = f"the compiler's process ended early ({type(fault).__name__})"
            line = f"{order}: {told} (compiler-ended)"
            return Built(problems=(line,), text=f"error: {line}\n  help: {_SMALLER}\n")

    def process(self) -> int | None:
        """The child's process, once there is one."""
        return self._child.pid if self._child else None

    async def close(self) -> None:
        """End the child."""
        await self._end()

    async def _ask(self, order: Order) -> Built:
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # no module is to come from where the gateway happens to be started
                "-m",
                "pbac.adapters.policy_compiler",
                str(self._state_directory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # what interrupts the gateway ends the child by its input
            )
        assert child.stdin is not None
        assert child.stdout is not None
        data = msgspec.msgpack.encode(order)
        child.stdin.write(_LENGTH.pack(len(data)) + data)
        await child.stdin.drain()
        (size,) = _LENGTH.unpack(await child.stdout.readexactly(_LENGTH.size))
        return msgspec.msgpack.decode(await child.stdout.readexactly(size), type=Built)

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


# --- the child ---------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> None:
    """Answer orders until the input ends."""
    # Whatever prints, prints elsewhere: the output is for answers alone.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: whoever orders, ends this
    collect_seldom()
    _stand_back()
    directory = Path(arguments[0])
    store = open_policy_store(directory)
    cache = open_policy_cache(directory)
    builder = Builder(store, cache)
    while (data := _receive(sys.stdin.buffer)) is not None:
        order = msgspec.msgpack.decode(data, type=Order)
        try:
            built = _build(order, builder, store, cache)
        except Exception as fault:  # noqa: BLE001 - told as a publication that failed
            built = defect(str(order), fault)
        answer = msgspec.msgpack.encode(built)
        try:
            answers.write(_LENGTH.pack(len(answer)) + answer)
            answers.flush()
        except BrokenPipeError:  # whoever asked is gone
            os._exit(0)


def _build(order: Order, builder: Builder, store: PolicyStore, cache: PolicyCache) -> Built:
    try:
        if order.source is None:
            cache.doubt()
            found = Found(files=store.files(order.version))
        else:
            found = read_source(order.source, store.accepted_bundles())
        guarded = order.known is not None and order.known != content_of(found.files)
        return builder.build(
            found.files, sealed=order.sealed, guarded=guarded, bundled=found.bundled
        )
    except MemoryError:
        line = f"{order}: more memory than {POLICY_COMPILER_BYTES_MAX:,} bytes (compiler-memory)"
        return Built(problems=(line,), text=f"error: {line}\n  help: {_SMALLER}\n")
    except (PolicyStoreError, OSError) as fault:
        return Built(problems=(f"{order}: {fault}",), again=True)
    except PolicyError as error:
        return unreadable(error)
    except PbacError as error:
        line = f"{order}: {error.message} ({error.code})"
        return Built(problems=(line,), text=f"error: {error}\n")


def _receive(stream: BinaryIO) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    return stream.read(size)


def _stand_back() -> None:
    """Be slower than those who serve, and have a bound."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 (not on Windows)

    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > POLICY_COMPILER_BYTES_MAX:
        resource.setrlimit(resource.RLIMIT_AS, (POLICY_COMPILER_BYTES_MAX, hard))


if __name__ == "__main__":
    main(sys.argv[1:])
