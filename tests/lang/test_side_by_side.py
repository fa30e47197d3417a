"""The rules of `docs/explanation/why_a_language.md`, asked of three engines.

Each folder of `side_by_side/` holds one rule in `.pbac`, Cedar and Rego, and requests with the answer
that is wanted. Ours are always run; OPA and Cedar where they are installed. The page shows what
they answered: its blocks between `<!-- measured: NAME -->` and `<!-- end -->` are made here.

`python tests/lang/test_side_by_side.py --write` asks all three and rewrites the page.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from support.peers import OPA, Answer, ask_cedar, ask_opa, validation_errors, with_duties

from pbac.base.source import Source
from pbac.model.request import DecisionRequest
from pbac.pdp.administration import prepare
from pbac.pdp.engine import decide

HERE = Path(__file__).parent / "side_by_side"
PAGE = Path(__file__).parent.parent.parent / "docs/explanation/why_a_language.md"
BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
RULES = sorted(path.name for path in HERE.iterdir() if path.is_dir())
LANGUAGES = {"rule.pbac": "pbac", "rule.cedar": "cedar", "rule.rego": "rego"}
LANGUAGES |= {"guarded.cedar": "cedar", "guarded.rego": "rego"}
ENGINES = {
    "`.pbac`": "rule.pbac",
    "Cedar": "rule.cedar",
    "Cedar, schema": "rule.cedar",
    "Rego": "rule.rego",
    "Cedar, guarded": "guarded.cedar",
    "Rego, guarded": "guarded.rego",
}
"""Column → the program it runs. A folder without the file has no such column."""


# --- a rule and its requests --------------------------------------------------------------------


@cache
def written(name: str, file: str) -> str:
    path = HERE / name / file
    return path.read_text("utf-8") if path.exists() else ""


@cache
def told(name: str) -> dict[str, Any]:
    """`cases.yaml`: what is asked for, what everybody is given, and the requests."""
    return yaml.safe_load(written(name, "cases.yaml"))


def requests(name: str) -> list[dict[str, Any]]:
    return [_request(case) for case in told(name)["cases"]]


def _request(case: dict[str, Any]) -> dict[str, Any]:
    now = case.get("now")
    env = {} if now is None else {"now": round(now.timestamp() * 1000)}
    plain = {
        "agent": {"id": "agent", **case.get("agent", {})},
        "call": {"method": "tools/call", **case["call"]},
        "args": case.get("args", {}),
        "facts": case.get("facts", {}),
        "chain": {"depth": 0, "actors": [], **case.get("chain", {})},
        "env": env,
    }
    return {**plain, "user": case["user"]} if "user" in case else plain


def columns(name: str) -> list[str]:
    return [column for column, file in ENGINES.items() if written(name, file)]


def lines(text: str) -> int:
    """Lines that say something: neither empty nor a comment."""
    return sum(bool(re.match(r"\s*[^\s#/]", line)) for line in text.splitlines())


# --- asking -------------------------------------------------------------------------------------


def ask_ours(name: str) -> list[Answer]:
    source = Source("rule.pbac", written(name, "rule.pbac"))
    policy_set = prepare([source], told(name).get("data", {})).require()
    return [_ours(decide(policy_set, DecisionRequest(**each))) for each in requests(name)]


def _ours(decision: Any) -> Answer:
    kinds = sorted({duty.kind for duty in decision.duties})
    blamed = ", ".join(f"`{path}`" for path in decision.unknown)
    return Answer(with_duties(decision.effect.value, kinds), blamed and f"for want of {blamed}")


def schema(name: str) -> str:
    return (HERE / "common.cedarschema").read_text("utf-8") + written(name, "schema.cedarschema")


def ask(name: str, column: str, opa: str) -> list[Answer]:
    file = ENGINES[column]
    if file.endswith(".pbac"):
        return ask_ours(name)
    if file.endswith(".rego"):
        return ask_opa(opa, HERE / name / file, told(name).get("data", {}), requests(name))
    return ask_cedar(
        written(name, file),
        requests(name),
        passed=told(name)["passed"],
        users=told(name).get("users", {}),
        groups=told(name).get("groups", {}),
        schema=schema(name) if "schema" in column else None,
    )


def is_right(case: dict[str, Any], column: str, answer: Answer) -> bool:
    """Whether it is what was wanted; a refused request is a denial too."""
    wanted = case["wanted"]
    if column.startswith("Cedar"):  # which has no duties: it denies until they are met
        wanted = case.get("cedar_wanted", wanted)
    return answer.outcome == wanted or (answer.outcome == "refused" and wanted == "deny")


# --- the page -----------------------------------------------------------------------------------


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |\n"


def head(*cells: str) -> str:
    return row(*cells) + row(*["---"] * len(cells))


def block(name: str, answered: dict[str, list[Answer]]) -> str:
    """Texts and answers of one rule, as the page shows them."""
    texts = [_fenced(name, file) for file in LANGUAGES if written(name, file)]
    table = head("request", "wanted", *answered)
    for number, case in enumerate(told(name)["cases"]):
        cells = [_cell(case, column, answers[number]) for column, answers in answered.items()]
        table += row(case["when"], case["wanted"], *cells)
    return f"{told(name)['asks'].strip()}\n\n{''.join(texts)}{table}"


def _fenced(name: str, file: str) -> str:
    language = LANGUAGES[file]
    text = written(name, file)
    kind = f"{language}, guarded" if file.startswith("guarded") else language
    return f"*{kind}, {lines(text)} lines*\n\n```{language}\n{text}```\n\n"


def _cell(case: dict[str, Any], column: str, answer: Answer) -> str:
    return str(answer) if is_right(case, column, answer) else f"**{answer}** ✗"


def summary(answered: dict[str, dict[str, list[Answer]]]) -> str:
    """Lines and right answers of every rule."""
    table = head("rule", *ENGINES)
    for name, columns_ in answered.items():
        cells = [_sum(name, column, columns_.get(column)) for column in ENGINES]
        table += row(told(name)["title"], *cells)
    return table


def _sum(name: str, column: str, answers: list[Answer] | None) -> str:
    if answers is None:
        return "-"
    cases = told(name)["cases"]
    right = sum(is_right(case, column, each) for case, each in zip(cases, answers, strict=True))
    long = lines(written(name, ENGINES[column]))
    long += lines(written(name, "schema.cedarschema")) if "schema" in column else 0
    return f"{long} lines, {right} of {len(cases)}" if right < len(cases) else f"{long} lines, all"


def computed(opa: str) -> dict[str, str]:
    answered = {name: {c: ask(name, c, opa) for c in columns(name)} for name in RULES}
    made = {name: block(name, found) for name, found in answered.items()}
    asked = f"Asked of {versions(opa)}.\n\n"
    return {**made, "summary": asked + summary(answered)}


def versions(opa: str) -> str:
    said = subprocess.run([opa, "version"], capture_output=True, text=True, check=True).stdout
    number = said.splitlines()[0].removeprefix("Version: ")
    return f"OPA {number} and Cedar through cedarpy {metadata.version('cedarpy')}"


@cache
def page() -> dict[str, str]:
    """The blocks of the page by name."""
    return {match[2]: match[3] for match in BLOCK.finditer(PAGE.read_text("utf-8"))}


# --- tests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in RULES if written(name, "rule.pbac")])
def test_ours_answers_every_request_as_wanted_and_as_the_page_says(name):
    answers = ask_ours(name)
    cases = told(name)["cases"]
    wrong = [
        (case["when"], str(answer))
        for case, answer in zip(cases, answers, strict=True)
        if not is_right(case, "`.pbac`", answer)
    ]
    assert wrong == []
    shown = [[cell.strip() for cell in line.split("|")] for line in page()[name].splitlines()]
    shown = {cells[1]: cells[3] for cells in shown if len(cells) > 4}
    assert {case["when"]: shown[case["when"]] for case in cases} == {
        case["when"]: str(answer) for case, answer in zip(cases, answers, strict=True)
    }


def test_the_page_shows_every_rule_once():
    assert sorted(page()) == sorted([*RULES, "summary"])
    assert len(BLOCK.findall(PAGE.read_text("utf-8"))) == len(page())


def test_the_page_shows_what_the_engines_answer(opa, cedar):
    made = computed(opa)
    for name, text in page().items():
        assert text == made[name], "run `python tests/lang/test_side_by_side.py --write`"


@pytest.mark.parametrize("name", [name for name in RULES if written(name, "rule.cedar")])
def test_cedar_accepts_its_rules_against_their_schema(cedar, name):
    assert validation_errors(written(name, "rule.cedar"), schema(name)) == []


@pytest.mark.parametrize("name", [name for name in RULES if written(name, "rule.cedar")])
def test_cedar_has_nothing_to_lay_out_anew(cedar, name):
    import cedarpy

    for text in (written(name, "rule.cedar"), written(name, "guarded.cedar")):
        assert text == (cedarpy.format_policies(text) if text else "")


def test_opa_accepts_its_rules_strictly_and_in_its_own_layout(opa):
    for arguments in (["check", "--strict"], ["fmt", "--fail", "--list"]):
        for path in sorted(HERE.rglob("*.rego")):
            command = [opa, *arguments, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


TYPED = """# METADATA
# scope: package
# schemas:
#   - input: schema.input
package gateway

denied if input.args.{field} > "100"
"""


@pytest.mark.parametrize(("field", "accepted"), [("amount", True), ("amont", False)])
def test_opa_knows_the_fields_of_a_schema_and_compares_any_kinds(opa, tmp_path, field, accepted):
    arguments = {"properties": {"amount": {"type": "number"}}, "additionalProperties": False}
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/input.json").write_text(json.dumps({"properties": {"args": arguments}}))
    (tmp_path / "rule.rego").write_text(TYPED.replace("{field}", field))
    command = [opa, "check", "--strict", "--schema", "schemas", "rule.rego"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) is accepted, done.stderr


def test_cedar_knows_the_fields_of_a_schema_and_which_may_be_missing(cedar):
    policy, typed = written("02_amount", "rule.cedar"), schema("02_amount")
    assert validation_errors(policy.replace("args.amount", "args.amont"), typed)
    assert validation_errors(policy.replace("100", '"100"'), typed)
    assert validation_errors(policy, typed.replace("amount:", "amount?:"))


def test_an_answer_that_is_not_wanted_is_marked():
    case = {"wanted": "deny"}
    assert _cell(case, "Rego", Answer("permit")) == "**permit** ✗"
    assert _cell(case, "Rego", Answer("deny", "a note")) == "deny, a note"
    assert _cell(case, "Cedar", Answer("refused")) == "refused"
    assert _cell({"wanted": "permit"}, "Cedar", Answer("refused")) == "**refused** ✗"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/lang/test_side_by_side.py --write")
    made = computed(str(OPA))
    old = PAGE.read_text("utf-8")
    PAGE.write_text(BLOCK.sub(lambda m: m[1] + made[m[2]] + m[4], old), "utf-8")
