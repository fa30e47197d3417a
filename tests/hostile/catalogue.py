"""The catalogue of hostile cases, and what each is expected to come to.

`cases.yaml` is data that others wrote; nothing in it is changed here. Where the product decided
otherwise, `decided.py` says so for one case, with the reason. What has to be built before a case of
an area in force can be tried stands in `pending.py`, with what it waits for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

IN_FORCE: tuple[str, ...] = (
    "cache",
    "clock",
    "concurrency",
    "dcr",
    "dos",
    "introspection",
    "json",
    "jwt",
    "mcp-http",
    "policy-language",
    "policy-update",
    "revocation",
)
"""Areas of which every case has an attack, or says what it waits for."""

_NUMBER = re.compile(r"-3\d{4}")
_WORD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the catalogue.

    `http`: every status that would do, empty when it is no status. `errors`: every number and word
    that would do, empty when the assertion is the attack's own. `forwarded`: whether the upstream
    must have heard of it. `audit`: what must be found afterwards.
    """

    id: str
    area: str
    severity: str
    title: str
    input: str
    reason: str
    http: frozenset[int]
    errors: frozenset[str]
    forwarded: bool
    audit: str


@cache
def catalogue() -> dict[str, Case]:
    """Every case by its id."""
    text = Path(__file__).with_name("cases.yaml").read_text("utf-8")
    return {row["id"]: _case(row) for row in yaml.safe_load(text)["cases"]}


def _case(row: dict) -> Case:
    expected = row["expect"]
    error = str(expected["error"])
    told = "" if error.startswith(("(", "{")) else error.partition("(")[0]
    return Case(
        id=row["id"],
        area=row["area"],
        severity=row["severity"],
        title=row["title"],
        input=row["input"],
        reason=row.get("reason", ""),
        http=frozenset(int(found) for found in re.findall(r"\b[1-5]\d\d\b", str(expected["http"]))),
        errors=frozenset(_NUMBER.findall(told) + _WORD.findall(told)),
        forwarded=expected["forwarded"] is True,
        audit=str(expected["audit"]),
    )
