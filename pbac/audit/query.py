"""Records for people: which ones, joined with their outcome, on one line each.

Nothing that stands in a record can act on a terminal: control characters, and characters that
reorder or hide text, are shown as escapes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec
import orjson

from pbac.audit.lines import DATA_START
from pbac.lang.evaluate.patterns import glob

_OUTCOMES_HELD_MAX: Final = 10_000
# Other, control, format (bidirectional overrides), surrogate, private; line and paragraph ends.
_NOT_PRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_VERSION_CHARACTERS: Final = 19
UNREADABLE: Final = "unreadable"
"""The kind of an entry whose line is no record any more."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which records to show: globs over an agent's id or name and over a tool, and only denials.

    Any of them set leaves decisions only.
    """

    agent: str | None = None
    tool: str | None = None
    denied: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One record, and the outcome of a decision when there is one."""

    record: dict[str, Any]
    outcome: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The record as it stands, with its outcome as one more member."""
        return self.record if self.outcome is None else {**self.record, "outcome": self.outcome}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry for a terminal; every text is `printable`.

    `mood` is `good`, `bad` or `plain`; `note` may be empty.
    """

    time: str
    word: str
    mood: str
    who: str
    what: str
    note: str
    id: str


def read_record(line: bytes) -> dict[str, Any]:
    """The record of a line, without verifying it; an `UNREADABLE` one when it is none."""
    try:
        record = orjson.loads(line[DATA_START:])
    except orjson.JSONDecodeError:
        return {"kind": UNREADABLE}
    return record if isinstance(record, dict) else {"kind": UNREADABLE}


class Selection:
    """Which records are wanted, with the globs compiled."""

    def __init__(self, wanted: Wanted) -> None:
        self._agent = None if wanted.agent is None else glob(wanted.agent, "")
        self._tool = None if wanted.tool is None else glob(wanted.tool, "")
        self._denied = wanted.denied
        self._everything = wanted == Wanted()

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether to show this record. Outcomes are shown with their decisions only."""
        kind = record.get("kind")
        if kind == "outcome":
            return False
        if self._everything:
            return True
        return (
            kind == "decision"
            and (not self._denied or record.get("effect") == "deny")
            and (self._agent is None or any(map(self._agent, _agent_names(record))))
            and (self._tool is None or any(map(self._tool, _tool_names(record))))
        )


def _agent_names(record: dict[str, Any]) -> list[str]:
    agent = _record_of(record, "agent")
    return [str(agent.get("id", "")), str(agent.get("name", ""))]


def _tool_names(record: dict[str, Any]) -> list[str]:
    tool = str(record.get("tool", ""))
    return [tool, f"{record.get('server', '')}.{tool}"]


def newest(lines_backwards: Iterable[bytes], selection: Selection, count: int) -> list[Entry]:
    """The last `count` wanted entries, oldest first, from lines that come newest first."""
    return list(islice(_entries_backwards(lines_backwards, selection), count))[::-1]


def _entries_backwards(lines: Iterable[bytes], selection: Selection) -> Iterator[Entry]:
    outcomes: dict[str, dict[str, Any]] = {}
    for line in lines:
        record = read_record(line)
        identifier = str(record.get("decision_id", ""))
        if record.get("kind") == "outcome":
            outcomes[identifier] = record
            if len(outcomes) > _OUTCOMES_HELD_MAX:
                outcomes.pop(next(iter(outcomes)))
        elif selection.holds(record):
            yield Entry(record=record, outcome=outcomes.pop(identifier, None))


def row(entry: Entry) -> Row:
    """One entry as the columns of one line."""
    record = entry.record
    match record.get("kind"):
        case "decision":
            word, who, what, note = _decision(record, entry.outcome)
        case "token" | "policy" | "gateway" as kind:
            word = f"{kind} {record.get('event', '')}"
            who = _agent(record) or str(record.get("actor", ""))
            what, note = _subject(record), _detail(record)
        case "refusals":
            word, who, what = "refused", "", ""
            counts = _record_of(record, "counts")
            note = ", ".join(f"{count} x {code}" for code, count in sorted(counts.items()))
        case _:
            word, who, what, note = UNREADABLE, "", "", "run `pbac audit verify`"
    return Row(
        time=printable(str(record.get("time", ""))),
        word=printable(word),
        mood=_mood(word),
        who=printable(who),
        what=printable(what),
        note=printable(note),
        id=printable(str(record.get("decision_id") or record.get("token_id") or "")),
    )


def outcome_text(outcome: dict[str, Any]) -> str:
    """`completed 200 in 12.3 ms`."""
    status = outcome.get("http_status") or ""
    took = outcome.get("total_us")
    timed = f"in {took / 1000:.1f} ms" if isinstance(took, (int, float)) else ""
    words = (str(outcome.get("outcome", "")), str(status), timed)
    return printable(" ".join(word for word in words if word))


def _decision(record: dict[str, Any], outcome: dict[str, Any] | None) -> tuple[str, str, str, str]:
    server, tool = record.get("server", ""), record.get("tool", "")
    what = f"{server}.{tool}" if server else str(tool or record.get("method", ""))
    rules = ", ".join(map(str, _list_of(record, "rules")))
    why = [f"by {rules}" if rules else str(record.get("cause", ""))]
    if unknown := _list_of(record, "unknown"):
        why.append("unknown " + ", ".join(map(str, unknown)))
    if reason := record.get("reason"):
        why.append(str(reason))
    if asked_by := record.get("asked_by"):
        why.append(f"asked by {asked_by}")
    if outcome is not None:
        why.append(outcome_text(outcome))
    return str(record.get("effect", "")), _agent(record), what, "; ".join(why)


def _agent(record: dict[str, Any]) -> str:
    agent = _record_of(record, "agent")
    name = str(agent.get("name") or agent.get("id") or "")
    tier = agent.get("tier")
    user = _record_of(record, "user")
    behind = f" for {user.get('login') or user.get('id')}" if user else ""
    return (f"{name} ({tier})" if tier else name) + behind


def _subject(record: dict[str, Any]) -> str:
    granted = " ".join(map(str, _list_of(record, "granted")))
    return granted or str(record.get("policy_version", ""))[:_VERSION_CHARACTERS]


def _detail(record: dict[str, Any]) -> str:
    if problems := _list_of(record, "problems"):
        return str(problems[0])
    if record.get("act"):
        note = f": {record['note']}" if record.get("note") else ""
        return f"{record.get('how', '')}, act {record['act']}{note}"
    detail = record.get("detail", "")
    if isinstance(detail, dict):
        detail = ", ".join(f"{name} {value}" for name, value in detail.items())
    return "; ".join(text for text in (str(record.get("code", "")), str(detail)) if text)


def _mood(word: str) -> str:
    if word == "permit":
        return "good"
    bad = {"deny", UNREADABLE, "gateway fault", "token refused", "policy refused"}
    return "bad" if word in bad else "plain"


def _record_of(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _list_of(record: dict[str, Any], name: str) -> list[Any]:
    value = record.get(name)
    return value if isinstance(value, list) else []


def printable(text: str) -> str:
    r"""The text with everything that is not a visible character escaped: `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if unicodedata.category(c) not in _NOT_PRINTABLE else _escaped(c) for c in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
