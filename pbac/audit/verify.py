"""The whole log held against itself and against every signature: pure, streaming, one pass.

Each line must fit its hash, each record must follow the one before it, and after as many leaves as
a checkpoint counts the root must be the signed one. When the row is broken (records missing,
repeated, rewritten) the tree is lost until the next segment opens with a signed edge: from there
on verification goes on, so one report names every bad place and not only the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from pbac.audit.checkpoint import (
    Checkpoint,
    CheckpointError,
    OtherKeyError,
    Verifier,
    split_notes,
    verify,
)
from pbac.audit.lines import Fault, Line, read_line
from pbac.audit.merkle import EMPTY, Edge, extend, root
from pbac.base.limits import AUDIT_PROBLEMS_MAX


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One segment to verify: `lines` with their line breaks, `notes` the checkpoint file's bytes.

    A checkpoint file without its lines is a segment without lines.
    """

    number: int
    name: str
    lines: Iterable[bytes]
    notes_name: str
    notes: bytes


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One bad place.

    `line` counts from 1, `byte` from 0, both in `file`; `sequence` is 0 when it cannot be told.
    """

    fault: Fault
    file: str
    line: int
    byte: int
    message: str
    sequence: int = 0

    def __str__(self) -> str:
        who = f"record {self.sequence} in " if self.sequence else ""
        return f"{who}{self.file}, line {self.line}, byte {self.byte}: {self.message}"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        size: the sequence of the last record. `root`: hex, "" when the tree is lost.
        signed_size: records that a fitting checkpoint vouches for.
        checkpoints: how many fitted. `problems`: at most `AUDIT_PROBLEMS_MAX`, in file order.
        problems_count: all of them.
    """

    size: int
    root: str
    signed_size: int
    checkpoints: int
    segments: int
    problems: tuple[Problem, ...]
    problems_count: int

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return self.problems_count == 0


def verify_log(
    segments: Iterable[Segment],
    verifier: Verifier,
    progress: Callable[[int], object] = lambda _bytes: None,
) -> Verification:
    """Verify segments in order, from the first. `progress` is told bytes as they are done."""
    walk = _Walk(verifier, progress)
    for segment in segments:
        walk.segment(segment)
    return walk.result()


class _Walk:
    """Where the verification stands. `edge` is None while the tree is lost."""

    def __init__(self, verifier: Verifier, progress: Callable[[int], object]) -> None:
        self.verifier = verifier
        self.progress = progress
        self.edge: Edge | None = EMPTY
        self.sequence = 0
        self.missing: list[range] = []
        self.problems: list[Problem] = []
        self.problems_count = 0
        self.segments = 0
        self.signed_size = 0
        self.checkpoints = 0

    def result(self) -> Verification:
        return Verification(
            size=self.sequence,
            root=root(self.edge).hex() if self.edge is not None else "",
            signed_size=self.signed_size,
            checkpoints=self.checkpoints,
            segments=self.segments,
            problems=tuple(self.problems),
            problems_count=self.problems_count,
        )

    def complain(self, fault: Fault, place: _Place, message: str, sequence: int = 0) -> None:
        self.problems_count += 1
        if len(self.problems) < AUDIT_PROBLEMS_MAX:
            self.problems.append(
                Problem(
                    fault=fault,
                    file=place.file,
                    line=place.line,
                    byte=place.byte,
                    message=message,
                    sequence=sequence,
                )
            )

    def segment(self, segment: Segment) -> None:
        """Walk through one segment and its checkpoints side by side."""
        self.segments += 1
        place = _Place(file=segment.name)
        if segment.number != self.segments:
            gap = f"segment {self.segments} is missing before this one"
            self.complain(Fault.MISSING_SEGMENT, place, gap)
            self.segments = segment.number
            self.edge = None
        claims = _Claims(self, segment)
        self.open(claims, place)
        for data in segment.lines:
            self.line(data, place)
            claims.check()
            place = place.after(data)
            self.progress(len(data))
        claims.finish(place)

    def open(self, claims: _Claims, place: _Place) -> None:
        """The opening checkpoint: where the tree has to stand, or where it is found again."""
        opening = claims.next
        if opening is None and claims.other_key:
            pass  # told already: its checkpoints are another key's, and so is the opening one
        elif opening is None or opening.edge is None:
            message = "the segment does not open with a checkpoint that carries the tree's edge"
            self.complain(Fault.BAD_CHECKPOINT, claims.place, message)
        elif self.edge is None or self.edge.size != opening.size:
            self.expect(opening.size + 1, place)
            if opening.size < self.sequence:
                message = f"it opens at record {opening.size}, but {self.sequence} stand before it"
                self.complain(Fault.BAD_CHECKPOINT, claims.place, message)
            self.edge = opening.edge
            self.sequence = opening.size
        claims.check()

    def line(self, data: bytes, place: _Place) -> None:
        """One line: alone, and in its row."""
        line = read_line(data)
        found = self.found(line)
        if line.fault is not None:
            self.complain(line.fault, place.at(line.at), line.message, found)
        if found != self.sequence + 1:
            self.row(found, place)
        elif self.edge is not None:
            self.edge = extend(self.edge, (line.leaf,))
        self.sequence = max(self.sequence, found)

    def found(self, line: Line) -> int:
        """The sequence of this line; of an unreadable one, what it should be."""
        record: dict[str, Any] = line.record or {}
        sequence = record.get("sequence")
        return sequence if isinstance(sequence, int) else self.sequence + 1

    def row(self, found: int, place: _Place) -> None:
        """A record that does not follow the one before it."""
        self.edge = None
        if found > self.sequence:
            self.expect(found, place)
        elif any(found in gap for gap in self.missing):
            message = f"it stands after record {self.sequence}"
            self.complain(Fault.OUT_OF_ORDER, place, message, found)
        else:
            message = f"its number was seen before; record {self.sequence} is the last one so far"
            self.complain(Fault.REPEATED, place, message, found)

    def expect(self, found: int, place: _Place) -> None:
        """Everything between the last record and this one is missing."""
        gap = range(self.sequence + 1, found)
        if not gap:
            return
        self.missing = [*self.missing[-AUDIT_PROBLEMS_MAX:], gap]
        what = f"record {gap[0]} is" if len(gap) == 1 else f"records {gap[0]} to {gap[-1]} are"
        self.complain(Fault.MISSING, place, f"{what} missing before this line", gap[0])


class _Place(msgspec.Struct, frozen=True):
    """A place in a file: `line` from 1, `byte` from 0."""

    file: str
    line: int = 1
    byte: int = 0

    def at(self, offset: int) -> _Place:
        return _Place(self.file, self.line, self.byte + offset)

    def after(self, data: bytes) -> _Place:
        return _Place(self.file, self.line + data.count(b"\n"), self.byte + len(data))


class _Claims:
    """The checkpoints of one segment, each held against the tree when it has grown to its size."""

    def __init__(self, walk: _Walk, segment: Segment) -> None:
        self.walk = walk
        self.notes = self._read(segment)
        self.place = _Place(segment.notes_name)
        self.next: Checkpoint | None = None
        self.size = -1
        self.other_key = False
        self.advance()

    def _read(self, segment: Segment) -> Iterator[Checkpoint]:
        """Claims with a fitting signature; complains about the others."""
        place = _Place(segment.notes_name)
        for _offset, note in split_notes(segment.notes):
            try:
                claim = verify(note, self.walk.verifier)
            except OtherKeyError as error:
                self.other_key = True
                self.walk.complain(Fault.OTHER_KEY, place, error.message)
            except CheckpointError as error:
                self.walk.complain(Fault.BAD_CHECKPOINT, place, error.message)
            else:
                self.place = place
                yield claim
            place = place.after(note)

    def advance(self) -> None:
        """The next claim that is larger than all before it."""
        for claim in self.notes:
            if claim.size > self.size:
                self.size, self.next = claim.size, claim
                return
            message = f"a checkpoint of {claim.size} records after one of {self.size}"
            self.walk.complain(Fault.BAD_CHECKPOINT, self.place, message)
        self.next = None

    def check(self) -> None:
        """Hold the claims that the tree has grown to against it."""
        walk = self.walk
        while self.next is not None and walk.edge is not None and self.next.size <= walk.edge.size:
            if self.next.root == root(walk.edge):
                walk.checkpoints += 1
                walk.signed_size = self.next.size
            else:
                message = (
                    f"the signed root of {self.next.size} records is not the root of the records "
                    f"here: something after record {walk.signed_size} was rewritten after signing"
                )
                walk.complain(Fault.ROOT_MISMATCH, self.place, message, self.next.size)
                walk.edge = None
            self.advance()

    def finish(self, place: _Place) -> None:
        """All lines are read: whatever is signed beyond them was cut off."""
        largest = 0
        while self.next is not None:
            largest = max(largest, self.next.size)
            self.advance()
        if largest > self.walk.sequence:
            lost = largest - self.walk.sequence
            message = (
                f"the log ends with record {self.walk.sequence}, but {largest} were signed: "
                f"{lost} cut off"
            )
            self.walk.complain(Fault.TRUNCATED, place, message, self.walk.sequence + 1)
