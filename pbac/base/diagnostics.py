"""One mistake, one code word, one message, one help. Rendering lives in `render`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pbac.base.errors import PbacError
from pbac.base.limits import DIAGNOSTICS_MAX
from pbac.base.source import Span


class Severity(StrEnum):
    """An error stops a version from being published; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


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
    """Sorted by place without repeats, at most `DIAGNOSTICS_MAX`: errors are kept first."""
    unique = dict.fromkeys(diagnostics)
    ranked = sorted(unique, key=lambda d: (d.severity is not Severity.ERROR, d.span, d.code))
    return tuple(sorted(ranked[:DIAGNOSTICS_MAX], key=lambda d: (d.span, d.code)))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """True when at least one diagnostic is an error rather than a warning."""
    return any(d.severity is Severity.ERROR for d in diagnostics)
