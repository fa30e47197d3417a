"""Reading a log's directory: segments to verify, the newest records, and what is being added.

Reading takes no lock and never writes: a log can be read and verified while the gateway writes it.
Checkpoints are read before the lines they vouch for, so what they count is always there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pbac.audit.lines import LINE_BYTES_MAX
from pbac.audit.verify import Segment

_NAME: Final = re.compile(r"log-([0-9]{6,})\.(jsonl|checkpoints)")
_BLOCK_BYTES: Final = 64 * 1024
_UNFINISHED_LINE_TRIES: Final = 4
_UNFINISHED_LINE_SECONDS: Final = 0.05


def segment_path(directory: Path, number: int) -> Path:
    """`log-000001.jsonl`."""
    return directory / f"log-{number:06d}.jsonl"


def notes_path(directory: Path, number: int) -> Path:
    """`log-000001.checkpoints`."""
    return directory / f"log-{number:06d}.checkpoints"


def segment_numbers(directory: Path) -> list[int]:
    """Every segment of which a file exists, lowest first."""
    names = (_NAME.fullmatch(path.name) for path in directory.iterdir())
    return sorted({int(name.group(1)) for name in names if name})


def read_segments(directory: Path) -> list[Segment]:
    """Everything in the log now, to be verified; lines are read when they are asked for."""
    return [
        Segment(
            number=number,
            name=segment_path(directory, number).name,
            lines=read_lines(segment_path(directory, number)),
            notes_name=notes_path(directory, number).name,
            notes=_read_if_there(notes_path(directory, number)),
        )
        for number in segment_numbers(directory)
    ]


def log_bytes(directory: Path) -> int:
    """Bytes of all lines, for a progress bar."""
    paths = (segment_path(directory, number) for number in segment_numbers(directory))
    return sum(path.stat().st_size for path in paths if path.exists())


def _read_if_there(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def read_lines(path: Path, start: int = 0) -> Iterator[bytes]:
    """Lines with their line breaks, up to the end the file has when it is reached.

    A last line without an end may be in the middle of being written: it is given a moment. A line
    longer than any record is cut into pieces, so that a damaged file cannot fill the memory.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        while line := file.readline(LINE_BYTES_MAX):
            for _ in range(_UNFINISHED_LINE_TRIES):
                if line.endswith(b"\n") or len(line) >= LINE_BYTES_MAX:
                    break
                time.sleep(_UNFINISHED_LINE_SECONDS)
                line += file.readline(LINE_BYTES_MAX - len(line))
            yield line


def read_backwards(directory: Path) -> Iterator[bytes]:
    """Whole lines of all segments, the newest first."""
    for number in reversed(segment_numbers(directory)):
        path = segment_path(directory, number)
        if path.exists():
            yield from _lines_backwards(path)


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        end = file.seek(0, 2)
        rest, unfinished = b"", True
        while end:
            start = max(0, end - _BLOCK_BYTES)
            file.seek(start)
            rest, *lines = (file.read(end - start) + rest).split(b"\n")
            if lines and unfinished:
                lines.pop()  # after the last line break: nothing, or a line being written
                unfinished = False
            for line in reversed(lines):
                yield line + b"\n"
            end = start
        if not unfinished:
            yield rest + b"\n"


def lines_added(directory: Path, poll_seconds: float = 0.2) -> Iterator[bytes]:
    """Lines added from this call on, across segments. Ends only when its caller stops."""
    numbers = segment_numbers(directory)
    number = numbers[-1] if numbers else 1
    path = segment_path(directory, number)
    return _follow(directory, number, path.stat().st_size if path.exists() else 0, poll_seconds)


def _follow(directory: Path, number: int, offset: int, poll_seconds: float) -> Iterator[bytes]:
    path = segment_path(directory, number)
    while True:
        # Asked before reading: a segment that has a successor gets no more lines.
        is_over = segment_path(directory, number + 1).exists()
        for line in read_lines(path, offset):
            if not line.endswith(b"\n"):
                break
            offset += len(line)
            yield line
        if is_over:
            number, offset = number + 1, 0
            path = segment_path(directory, number)
        else:
            time.sleep(poll_seconds)
