"""`pbac fmt`, run as people run it: what is written, told, and left alone."""

from __future__ import annotations

import stat

import pytest

from pbac.adapters import policy_text
from pbac.base.diagnostics import Diagnostic, PolicyError
from pbac.base.limits import POLICY_FILE_BYTES_MAX
from pbac.base.source import Span
from pbac.lang.layout import format as layout

LAID = "package p\n\npermit read\n  on tool get_*  # all of them\n"
MESSY = "package p permit read\n on tool 'get'".replace("'get'", '"get_*" # all of them\n')
WRONG = "package p\npermit read\n  on tol get_*\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies" / "inner").mkdir(parents=True)
    return tmp_path / "policies"


def test_a_file_is_written_in_its_layout_and_then_left_alone(pbac, folder):
    (folder / "a.pbac").write_text(MESSY)
    ran = pbac("fmt", "policies/a.pbac")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "changed  policies/a.pbac\n1 file changed, 0 unchanged\n"
    assert (folder / "a.pbac").read_text() == LAID
    before = (folder / "a.pbac").stat()
    assert pbac("fmt", "policies").out == "0 files changed, 1 unchanged\n"
    after = (folder / "a.pbac").stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_folders_are_searched_and_mistakes_shown_on_purpose_left_out(pbac, folder):
    for name in ("a.pbac", "inner/b.pbac", "c_bad.pbac", ".hidden.pbac", "inner/d.txt"):
        (folder / name).write_text(MESSY)
    ran = pbac("fmt", "policies", "policies/inner", "policies/a.pbac")
    assert ran.out.splitlines()[-1] == "2 files changed, 0 unchanged"
    for name in ("c_bad.pbac", ".hidden.pbac", "inner/d.txt"):
        assert (folder / name).read_text() == MESSY
    assert pbac("fmt", "policies/c_bad.pbac").code == 0
    assert (folder / "c_bad.pbac").read_text() == LAID


def test_check_lists_and_writes_nothing(pbac, folder):
    (folder / "a.pbac").write_text(MESSY)
    (folder / "b.pbac").write_text(LAID)
    ran = pbac("fmt", "--check", "policies")
    assert ran.code == 1
    assert ran.out == "would change  policies/a.pbac\n1 file would change, 1 unchanged\n"
    assert (folder / "a.pbac").read_text() == MESSY
    assert pbac("fmt", "--check", "policies/b.pbac").code == 0


def test_diff_shows_and_writes_nothing(pbac, folder, monkeypatch):
    (folder / "a.pbac").write_text(MESSY)
    ran = pbac("fmt", "--diff", "policies")
    assert ran.code == 1
    assert ran.out.startswith("--- policies/a.pbac\n+++ policies/a.pbac\n@@ ")
    assert "\n-package p permit read\n" in ran.out
    assert "\n+permit read\n" in ran.out
    assert (folder / "a.pbac").read_text() == MESSY
    monkeypatch.setattr("pbac.cli.fmt.in_colour", lambda: True)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    assert "\x1b[32m+permit read\x1b[0m" in pbac("fmt", "--diff", "policies").out


def test_standard_input_becomes_standard_output(pbac):
    ran = pbac("fmt", "-", stdin=MESSY.encode())
    assert (ran.code, ran.out) == (0, LAID)
    ran = pbac("fmt", "--check", "-", stdin=MESSY.encode())
    assert (ran.code, ran.out) == (1, "would change  stdin\n")
    ran = pbac("fmt", "-", stdin=WRONG.encode())
    assert (ran.code, ran.out) == (1, "")
    assert "stdin:3:6" in ran.err


def test_a_mistake_is_told_and_the_file_left_as_it_is(pbac, folder):
    (folder / "a.pbac").write_text(WRONG)
    (folder / "b.pbac").write_text(MESSY)
    ran = pbac("fmt", "policies")
    assert ran.code == 1
    assert "--> policies/a.pbac:3:6" in ran.err
    assert "left as it is  policies/a.pbac" in ran.err
    assert (folder / "a.pbac").read_text() == WRONG
    assert (folder / "b.pbac").read_text() == LAID
    assert ran.out.splitlines()[-1] == "1 file changed, 0 unchanged, 1 with mistakes"


def test_another_meaning_is_never_written(pbac, folder, monkeypatch):
    (folder / "a.pbac").write_text(MESSY)
    monkeypatch.setattr(layout, "file", lambda writer, _group: writer.text("package q"))
    ran = pbac("fmt", "policies")
    assert ran.code == 1
    assert "error: `policies/a.pbac` would not mean the same in its new layout" in ran.err
    assert (folder / "a.pbac").read_text() == MESSY


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"package p\n# \xff", "`policies/a.pbac` is not UTF-8 at byte 12"),
        (b" " * (POLICY_FILE_BYTES_MAX + 1), "is larger than"),
    ],
    ids=["bytes", "size"],
)
def test_what_is_no_policy_text_is_told(pbac, folder, data, told):
    (folder / "a.pbac").write_bytes(data)
    ran = pbac("fmt", "policies")
    assert ran.code == 1
    assert told in ran.err
    assert (folder / "a.pbac").read_bytes() == data


def test_nothing_to_lay_out_is_told(pbac, folder):
    ran = pbac("fmt", "policies", "polices")
    assert ran.code == 1
    assert "there is no `.pbac` file in `policies`" in ran.err
    assert "there is no file or folder `polices`" in ran.err


def test_a_byte_order_mark_goes(pbac, folder):
    (folder / "a.pbac").write_bytes(b"\xef\xbb\xbf" + LAID.encode())
    assert pbac("fmt", "--check", "policies").code == 1
    assert pbac("fmt", "policies").code == 0
    assert (folder / "a.pbac").read_text() == LAID


def test_mode_and_links_stay(pbac, folder):
    (folder / "a.pbac").write_text(MESSY)
    (folder / "a.pbac").chmod(0o640)
    (folder / "link.pbac").symlink_to("a.pbac")
    assert pbac("fmt", "policies/link.pbac").code == 0
    assert (folder / "link.pbac").is_symlink()
    assert stat.S_IMODE((folder / "a.pbac").stat().st_mode) == 0o640
    assert (folder / "a.pbac").read_text() == LAID


def test_a_file_is_whole_whatever_happens(pbac, folder, monkeypatch):
    (folder / "a.pbac").write_text(MESSY)

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(policy_text.os, "fsync", full)
    ran = pbac("fmt", "policies")
    assert ran.code == 1
    assert "`policies/a.pbac` cannot be written: no space left on device" in ran.err
    assert (folder / "a.pbac").read_text() == MESSY
    assert sorted(path.name for path in folder.iterdir()) == ["a.pbac", "inner"]


def test_mistakes_beyond_what_anybody_reads_are_counted(pbac, tmp_path, monkeypatch):
    def many(source):
        spans = (Span(source.name, 0, 0, line, 1) for line in range(1, 501))
        raise PolicyError([Diagnostic(code="syntax", message="no", span=span) for span in spans])

    monkeypatch.setattr("pbac.lang.layout.format.format_source", many)
    (tmp_path / "a.pbac").write_text("package a\n")
    ran = pbac("fmt", tmp_path / "a.pbac")
    assert ran.code == 1
    assert ran.err.count("error[") == 100
    assert "and 400 more, not shown: mend these first" in ran.err
