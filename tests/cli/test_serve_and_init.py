"""What an operator gets wrong at the start ends in one line that says what to do."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner
from support.served import prepared

from pbac.app.config import BackendConfig
from pbac.cli import group, main


def test_a_port_in_use_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    gateway = prepared(
        tmp_path / "gateway", backends=(), story="starter", edit=lambda text: text, policy=None
    )
    monkeypatch.setattr("sys.argv", ["pbac", "serve", "--config", str(gateway.config)])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", gateway.port))
        taken.listen()
        with pytest.raises(SystemExit, match="1"):
            main()
    told = capsys.readouterr().err
    assert (
        f"error: cannot listen on `127.0.0.1` port {gateway.port}: address already in use" in told
    )
    assert "change `listen`" in told
    assert "Traceback" not in told


def test_a_backend_whose_command_is_not_there_is_told_with_a_remedy(tmp_path):
    backend = BackendConfig(name="git", command="no-such-command")
    gateway = prepared(
        tmp_path / "gateway", backends=[backend], story="starter", edit=lambda t: t, policy=None
    )
    gateway.start(ready=complaining)
    gateway.stop()
    assert (
        "backend `git` does not list its tools: the command of the upstream cannot be started: "
        "no such file or directory; write the whole path of `no-such-command`"
    ) in gateway.output.read_text()


def complaining(gateway):
    if "no-such-command" not in gateway.output.read_text():
        raise OSError("not yet")
    return True


def test_keys_and_records_do_not_belong_into_a_repository(tmp_path):
    assert CliRunner().invoke(group, ["init", str(tmp_path / "new")]).exit_code == 0
    ignored = (tmp_path / "new/.gitignore").read_text().split()
    assert ignored == ["/keys/", "/state/"]
