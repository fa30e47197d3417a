"""What a duty must not say: where it stands, its parameters, what duties of one rule say together.

The language knows more duties than the enforcement point can carry out today. All of them are
checked alike; one that cannot be carried out yet earns a warning, for a duty that cannot be met is
a denial (Law 1), and whoever writes it should not find that out from their agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any, Final, TypeAlias

from pbac.base.limits import APPROVALS_MAX, IDENTIFIER_CHARACTERS_MAX, QUOTA_CALLS_MAX
from pbac.lang import nodes
from pbac.lang.check.checking import Checking, described
from pbac.lang.check.expressions import kind_of
from pbac.lang.evaluate import patterns
from pbac.lang.kinds.kinds import Kind, accepts, alike
from pbac.lang.syntax.words import BUCKET_WORDS
from pbac.model.values import kind_of as word_of

ENFORCED_DUTIES: Final = frozenset({"approval", "limit", "redact", "expire"})
"""Duties that the enforcement point can carry out. The language knows more."""

ISSUANCE_DUTIES: Final = frozenset({"expire", "single"})
"""Duties about an access token: they stand in `on token` rules, and no others do (Law 9)."""

_RECORDED: Final = frozenset({"args", "facts", "user", "session", "env"})
"""Roots of which `record without` can leave something out; who called stays in every record."""


def check_duties(rule: nodes.Rule, checking: Checking) -> None:
    """All complaints about the `then` lines of a rule."""
    on_token = any(isinstance(clause, nodes.OnToken) for clause in rule.what)
    for duty in rule.duties:
        kinds = [kind_of(path, checking) for path in duty.paths]
        if (duty.kind in ISSUANCE_DUTIES) != on_token:
            _misplaced(duty, on_token=on_token, checking=checking)
            continue
        if check := _CHECKS.get(duty.kind):
            check(duty, kinds, checking)
        if duty.kind not in ENFORCED_DUTIES:
            _warn_unenforced(duty, on_token=on_token, checking=checking)
    _check_together(rule, checking)


def _misplaced(duty: nodes.DutyLine, *, on_token: bool, checking: Checking) -> None:
    if on_token:
        message = f"`{duty.kind}` cannot be met when a token is issued"
        help_ = "put it in a rule about calls"
    else:
        message = f"`{duty.kind}` is about access tokens, this rule is about calls"
        help_ = "write `on token` in a rule of its own"
    checking.complain("misplaced-duty", message, duty.span, help=help_)


def _warn_unenforced(duty: nodes.DutyLine, *, on_token: bool, checking: Checking) -> None:
    what = "scope" if on_token else "call"
    message = f"the gateway cannot carry out `{duty.kind}` yet: a {what} it applies to is denied"
    known = ", ".join(f"`{kind}`" for kind in sorted(ENFORCED_DUTIES))
    help_ = f"a duty that cannot be met is a denial; it can carry out {known}"
    checking.warn("unenforced-duty", message, duty.span, help=help_)


# --- one duty ----------------------------------------------------------------------------------

_Kinds: TypeAlias = list[Kind]
_Check: TypeAlias = Callable[[nodes.DutyLine, _Kinds, Checking], None]


def _bad(duty: nodes.Node, message: str, help_: str, checking: Checking) -> None:
    checking.complain("bad-duty", message, duty.span, help=help_)


def _check_name(duty: nodes.DutyLine, what: str, name: str, checking: Checking) -> None:
    if not 0 < len(name) <= IDENTIFIER_CHARACTERS_MAX:
        help_ = f"a name has 1 to {IDENTIFIER_CHARACTERS_MAX} characters"
        _bad(duty, f"no {what} is named so", help_, checking)


def _check_once(duty: nodes.DutyLine, names: Iterable[str], checking: Checking) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            message = f"`{name}` stands twice in one duty"
            checking.complain("duplicate-name", message, duty.span, help="keep one of them")
        seen.add(name)


def _approval(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    needed: Any = duty.parameters["count"]
    people: Any = duty.parameters["from"]
    for kind, name in people:
        _check_name(duty, kind, name, checking)
    _check_once(duty, (f"{kind} {name}" for kind, name in people), checking)
    if needed > APPROVALS_MAX:
        message = f"a call is approved by at most {APPROVALS_MAX} people"
        checking.complain("bad-count", message, duty.span)
    elif needed > len(people) and all(kind == "user" for kind, _ in people):
        message = f"{needed} people have to approve, and only {len(people)} may"
        _bad(duty, message, "name more people, or a group", checking)


def _limit(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    calls: Any = duty.parameters["count"]
    keys: Any = duty.parameters["by"]
    if calls > QUOTA_CALLS_MAX:
        message = f"a limit counts at most {QUOTA_CALLS_MAX} calls"
        checking.complain("bad-count", message, duty.span)
    _check_once(duty, keys, checking)
    for path in duty.paths:
        if path.root == "data" or not _is_plain(path):
            words = ", ".join(f"`{word}`" for word in sorted(BUCKET_WORDS))
            help_ = f"count by {words} or a plain path of the request such as `args.owner`"
            _bad(path, f"calls cannot be counted by `{path.text()}`", help_, checking)


def _redact(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    pattern = duty.parameters.get("pattern")
    if not isinstance(pattern, str):
        _result_paths(duty, _kinds, checking)
        return
    try:
        patterns.regex(pattern)
    except ValueError as error:
        checking.complain("bad-pattern", str(error), duty.span)


def _result_paths(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    paths: Any = duty.parameters["paths"]
    _check_once(duty, paths, checking)
    if duty.kind == "keep" and "result" in paths:
        help_ = "name what may stay, for example `result.structuredContent.id`"
        _bad(duty, "`keep only result` takes nothing out", help_, checking)


def _cap(duty: nodes.DutyLine, kinds: _Kinds, checking: Checking) -> None:
    (path,), (kind,) = duty.paths, kinds
    if _is_argument(duty, path, checking) and not accepts("number", kind):
        message = f"{described(path, kind)} cannot be capped"
        checking.complain("unlike-kinds", message, path.span, help="only numbers are capped")


def _set(duty: nodes.DutyLine, kinds: _Kinds, checking: Checking) -> None:
    (path,), (kind,) = duty.paths, kinds
    value = Kind(word=word_of(duty.parameters["value"]))
    if _is_argument(duty, path, checking) and not alike(kind, value):
        message = f"{described(path, kind)} cannot be set to {value}"
        help_ = "there is no coercion: write a value of the argument's kind"
        checking.complain("unlike-kinds", message, path.span, help=help_)


def _is_argument(duty: nodes.DutyLine, path: nodes.Path, checking: Checking) -> bool:
    if path.root == "args" and path.steps and _is_plain(path):
        return True
    help_ = "name an argument by plain steps, such as `args.page.size`"
    _bad(path, f"`{duty.kind}` changes arguments, and `{path.text()}` is none", help_, checking)
    return False


def _is_plain(path: nodes.Path) -> bool:
    return all(isinstance(step, nodes.Field) for step in path.steps)


def _reauthenticate(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    _check_name(duty, "identity provider", str(duty.parameters["at"]), checking)


def _notify(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    _check_name(duty, "channel", str(duty.parameters["channel"]), checking)


def _record(duty: nodes.DutyLine, _kinds: _Kinds, checking: Checking) -> None:
    _check_once(duty, (path.text() for path in duty.paths), checking)
    for path in duty.paths:
        if path.root not in _RECORDED or not _is_plain(path):
            help_ = "it can do without " + ", ".join(f"`{root}`" for root in sorted(_RECORDED))
            message = f"the record cannot do without `{path.text()}`"
            _bad(path, message, f"{help_} and plain paths below", checking)


_CHECKS: Final[Mapping[str, _Check]] = {
    "approval": _approval,
    "limit": _limit,
    "redact": _redact,
    "keep": _result_paths,
    "cap": _cap,
    "set": _set,
    "reauthenticate": _reauthenticate,
    "notify": _notify,
    "record": _record,
}
"""Kind → what it must not say. `expire`, `single` and `truncate` are whole once they are read."""


# --- the duties of one rule ----------------------------------------------------------------------


def _check_together(rule: nodes.Rule, checking: Checking) -> None:
    """What one rule changes must come out the same in any order, or every call would be denied."""
    changes = [duty for duty in rule.duties if duty.kind in ("cap", "set")]
    for first, second in combinations(changes, 2):
        if message := _conflict(first, second):
            help_ = f"keep one of them: the other is at {first.span}"
            checking.complain("conflicting-duties", message, second.span, help=help_)


def _conflict(first: nodes.DutyLine, second: nodes.DutyLine) -> str | None:
    """Why no call can meet both, if so. Two caps always can: the lower one counts."""
    one, other = str(first.parameters["path"]), str(second.parameters["path"])
    if one != other:
        nested = one.startswith(f"{other}.") or other.startswith(f"{one}.")
        return f"`{other}` and `{one}` are changed, and one holds the other" if nested else None
    match sorted((first, second), key=lambda duty: duty.kind):
        case [nodes.DutyLine(kind="cap") as cap, nodes.DutyLine(kind="set") as change]:
            most: Any = cap.parameters["at"]
            value: Any = change.parameters["value"]
            if word_of(value) != "number" or value > most:
                return f"`{one}` is capped and set to something above the cap"
        case [nodes.DutyLine(kind="set") as change, nodes.DutyLine(kind="set") as again]:
            if not _same(change.parameters["value"], again.parameters["value"]):
                return f"`{one}` is set to two values"
    return None


def _same(value: Any, other: Any) -> bool:
    """Equal, and of the same kind: `true` is not `1`."""
    return word_of(value) == word_of(other) and bool(value == other)
