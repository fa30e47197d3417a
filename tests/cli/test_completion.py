"""`pbac completion`: each shell reads its script, and completes with it what the parser knows."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from pbac.cli import COMMANDS
from pbac.cli.completion import SHELLS

BASH = """

compopt() { echo "compopt $*"; }  # outside of a real Tab bash has none
source ./script
set -- $WORDS
COMP_WORDS=("$@" "$LAST"); COMP_CWORD=$#
_pbac_completion pbac
printf '%s\\n' "${COMPREPLY[@]:-}"
"""


def shell_of(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} here")
    return found


@pytest.fixture
def scripted(pbac, tmp_path, monkeypatch):
    """A folder with each shell's script, and this Python's `pbac` first on the path."""
    command = tmp_path / "bin" / "pbac"
    command.parent.mkdir()
    # Not `-m pbac`: click takes the name of the program for the variable that it looks at.
    start = "import sys; sys.argv[0] = 'pbac'; from pbac.cli import main; main()"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{start}" "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def write(shell):
        (tmp_path / "script").write_text(pbac("completion", shell).out)
        return tmp_path

    return write


def completed(words, last):
    environment = {"WORDS": words, "LAST": last}
    done = subprocess.run(
        ["env", *(f"{name}={value}" for name, value in environment.items()), "bash", "-c", BASH],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_accepts_its_script(scripted, name):
    scripted(name)
    done = subprocess.run(
        [shell_of(name), "-n", "script"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "last", "wanted"),
    [
        ("pbac", "", list(COMMANDS)),
        ("pbac", "ch", ["check"]),
        ("pbac agent", "re", ["register", "resume"]),
        ("pbac audit verify", "--", ["--config", "--key", "--json", "--help"]),
        ("pbac check --format", "", ["full", "line", "json", "sarif", "github"]),
        ("pbac completion", "", list(SHELLS)),
        ("pbac init --policy", "git", ["github_tiers"]),
        ("pbac nosuch", "x", []),
    ],
)
def test_bash_completes_what_the_parser_knows(scripted, words, last, wanted):
    scripted("bash")
    assert completed(words, last) == wanted


@pytest.mark.parametrize(
    "words",
    [
        "pbac check",
        "pbac test policies",
        "pbac serve --config",
        "pbac agent list --config",
        "pbac agent register --jwks",
        "pbac audit tail --config",
        "pbac audit verify --key",
        "pbac eval --request",
        "pbac test --lcov",
        "pbac tools import",
        "pbac tools import --output",
        "pbac publisher sign --key",
    ],
)
def test_where_a_path_is_wanted_bash_completes_files(scripted, words):
    scripted("bash")
    assert completed(words, "") == ["compopt", "-o", "default"]


@pytest.mark.parametrize("words", ["pbac init", "pbac publisher new x --directory"])
def test_where_a_folder_is_wanted_bash_completes_folders(scripted, words):
    scripted("bash")
    assert completed(words, "") == ["compopt", "-o", "dirnames"]


def test_bash_takes_the_function_for_the_command(scripted):
    scripted("bash")
    done = subprocess.run(
        ["bash", "-c", "source ./script; complete -p pbac"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "complete -o nosort -F _pbac_completion pbac\n"


def test_fish_completes_commands_and_files(scripted, tmp_path):
    folder = scripted("fish")
    (folder / "rules.pbac").write_text("")
    fish = shell_of("fish")

    def asked(line):
        done = subprocess.run(
            [fish, "--no-config", "-c", f"source ./script; complete -C '{line}'"],
            capture_output=True,
            text=True,
            check=True,
        )
        return [each.split("\t")[0] for each in done.stdout.splitlines()]

    assert asked("pbac agent re") == ["register", "resume"]
    assert asked("pbac check rul") == ["rules.pbac"]


def test_zsh_is_told_what_the_commands_do(scripted, monkeypatch):
    scripted("zsh")
    monkeypatch.setenv("_PBAC_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "pbac fm")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = subprocess.run(["pbac"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["plain", "fmt", COMMANDS["fmt"]]


def test_another_shell_is_refused_with_those_there_are(pbac):
    ran = pbac("completion", "csh")
    assert ran.code == 2
    assert all(name in ran.err for name in SHELLS)
