"""Tampering, one kind after the other: everything is found, and found where it is."""

from __future__ import annotations

from pbac.audit.lines import Fault, find_flip, read_line
from pbac.audit.merkle import leaf_hash


def faults(found):
    return [problem.fault for problem in found.problems]


def place(data, offset):
    """Line from 1 of a byte offset."""
    return data[:offset].count(b"\n") + 1


def changed(files, number, kind, data):
    copy = [list(pair) for pair in files]
    copy[number][kind] = data
    return copy


def test_an_untouched_log_verifies(bench):
    found = bench(segment_bytes=2000).write(40, batch=3, sign_every=2).verify()
    assert found.ok, found.problems
    assert found.size == 40
    assert found.segments > 3
    assert found.checkpoints > 10
    assert len(found.root) == 64


def test_every_flip_of_every_byte_is_detected_and_located(bench):
    log = bench(segment_bytes=600).write(6, sign_every=2)
    log.log.sign()
    files = log.files()
    assert len(files) >= 2
    assert log.verify(files).ok
    flips = 0
    for number, pair in enumerate(files):
        for kind, data in enumerate(pair):
            for at in range(len(data)):
                flipped = bytearray(data)
                flipped[at] ^= 1 << (at % 8)
                found = log.verify(changed(files, number, kind, bytes(flipped)))
                assert not found.ok, (number, kind, at)
                first = found.problems[0]
                assert first.file.endswith(("jsonl", "checkpoints")[kind])
                assert first.file.startswith(f"log-{number + 1:06d}")
                # A vanished line break leaves one long line, so only that spot may be off.
                assert abs(first.line - place(data, at)) <= 1 or kind == 1
                flips += 1
    assert flips == sum(len(data) for pair in files for data in pair)


def test_one_changed_byte_of_a_record_is_named_with_what_it_was(bench):
    log = bench().write(20, sign_every=4)
    files = log.files()
    lines = files[0][0]
    at = lines.index(b"completed", 17 * 200)
    flipped = lines[:at] + b"C" + lines[at + 1 :]
    found = log.verify(changed(files, 0, 0, flipped))
    assert faults(found) == [Fault.RECORD_CHANGED], "the rest of the tree still fits"
    problem = found.problems[0]
    assert problem.byte == at
    assert problem.line == problem.sequence == place(lines, at)
    assert "it was `c` and is `C`" in problem.message
    assert str(problem).startswith(
        f"record {problem.sequence} in log-000001.jsonl, line {problem.line}, byte {at}: "
    )


def test_a_changed_hash_is_told_from_a_changed_record(bench):
    log = bench().write(5, sign_every=1)
    files = log.files()
    lines = files[0][0]
    start = lines.index(b"\n") + 1
    digit = b"0" if lines[start + 9 : start + 10] != b"0" else b"1"
    found = log.verify(changed(files, 0, 0, lines[: start + 9] + digit + lines[start + 10 :]))
    assert faults(found) == [Fault.HASH_CHANGED]
    assert (found.problems[0].sequence, found.problems[0].byte) == (2, start + 9)


def test_a_record_rewritten_together_with_its_hash_is_caught_by_the_checkpoint(bench):
    log = bench().write(10, sign_every=5)
    files = log.files()
    lines = files[0][0].splitlines(keepends=True)
    data = lines[2][65:-1].replace(b"completed", b"refused!!")
    lines[2] = leaf_hash(data).hex().encode() + b" " + data + b"\n"
    found = log.verify(changed(files, 0, 0, b"".join(lines)))
    assert faults(found) == [Fault.ROOT_MISMATCH]
    assert "something after record 0" in found.problems[0].message
    assert found.problems[0].sequence == 5
    assert found.problems[0].file == "log-000001.checkpoints"


def test_a_missing_line_is_missing(bench):
    log = bench().write(10, sign_every=5)
    lines = log.files()[0][0].splitlines(keepends=True)
    found = log.verify(changed(log.files(), 0, 0, b"".join(lines[:3] + lines[4:])))
    assert faults(found)[0] is Fault.MISSING
    assert "record 4 is missing" in found.problems[0].message
    assert found.problems[0].line == 4


def test_a_repeated_line_is_repeated(bench):
    log = bench().write(10, sign_every=5)
    lines = log.files()[0][0].splitlines(keepends=True)
    found = log.verify(changed(log.files(), 0, 0, b"".join(lines[:4] + lines[3:])))
    assert faults(found) == [Fault.REPEATED]
    assert found.problems[0].sequence == 4
    assert found.problems[0].line == 5


def test_swapped_lines_are_out_of_order(bench):
    log = bench().write(10, sign_every=5)
    lines = log.files()[0][0].splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    found = log.verify(changed(log.files(), 0, 0, b"".join(lines)))
    assert faults(found)[:2] == [Fault.MISSING, Fault.OUT_OF_ORDER]
    assert found.problems[1].sequence == 5
    assert found.problems[1].line == 6


def test_a_tail_cut_off_after_a_line_is_counted(bench):
    log = bench().write(10, sign_every=5)
    lines = log.files()[0][0].splitlines(keepends=True)
    found = log.verify(changed(log.files(), 0, 0, b"".join(lines[:7])))
    assert faults(found) == [Fault.TRUNCATED]
    assert "10 were signed: 3 cut off" in found.problems[0].message


def test_a_tail_cut_off_within_a_line_is_found(bench):
    log = bench().write(10, sign_every=5)
    lines = log.files()[0][0]
    for cut in (1, 2, 50, 300):
        found = log.verify(changed(log.files(), 0, 0, lines[:-cut]))
        assert Fault.UNFINISHED in faults(found)


def test_a_segment_that_is_gone_is_named_and_the_next_ones_are_still_verified(bench):
    log = bench(segment_bytes=1000).write(20, sign_every=2)
    files = log.files()
    assert len(files) >= 4
    emptied = changed(changed(files, 1, 0, b""), 1, 1, b"")
    lines = files[2][0].splitlines(keepends=True)
    damaged = lines[0].replace(b"completed", b"Completed") + b"".join(lines[1:])
    found = log.verify(changed(emptied, 2, 0, damaged))
    assert Fault.MISSING in faults(found)
    assert faults(found)[-1] is Fault.RECORD_CHANGED
    assert found.problems[-1].file == "log-000003.jsonl"
    assert found.size == 20


def test_checkpoints_that_are_removed_leave_the_rest_to_vouch(bench):
    """Only a witness can know a checkpoint that nobody holds any more; the roots still chain."""
    log = bench().write(10, sign_every=2)
    notes = log.files()[0][1].split(b"\n\n")
    kept = b"\n\n".join([*notes[:2], *notes[-3:]])
    assert log.verify(changed(log.files(), 0, 1, kept)).ok


def test_a_checkpoint_that_comes_twice_or_shrinks_is_named(bench):
    log = bench().write(10, sign_every=5)
    notes = log.files()[0][1]
    last = notes.rindex(b"gateway.example/audit\n10\n")
    found = log.verify(changed(log.files(), 0, 1, notes + notes[last:]))
    assert faults(found) == [Fault.BAD_CHECKPOINT]
    assert "10 records after one of 10" in found.problems[0].message


def test_a_log_signed_by_another_key_has_no_valid_checkpoint(bench, make_keys):
    log = bench().write(4, sign_every=2)
    log.verifier = make_keys(b"o")[1]
    found = log.verify()
    assert set(faults(found)) == {Fault.OTHER_KEY}
    assert (found.checkpoints, found.signed_size) == (0, 0)


def test_problems_are_capped_but_counted(bench):
    log = bench().write(150)
    garbage = log.files()[0][0].replace(b"completed", b"Completed")
    found = log.verify(changed(log.files(), 0, 0, garbage))
    assert found.problems_count == 150
    assert len(found.problems) == 100


def test_lines_that_are_no_records_are_malformed():
    for data in (b"", b"[]", b"{}", b'{"v":2,"sequence":1}', b'{"sequence":1,"v":1,"v":1}',
                 b'{"v":1, "sequence":1}', b"{", b"\xff"):  # fmt: skip
        line = leaf_hash(data).hex().encode() + b" " + data + b"\n"
        assert read_line(line).fault is Fault.MALFORMED, data
    for line in (b"\n", b"x\n", b" " * 64 + b"{}\n", b"\xff" * 70 + b"\n", b"0" * 63 + b" {}\n"):
        assert read_line(line).fault in {Fault.MALFORMED, Fault.RECORD_CHANGED}, line


def test_a_flip_in_a_long_record_is_not_searched_for():
    assert find_flip(b"x" * 5000, leaf_hash(b"x" * 4999 + b"y")) is None
    assert find_flip(b"x" * 500, leaf_hash(b"x" * 499 + b"y")) == (499, ord("y"))
    assert find_flip(b"x" * 50, leaf_hash(b"unrelated")) is None
