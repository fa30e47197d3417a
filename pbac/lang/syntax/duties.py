"""`then …` lines to duties with plain JSON parameters (shapes: `model.decision.Duty`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from pbac.lang import nodes
from pbac.lang.syntax.expressions import path, word
from pbac.lang.syntax.literals import count, duration, number, raw, size, string
from pbac.lang.syntax.reading import Reading
from pbac.lang.syntax.tests import literal
from pbac.lang.syntax.tree import Branch, Part, Token
from pbac.lang.syntax.words import BUCKET_WORDS

Built: TypeAlias = tuple[dict[str, object], tuple[nodes.Path, ...]]


def duty_line(reading: Reading, branch: Branch) -> nodes.DutyLine:
    """One duty; `kind` is the first word of the line."""
    kind, build = _DUTIES[str(branch.data)]
    parameters, paths = build(reading, branch.children)
    return nodes.DutyLine(span=reading.span(branch), kind=kind, parameters=parameters, paths=paths)


def _token(part: Part) -> Token:
    return cast("Token", part)


def _is(part: Part, *types: str) -> bool:
    return isinstance(part, Token) and part.type in types


def _text(reading: Reading, part: Part) -> str:
    token = _token(part)
    return raw(reading, token) if token.type == "RAW" else string(reading, token)


def _path(reading: Reading, part: Part) -> nodes.Path:
    return path(reading, cast("Branch", part))


def _approval(reading: Reading, parts: list[Any]) -> Built:
    needed = count(reading, parts.pop(0)) if _is(parts[0], "NUMBER") else 1
    *approvers, within = parts
    people: list[list[str]] = []
    for approver in approvers:
        kind, named = approver.children
        people.append([word(kind), string(reading, named)])
    return {"count": needed, "from": people, "within_ms": duration(reading, within)}, ()


def _limit(reading: Reading, parts: list[Any]) -> Built:
    calls, per, *keys = parts
    paths = tuple(_path(reading, key) for key in keys)
    for key in paths:
        if not key.steps and key.root not in BUCKET_WORDS:
            reading.complain(
                "unknown-bucket",
                f"calls cannot be counted by `{key.root}`",
                key.span,
                help="count by `agent`, `user`, `tool`, `server`, `session` or a path such as "
                "`args.owner`",
            )
    parameters: dict[str, object] = {
        "count": count(reading, calls),
        "per_ms": duration(reading, per),
        "by": [key.text() for key in paths],
    }
    return parameters, tuple(key for key in paths if key.steps)


def _result_paths(_reading: Reading, parts: list[Any]) -> Built:
    return {"paths": [word(part) for part in parts]}, ()


def _redact_matching(reading: Reading, parts: list[Any]) -> Built:
    pattern, *where = parts
    inside = word(where[0]) if where else None
    return {"pattern": _text(reading, pattern), "in": inside}, ()


def _truncate(reading: Reading, parts: list[Any]) -> Built:
    parameters: dict[str, object] = {"path": None}
    if isinstance(parts[0], Branch) and parts[0].data == "result_path":
        parameters["path"] = word(parts.pop(0))
    if _is(parts[0], "SIZE"):
        return parameters | {"bytes": size(reading, parts[0])}, ()
    unit = word(parts[1])
    return parameters | {unit: count(reading, parts[0], least=0)}, ()


def _cap(reading: Reading, parts: list[Any]) -> Built:
    where = _path(reading, parts[0])
    return {"path": where.text(), "at": number(reading, parts[1])}, (where,)


def _set(reading: Reading, parts: list[Any]) -> Built:
    where = _path(reading, parts[0])
    return {"path": where.text(), "value": literal(reading, parts[1])}, (where,)


def _reauthenticate(reading: Reading, parts: list[Any]) -> Built:
    return {"at": string(reading, parts[0]), "within_ms": duration(reading, parts[1])}, ()


def _expire(reading: Reading, parts: list[Any]) -> Built:
    return {"in_ms": duration(reading, parts[0])}, ()


def _single_use(_reading: Reading, _parts: list[Any]) -> Built:
    return {}, ()


def _notify(reading: Reading, parts: list[Any]) -> Built:
    return {"channel": string(reading, parts[0])}, ()


def _record_full(_reading: Reading, _parts: list[Any]) -> Built:
    return {"full": True}, ()


def _record_without(reading: Reading, parts: list[Any]) -> Built:
    paths = tuple(_path(reading, part) for part in parts)
    return {"without": [where.text() for where in paths]}, paths


_Build: TypeAlias = Callable[[Reading, list[Any]], Built]

_DUTIES: Final[dict[str, tuple[str, _Build]]] = {
    "approval": ("approval", _approval),
    "limit": ("limit", _limit),
    "redact": ("redact", _result_paths),
    "redact_matching": ("redact", _redact_matching),
    "keep_only": ("keep", _result_paths),
    "truncate": ("truncate", _truncate),
    "cap": ("cap", _cap),
    "set_argument": ("set", _set),
    "reauthenticate": ("reauthenticate", _reauthenticate),
    "expire": ("expire", _expire),
    "single_use": ("single", _single_use),
    "notify": ("notify", _notify),
    "record_full": ("record", _record_full),
    "record_without": ("record", _record_without),
}
"""Grammar alias → kind (the first word of the line) and reader."""
