"""RFC 6901, with its own examples."""

from __future__ import annotations

import pytest

from pbac.base.json_pointer import follow

DOCUMENT = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6,
    " ": 7, "m~n": 8,
}  # fmt: skip
# RFC 6901 6: the same document by URI fragments.
EXAMPLES = [
    ("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1),
    ("/c%25d", 2), ("/e%5Ef", 3), ("/g%7Ch", 4), ("/i%5Cj", 5), ("/k%22l", 6), ("/%20", 7),
    ("/m~0n", 8),
]  # fmt: skip


@pytest.mark.parametrize(("fragment", "value"), EXAMPLES)
def test_the_examples_of_the_rfc(fragment, value):
    assert follow(DOCUMENT, fragment) == value


@pytest.mark.parametrize(
    "fragment", ["foo", "/fo", "/foo/2", "/foo/-1", "/foo/-", "/foo/0/x", "/foo/bar", "//", "/a/b"]
)
def test_what_leads_nowhere_is_told(fragment):
    with pytest.raises(LookupError):
        follow(DOCUMENT, fragment)
