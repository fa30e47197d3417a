"""Help that fits a narrow terminal, names what there is, and is cut off nowhere."""

from __future__ import annotations

import click
import pytest

from pbac.cli import COMMANDS, group


def every(command, path=()):
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every(command.get_command(context, name), (*path, name))


@pytest.mark.parametrize("path", list(every(group)), ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_the_terminal_and_is_whole(pbac, monkeypatch, path, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    ran = pbac(*path, "--help")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= columns
    assert "..." not in ran.out.replace("[ARGS]...", "").replace("PATH...", "")
    assert "INTEGER RANGE" not in ran.out
    assert not any(line.endswith("-") and line[-2:-1].isalpha() for line in lines), "a broken word"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_a_sentence(name):
    assert COMMANDS[name][0].isupper()
    assert COMMANDS[name].endswith(".")
