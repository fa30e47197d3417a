"""`pbac audit`: what people and programs see, and the exit codes they rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pbac.adapters.audit_files import open_audit_files
from pbac.adapters.audit_keys import open_audit_keys
from pbac.adapters.audit_reader import lines_added, read_backwards, segment_path
from pbac.audit.checkpoint import fingerprint
from pbac.audit.log import AuditLog
from pbac.audit.record import DecisionRecord, GatewayRecord, OutcomeRecord
from pbac.base.clock import SystemClock
from pbac.base.errors import PbacError
from pbac.cli.audit import command

ROOT = Path(__file__).parent.parent.parent


def decision(number, effect="permit"):
    return DecisionRecord(
        decision_id=f"d_{number}",
        now_ms=1,
        agent={"id": "a1", "name": "claude\x1b[2J", "tier": "developer"},
        user=None,
        effect=effect,
        cause="permitted",
        policy_version="sha256:aa",
        method="tools/call",
        server="github",
        tool="get_pull_request",
        rules=("github.read",),
    )


class Gateway:
    """A configuration, its state, and a log with some records."""

    def __init__(self, directory, segment_bytes=1 << 20):
        self.directory = directory
        self.config = directory / "pbac.toml"
        self.config.write_text('state = "state"\n')
        self.audit = directory / "state" / "audit"
        self.keys = open_audit_keys(directory / "state" / "keys", "gateway.example/audit")
        self.segment_bytes = segment_bytes

    def open(self):
        files, state = open_audit_files(
            self.audit, self.keys.verifier, segment_bytes=self.segment_bytes
        )
        log = AuditLog(files, state, self.keys.signer, SystemClock())
        log.start()
        return log

    def write(self, count=20):
        log = self.open()
        for number in range(1, count + 1):
            log.append([decision(number, "deny" if number % 5 == 0 else "permit")])
        outcome = OutcomeRecord(
            decision_id=f"d_{count}", outcome="completed", http_status=200, total_us=1500
        )
        log.append([outcome])
        log.close()

    def run(self, *arguments):
        return CliRunner().invoke(command, [*arguments, "--config", str(self.config)])


@pytest.fixture
def gateway(tmp_path):
    made = Gateway(tmp_path)
    made.write()
    return made


def test_a_log_that_verifies_says_so_and_by_which_key(gateway):
    done = gateway.run("verify")
    assert done.exit_code == 0
    first, second = done.output.splitlines()
    assert first.startswith("ok: 21 records, 2 checkpoints fit, root ")
    assert second.startswith("signed by `gateway.example/audit`, key SHA256:")


def test_one_flipped_byte_is_named_with_its_place(gateway):
    path = segment_path(gateway.audit, 1)
    data = bytearray(path.read_bytes())
    at = data.index(b'"rules":["github.read"]', data.index(b"d_17")) + 10
    data[at] = ord("G")
    path.write_bytes(data)
    done = gateway.run("verify")
    assert done.exit_code == 1
    assert (
        f"record 17 in log-000001.jsonl, line 17, byte {at}: "
        "one byte of the record was changed: it was `g` and is `G`"
    ) in done.output
    assert "the log does not verify: 1 bad place\n" in done.output


def test_programs_get_json(gateway):
    found = json.loads(gateway.run("verify", "--json").output)
    assert (found["ok"], found["size"], found["problems"]) == (True, 21, [])
    path = segment_path(gateway.audit, 1)
    path.write_bytes(path.read_bytes()[:-1])
    done = gateway.run("verify", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output)["problems"][0]["fault"] == "unfinished"


def test_a_copy_is_verified_with_a_key_from_elsewhere(gateway, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in gateway.audit.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    key = tmp_path / "state" / "keys" / "audit.pub"
    done = CliRunner().invoke(command, ["verify", str(copy), "--key", str(key)])
    assert done.exit_code == 0
    assert "ok: 21 records" in done.output


def test_another_key_is_not_said_to_have_signed(gateway, tmp_path):
    other = open_audit_keys(tmp_path / "other", "other.example/audit")
    done = gateway.run("verify", "--key", str(tmp_path / "other" / "audit.pub"))
    assert done.exit_code == 1
    told = done.output.splitlines()
    of_gateway = "it is signed by `gateway.example/audit`"
    assert f"the checkpoint is not signed by `other.example/audit`: {of_gateway}" in told[0]
    key = fingerprint(other.verifier.key)
    assert f"no checkpoint is signed by `other.example/audit`, key {key}" in told
    assert "name the log's own public key with --key" in told[-1]
    assert not any(line.startswith("signed by") for line in told)
    assert "does not open with" not in done.output


def test_another_key_of_the_same_name_is_not_said_to_have_signed_either(gateway, tmp_path):
    open_audit_keys(tmp_path / "other", "gateway.example/audit")
    done = gateway.run("verify", "--key", str(tmp_path / "other" / "audit.pub"))
    assert done.exit_code == 1
    assert "signed by another key of the same name" in done.output
    assert "\nno checkpoint is signed by `gateway.example/audit`, key " in done.output


def test_a_damaged_log_says_how_many_checkpoints_the_key_did_sign(gateway):
    path = segment_path(gateway.audit, 1)
    path.write_bytes(path.read_bytes()[:-1])
    done = gateway.run("verify")
    assert "1 checkpoints are signed by `gateway.example/audit`, key SHA256:" in done.output


@pytest.mark.parametrize("data", [b"\x00\xff\xfe", b"gateway.example/audit+xx+yy\n", b""])
def test_a_file_that_is_no_verifier_key_is_told_with_the_one_that_is(gateway, tmp_path, data):
    (tmp_path / "key").write_bytes(data)
    done = gateway.run("verify", "--key", str(tmp_path / "key"))
    assert f"`{tmp_path / 'key'}` is no verifier key" in str(done.exception)
    assert "audit.pub" in done.exception.help
    assert "codec" not in str(done.exception)


def test_records_that_no_checkpoint_covers_yet_are_counted(gateway):
    log = gateway.open()
    log.append([GatewayRecord(event="started")])
    done = gateway.run("verify")
    log.close()
    assert "the last 1 are newer than the newest checkpoint" in done.output


def test_a_place_without_a_log_is_told_what_to_do(tmp_path):
    (tmp_path / "pbac.toml").write_text("")
    done = CliRunner().invoke(command, ["verify", "--config", str(tmp_path / "pbac.toml")])
    assert isinstance(done.exception, PbacError)
    assert "there is no audit log in" in str(done.exception)


def test_tail_shows_the_newest_on_one_line_each(gateway):
    done = gateway.run("tail", "-n", "3")
    lines = done.output.splitlines()
    assert [line.split()[-1] for line in lines] == ["d_18", "d_19", "d_20"]
    assert "deny" in lines[2]
    assert "completed 200 in 1.5 ms" in lines[2]
    assert "\x1b[2J" not in done.output
    assert "claude\\x1b[2J (developer)" in lines[0]


def test_tail_as_json_gives_the_records_as_they_stand(gateway):
    lines = gateway.run("tail", "-n", "2", "--json").output.splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["decision_id"] for r in records] == ["d_19", "d_20"]
    assert records[1]["outcome"]["http_status"] == 200


def test_tail_filters(gateway):
    assert len(gateway.run("tail", "--denied").output.splitlines()) == 4
    assert len(gateway.run("tail", "--agent", "a*", "-n", "100").output.splitlines()) == 20
    assert gateway.run("tail", "--tool", "merge*").output == ""


def test_lines_are_read_backwards_across_blocks_and_segments(tmp_path, monkeypatch):
    gateway = Gateway(tmp_path, segment_bytes=3_000)
    gateway.write(40)
    forwards = [
        line
        for path in sorted(gateway.audit.glob("*.jsonl"))
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    for block in (1, 7, 100, 2_999, 64_000):
        monkeypatch.setattr("pbac.adapters.audit_reader._BLOCK_BYTES", block)
        assert list(read_backwards(gateway.audit)) == forwards[::-1]
    path = max(gateway.audit.glob("*.jsonl"))
    path.write_bytes(path.read_bytes() + b"half a line")
    assert list(read_backwards(gateway.audit)) == forwards[::-1]


def test_added_lines_are_followed_across_segments(tmp_path):
    gateway = Gateway(tmp_path, segment_bytes=2_000)
    gateway.write(3)
    added = lines_added(gateway.audit, poll_seconds=0.01)
    seen = []

    def read():
        for line in added:
            seen.append(line)
            if b"last" in line:
                return

    reader = threading.Thread(target=read)
    reader.start()
    log = gateway.open()
    for number in range(30):
        log.append([GatewayRecord(event=f"e{number}")])
    log.append([GatewayRecord(event="last")])
    reader.join(10)
    log.close()
    assert len(seen) == 31


def test_follow_shows_decisions_and_then_their_outcomes(gateway):
    child = subprocess.Popen(
        [sys.executable, "-c", "from pbac.cli.audit import command; command()",
         "tail", "-f", "-n", "1", str(gateway.audit)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "d_20" in child.stdout.readline()
    log = gateway.open()
    log.append([decision(99)])
    assert "d_99" in child.stdout.readline()
    log.append([OutcomeRecord(decision_id="d_99", outcome="completed", http_status=200)])
    line = child.stdout.readline()
    assert "completed 200" in line
    assert "d_99" in line
    log.close()
    child.terminate()
    child.wait(10)
    child.stdout.close()


def test_help_names_every_option():
    for name in ("verify", "tail"):
        assert CliRunner().invoke(command, [name, "--help"]).exit_code == 0


def test_importing_the_command_is_quick():
    started = time.perf_counter()
    code = "import sys, pbac.cli.audit; sys.exit('rich' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, "rich is imported only for a progress bar"
    assert time.perf_counter() - started < 5
