"""What one run of the checker carries along, and the few words its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pbac.base.diagnostics import Diagnostic, Severity
from pbac.base.source import Span
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.kinds import ANY, Kind
from pbac.lang.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """What checking an expression needs to know, and where its complaints go.

    Attributes:
        tiers: the declared tiers, lowest first.
        variables: quantifiers' variables (and definitions' parameters) with their kinds.
        quantifiers: how many `any` and `all` stand around.
        found: complaints so far; shared by everything that is checked in one run.
    """

    schema: Schema
    tiers: tuple[str, ...]
    found: list[Diagnostic]
    variables: Mapping[str, Kind] = field(default_factory=dict)
    quantifiers: int = 0

    def complain(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        help: str | None = None,
    ) -> Kind:
        """Note an error. Returns `ANY`: nothing is known about what is wrong."""
        self.found.append(Diagnostic(code=code, message=message, span=span, help=help))
        return ANY

    def warn(self, code: str, message: str, span: Span, *, help: str) -> None:
        """Note a warning; it always says how to silence it."""
        severity = Severity.WARNING
        self.found.append(
            Diagnostic(code=code, message=message, span=span, help=help, severity=severity)
        )


def described(expression: nodes.Expression, kind: Kind) -> str:
    """`` `agent.tier` (a tier) `` for a path, `a number` for anything else."""
    return f"`{expression.text()}` ({kind})" if isinstance(expression, nodes.Path) else str(kind)


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
