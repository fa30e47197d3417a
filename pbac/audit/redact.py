"""What may not stand in a record, and what is made of it.

Arguments are never recorded, only a keyed digest: equal arguments have equal digests, but whoever
reads the log cannot guess low-entropy ones (a PIN, a name) by hashing candidates. Texts that JSON
cannot hold, and texts too long to keep, are replaced rather than refused: the name of an odd agent
must not be able to stop the record, and with it the gateway.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final

from pbac.base import json
from pbac.base.limits import AUDIT_ITEMS_MAX, AUDIT_RECORD_BYTES_MAX, AUDIT_STRING_CHARACTERS_MAX

CUT: Final = "…[cut]"
"""Ends a text, or is the last item of a list, that was shortened to fit into a record."""

_DEPTH_MAX: Final = 16
_INTEGER_BITS_MAX: Final = 63
# Tried in order until the record fits: characters of a text, items of a list or an object.
_SIZES: Final = (
    (AUDIT_STRING_CHARACTERS_MAX, AUDIT_ITEMS_MAX),
    (512, 64),
    (128, 16),
)


def arguments_digest(key: bytes) -> Callable[[Any], str]:
    """A function: `hmac-sha256:<hex>` of the canonical bytes of a strictly decoded tree."""
    keyed = hmac.new(key, digestmod="sha256")  # preparing a key costs more than using it

    def digest(arguments: Any) -> str:
        mac = keyed.copy()
        mac.update(json.canonical(arguments))
        return "hmac-sha256:" + mac.hexdigest()

    return digest


def storable(body: dict[str, Any], essential: tuple[str, ...]) -> bytes:
    """Canonical bytes of a record, at most `AUDIT_RECORD_BYTES_MAX`. Never fails.

    `essential` names the members that are left when nothing else helps.
    """
    try:
        data = json.canonical(body)
    except TypeError:  # half a surrogate pair, an integer beyond 64 bits, a name that is no text
        data = json.canonical(plain(body, AUDIT_RECORD_BYTES_MAX, AUDIT_RECORD_BYTES_MAX))
    if len(data) <= AUDIT_RECORD_BYTES_MAX:
        return data
    for characters, items in _SIZES:
        members = {name: plain(value, characters, items) for name, value in body.items()}
        data = json.canonical(members)
        if len(data) <= AUDIT_RECORD_BYTES_MAX:
            return data
    kept = {name: plain(body[name], 128, 16) for name in essential if name in body}
    return json.canonical({**kept, "cut": True})


def plain(value: Any, characters: int, items: int, depth: int = _DEPTH_MAX) -> Any:
    """The value as JSON that can always be written, shortened to these sizes."""
    match value:
        case str():
            return _text(value, characters)
        case None | bool() | float():
            return value
        case int():
            return value if value.bit_length() <= _INTEGER_BITS_MAX else str(value)[:characters]
        case dict() | list() | tuple() if depth == 0:
            return CUT
        case dict():
            pairs = list(value.items())[:items]
            shorter = {
                _text(str(name), characters): plain(member, characters, items, depth - 1)
                for name, member in pairs
            }
            return shorter if len(value) <= items else {**shorter, CUT: len(value) - items}
        case list() | tuple():
            shorter_list = [plain(item, characters, items, depth - 1) for item in value[:items]]
            return shorter_list if len(value) <= items else [*shorter_list, CUT]
        case _:
            return _text(str(value), characters)


def _text(text: str, characters: int) -> str:
    kept = text if len(text) <= characters else text[:characters] + CUT
    # Halves of surrogate pairs have no UTF-8 form; an escape keeps which one it was.
    return kept.encode("utf-8", "backslashreplace").decode("utf-8")
