"""What one run of the checker carries along, and the few words its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.printable import printable
from pbac.base.source import Span
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.kinds.kinds import ANY, Kind
from pbac.lang.kinds.narrowing import NOTHING, Known
from pbac.lang.kinds.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """What checking an expression needs to know, and where its complaints go.

    Attributes:
        tiers: the declared tiers, lowest first.
        variables: quantifiers' variables (and definitions' parameters) with their kinds.
        quantifiers: how many `any` and `all` stand around.
        found: complaints so far; shared by everything that is checked in one run.
        rule: the rule that is checked; None for a definition by itself.
        tools: names of the tools the rule can be about, where they are known.
        known: what the parts around tell about the part that is checked.
    """

    schema: Schema
    tiers: tuple[str, ...]
    found: list[Diagnostic]
    variables: Mapping[str, Kind] = field(default_factory=dict)
    quantifiers: int = 0
    rule: nodes.Rule | None = None
    tools: tuple[str, ...] = ()
    known: Known = NOTHING

    @property
    def cautious(self) -> bool:
        """Does an unknown condition make the rule apply (Law 2)?"""
        return self.rule is not None and self.rule.effect != "permit"

    def complain(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        help: str | None = None,
    ) -> Kind:
        """Note an error. Returns `ANY`: nothing is known about what is wrong."""
        self._note(code, message, span, help, Severity.ERROR)
        return ANY

    def warn(self, code: str, message: str, span: Span, *, help: str) -> None:
        """Note a warning; it always says how to silence it."""
        self._note(code, message, span, help, Severity.WARNING)

    def _note(
        self, code: str, message: str, span: Span, help_text: str | None, severity: Severity
    ) -> None:
        # Names and values in it may be a server's own words.
        self.found.append(
            Diagnostic(
                code=code,
                message=printable(message),
                span=span,
                help=help_text and printable(help_text),
                severity=severity,
            )
        )


def described(expression: nodes.Expression, kind: Kind) -> str:
    """`` `agent.tier` (a tier) `` for a path, `a number` for anything else."""
    return f"`{expression.text()}` ({kind})" if isinstance(expression, nodes.Path) else str(kind)


def warn_of_strangers(
    expression: nodes.Expression, kinds: tuple[Kind, ...], wanted: str, checking: Checking
) -> None:
    """Warn where a value is only sometimes of a kind that can be used so.

    In a permit that is what one expects: then it does not apply. A forbid and a require do.
    """
    if not kinds or not checking.cautious or checking.rule is None:
        return
    may_be = " or ".join(map(str, kinds))
    path = expression.path if isinstance(expression, nodes.Default) else expression
    name = f"`{path.text()}`" if isinstance(path, nodes.Path) else "this"
    text = path.text() if isinstance(path, nodes.Path) else "…"
    only_null = all(kind.word == "null" for kind in kinds)
    guard = f"{text} is not null" if only_null else f"{text} is {wanted}"
    meant = f"{text} is null" if only_null else f"{text} is not {wanted}"
    if isinstance(expression, nodes.Default):  # asked of what is missing, `is` is unknown
        guard, meant = f"has {text} and {guard}", f"not has {text} or {meant}"
    checking.warn(
        "sometimes-unlike",
        f"{name} may be {may_be}: then this is unknown, and `{checking.rule.name}` applies",
        expression.span,
        help=f"write `{guard} and …`; `{meant} or …` says that this is meant",
    )


def check_tier(name: str, span: Span, checking: Checking) -> None:
    """Complain about a tier that nobody declared: comparing with it is always unknown."""
    if name in checking.tiers:
        return
    help_ = did_you_mean(name, checking.tiers) or "tiers are " + ", ".join(
        f"`{tier}`" for tier in checking.tiers
    )
    if not checking.tiers:
        help_ = "declare them below `package`: `tiers read_only < trusted`"
    checking.complain("unknown-tier", f"there is no tier `{name}`", span, help=help_)
