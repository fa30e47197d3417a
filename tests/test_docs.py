"""Documentation as a test: whatever the code can say itself, the pages say by being generated.

A page holds blocks between `<!-- generated: NAME -->` and `<!-- end -->`. Each is computed here from
the tables of the code and compared. Cells under a heading that ends in `*` are written by hand: they
are kept by the row's first cell, and a row without one fails. So a new setting, option, diagnostic,
duty, method, error or limit fails until somebody has written what it means.

`python tests/test_docs.py --write` rewrites the blocks.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import click
import msgspec
import pytest
from msgspec.structs import fields
from support import language_page

from pbac.app import config
from pbac.audit import record
from pbac.audit.lines import Fault
from pbac.base import limits
from pbac.base.diagnostics import Severity
from pbac.cli import COMMANDS, group
from pbac.duties.table import JOINS
from pbac.gateway.enforce import READABLE
from pbac.lang.check.duties import ENFORCED_DUTIES, ISSUANCE_DUTIES
from pbac.lang.evaluate.functions import FUNCTIONS, Function
from pbac.lang.lint.codes import CODES
from pbac.lang.lint.lints import LINTS
from pbac.lang.syntax import duties as read_duties
from pbac.mcp.methods import METHODS
from pbac.mcp.versions import LEGACY_VERSIONS, MODERN_VERSIONS
from pbac.mcp.wire_errors import WIRE_ERRORS
from pbac.model.decision import Cause, Decision, Effect
from pbac.model.request import ACTOR_FIELDS, FIELDS, UNDETERMINED_WHEN_LISTING
from pbac.oauth.errors import ERRORS
from pbac.pdp.bundle_files import BUNDLE_CODES
from pbac.web import authzen_routes, health_routes, mcp_routes, oauth_routes
from pbac.web.metrics import Metrics

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md")) + [p for p in [ROOT / "README.md"] if p.exists()]
BLOCK = re.compile(r"(<!-- generated: ([a-z_]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
KEPT = "\b\n"
CELL = re.compile(r"(?<!\\)\|")


class Table(NamedTuple):
    """Headings and rows. Under headings that end in `*` nothing is given: a person writes there."""

    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]


SOURCES = sorted((ROOT / "pbac").rglob("*.py"))


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


# --- tables of the code -----------------------------------------------------------------------


def code(text: object) -> str:
    return f"`{text}`"


def codes(texts: Any) -> str:
    return ", ".join(map(code, texts)) or "-"


def settings(section: type[msgspec.Struct]) -> Table:
    rows = [
        (code(field.name), _shape(field.type), _default(field))
        for field in fields(section)
        if (section, field.name) != (config.Config, "directory")
    ]
    return Table(("setting", "value", "default", "meaning*"), rows)


def _shape(kind: Any) -> str:
    words = {str: "text", bool: "boolean", dict[str, str]: "table of texts"}
    if kind in words:
        return words[kind]
    if kind == dict[str, tuple[str, ...]]:
        return "table of lists of texts"
    arguments = [each for each in get_args(kind) if each not in (type(None), Ellipsis)]
    if isinstance(kind, types.UnionType):
        return _shape(arguments[0])
    if getattr(kind, "__origin__", None) is tuple:
        return "tables" if issubclass(arguments[0], msgspec.Struct) else "list of texts"
    if arguments:
        return " or ".join(code(f'"{each}"') for each in arguments)
    return "table"


def _default(field: Any) -> str:
    value = field.default
    if value is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is msgspec.NODEFAULT:
        return "required"
    return "-" if value in (None, (), {}) else code(msgspec.json.encode(value).decode())


def commands(command: click.Command, name: str, context: click.Context | None = None) -> str:
    """Every command with its arguments and options, as click knows them."""
    own = click.Context(command, info_name=name.rpartition(" ")[2], parent=context)
    if isinstance(command, click.Group):
        children = [
            (child, command.get_command(own, child)) for child in command.list_commands(own)
        ]
        parts = [commands(each, f"{name} {child}", own) for child, each in children if each]
        return "\n".join(parts)
    usage = f"{name} {' '.join(command.collect_usage_pieces(own))}"
    rows = [_parameter(each) for each in command.params if isinstance(each, click.Option)]
    table = _written(Table(("option", "default", "meaning"), rows), "") if rows else ""
    return f"## {name}\n\n{_help_text(command)}\n\n```text\n{usage}\n```\n\n{table}"


def _help_text(command: click.Command) -> str:
    """Paragraphs after click's `\\b`, whose lines stay as they are, as blocks."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(
        f"```text\n{each.removeprefix(KEPT)}\n```" if each.startswith(KEPT) else each
        for each in paragraphs
    )


def _parameter(option: click.Option) -> tuple[str, ...]:
    names = ", ".join([*option.opts, *option.secondary_opts])
    shown = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('x')))}"
    default = option.default
    if option.required:
        told = "required"
    elif isinstance(default, Path | str | int) and not isinstance(default, bool):
        told = code(default)
    else:
        told = codes(default) if isinstance(default, tuple) and default else "-"
    return code(names + shown).replace("|", "\\|"), told, option.help or "-"


def request() -> Table:
    roots = {**FIELDS, "chain.actors[…]": ACTOR_FIELDS}
    rows = [
        (code(f"{root}.{name}"), kind, _when_listing(root, name))
        for root, members in roots.items()
        for name, kind in (members or {"…": "from the call, the gateway or your documents"}).items()
    ]
    return Table(("path", "kind", "when listing tools", "filled in with*"), rows)


def _when_listing(root: str, name: str) -> str:
    return "undetermined" if {root, f"{root}.{name}"} & UNDETERMINED_WHEN_LISTING else "known"


def duties() -> Table:
    kinds = dict.fromkeys(kind for kind, _ in read_duties._DUTIES.values())
    rows = []
    for kind in kinds:
        phase = "tokens" if kind in ISSUANCE_DUTIES else "calls"
        rows.append((code(kind), phase, "yes" if kind in ENFORCED_DUTIES else "not yet: denied"))
    return Table(("duty", "of", "carried out", "parameters*", "join of several*"), rows)


def wire_errors() -> Table:
    rows = [
        (
            code(word),
            str(row.number),
            f"{_http(word, row.http_legacy)}",
            _http(word, row.http_modern),
        )
        for word, row in WIRE_ERRORS.items()
    ]
    return Table(("word", "number", "HTTP, legacy", "HTTP, 2026-07-28", "what to do*"), rows)


def _http(word: str, status: int) -> str:
    return f"200 as a result, or {status}" if word in READABLE else str(status)


def oauth_errors() -> Table:
    rows = [
        (code(word), code(row.error), str(row.status), row.description)
        for word, row in ERRORS.items()
    ]
    return Table(("word in the record", "`error`", "HTTP", "says"), rows)


def problems() -> Table:
    """Every `problem(status, code, …)` and `Refused(status, code, …)` of the web layer."""
    found = {}
    for path in sorted((ROOT / "pbac/web").glob("*.py")):
        for call in _calls(path):
            told = _name(call) in ("problem", "Refused")
            if told and all(isinstance(a, ast.Constant) for a in call.args[:2]):
                status, word = (argument.value for argument in call.args[:2])
                found[code(word)] = str(status)
    return Table(("word", "HTTP", "what to do*"), sorted(found.items()))


def methods() -> Table:
    rows = [
        (code(name), _revisions(row.versions), row.action or "-", _yes(row.served), _form(row))
        for name, row in METHODS.items()
    ]
    return Table(("method", "revisions", "policy is asked about", "served", "form"), rows)


def _revisions(versions: tuple[str, ...]) -> str:
    if versions == (*LEGACY_VERSIONS, *MODERN_VERSIONS):
        return "all"
    return f"{versions[0]} … {versions[-1]}" if len(versions) > 1 else versions[0]


def _form(row: Any) -> str:
    return "notification" if row.notification else "request"


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def diagnostics() -> Table:
    rows = [
        (f"[`{word}`](#{word})", str(row.severity), row.meaning)
        for word, row in sorted(CODES.items())
    ]
    return Table(("code", "severity", "meaning"), rows)


def emitted() -> dict[str, str]:
    """Every code word that a policy can earn, found in the sources, with its severity.

    A word with a hyphen is a code wherever it stands; one without only where a code has to stand.
    """
    pdp = ["administration", "case_tree", "case_files"]
    sources = [*(ROOT / "pbac/lang").rglob("*.py"), *(ROOT / f"pbac/pdp/{name}.py" for name in pdp)]
    found: dict[str, str] = {}
    for path in sorted([*sources, *(ROOT / "pbac/adapters").glob("policy_*.py")]):
        tree = ast.parse(path.read_text("utf-8"))
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        words = [t for t in texts if isinstance(t, str) and re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", t)]
        named = [word for word in words if not word.startswith("utf-")]
        found |= dict.fromkeys(named, Severity.ERROR.value)
        for call in _calls(path):
            first = next(iter(call.args), None)
            if isinstance(first, ast.Constant) and _name(call) in ("complain", "_error"):
                found[first.value] = Severity.ERROR.value
            elif isinstance(first, ast.Constant) and _name(call) == "warn":
                found[first.value] = Severity.WARNING.value
        found |= dict.fromkeys(_told(tree), Severity.ERROR.value)
    return found


def _told(tree: ast.Module) -> Iterator[str]:
    """What slips are told with: `Told(code="syntax", …)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node) in ("Told", "habit"):
            for each in node.keywords:
                if each.arg == "code" and isinstance(each.value, ast.Constant):
                    yield str(each.value.value)


def _calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text("utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def bounds() -> Table:
    lines = (ROOT / "pbac/base/limits.py").read_text("utf-8").splitlines()
    names = [line.partition(":")[0] for line in lines if ": Final = " in line]
    rows = [(code(name), f"{getattr(limits, name):,}", _users(name)) for name in names]
    return Table(("limit", "value", "enforced in", "meaning*"), rows)


def _users(name: str) -> str:
    """The packages that use a bound: one that nobody uses must not look enforced."""
    word = re.compile(rf"\b{name}\b")
    found = {p.parent.name for p in SOURCES if p.name != "limits.py" and word.search(text_of(p))}
    return codes(sorted(found)) if found else "**nowhere yet**"


def operators() -> Table:
    rows = [
        (code(name), ", ".join(row.operands), row.result, _cost(row))
        for name, row in FUNCTIONS.items()
        if not name.startswith("version ")
    ]
    return Table(("operator or function", "takes", "gives", "cost", "meaning*"), rows)


def _cost(row: Function) -> str:
    grown = {
        "text": " + 1 a character",
        "list": f" + {row.cost} an item",
        "tree": f" + {row.cost} a part",
    }
    return f"{row.cost}{grown.get(row.grows, '')}"


def routes() -> Table:
    given: Any = None
    served = [
        *mcp_routes.routes(given, ()),
        *oauth_routes.routes(given, ()),
        *authzen_routes.routes(given),
        *health_routes.routes(given, given, given),
    ]
    return Table(("route", "what it does*"), [(code(f"{r.method} {r.path}"),) for r in served])


def metrics() -> Table:
    given: Any = None
    found = Metrics(given).registry.collect()
    rows = [(code(_exposed(each)), each.type, each.documentation) for each in found]
    return Table(("metric", "type", "counts"), rows)


def _exposed(metric: Any) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def records() -> Table:
    rows = [
        (code(kind.__struct_config__.tag), codes(field.name for field in fields(kind)))
        for kind in get_args(record.Record)
    ]
    return Table(("kind", "members beside the common ones", "written*"), rows)


def words(heading: str, values: Any) -> Table:
    return Table((heading, "meaning*"), [(code(value),) for value in values])


TABLES: dict[str, Callable[[], Table | str]] = {
    "settings": lambda: settings(config.Config),
    "publishers": lambda: settings(config.PublisherConfig),
    "backends": lambda: settings(config.BackendConfig),
    "tls": lambda: settings(config.TlsConfig),
    "introspectors": lambda: settings(config.IntrospectorConfig),
    "commands": lambda: commands(group, "pbac"),
    "request": request,
    "effects": lambda: words("effect", [each.value for each in Effect]),
    "causes": lambda: words("cause", [each.value for each in Cause]),
    "decision": lambda: words("member", [field.name for field in fields(Decision)]),
    "duties": duties,
    "wire_errors": wire_errors,
    "oauth_errors": oauth_errors,
    "problems": problems,
    "bundle_errors": lambda: words("word", BUNDLE_CODES),
    "methods": methods,
    "diagnostics": diagnostics,
    "limits": bounds,
    "operators": operators,
    **language_page.BLOCKS,
    "routes": routes,
    "metrics": metrics,
    "records": records,
    "faults": lambda: words("fault", [each.value for each in Fault]),
}


# --- blocks -------------------------------------------------------------------------------------


def computed(name: str, old: str) -> str:
    """A block as it has to be; cells written by hand are taken over from `old`."""
    made = TABLES[name]()
    return made if isinstance(made, str) else _written(made, old)


def _written(table: Table, old: str) -> str:
    by_hand = sum(heading.endswith("*") for heading in table.headings)
    kept = {cells[0]: cells[len(cells) - by_hand :] for cells in _rows(old)} if by_hand else {}
    lines = [[heading.rstrip("*") for heading in table.headings], ["---"] * len(table.headings)]
    lines += [[*row, *kept.get(row[0], [""] * by_hand)] for row in table.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _rows(block: str) -> Iterator[list[str]]:
    for line in block.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in CELL.split(line)[1:-1]]


def blocks() -> list[tuple[Path, str, str]]:
    return [(p, m[2], m[3]) for p in PAGES for m in BLOCK.finditer(p.read_text("utf-8"))]


def write() -> None:
    """Bring every block of every page up to date."""
    for path in PAGES:
        text = path.read_text("utf-8")
        fresh = BLOCK.sub(lambda m: m[1] + computed(m[2], m[3]) + m[4], text)
        if fresh != text:
            path.write_text(fresh, "utf-8")
            sys.stdout.write(f"rewritten: {path.relative_to(ROOT)}\n")


@pytest.mark.parametrize(("path", "name", "text"), blocks(), ids=[each[1] for each in blocks()])
def test_a_generated_block_is_current_and_complete(path, name, text):
    assert text == computed(name, text), "run `python tests/test_docs.py --write`"
    for cells in _rows(text):
        assert all(cells), f"{path.name}: `{cells[0]}` has an empty cell: say what it means"


def test_every_table_of_the_code_stands_in_one_page():
    assert sorted(name for _, name, _ in blocks()) == sorted(TABLES)


def test_every_command_has_a_module_that_the_reference_describes():
    page = (ROOT / "docs/reference/cli.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"\n## pbac {name}" in page


def test_every_code_word_of_the_sources_is_in_the_table_with_its_severity():
    found = emitted()
    table = {word: str(row.severity) for word, row in CODES.items()}
    assert {word for word in table if word not in found} <= LINTS.keys()  # without a hyphen
    found = {word: "lint" if word in LINTS else severity for word, severity in found.items()}
    assert found.items() <= {**table, **dict.fromkeys(LINTS, "lint")}.items()


def test_a_duty_that_is_carried_out_has_a_join():
    assert set(JOINS) == ENFORCED_DUTIES - ISSUANCE_DUTIES


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        sys.exit("usage: python tests/test_docs.py --write")
