"""Connections that are kept, and many callers at once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

from support.bad_input import META, Answer


def rpc(tool, arguments=None, request_id=1):
    """A modern call of a public tool name, with any id."""
    params = {"name": tool, "arguments": arguments or {}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return json.dumps(body).encode()


class Line:
    """One connection that is kept: many requests, answers in their order."""

    def __init__(self, world):
        self.world, self.connection = world, world.connect()
        self.incoming = self.connection.makefile("rb")

    def send(self, *requests):
        self.connection.sendall(b"".join(requests))

    def request(self, tool, arguments=None, *, token, request_id=1):
        headers = {"Mcp-Name": tool, "Authorization": token and f"Bearer {token}"}
        return self.world.request(rpc(tool, arguments, request_id), replace=headers)

    def answer(self):
        """The next answer; None when the other side has closed."""
        status = self.incoming.readline()
        if not status:
            return None
        headers = {}
        while (line := self.incoming.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self.incoming.read(int(headers.get("content-length", 0)))
        self.world.bodies.append(body)
        return Answer(int(status.split()[1]), headers, body)

    def ask(self, tool, arguments=None, **how):
        self.send(self.request(tool, arguments, **how))
        return self.answer()

    def close(self):
        self.incoming.close()
        self.connection.close()


def at_once(jobs):
    """What every job returned, all of them begun together."""
    barrier = threading.Barrier(len(jobs))

    def run(job):
        barrier.wait(30)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))
