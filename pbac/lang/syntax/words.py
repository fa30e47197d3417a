"""The words of the language that the grammar uses but cannot reserve or explain by itself."""

from __future__ import annotations

from typing import Final

ITEM_WORDS: Final = ("permit", "forbid", "require", "define", "test")
"""Each begins a top-level item; so does `tiers`, once, below `package`."""

CLAUSE_WORDS: Final = ("for", "on", "when", "unless", "because", "internal", "then")
"""The clauses of a rule, in the order they are written."""

TARGET_WORDS: Final = (
    "tool", "scope", "resource", "prompt", "tag", "server", "tier", "kind", "agent", "provider",
    "group",
)  # fmt: skip
"""What `for` and `on` name."""

DUTY_WORDS: Final = (
    "approval", "limit", "redact", "keep", "truncate", "cap", "set", "reauthenticate", "expire",
    "single", "notify", "record",
)  # fmt: skip
"""Each begins a duty, behind `then`."""

RESERVED: Final = frozenset({
    *ITEM_WORDS, *CLAUSE_WORDS, "package", "sealed", "tiers", "except", "by", "deny",
    "and", "or", "not", "in", "has", "is", "like", "matches", "contains", "within", "intersects",
    "default", "any", "all", "true", "false", "null",
})  # fmt: skip
"""Never a name, and quoted in a target. Words that only some clause knows (`limit`) are free."""

DAY_WORDS: Final = {
    "weekdays": "mon,tue,wed,thu,fri",
    "weekends": "sat,sun",
    "daily": "mon,tue,wed,thu,fri,sat,sun",
}
"""Sets of days, as `in window` takes them."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

FUNCTION_NAMES: Final = frozenset({"host", "scheme", "count", "strings", "lower"})
"""Called like definitions: `count(args.items)`. A definition cannot take one of these names."""

BUCKET_WORDS: Final = frozenset({"agent", "user", "tool", "server", "session"})
"""Whose calls `then limit` counts, beside paths."""
