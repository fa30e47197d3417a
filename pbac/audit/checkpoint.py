"""Signed tree heads: C2SP tlog-checkpoint in a C2SP signed note, one key.

    gateway.example/audit            origin: which log
    1042                             size: how many leaves
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=     root hash
    time 2026-11-23T08:00:00.123Z    extension lines, opaque to others
                                     an empty line, then the signature
    — gateway.example/audit Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv…

Notes are kept one after the other, an empty line after each. Everything is exact: whatever
`parse` accepts, `render` gives back byte for byte, so no second spelling of a note exists.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from pbac.audit.merkle import HASH_BYTES, Edge, is_edge, root
from pbac.base.errors import PbacError

SIGNATURE_START: Final = "\u2014 "  # signed-note: "em dash (U+2014)", space, name, space, base64
ED25519_TYPE: Final = b"\x01"  # signed-note: the signature type identifier of Ed25519
KEY_ID_BYTES: Final = 4
ED25519_PUBLIC_BYTES: Final = 32
_TIME: Final = "time "
_EDGE: Final = "edge "
_SIGNER: Final = re.compile(f"{SIGNATURE_START}(\\S+) ")
_CLAIM: Final = re.compile(
    r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\ntime ([^\n]+)(?:\nedge ([^\n]*))?"
)


class CheckpointError(PbacError):
    """Text that is not a checkpoint of this log, or not signed by its key."""

    code = "bad_checkpoint"


class OtherKeyError(CheckpointError):
    """A checkpoint that says itself that another key signed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """The public half of a log's key under the log's name (`origin`)."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """signed-note: the first four bytes of SHA-256(name, 0x0A, type, public key)."""
        return sha256(self.name.encode() + b"\n" + ED25519_TYPE + self.public).digest()[
            :KEY_ID_BYTES
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Makes checkpoints. `sign` takes the message and returns the 64 bytes of Ed25519."""

    key: NoteKey
    sign: Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Checks checkpoints. `verify` takes message and signature and never raises."""

    key: NoteKey
    verify: Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log claims: "my first `size` records have this root".

    Attributes:
        time: RFC 3339, when it was signed.
        edge: the whole right edge, on the note that opens a segment; elsewhere None.
    """

    origin: str
    size: int
    root: bytes
    time: str
    edge: Edge | None = None


def checkpoint(origin: str, edge: Edge, time: str, *, with_edge: bool = False) -> Checkpoint:
    """The claim about the tree with this edge."""
    return Checkpoint(
        origin=origin,
        size=edge.size,
        root=root(edge),
        time=time,
        edge=edge if with_edge else None,
    )


def sign(claim: Checkpoint, signer: Signer) -> bytes:
    """The signed note, with the empty line that ends it."""
    assert claim.origin == signer.key.name
    text = _text(claim)
    signature = signer.key.key_id + signer.sign(text.encode())
    return f"{text}\n{SIGNATURE_START}{claim.origin} {_base64(signature)}\n\n".encode()


def verify(note: bytes, verifier: Verifier) -> Checkpoint:
    """The claim of one signed note.

    Raises:
        CheckpointError: for other logs, other keys (`OtherKeyError`), wrong signatures and other
            spellings.
    """
    try:
        text, signature_line, rest = note.decode("utf-8").split("\n\n")
    except (UnicodeDecodeError, ValueError):
        raise CheckpointError("not a signed note, or an unfinished one") from None
    if rest:
        raise CheckpointError("not a signed note: something follows the signature")
    signature = _signature(signature_line, verifier.key)
    if not verifier.verify((text + "\n").encode(), signature):
        raise CheckpointError(
            "the signature does not fit the checkpoint",
            help="the checkpoint or the signature was changed, or another key signed it",
        )
    claim = _parse(text)
    if claim.origin != verifier.key.name:
        raise CheckpointError(f"the checkpoint is about the log `{claim.origin}`")
    return claim


def split_notes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The notes of a file, each with its offset. A last one may be unfinished."""
    start = 0
    while start < len(data):
        signature = data.find(b"\n\n", start)
        end = data.find(b"\n\n", signature + 2) if signature >= 0 else -1
        after = len(data) if end < 0 else end + 2
        yield start, data[start:after]
        start = after


def is_finished(note: bytes) -> bool:
    """Whether a note was written to its end; pages that a power cut lost read as zeros."""
    return note.endswith(b"\n\n") and note.count(b"\n\n") == 2 and b"\0" not in note


def render_key(key: NoteKey) -> str:
    """signed-note's verifier key: `name+key id+base64(type, public key)`."""
    return f"{key.name}+{key.key_id.hex()}+{_base64(ED25519_TYPE + key.public)}"


def parse_key(text: str) -> NoteKey:
    """A verifier key, as `render_key` writes it. Raises `CheckpointError`."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    material = _unbase64(encoded)
    if material[:1] != ED25519_TYPE or len(material) != 1 + ED25519_PUBLIC_BYTES or not name:
        raise CheckpointError("not a verifier key", help="expected `name+key id+base64`")
    key = NoteKey(name=name, public=material[1:])
    if key.key_id.hex() != key_id:
        raise CheckpointError("the verifier key is damaged: its id does not fit")
    return key


def fingerprint(key: NoteKey) -> str:
    """What people compare: `SHA256:` and unpadded base64 of the public key's digest."""
    return "SHA256:" + _base64(sha256(key.public).digest()).rstrip("=")


def _text(claim: Checkpoint) -> str:
    """tlog-checkpoint: origin, size without leading zeroes, root, then extension lines."""
    lines = [claim.origin, str(claim.size), _base64(claim.root), _TIME + claim.time]
    if claim.edge is not None:
        lines.append(_EDGE + _base64(b"".join(claim.edge.peaks)))
    return "".join(f"{line}\n" for line in lines)


def _parse(text: str) -> Checkpoint:
    match = _CLAIM.fullmatch(text)
    if match is None:
        raise CheckpointError("the lines of the checkpoint are not what they have to be")
    origin, size, encoded_root, time, encoded_edge = match.groups()
    claim = Checkpoint(origin=origin, size=int(size), root=_unbase64(encoded_root), time=time)
    if encoded_edge is None:
        return claim
    hashes = _unbase64(encoded_edge)
    peaks = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    edge = Edge(claim.size, tuple(peaks))
    if not is_edge(claim.size, peaks) or root(edge) != claim.root:
        raise CheckpointError("the edge does not fold to the root it stands beside")
    return replace(claim, edge=edge)


def _signature(line: str, key: NoteKey) -> bytes:
    start = f"{SIGNATURE_START}{key.name} "
    if not line.startswith(start):
        found = _SIGNER.match(line)
        other = f": it is signed by `{found[1]}`" if found else ""
        raise OtherKeyError(f"the checkpoint is not signed by `{key.name}`{other}")
    signature = _unbase64(line[len(start) :])
    if signature[:KEY_ID_BYTES] != key.key_id:
        raise OtherKeyError("the checkpoint is signed by another key of the same name")
    return signature[KEY_ID_BYTES:]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointError("not base64") from None
    if _base64(data) != text:  # padding bits that nobody looks at would be a second spelling
        raise CheckpointError("base64 with stray bits")
    return data
