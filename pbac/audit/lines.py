"""One line of the log: `<64 hex digits> <canonical record>`, and what is wrong with a line.

The digits are the leaf hash of the record's bytes. A line whose two halves disagree was changed;
the disagreement also says where: digits that differ in few places were themselves touched,
otherwise the record was, and for one changed byte the hash still knows what it has to be.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson

from pbac.audit.merkle import HASH_BYTES, LEAF_PREFIX, leaf_hash
from pbac.audit.record import RECORD_VERSION
from pbac.base import json
from pbac.base.limits import AUDIT_FLIP_SEARCH_BYTES_MAX, AUDIT_RECORD_BYTES_MAX

HASH_DIGITS: Final = 2 * HASH_BYTES
DATA_START: Final = HASH_DIGITS + 1
LINE_BYTES_MAX: Final = DATA_START + AUDIT_RECORD_BYTES_MAX + 1
# Two unrelated hashes agree in about 4 of 64 digits; fewer than a quarter of disagreement is a
# touched hash, never chance.
_TOUCHED_DIGITS_MAX: Final = HASH_DIGITS // 4


class Fault(StrEnum):
    """What is wrong with a line, or with the row of them."""

    RECORD_CHANGED = "record_changed"
    HASH_CHANGED = "hash_changed"
    MALFORMED = "malformed"
    UNFINISHED = "unfinished"
    MISSING = "missing"
    REPEATED = "repeated"
    OUT_OF_ORDER = "out_of_order"
    TRUNCATED = "truncated"
    ROOT_MISMATCH = "root_mismatch"
    BAD_CHECKPOINT = "bad_checkpoint"
    OTHER_KEY = "other_key"
    MISSING_SEGMENT = "missing_segment"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line, read.

    Attributes:
        leaf: what belongs into the tree, as far as can be told.
        record: the record, None when it cannot be told any more.
        fault: what is wrong, or None for an intact line.
        at: offset of the wrong byte in the line, when it is known.
        message: what to tell people about the fault.
    """

    leaf: bytes
    record: dict[str, Any] | None
    fault: Fault | None = None
    at: int = 0
    message: str = ""


def render_line(leaf: bytes, data: bytes) -> bytes:
    """A record's line. `data` has no line break: canonical JSON escapes them."""
    return b"%s %s\n" % (leaf.hex().encode(), data)


def read_line(line: bytes) -> Line:
    """One line with its line break."""
    stored, gap, data = line[:HASH_DIGITS], line[HASH_DIGITS:DATA_START], line[DATA_START:-1]
    leaf = leaf_hash(data)
    if not line.endswith(b"\n"):
        return Line(
            leaf=leaf,
            record=None,
            fault=Fault.UNFINISHED,
            at=len(line),
            message="the line has no end: it was cut, or never completely written",
        )
    if stored == leaf.hex().encode() and gap == b" ":
        return _intact(leaf, data)
    return _changed(stored, gap, data, leaf)


def _intact(leaf: bytes, data: bytes) -> Line:
    record = _record(data)
    if record is None or json.canonical(record) != data:
        return _malformed(leaf, DATA_START, "the bytes are not a record in canonical form")
    if record.get("v") != RECORD_VERSION or not isinstance(record.get("sequence"), int):
        return _malformed(leaf, DATA_START, f"not a record of version {RECORD_VERSION}")
    return Line(leaf=leaf, record=record)


def _changed(stored: bytes, gap: bytes, data: bytes, leaf: bytes) -> Line:
    digits = leaf.hex().encode()
    touched = [at for at in range(len(stored)) if stored[at] != digits[at]]
    if len(stored) == HASH_DIGITS and len(touched) <= _TOUCHED_DIGITS_MAX:
        if not touched:
            return _malformed(leaf, HASH_DIGITS, f"{_byte(gap)} stands between hash and record")
        return Line(
            leaf=leaf,
            record=_record(data),
            fault=Fault.HASH_CHANGED,
            at=touched[0],
            message=f"the stored hash was changed in {len(touched)} of {HASH_DIGITS} digits",
        )
    try:
        expected = bytes.fromhex(stored.decode("ascii"))
    except ValueError:
        return _malformed(leaf, 0, "the line does not begin with a hash")
    found = find_flip(data, expected) if len(expected) == HASH_BYTES else None
    if found is None:
        return Line(
            leaf=expected,
            record=_record(data),
            fault=Fault.RECORD_CHANGED,
            at=DATA_START,
            message="the record is not the one that was hashed",
        )
    at, original = found
    restored = data[:at] + bytes([original]) + data[at + 1 :]
    was, now = _byte(bytes([original])), _byte(data[at : at + 1])
    return Line(
        leaf=expected,
        record=_record(restored),
        fault=Fault.RECORD_CHANGED,
        at=DATA_START + at,
        message=f"one byte of the record was changed: it was {was} and is {now}",
    )


def _malformed(leaf: bytes, at: int, message: str) -> Line:
    return Line(leaf=leaf, record=None, fault=Fault.MALFORMED, at=at, message=message)


def find_flip(data: bytes, expected: bytes) -> tuple[int, int] | None:
    """Where one byte of `data` has to be replaced, and by what, to have this leaf hash.

    Single bits are tried first, then whole bytes while `data` is short enough to afford it.
    """
    if len(data) > AUDIT_FLIP_SEARCH_BYTES_MAX:
        return None
    bits = tuple(1 << bit for bit in range(8))
    rest = tuple(mask for mask in range(1, 256) if mask not in bits)
    for masks in (bits, rest):
        before = sha256(LEAF_PREFIX)
        for at, value in enumerate(data):
            after = data[at + 1 :]
            for mask in masks:
                attempt = before.copy()
                attempt.update(bytes((value ^ mask,)) + after)
                if attempt.digest() == expected:
                    return at, value ^ mask
            before.update(data[at : at + 1])
    return None


def _record(data: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _byte(data: bytes) -> str:
    """A byte for people: `a`, or its number when it has no picture."""
    return f"`{data.decode()}`" if data.isascii() and data.isalnum() else f"0x{data.hex()}"
