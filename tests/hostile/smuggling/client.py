"""Sends mutated requests over real sockets and brings back every answer.

Framed requests go one after another over connections that are kept. A raw one has a connection of
its own and a sound `GET /healthz` behind it: whatever the gateway took for the end of the first
request, it answers what followed, or closes; if it waits for more, the connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from hostile.smuggling.mutations import Mutation

IDLE_SECONDS = 2.0
ANSWER_SECONDS = 20.0
_LENGTH = re.compile(rb"^content-length: *(\d+)\r", re.IGNORECASE | re.MULTILINE)
_DECISION = re.compile(rb"^pbac-decision: *(\S+)\r", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    decision: str | None
    body: bytes


@dataclass(slots=True)
class Sent:
    """One mutation and all that came back; `ended` is False when the connection was cut."""

    mutation: Mutation
    answers: list[Answer] = field(default_factory=list)
    ended: bool = True


async def send_all(port: int, mutations: Iterable[Mutation], connections: int) -> list[Sent]:
    """Every mutation, over so many connections at once."""
    queue, sent = iter(mutations), []
    host = f"127.0.0.1:{port}".encode()
    lines = [_Line(port, host) for _ in range(connections)]

    async def work(line: _Line) -> None:
        for mutation in queue:
            one = Sent(mutation)
            sent.append(one)
            await (line.framed(one) if mutation.framed else line.raw(one))
        line.close()

    await asyncio.gather(*map(work, lines))
    return sent


class _Line:
    """One connection that is kept, and others that are not."""

    def __init__(self, port: int, host: bytes) -> None:
        self._port = port
        self._probe = b"GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host
        self._kept: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        if self._kept is not None:
            self._kept[1].transport.abort()
            self._kept = None

    async def framed(self, sent: Sent) -> None:
        kept = self._kept is not None
        if not await self._asked(sent) and kept:  # it may have been closed while it was idle
            await self._asked(sent)
        sent.ended = bool(sent.answers)

    async def _asked(self, sent: Sent) -> bool:
        """False when the connection ended before one byte of an answer."""
        if self._kept is None:
            self._kept = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._kept
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(sent.mutation.data)
                head = await reader.readuntil(b"\r\n\r\n")
                found = _LENGTH.search(head)
                body = await reader.readexactly(int(found[1])) if found else b""
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            self.close()
            return isinstance(error, TimeoutError) or bool(getattr(error, "partial", b""))
        sent.answers.append(_answer(head, body))
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return True

    async def raw(self, sent: Sent) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        received = b""
        with contextlib.suppress(ConnectionError):
            writer.write(sent.mutation.data + self._probe)
            try:
                while True:
                    async with asyncio.timeout(IDLE_SECONDS):
                        piece = await reader.read(65536)
                    if not piece:
                        break
                    received += piece
            except TimeoutError:
                sent.ended = False
        writer.transport.abort()
        sent.answers = list(_answers(received))


def _answers(received: bytes) -> Iterable[Answer]:
    while received:
        head, gap, rest = received.partition(b"\r\n\r\n")
        if not gap:
            return
        found = _LENGTH.search(head + b"\r\n")
        length = int(found[1]) if found else 0
        if length and not rest.startswith(b"HTTP/1.1 "):  # the answer to a HEAD has no body
            body, rest = rest[:length], rest[length:]
        else:
            body = b""
        yield _answer(head + gap, body)
        received = rest


def _answer(head: bytes, body: bytes) -> Answer:
    decision = _DECISION.search(head)
    return Answer(int(head[9:12]), decision[1].decode() if decision else None, body)
