"""An explanation as a tree to read; `explain` shows one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from pbac.base.json import encode
from pbac.base.limits import EXPLAINED_VALUE_CHARACTERS_MAX
from pbac.base.render import PLAIN, shown
from pbac.model.request import FIELDS
from pbac.pdp.explain import ClauseExplained, Explanation, Reading, RuleExplained

MARKS: Final[Mapping[str, str]] = {"true": "✓", "false": "✗", "unknown": "?"}
_CLAUSE_COLUMNS_MAX: Final = 56
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), (" ms", 1))
_MOMENT_MS_MAX: Final = 253_402_300_799_999
_RESET: Final = "\x1b[0m"


def render_explanation(explanation: Explanation, styles: Mapping[str, str] = PLAIN) -> str:
    """The whole tree, ending in a line break. `styles` as for diagnostics."""
    decision = explanation.decision
    effect = _styled(str(decision.effect), styles.get("help" if decision.permitted else "error"))
    lines = [f"{effect}  {shown(explanation.subject)}", ""]
    for rule in explanation.rules:
        lines += [*_rule(rule, styles), ""]
    lines += [f"  {line}" for line in _footer(explanation)]
    return "\n".join(lines).rstrip() + "\n"


def _rule(rule: RuleExplained, styles: Mapping[str, str]) -> Iterator[str]:
    name = _styled(f"{rule.effect} {rule.name}", styles.get("strong") if rule.decides else None)
    yield f"{'→' if rule.decides else ' '} {name}  {_standing(rule)}"
    if not rule.clauses:
        yield "  └─ ✓ about every call"
    rows = list(_tree(rule.clauses, "  "))
    columns = [len(written) for written, readings in rows if readings]
    width = min(max(columns, default=0), _CLAUSE_COLUMNS_MAX)
    for written, readings in rows:
        yield f"{written:<{width}}  {readings}".rstrip()


def _standing(rule: RuleExplained) -> str:
    """What became of the rule, in words."""
    if not rule.applies:
        unknown = rule.truth == "unknown"
        return "does not apply: nobody can tell that it should" if unknown else "does not apply"
    said = "applies" if rule.truth == "true" else "applies: it cannot be ruled out"
    if rule.duties:
        said += f", and adds {', '.join(rule.duties)}"
    return f"{said} (shadow: not enforced)" if rule.shadow else said


def _tree(clauses: Sequence[ClauseExplained], indent: str) -> Iterator[tuple[str, str]]:
    """Each line as what is written and what was read."""
    for clause in clauses:
        last = clause is clauses[-1]
        branch, below = ("└─", "   ") if last else ("├─", "│  ")
        readings = "   ".join(map(_reading, clause.readings))
        yield f"{indent}{branch} {MARKS[clause.truth]} {shown(clause.text)}", readings
        yield from _tree(clause.parts, f"{indent}{below}")


def _reading(reading: Reading) -> str:
    if reading.state == "missing":
        return f"{reading.path} is missing"
    if reading.state == "unknown":
        return f"{reading.path} cannot be read"
    text = _value(reading)
    if len(text) > EXPLAINED_VALUE_CHARACTERS_MAX:
        text = text[: EXPLAINED_VALUE_CHARACTERS_MAX - 1] + "…"
    return f"{reading.path} = {shown(text)}"


def _value(reading: Reading) -> str:
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
    if explanation.elsewhere:
        one = explanation.elsewhere == 1
        yield f"{explanation.elsewhere} rule{' is' if one else 's are'} about other calls"
    for miss in explanation.near_misses:
        yield f"`{miss.rule}` would permit it if {' and '.join(f'`{n}`' for n in miss.needs)}"
    told = (("reason", decision.reason), ("internal", decision.internal), ("help", decision.help))
    for word, text in told:
        if text:
            yield f"{word:<8}  {shown(text)}"


def _styled(text: str, style: str | None) -> str:
    return f"{style}{text}{_RESET}" if style else text
