"""One mistake, one code word, one message, one help. Rendering lives in `render`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pbac.base.errors import PbacError
from pbac.base.limits import DIAGNOSTICS_MAX
from pbac.base.source import Span


class Severity(StrEnum):
    """An error stops a version from being published; warnings and notes do not. Worst first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code word means, in one sentence, and how severe it is unless somebody says else."""

    severity: Severity
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One complaint with its place.

    Attributes:
        code: stable kebab-case word (`unknown-field`), documented in the reference.
        message: lowercase, no final period, backticks round user text, never a Python type name.
        span: what to underline.
        label: two or three words to print beside the carets, or "".
        help: what to write instead, derived from facts, or None.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    help: str | None = None
    severity: Severity = Severity.ERROR


class PolicyError(PbacError):
    """Policy text that cannot be used. Carries every diagnostic of the run, in order."""

    code = "policy_error"

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        first = self.diagnostics[0]
        more = len(self.diagnostics) - 1
        also = f" (and {more} more)" if more else ""
        super().__init__(f"{first.span}: {first.message} [{first.code}]{also}", help=first.help)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, without repeats."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span, d.code)))


def worst(
    diagnostics: Iterable[Diagnostic], most: int = DIAGNOSTICS_MAX
) -> tuple[tuple[Diagnostic, ...], int]:
    """At most so many, in order, errors kept before warnings and notes; and how many are left."""
    unique = in_order(diagnostics)
    if len(unique) <= most:
        return unique, 0
    ranked = sorted(unique, key=lambda d: _RANKS[d.severity])
    return in_order(ranked[:most]), len(unique) - most


_RANKS: Final = {severity: rank for rank, severity in enumerate(Severity)}


def at_least(severity: Severity, diagnostics: Iterable[Diagnostic]) -> bool:
    """Is something as severe as this, or worse, among them?"""
    return any(_RANKS[each.severity] <= _RANKS[severity] for each in diagnostics)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """True when at least one diagnostic is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)
