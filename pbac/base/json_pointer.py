"""JSON Pointer (RFC 6901), as it stands in the fragment of a reference."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote


def follow(root: Any, fragment: str) -> Any:
    """The value that a fragment points to, from `root` on; "" is the whole.

    RFC 6901 3 and 6: steps behind slashes, `~1` and `~0` for `/` and `~`, percent-encoded.

    Raises:
        LookupError: nothing stands there, or the fragment is no pointer.
    """
    pointer = unquote(fragment)
    if pointer and not pointer.startswith("/"):
        raise LookupError(fragment)
    node = root
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            raise LookupError(fragment)
    return node
