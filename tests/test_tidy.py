"""Style as a test: sizes, words, docstrings, layers. What a tool can check, nobody has to review."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 12
LINE_CHARACTERS_MAX = 100
BANNED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|NotImplementedError|(?<![.\w])print\(")
LINT_IMPORTS = """
import sys
from importlinter.cli import lint_imports
sys.path.insert(0, ".")
raise SystemExit(lint_imports())
"""
MODULES = sorted((ROOT / "pbac").rglob("*.py"))


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def functions(tree: ast.Module):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def length(node) -> int:
    return node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_a_module_is_short_and_says_what_it_is(path):
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module begins with what it is"
    assert text.count("\n") <= FILE_LINES_MAX
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= LINE_CHARACTERS_MAX, f"line {number} is too long"
        assert not BANNED.search(line), f"line {number}: {line.strip()}"
    for function in functions(tree):
        assert length(function) <= FUNCTION_LINES_MAX, f"`{function.name}` is too long"


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_every_public_name_has_a_docstring(path):
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and (
            not node.name.startswith("_")
        ):
            assert ast.get_docstring(node), f"`{node.name}` has no docstring"


def test_the_median_function_is_small():
    lengths = sorted(
        length(node) for path in MODULES for node in functions(ast.parse(path.read_text("utf-8")))
    )
    assert lengths[len(lengths) // 2] <= FUNCTION_LINES_MEDIAN_MAX


def test_the_top_level_is_fixed():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE"}
    allowed |= {"pbac", "grammar", "policies", "tests", "benchmarks", "docs"}
    assert {name for name in top if not name.startswith(".")} <= allowed


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["importlinter.cli", "lint_imports"],
    ],
    ids=["ruff", "format", "mypy", "layers"],
)
def test_a_tool_agrees(command):
    module, *arguments = command
    run = [sys.executable, "-m", module, *arguments]
    if module == "importlinter.cli":
        run = [sys.executable, "-c", LINT_IMPORTS]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_imports_alone():
    """Each in a fresh namespace, warnings as errors: finds cycles and import-time surprises."""
    code = """
import importlib, sys, warnings
warnings.simplefilter("error")
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m == "pbac" or m.startswith("pbac.")]:
        del sys.modules[loaded]
    importlib.import_module(name)
"""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *modules], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
