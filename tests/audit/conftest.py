"""A log in memory: the storage contract without a disk, and keys that are the same every run."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pbac.audit.checkpoint import NoteKey, Signer, Verifier
from pbac.audit.log import AuditLog, LogState
from pbac.audit.record import OutcomeRecord
from pbac.audit.verify import Segment, verify_log


class TurnableClock:
    def __init__(self):
        self.ms = 1_700_000_000_000
        self.seconds = 0.0

    def now_ms(self):
        return self.ms

    def monotonic(self):
        return self.seconds

    def wait(self, seconds):
        self.ms += int(seconds * 1000)
        self.seconds += seconds


class MemoryStorage:
    def __init__(self, segment_bytes=1 << 30):
        self.segments = []
        self.segment_bytes = segment_bytes

    def append(self, lines):
        self.segments[-1][0].extend(lines.splitlines(keepends=True))

    def append_checkpoint(self, note):
        self.segments[-1][1].append(note)

    def begin_segment(self, note):
        self.segments.append(([], [note]))

    def is_segment_full(self):
        return not self.segments or sum(map(len, self.segments[-1][0])) >= self.segment_bytes

    def close(self):
        pass


def keys(seed, name="gateway.example/audit"):
    private = Ed25519PrivateKey.from_private_bytes(seed * 32)
    public = private.public_key()
    key = NoteKey(name=name, public=public.public_bytes_raw())

    def verify(message, signature):
        try:
            public.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return Signer(key=key, sign=private.sign), Verifier(key=key, verify=verify)


class Bench:
    """A log, its storage, and the verifier held against whatever was made of it."""

    def __init__(self, segment_bytes=1 << 30):
        self.clock = TurnableClock()
        self.storage = MemoryStorage(segment_bytes)
        self.signer, self.verifier = keys(b"k")
        self.log = AuditLog(self.storage, LogState(), self.signer, self.clock)
        self.log.start()

    def write(self, count, batch=1, sign_every=None):
        """Append records; a checkpoint after every `sign_every`-th batch."""
        for number in range(0, count, batch):
            size = min(batch, count - number)
            self.log.append([outcome(number + at) for at in range(size)])
            self.clock.wait(0.5)
            if sign_every and (number // batch) % sign_every == sign_every - 1:
                self.log.sign()
        return self

    def files(self):
        """Mutable bytes of every file: [[lines, notes], …]."""
        return [[b"".join(lines), b"".join(notes)] for lines, notes in self.storage.segments]

    def verify(self, files=None):
        files = self.files() if files is None else files
        segments = [
            Segment(
                number=number,
                name=f"log-{number:06d}.jsonl",
                lines=split(lines),
                notes_name=f"log-{number:06d}.checkpoints",
                notes=notes,
            )
            for number, (lines, notes) in enumerate(files, 1)
        ]
        return verify_log(segments, self.verifier)


def split(data):
    pieces = data.split(b"\n")
    last = [pieces.pop()]
    return [piece + b"\n" for piece in pieces] + [piece for piece in last if piece]


def outcome(number):
    return OutcomeRecord(decision_id=f"d_{number:032x}", outcome="completed", http_status=200)


@pytest.fixture
def bench():
    return Bench


@pytest.fixture
def make_keys():
    return keys
