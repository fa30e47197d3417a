"""One served gateway before real SDK servers, and the mutations that are thrown at it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import uvloop
from hostile.smuggling.client import Sent, send_all
from hostile.smuggling.corpus import TOOLS, VERSIONS, Base, bases, policies
from hostile.smuggling.judge import Heard, Judge, decisions_in, was_heard
from hostile.smuggling.mutations import Mutation, mutation
from support.served import RunningGateway, post, serving

from pbac.adapters.audit_keys import open_audit_keys
from pbac.app.config import BackendConfig
from pbac.audit.redact import arguments_digest

HERE = Path(__file__).parent
CONNECTIONS = 24
BATCH = 4_000
SETTLE_SECONDS = 10.0


@dataclass
class Server:
    """One SDK server in a process of its own, and every call its handler received."""

    name: str
    process: subprocess.Popen
    url: str
    heard: list[Heard] = field(default_factory=list)

    def listen(self) -> None:
        for line in self.process.stdout:
            told = orjson.loads(line)
            self.heard.append(Heard(self.name, told["n"], told["tool"], told["arguments"]))

    def drain(self) -> list[Heard]:
        found, self.heard = self.heard, []
        return found


@contextlib.contextmanager
def server(name: str, command: Sequence[str], folder: Path) -> Iterator[Server]:
    tools = folder / "tools.json"
    tools.write_text(json.dumps(TOOLS))
    process = subprocess.Popen([*command, str(tools)], stdout=subprocess.PIPE, cwd=folder)
    try:
        found = Server(name, process, process.stdout.readline().decode().strip())
        threading.Thread(target=found.listen, daemon=True).start()
        yield found
    finally:
        process.terminate()
        process.wait(10)


def python_command() -> list[str]:
    return [sys.executable, str(HERE / "python_server.py")]


def typescript_command(folder: Path, modules: Path) -> list[str]:
    # Imports are looked for beside the script, so both are brought together.
    (folder / "node_modules").symlink_to(modules)
    script = shutil.copy(HERE / "typescript_server.mjs", folder)
    return [str(modules / ".bin/node"), script]


@dataclass
class Arena:
    """Everything that one run needs. `names`: what stands for the blanks of a kept request."""

    gateway: RunningGateway
    servers: list[Server]
    judge: Judge
    bases: list[Base]
    names: dict[bytes, bytes]
    _read: dict[Path, int] = field(default_factory=dict)
    _decisions: dict[str, dict] = field(default_factory=dict)

    def attack(
        self,
        seed: int,
        numbers: range,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Judge:
        """Throw the mutations of these numbers; what came of them is in the judge."""
        for start in range(numbers.start, numbers.stop, BATCH):
            part = range(start, min(start + BATCH, numbers.stop))
            self.throw(mutation(self.bases, seed, number) for number in part)
            progress(part.stop - numbers.start)
        time.sleep(0.5)  # what was cut may still be on its way
        self._settle([])
        self.judge.end()
        return self.judge

    def throw(self, mutations: Iterator[Mutation]) -> None:
        sent = uvloop.run(send_all(self.gateway.port, mutations, CONNECTIONS))
        self._settle(sent)
        assert self.gateway.process.poll() is None, "the gateway has ended"

    def tried(self, data: bytes, *, framed: bool) -> Judge:
        """What comes of one request alone."""
        before, self.judge = self.judge, Judge(self.judge.digest)
        try:
            self.throw(iter([Mutation(-1, "again", data, framed)]))
            self.judge.end()
            return self.judge
        finally:
            self.judge = before

    def filled(self, data: bytes) -> bytes:
        """A kept request with this run's host, token and sessions."""
        for blank, name in self.names.items():
            data = data.replace(blank, name)
        return data

    def blanked(self, data: bytes) -> bytes:
        """A request as it can be kept."""
        for blank, name in self.names.items():
            data = data.replace(name, blank)
        return data

    def _settle(self, sent: list[Sent]) -> None:
        """Wait for the record and the upstreams to have told all that answers speak of."""
        told = [answer for each in sent for answer in each.answers if answer.decision]
        deadline = time.monotonic() + SETTLE_SECONDS
        decisions: dict[str, dict] = {}
        heard: list[Heard] = []
        while True:
            decisions |= decisions_in(self._new_lines())
            heard += [each for server in self.servers for each in server.drain()]
            if all(a.decision in decisions for a in told) and len(heard) >= sum(
                map(was_heard, told)
            ):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self.judge.take(sent, decisions, heard)

    def _new_lines(self) -> list[bytes]:
        lines = []
        for path in sorted((self.gateway.directory / "state/audit").glob("log-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
            whole = data.rfind(b"\n") + 1
            self._read[path] = self._read.get(path, 0) + whole
            lines += data[:whole].splitlines()
        return lines


@contextlib.contextmanager
def arena(folder: Path, modules: Path | None) -> Iterator[Arena]:
    """A gateway before the Python server and, with the `node_modules` of its SDK, TypeScript's.

    Without them a second Python server stands in: the tools of a single server have no prefix.
    """
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server("py", python_command(), folder))]
        other = ("py2", python_command()) if modules is None else (
            "ts", typescript_command(folder, modules)
        )  # fmt: skip
        servers.append(stack.enter_context(server(*other, folder)))
        names = [each.name for each in servers]
        serve = stack.enter_context(serving(folder))
        gateway = serve(
            backends=[BackendConfig(name=each.name, url=each.url) for each in servers],
            policy=policies(names),
        )
        token = gateway.token()
        keys = open_audit_keys(gateway.directory / "state/keys", "unused")
        sessions = {version: _session(gateway, token, version) for version in VERSIONS[:-1]}
        names_of = {b"{host}": gateway.origin.removeprefix("http://"), b"{token}": token}
        names_of |= {b"{session %s}" % v.encode(): session for v, session in sessions.items()}
        yield Arena(
            gateway=gateway,
            servers=servers,
            judge=Judge(arguments_digest(keys.arguments_key)),
            bases=bases(gateway.origin, token, names, sessions),
            names={blank: name.encode() for blank, name in names_of.items()},
        )


def _session(gateway: RunningGateway, token: str, version: str) -> str:
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "old"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    _, headers, _ = post(gateway.url, body, Authorization=f"Bearer {token}")
    return headers["Mcp-Session-Id"]
