"""The sentences of a decision that no policy author wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pbac.base.limits import TEXT_CHARACTERS_MAX
from pbac.model.request import DecisionRequest
from pbac.model.values import MISSING, Value


def joined(texts: Iterable[str]) -> str:
    """Those that say something, each once, in order; at most `TEXT_CHARACTERS_MAX` characters."""
    return "; ".join(dict.fromkeys(filter(None, texts)))[:TEXT_CHARACTERS_MAX]


def doubt(rule: str, paths: Sequence[str]) -> str:
    """Why a rule applied that could not be ruled out (Law 2).

    Its own `because` would be a wrong reason: nobody knows that it holds.
    """
    verb = "is" if len(paths) == 1 else "are"
    return f"{_listed(paths)} {verb} missing or of the wrong kind, so `{rule}` cannot be ruled out"


def what_helps(unknown: Iterable[str], request: DecisionRequest) -> str:
    """What the caller can do about unknown paths; "" when nothing: only arguments are its own."""
    missing: list[str] = []
    wrong: list[str] = []
    for path in unknown:
        root, *names = path.split(".")
        if root == "args" and names:
            found = _argument(request.args, names)
            (missing if found is MISSING else wrong).append(path)
    return joined(
        [
            f"send {_listed(missing)}" if missing else "",
            f"send {_listed(wrong)} in the kind the tool asks for" if wrong else "",
        ]
    )


def _listed(paths: Sequence[str]) -> str:
    return " and ".join(f"`{path}`" for path in paths)


def _argument(value: Value, names: Iterable[str]) -> Value:
    for name in names:
        if type(value) is not dict:
            return value
        value = value.get(name, MISSING)
    return value
