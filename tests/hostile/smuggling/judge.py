"""What the policy saw against what the upstream's handler received, for every request sent.

The gateway's record holds a keyed digest of the decided arguments, and the key is at hand here. A
tree with that digest *is* the decided tree. What Python's handler received must have it as it is.
JavaScript has one kind of number, so `1.0` comes out as `1`: there, a tree that has the digest is
looked for in the request, and must equal what was received, number for number.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hostile.smuggling.client import Answer, Sent
from hostile.smuggling.corpus import TOOLS
from hostile.smuggling.mutations import Mutation

from pbac.base import json

DEFAULTS = {
    tool["name"]: {
        name: member["default"]
        for name, member in tool["inputSchema"].get("properties", {}).items()
        if "default" in member
    }
    for tool in TOOLS
}


@dataclass(frozen=True, slots=True)
class Heard:
    """One call as an upstream's handler received it; `n` counts the calls of that upstream."""

    server: str
    n: int
    tool: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A request that two readers read differently, or that was heard without being decided."""

    what: str
    mutation: Mutation | None


@dataclass
class Judge:
    """Holds every answer against the record and against what the upstreams heard.

    `settled` counts requests by what came of them. `rejected` keeps some calls that the gateway
    forwarded and an upstream would not take.
    """

    digest: Callable[[Any], str]
    settled: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    rejected: list[tuple[Mutation, bytes]] = field(default_factory=list)
    _permits: dict[str, dict] = field(default_factory=dict)
    _heard: dict[tuple[str, int], Heard] = field(default_factory=dict)

    def take(self, sent: Iterable[Sent], decisions: dict[str, dict], heard: Iterable[Heard]):
        """Settle one batch; what nobody could read an answer to is kept for `end`."""
        self._permits |= {i: d for i, d in decisions.items() if d["effect"] == "permit"}
        self._heard |= {(each.server, each.n): each for each in heard}
        for one in sent:
            outcomes = [self._answer(one.mutation, answer, decisions) for answer in one.answers]
            self.settled[_worst(outcomes, ended=one.ended)] += 1

    def end(self) -> None:
        """What was heard without an answer that told of it must have been permitted as heard."""
        permits = Counter(
            (d["server"], d["tool"], d["arguments"] if d["server"] != "ts" else "")
            for d in self._permits.values()
        )
        for each in self._heard.values():
            digest = self.digest(each.arguments) if each.server != "ts" else ""
            found = (each.server, each.tool, digest)
            permits[found] -= 1
            if permits[found] < 0:
                self.differences.append(Difference(f"heard, but not decided: {each}", None))
        self._heard.clear()

    def _answer(self, mutation: Mutation, answer: Answer, decisions: dict[str, dict]) -> str:
        if answer.decision is None:
            return "refused" if answer.status >= 400 else "answered here"
        decided = decisions.get(answer.decision)
        if decided is None:
            self._differ(f"the decision {answer.decision} is not recorded", mutation)
            return "different"
        if decided["effect"] != "permit":
            return "denied"
        del self._permits[answer.decision]
        told = _echo(answer)
        if told is None:
            self.rejected = [*self.rejected[:19], (mutation, answer.body)]
            return "rejected upstream"
        heard = self._heard.pop((decided["server"], told["n"]), None)
        if heard is None:
            self._differ(f"{decided['server']} did not hear the call {told['n']}", mutation)
            return "different"
        if problem := self._compare(decided, heard, mutation):
            self._differ(problem, mutation)
            return "different"
        return "forwarded"

    def _compare(self, decided: dict, heard: Heard, mutation: Mutation) -> str | None:
        if decided["tool"] != heard.tool:
            return f"decided on the tool {decided['tool']!r}, heard {heard.tool!r}"
        if self._has_digest(heard.arguments, decided):
            return None
        for tree in trees_in(mutation):
            if self._has_digest(tree, decided):
                if heard.server == "ts" and same(tree, heard.arguments):
                    return None
                return f"decided on {tree!r}, heard {heard.arguments!r}"
        return f"heard {heard.arguments!r}, which is not what was decided"

    def _has_digest(self, tree: Any, decided: dict) -> bool:
        try:
            return self.digest(tree) == decided["arguments"]
        except TypeError:  # what our encoder cannot write was never decided on
            return False

    def _differ(self, what: str, mutation: Mutation) -> None:
        self.differences.append(Difference(what, mutation))


def _worst(outcomes: list[str], *, ended: bool) -> str:
    for outcome in ("different", "rejected upstream", "forwarded", "denied", "refused"):
        if outcome in outcomes:
            return outcome
    return "answered here" if ended else "cut"


def was_heard(answer: Answer) -> bool:
    """Whether a handler says in this answer what it received."""
    return _echo(answer) is not None


def _echo(answer: Answer) -> dict | None:
    """What the handler says it received, if this is its answer."""
    try:
        return orjson.loads(orjson.loads(answer.body)["result"]["content"][0]["text"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def same(ours: Any, theirs: Any) -> bool:
    """Equal trees, where a number is a number whether or not it is written with a point."""
    match ours:
        case dict():
            return (
                isinstance(theirs, dict)
                and ours.keys() == theirs.keys()
                and all(same(value, theirs[name]) for name, value in ours.items())
            )
        case list():
            return (
                isinstance(theirs, list)
                and len(ours) == len(theirs)
                and all(map(same, ours, theirs))
            )
        case float():
            return type(theirs) in (int, float) and ours == float(theirs)
        case int() if not isinstance(ours, bool):
            return type(theirs) in (int, float) and ours == theirs  # exactly: none was rounded
        case _:
            return type(ours) is type(theirs) and ours == theirs


def trees_in(mutation: Mutation) -> Iterator[Any]:
    """The arguments of every message in what was sent, with and without a tool's defaults."""
    for body in _bodies(mutation.data):
        try:
            params = json.decode(body)["params"]
            arguments = params.get("arguments", {})
            yield arguments
            tool = params["name"].partition("__")[2]
            yield {**arguments, **{n: v for n, v in DEFAULTS[tool].items() if n not in arguments}}
        except (json.JsonError, KeyError, TypeError, AttributeError):
            continue


def _bodies(data: bytes) -> Iterator[bytes]:
    """Every body that an HTTP reader finds: only used to find a tree that has the digest."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, 8190, 128)
        messages, _, _ = parser.feed_data(data)
        for _, payload in messages:
            yield b"".join(payload._buffer) if hasattr(payload, "_buffer") else b""
    except Exception:  # noqa: BLE001 (then there is none)
        return
    finally:
        loop.close()


class _Decision(msgspec.Struct, frozen=True):
    kind: str
    decision_id: str = ""
    effect: str = ""
    server: str = ""
    tool: str = ""
    arguments: str = ""


_READ = msgspec.json.Decoder(_Decision)


def decisions_in(lines: Iterable[bytes]) -> dict[str, dict]:
    """The decisions among lines of the log, by their ids."""
    found = {}
    for line in lines:
        record = _READ.decode(line.split(b" ", 1)[1])
        if record.kind == "decision":
            found[record.decision_id] = msgspec.structs.asdict(record)
    return found
