"""When Python's cycle collector looks: seldom in some commands, later in some blocks."""

from __future__ import annotations

import gc

import pytest
from click.testing import CliRunner

from pbac.base.collector import collect_afterwards
from pbac.cli import COMMANDS, LONG_LIVED, group


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_collector_is_left_alone_by_commands_that_stay(command):
    kept, before = gc.get_threshold(), (700, 10, 10)
    gc.set_threshold(*before)  # another test may have been such a command
    try:
        CliRunner().invoke(group, [command, "--help"])
        assert (gc.get_threshold() == before) is (command in LONG_LIVED)
    finally:
        gc.set_threshold(*kept)


def test_the_collector_looks_again_afterwards():
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collect_afterwards():
        assert not gc.isenabled()
        with collect_afterwards():
            pass
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()
