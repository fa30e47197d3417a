"""Every duty of the language is read and checked, those that nobody can carry out yet included."""

from __future__ import annotations

import pytest

from pbac.base.diagnostics import Severity
from pbac.base.limits import APPROVALS_MAX
from pbac.base.source import Source
from pbac.lang.check.check import check
from pbac.lang.check.duties import _CHECKS, ENFORCED_DUTIES, ISSUANCE_DUTIES
from pbac.lang.resolve.resolve import resolve
from pbac.lang.syntax.duties import _DUTIES
from pbac.lang.syntax.parse import parse

HEADER = "package t\ntiers lo < hi\n"
CALLS = {
    "approval": 'approval 2 from group "owners" or user "alice" within 15m',
    "limit": "limit 20 per 1m by agent, session, args.owner",
    "redact": 'redact matching r"[0-9]{16}" in result.content',
    "keep": "keep only result.structuredContent.id, result.content.*.text",
    "truncate": "truncate result.content to 64KiB",
    "cap": "cap args.page.size at 50",
    "set": "set args.mode = safe",
    "reauthenticate": 'reauthenticate at "idp" within 5m',
    "notify": 'notify "releases"',
    "record": "record without args.token, facts.pull.body",
}
TOKENS = {"expire": "expire in 15m", "single": "single use"}


def diagnostics(*lines, on="any"):
    text = f"require x on {on}\n" + "".join(f"then {line}\n" for line in lines)
    resolved = resolve([parse(Source("t.pbac", HEADER + text))])
    assert resolved.diagnostics == ()
    return check(resolved).diagnostics


def errors(*lines, on="any"):
    return [d for d in diagnostics(*lines, on=on) if d.severity is Severity.ERROR]


def test_every_duty_of_the_grammar_is_shown_here():
    kinds = {kind for kind, _ in _DUTIES.values()}
    assert CALLS.keys() | TOKENS.keys() == kinds
    assert TOKENS.keys() == ISSUANCE_DUTIES
    assert _CHECKS.keys() <= kinds
    assert kinds >= ENFORCED_DUTIES


@pytest.mark.parametrize("kind", [*CALLS, *TOKENS])
def test_a_duty_is_sound_and_only_warned_of_when_nobody_carries_it_out(kind):
    found = diagnostics({**CALLS, **TOKENS}[kind], on="token" if kind in TOKENS else "any")
    codes = [(d.code, d.severity) for d in found]
    wanted = [] if kind in ENFORCED_DUTIES else [("unenforced-duty", Severity.WARNING)]
    assert codes == wanted
    if wanted:
        what = "scope" if kind in TOKENS else "call"
        assert f"`{kind}` yet: a {what} it applies to is denied" in found[0].message
        assert "`approval`, `expire`, `limit`, `redact`" in found[0].help


@pytest.mark.parametrize("kind", [*CALLS, *TOKENS])
def test_a_duty_stands_where_it_can_be_met(kind):
    (found,) = errors({**CALLS, **TOKENS}[kind], on="any" if kind in TOKENS else "token")
    assert found.code == "misplaced-duty"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ('approval 3 from user "a" or user "b" within 1h', "bad-duty", "only 2 may"),
        ('approval from user "" within 1h', "bad-duty", "no user is named so"),
        (f'approval from group "{"g" * 201}" within 1h', "bad-duty", "no group is named so"),
        ('approval from user "a" or user "a" within 1h', "duplicate-name", "`user a` stands twice"),
        (f'approval {APPROVALS_MAX + 1} from group "g" within 1h', "bad-count", "at most 16"),
        ("limit 100_001 per 1m by agent", "bad-count", "at most 100000 calls"),
        ("limit 1 per 1m by data.x", "bad-duty", "cannot be counted by `data.x`"),
        ("limit 1 per 1m by args.x[0]", "bad-duty", "cannot be counted by `args.x[…]`"),
        ("limit 1 per 1m by agent, agent", "duplicate-name", "`agent` stands twice"),
        ('redact matching r"(a"', "bad-pattern", "never closed"),
        ("redact result.a, result.a", "duplicate-name", "`result.a` stands twice"),
        ("keep only result", "bad-duty", "takes nothing out"),
        ("keep only result.a, result.a", "duplicate-name", "`result.a` stands twice"),
        ("cap args at 3", "bad-duty", "`args` is none"),
        ("cap session.calls at 3", "bad-duty", "`session.calls` is none"),
        ("cap args.x[0] at 3", "bad-duty", "`args.x[…]` is none"),
        ("set agent.tier = hi", "bad-duty", "`agent.tier` is none"),
        ('reauthenticate at "" within 5m', "bad-duty", "no identity provider is named so"),
        ('notify ""', "bad-duty", "no channel is named so"),
        ("record without agent.id", "bad-duty", "cannot do without `agent.id`"),
        ("record without args.x[0]", "bad-duty", "cannot do without `args.x[…]`"),
        ("record without args.x, args.x", "duplicate-name", "`args.x` stands twice"),
    ],
)
def test_a_duty_that_can_never_be_met_is_an_error(line, code, message):
    (found,) = errors(line)
    assert found.code == code
    assert message in found.message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["set args.a = 1", "set args.a = 2"], "`args.a` is set to two values"),
        (["set args.a = 1", "set args.a = true"], "`args.a` is set to two values"),
        (["cap args.a at 3", "set args.a = 4"], "above the cap"),
        (["set args.a = x", "cap args.a at 3"], "above the cap"),
        (["set args.a = 4", "cap args.a.b at 3"], "`args.a.b` and `args.a` are changed"),
    ],
)
def test_duties_of_one_rule_that_no_call_can_meet_together(lines, message):
    (found,) = errors(*lines)
    assert found.code == "conflicting-duties"
    assert message in found.message
    assert found.span.line == 5


@pytest.mark.parametrize(
    "lines",
    [
        ["set args.a = 1", "set args.a = 1.0"],
        ["cap args.a at 3", "cap args.a at 2", "set args.a = 2"],
        ["set args.a = 4", "cap args.ab at 3"],
        ["record full", "record without args.a"],
    ],
)
def test_duties_of_one_rule_that_can_be_met_together(lines):
    assert errors(*lines) == []
