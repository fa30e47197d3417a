"""The root of every error this project raises on purpose."""

from __future__ import annotations


class PbacError(Exception):
    """A mistake somebody can act on.

    Attributes:
        code: stable snake_case word, the same in every rendering.
        message: lowercase, no final period, backticks round user text.
        help: what to do next, or None when the message already says it.
    """

    code: str = "error"

    def __init__(self, message: str, *, help: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message}\n  help: {self.help}" if self.help else self.message
