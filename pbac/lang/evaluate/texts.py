"""`because` and `internal` texts with a request's values filled in.

Values come from callers, texts end up in logs, terminals and language models: so control, format
and line-breaking characters are escaped, and both the value and the whole are bounded.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from pbac.base.json import encode
from pbac.base.limits import TEXT_CHARACTERS_MAX, TEXT_VALUE_CHARACTERS_MAX
from pbac.lang import nodes
from pbac.lang.evaluate.interpret import value
from pbac.lang.evaluate.truth import UNKNOWN
from pbac.lang.program import Data
from pbac.model.request import DecisionRequest
from pbac.model.values import MISSING, Value

_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories nobody should meet in a one-line message: controls, bidi marks, separators."""


def render_text(text: nodes.Text, request: DecisionRequest, data: Data) -> str:
    """The text with each path replaced by its value: at most `TEXT_CHARACTERS_MAX` characters.

    Texts appear as they are, other values as JSON, `<missing args.x>` and `<unknown args.x>` where
    there is nothing to show.
    """
    parts = [
        part if isinstance(part, str) else _shown(part, value(part, request, data))
        for part in text.parts
    ]
    return _shortened("".join(parts), TEXT_CHARACTERS_MAX)


def _shown(path: nodes.Path, found: Value) -> str:
    if found is MISSING:
        return f"<missing {path.text()}>"
    if found is UNKNOWN:
        return f"<unknown {path.text()}>"
    whole = found if type(found) is str else encode(found).decode()
    # Cut before escaping, so that a long value costs no more than a short one.
    return _shortened(_escaped(whole[: TEXT_VALUE_CHARACTERS_MAX + 1]), TEXT_VALUE_CHARACTERS_MAX)


def _escaped(text: str) -> str:
    r"""Characters that could break a line or reorder it, as `\u{…}`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{{{ord(c):x}}}" if unicodedata.category(c) in _ESCAPED else c for c in text)


def _shortened(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"
