"""Explanations as trees to read; `explain` shows one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pbac.base.json import encode
from pbac.base.limits import EXPLAINED_VALUE_CHARACTERS_MAX
from pbac.base.render import PLAIN, shown
from pbac.model.decision import Decision
from pbac.model.request import FIELDS
from pbac.pdp.explain import Explanation, RuleExplained
from pbac.pdp.explain_clauses import ClauseExplained, Reading
from pbac.pdp.explain_listing import IssueExplained, ListingExplained, RuleListed
from pbac.pdp.near_miss_text import told
from pbac.pdp.near_misses import Change

MARKS: Final[Mapping[str, str]] = {"true": "✓", "false": "✗", "unknown": "?"}
_CLAUSE_COLUMNS_MAX: Final = 56
_JOINS: Final[Mapping[str, str]] = {
    "approval": "every one of them has to be given",
    "limit": "every one of them has to hold",
    "redact": "all of it is taken out",
    "keep": "only what all of them keep is kept",
    "truncate": "the shortest holds",
    "cap": "the lowest holds",
    "set": "they have to set the same value, else the call is refused",
    "reauthenticate": "every one of them, and the shortest time holds",
    "expire": "the shortest holds",
    "single": "once is enough",
    "notify": "every channel is told",
    "record": "what one of them leaves out is left out",
}
"""What several duties of a kind come to, as the table of duties joins them."""
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), (" ms", 1))
_MOMENT_MS_MAX: Final = 253_402_300_799_999
_RESET: Final = "\x1b[0m"


def render_explanation(explanation: Explanation, styles: Mapping[str, str] = PLAIN) -> str:
    """The whole tree, ending in a line break. `styles` as for diagnostics."""
    decision = explanation.decision
    lines = [_head(str(decision.effect), explanation.subject, styles, good=decision.permitted), ""]
    for rule in explanation.rules:
        lines += [*_rule(rule, styles), ""]
    lines += [f"  {line}" for line in _footer(explanation)]
    return "\n".join(lines).rstrip() + "\n"


def render_listing(listing: ListingExplained, styles: Mapping[str, str] = PLAIN) -> str:
    """Why a tool is shown or hidden. Marks are all that a clause can still become."""
    effect = "shown" if listing.shown else "hidden"
    lines = [_head(effect, listing.subject, styles, good=listing.shown), ""]
    for rule in listing.rules:
        lines += [*_listed(rule, styles), ""]
    lines += [f"  {line}" for line in _elsewhere(listing.elsewhere, "other tools")]
    if not listing.rules:
        lines.append("  no permit is about it")
    return "\n".join(lines).rstrip() + "\n"


def render_issue(issue: IssueExplained, styles: Mapping[str, str] = PLAIN) -> str:
    """Why a scope is issued or withheld: the rules about tokens, then every call that needs it."""
    decision = issue.decision
    lines = [_head(str(decision.effect), issue.subject, styles, good=decision.permitted), ""]
    for rule in issue.rules:
        lines += [*_rule(rule, styles), ""]
    for call in issue.calls:
        could = "could be permitted" if call.shown else "could never be permitted"
        lines.append(f"  a call of it {could}:")
        lines += [f"    {line}".rstrip() for line in render_listing(call, styles).splitlines()]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _head(effect: str, subject: str, styles: Mapping[str, str], *, good: bool) -> str:
    return f"{_styled(effect, styles.get('help' if good else 'error'))}  {shown(subject)}"


def _rule(rule: RuleExplained, styles: Mapping[str, str]) -> Iterator[str]:
    yield _title(rule, _standing(rule), styles)
    if not rule.clauses:
        yield "  └─ ✓ about every call"
    yield from _aligned(_tree(rule.clauses, "  "))
    yield from (f"     then {shown(duty)}" for duty in rule.duties)


def _listed(rule: RuleListed, styles: Mapping[str, str]) -> Iterator[str]:
    if rule.effect == "forbid":
        standing = "can be false" if "false" in rule.can else "cannot be false: it hides the tool"
    else:
        standing = "can be true" if "true" in rule.can else "cannot be true"
    yield _title(rule, standing, styles)
    rows = []
    for clause in rule.clauses:
        marks = "".join(MARKS[truth] for truth in clause.can)
        branch = "└─" if clause is rule.clauses[-1] else "├─"
        readings = "   ".join(map(_reading, clause.readings))
        rows.append((f"  {branch} {marks:<3} {shown(clause.text)}", readings))
    yield from _aligned(rows)


def _title(rule: RuleExplained | RuleListed, standing: str, styles: Mapping[str, str]) -> str:
    name = _styled(f"{rule.effect} {rule.name}", styles.get("strong") if rule.decides else None)
    arrow = "→" if rule.decides else " "
    notes = "".join(f"  @{_annotation(*each)}" for each in rule.annotations.items())
    return f"{arrow} {name}  {standing}{notes if rule.decides else ''}"


def _annotation(name: str, value: Any) -> str:
    return name if value is None else f"{name} {shown(encode(value).decode())}"


def _aligned(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What was read, in one column behind what is written."""
    kept = list(rows)
    columns = [len(written) for written, readings in kept if readings]
    width = min(max(columns, default=0), _CLAUSE_COLUMNS_MAX)
    for written, readings in kept:
        yield f"{written:<{width}}  {readings}".rstrip()


def _standing(rule: RuleExplained) -> str:
    """What became of the rule, in words."""
    if not rule.applies:
        unknown = rule.truth == "unknown"
        return "does not apply: nobody can tell that it should" if unknown else "does not apply"
    said = "applies" if rule.truth == "true" else "applies: it cannot be ruled out"
    if rule.duties:
        kinds = dict.fromkeys(duty.split()[0] for duty in rule.duties)
        said += f", and adds {', '.join(kinds)}"
    return f"{said} (shadow: not enforced)" if rule.shadow else said


def _tree(clauses: Sequence[ClauseExplained], indent: str) -> Iterator[tuple[str, str]]:
    """Each line as what is written and what was read."""
    for clause in clauses:
        last = clause is clauses[-1]
        branch, below = ("└─", "   ") if last else ("├─", "│  ")
        readings = "   ".join(map(_reading, clause.readings))
        item = f"  ({clause.item})" if clause.item else ""
        yield f"{indent}{branch} {MARKS[clause.truth]} {shown(clause.text)}{item}", readings
        yield from _tree(clause.parts, f"{indent}{below}")


def _reading(reading: Reading | Change) -> str:
    if reading.state == "missing":
        return f"{reading.path} is missing"
    if reading.state == "unknown":
        return f"{reading.path} cannot be read"
    text = _value(reading)
    if len(text) > EXPLAINED_VALUE_CHARACTERS_MAX:
        text = text[: EXPLAINED_VALUE_CHARACTERS_MAX - 1] + "…"
    return f"{reading.path} = {shown(text)}"


def _value(reading: Reading | Change) -> str:
    """As JSON, but moments and durations, which are milliseconds in a request, as policies do."""
    root, _, field = reading.path.partition(".")
    kind, value = FIELDS.get(root, {}).get(field), reading.value
    if type(value) is int and kind == "datetime" and 0 <= value <= _MOMENT_MS_MAX:
        moment = datetime.fromtimestamp(value / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if type(value) is int and kind == "duration" and value > 0:
        unit, size = next(each for each in _UNITS if value % each[1] == 0)
        return f"{value // size}{unit}"
    return encode(value).decode()


def _footer(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    yield from _elsewhere(explanation.elsewhere, "other calls")
    yield from (shown(told(miss, _reading)) for miss in explanation.near_misses)
    yield from _joins(decision)
    if decision.unknown:
        yield f"unknown   {', '.join(map(shown, decision.unknown))}"
    texts = (("reason", decision.reason), ("internal", decision.internal), ("help", decision.help))
    for word, text in texts:
        if text:
            yield f"{word:<8}  {shown(text)}"


def _elsewhere(count: int, what: str) -> Iterator[str]:
    if count:
        yield f"{count} rule{' is' if count == 1 else 's are'} about {what}"


def _joins(decision: Decision) -> Iterator[str]:
    """What several duties of a kind come to together."""
    kinds = [duty.kind for duty in decision.duties]
    for kind in dict.fromkeys(kinds):
        if kinds.count(kind) > 1 and kind in _JOINS:
            yield f"{kinds.count(kind)} × {kind}: {_JOINS[kind]}"


def _styled(text: str, style: str | None) -> str:
    return f"{style}{text}{_RESET}" if style else text
