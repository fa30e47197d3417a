"""Links and examples of the documentation: what a page shows is what happens.

- A `pbac` block is a sound policy whose tests pass; `pbac bad CODE` earns that diagnostic. Blocks
  without a package of their own stand below `HEADER`.
- `file=PATH` blocks of a page are written and `append=PATH` blocks added, and the lines that begin with
  `$` in its `console tested` blocks are typed in one shell, in order: each ends with 0, or `exit=N`,
  and every line shown is there, `…` being anything.
- A `python tested` block runs in the checkout, and prints what stands behind its `print`s.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.terminal import Terminal, shows, terminal

from pbac.adapters.audit_files import open_audit_files
from pbac.adapters.audit_keys import open_audit_keys
from pbac.audit.log import AuditLog
from pbac.audit.record import GatewayRecord
from pbac.base.clock import SystemClock
from pbac.base.source import Source
from pbac.lang.lint.codes import CODES
from pbac.lang.lint.lint import lint
from pbac.pdp.administration import Publication, prepare

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md")) + [p for p in [ROOT / "README.md"] if p.exists()]
FENCE = re.compile(r"^```([^\n`]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADER = "package example on server github\ntiers read_only < ci_agent < developer < trusted\n"


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_every_link_leads_somewhere(path):
    for target in LINK.findall(FENCE.sub("", path.read_text("utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"`{target}` leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in map(_anchor, headings), f"`{target}` has no such heading"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_is_in_the_index():
    index = ROOT / "docs/README.md"
    listed = {
        (index.parent / t.partition("#")[0]).resolve() for t in LINK.findall(index.read_text())
    }
    decisions = ROOT / "docs/decisions"
    pages = {p for p in (ROOT / "docs").rglob("*.md") if p.parent != decisions} - {index}
    assert pages <= listed
    listed = LINK.findall((decisions / "README.md").read_text("utf-8"))
    assert {p.name for p in decisions.glob("*.md")} - {"README.md"} <= set(listed)


def test_every_page_that_the_code_names_exists():
    for path in (ROOT / "pbac").rglob("*.py"):
        for page in re.findall(r"\bdocs/[\w/]+\.md\b", path.read_text("utf-8")):
            assert (ROOT / page).exists(), f"{path.name} names `{page}`"


@pytest.mark.parametrize(
    "name", ["explanation/architecture.md", "threat_model.md", "contributing.md"]
)
def test_every_file_that_these_pages_name_exists(name):
    text = (ROOT / "docs" / name).read_text("utf-8")
    named = re.findall(r"`((?:pbac|tests|benchmarks|grammar)/[\w./]+|[a-z_]+/[\w/]+\.py)`", text)
    assert named
    for path in named:
        assert any((ROOT / top / path).exists() for top in (".", "pbac", "tests")), path


# --- examples -------------------------------------------------------------------------------------


def fences(language: str) -> list[tuple[Path, list[str], str]]:
    """Page, the words behind the language, and the text of every such block, in order."""
    found = [(p, m[1].split(), m[2]) for p in PAGES for m in FENCE.finditer(p.read_text("utf-8"))]
    return [
        (path, info[1:], text)
        for path, info, text in found
        # What is added to a file is judged with the file, by the commands that follow it.
        if info[0] == language and not any(word.startswith("append=") for word in info)
    ]


def _ids(given: list[tuple[Path, list[str], str]]) -> list[str]:
    return [f"{path.stem}-{number}" for number, (path, _, _) in enumerate(given)]


def sources(name: str, text: str) -> list[Source]:
    """The files of a block, parted by `# file: NAME`; without one it is a file below `HEADER`."""
    parts = re.split(r"^# file: (\S+)\n", text, flags=re.MULTILINE)
    if len(parts) > 1:
        return [Source(*pair) for pair in zip(parts[1::2], parts[2::2], strict=True)]
    whole = text if re.search(r"^(sealed )?package ", text, re.MULTILINE) else HEADER + text
    return [Source(f"{name}.pbac", whole)]


def prepared(name: str, text: str) -> Publication:
    """What becomes of a block; its JSON files are vocabularies, or documents below `data/`."""
    files = sources(name, text)
    given = {file.name: json.loads(file.text) for file in files if file.name.endswith(".json")}
    data = {Path(file).stem: given[file] for file in given if file.startswith("data/")}
    tools = {file: given[file] for file in given if not file.startswith("data/")}
    return prepare([file for file in files if file.name not in given], data, tools=tools)


def earned(name: str, text: str) -> set[str]:
    """The codes that a block earns: the compiler's, those of its tests, and lint's."""
    publication = prepared(name, text)
    found = lint(publication.compilation, SystemClock().now_ms())
    return {each.code for each in found} | ({"test-failed"} if publication.failures else set())


@pytest.mark.parametrize(("path", "info", "text"), fences("pbac"), ids=_ids(fences("pbac")))
def test_a_policy_example_is_sound_or_earns_what_it_says(path, info, text):
    if "bad" in info:
        assert info[-1] in earned(path.name, text)
    else:
        assert prepared(path.name, text).problems() == ()


# --- every diagnostic is shown --------------------------------------------------------------------

USUAL = {"no-reason", "untested-rule"}
"""Notes that hardly an example of a few lines is without."""
SECTION = re.compile(r"^### `([a-z0-9-]+)`\n\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
SHOWN = {
    match[1]: match[2]
    for match in SECTION.finditer((ROOT / "docs/reference/diagnostics.md").read_text("utf-8"))
}


def test_every_code_word_has_its_section_in_order():
    assert list(SHOWN) == sorted(CODES)


@pytest.mark.parametrize("word", CODES)
def test_a_code_word_is_explained_and_its_wrong_example_earns_it_alone(word):
    text = SHOWN[word]
    assert text.startswith(f"**{CODES[word].severity}**: {CODES[word].meaning}\n")
    blocks = [(match[1].split()[1:], match[2]) for match in FENCE.finditer(text)]
    if not blocks:
        assert re.search(r"^\*.{30,}\*$", text, re.MULTILINE), "say why there is no example"
        return
    (info, wrong), *right = blocks
    assert info == ["bad", word]
    assert earned("wrong", wrong) - (USUAL - {word}) == {word}
    assert right
    for _, each in right:
        assert earned("right", each) <= USUAL - {word}


STORIES = [p for p in PAGES if "console tested" in p.read_text("utf-8")]


@pytest.mark.parametrize("path", STORIES, ids=[p.stem for p in STORIES])
def test_a_tested_console_does_what_the_page_shows(path, tmp_path):
    """Its files are written and its commands typed in one shell, in the order of the page."""
    with terminal(tmp_path) as shell:
        for match in FENCE.finditer(path.read_text("utf-8")):
            language, *info = match[1].split()
            options = dict(word.split("=") for word in info if "=" in word)
            if "file" in options:
                file = tmp_path / options["file"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(shell.adapted(match[2]), "utf-8")
            elif "append" in options:
                with (tmp_path / options["append"]).open("a", encoding="utf-8") as file:
                    file.write("\n" + shell.adapted(match[2]))
            elif language == "console" and "tested" in info:
                _run(shell, match[2], int(options.get("exit", 0)))


def _run(shell: Terminal, console: str, expected: int) -> None:
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        line, *shown = part.splitlines()
        code, output = shell.typed(line)
        assert code == expected, output
        for wanted in shown:
            told = shell.adapted(wanted)
            assert shows(output, told), f"`{line}` does not show `{told}` but\n{output}"


PROGRAMS = fences("python")


@pytest.mark.parametrize(("path", "info", "text"), PROGRAMS, ids=_ids(PROGRAMS))
def test_a_tested_program_prints_what_it_says(path, info, text):
    if "tested" not in info:
        return
    run = [sys.executable, "-c", text]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    wanted = re.findall(r"^print\(.*\)  # (.+)$", text, re.MULTILINE)
    assert wanted
    assert done.stdout.splitlines() == wanted


# --- the record, verified by the page's own program -------------------------------------------------


@pytest.fixture
def state(tmp_path):
    """A gateway's state directory with a log of several segments."""
    keys = open_audit_keys(tmp_path / "keys", "gateway.example/audit")
    files, found = open_audit_files(tmp_path / "audit", keys.verifier, segment_bytes=1_000)
    log = AuditLog(files, found, keys.signer, SystemClock())
    log.start()
    for number in range(20):
        log.append([GatewayRecord(event="fault", detail={"number": number})])
    log.close()
    return tmp_path


def verifier(state):
    page = (ROOT / "docs/reference/audit_record.md").read_text("utf-8")
    program = next(m[2] for m in FENCE.finditer(page) if m[1] == "python verifier")
    return subprocess.run(
        [sys.executable, "-I", "-c", program, str(state)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_verifier_of_the_page_accepts_a_log(state):
    assert len(list((state / "audit").glob("*.jsonl"))) > 1
    done = verifier(state)
    assert done.returncode == 0, done.stderr
    assert re.match(r"(\d+) records, \1 of them signed for", done.stdout)


def test_the_verifier_of_the_page_refuses_one_changed_byte(state):
    path = state / "audit/log-000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"number":3', b'"number":4', 1))
    assert "does not fit its hash" in verifier(state).stderr
