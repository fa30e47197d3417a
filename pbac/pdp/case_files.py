"""Case files: tables of calls and what is expected of them, read into the tests of a package.

    package: shop
    tests:
      - name: refunds
        given: { agent: { tier: developer } }
        call: refund
        rows:
          - { args.amount: 500, expect: deny by big_refunds }
          - { expect: permit }

A row becomes a `nodes.Test`, so `cases` judges it as it judges `test` blocks; there is no second
meaning. What is given is laid over what was given before it, file, test, row: a root replaces the
root, a path such as `args.amount` one field of it. A text that begins with `!` is a marker:
`!missing` takes a field away, `!undeclared root` is a tier that nobody declares, `!duration 15m`
and `!time 2026-07-01T00:00:00Z` are milliseconds, `!wrong 7` is a value its field never has, and
`!!x` is the text `!x`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from pbac.base import json
from pbac.base.diagnostics import Diagnostic, PolicyError, in_order
from pbac.base.limits import TESTS_MAX
from pbac.base.source import Source, Span
from pbac.base.suggest import did_you_mean
from pbac.lang import nodes
from pbac.lang.check.givens import misfit
from pbac.lang.kinds.kinds import ANY, Kind, parse_kind
from pbac.lang.program import CompiledPackage, Program
from pbac.model.request import FIELDS, OPEN_ROOTS
from pbac.model.values import MISSING, kind_of
from pbac.pdp.case_tree import CODE, Placed, read_tree
from pbac.pdp.cases import FILLED_IN
from pbac.pdp.expected import NotExpected, parse_expectation
from pbac.pdp.moments import parse_duration, parse_moment

ROOTS: Final = tuple(root for root in FIELDS if root != "call")
"""What may be given; the call itself is what a row asks."""

ASKED: Final = ("call", "list", "issue")

_FILE_KEYS: Final = ("package", "given", "tests")
_TEST_KEYS: Final = ("name", "given", "rows", "expect", *ASKED)
_GIVEN_KEYS: Final = (*ROOTS, "now", "tools")
_KINDS: Final[Mapping[str, Kind]] = {
    path: kind
    for root, fields in FIELDS.items()
    for name, whole in ((name, parse_kind(text)) for name, text in fields.items())
    for path, kind in ((f"{root}.{name}", whole), (f"{root}.{name}[…]", whole.item or ANY))
}
"""Path → what is there, for the fields of the request and the items of its lists."""

_FORMS: Final = {
    "duration": "write `!duration 15m`",
    "datetime": "write `!time 2026-07-01T09:00:00Z`",
    "date": 'write `"2026-07-06"`',
    "version": 'write `"2.1"`',
}
"""Kind → its form here, where that is not the form of a `test` block."""

_DOCUMENT: Final = re.compile(r"data\.[^.]+")
_WHEN: Final = 'write a moment such as `"2026-07-01T09:00:00Z"`'


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """What a case file holds: the tests of one package, or what is wrong with it."""

    source: Source
    package: str = ""
    tests: tuple[nodes.Test, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


def read_case_file(source: Source, program: Program) -> CaseFile:
    """The tests of a case file, for a policy set. All that is wrong is told, nothing is raised."""
    try:
        tree = read_tree(source)
    except PolicyError as error:
        return CaseFile(source=source, diagnostics=error.diagnostics)
    found: list[Diagnostic] = []
    package = _package(tree, program, found)
    if package is None:
        return CaseFile(source=source, diagnostics=in_order(found))
    reader = _Reader(program, package, found)
    tests = tuple(reader.tests(tree))
    if len(tests) > TESTS_MAX:
        message = f"a case file has at most {TESTS_MAX} rows, this one has {len(tests)}"
        reader.complain("too-many", message, tests[TESTS_MAX].span, "split the file")
    if found:
        return CaseFile(source=source, diagnostics=in_order(found))
    return CaseFile(source=source, package=package.name, tests=tests)


def _package(tree: Placed, program: Program, found: list[Diagnostic]) -> CompiledPackage | None:
    """The package that is tested; a set of one package need not say which."""
    packages = {package.name: package for package in program.packages}
    given = tree.value.get("package") if type(tree.value) is dict else None
    if given is None and len(packages) == 1:
        return next(iter(packages.values()))
    known = ", ".join(f"`{name}`" for name in packages)
    if given is None:
        message, span = "nothing says which package is tested", _first(tree.span)
        help_ = f"write `package: NAME`; there are {known}"
    elif type(given.value) is str and given.value in packages:
        return packages[given.value]
    else:
        message, span = f"there is no package `{given.value}`", given.span
        help_ = did_you_mean(str(given.value), packages) or f"there are {known}"
    found.append(Diagnostic(code=CODE, message=message, span=span, help=help_))
    return None


def _first(span: Span) -> Span:
    """Only the place: to underline a whole file says nothing."""
    return Span(span.source, span.start, span.start + 1, span.line, span.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What is given so far: plain JSON by root, without what is missing; `user` may be None."""

    roots: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    now_ms: int | None = None


class _Reader:
    """Reads one file, and notes whatever is wrong in `found`."""

    def __init__(self, program: Program, package: CompiledPackage, found: list[Diagnostic]) -> None:
        self._tiers = program.tiers
        self._package = package.name
        self._rules = [rule.name for each in program.packages for rule in each.rules]
        self._found = found

    def complain(self, code: str, message: str, span: Span, help_text: str | None = None) -> None:
        """Notes what is wrong."""
        self._found.append(Diagnostic(code=code, message=message, span=span, help=help_text))

    # --- files, tests, rows ----------------------------------------------------------------

    def tests(self, tree: Placed) -> Iterator[nodes.Test]:
        """A test for every row, in the order written."""
        file = self._record(tree, _FILE_KEYS, "a case file")
        shared = self._given(_World(), file.get("given"))
        if "tests" not in file:
            self.complain(CODE, "there are no `tests`", _first(tree.span), "write `tests:`")
        for number, test in enumerate(self._items(file.get("tests")), 1):
            yield from self._test(test, number, shared)

    def _test(self, test: Placed, number: int, shared: _World) -> Iterator[nodes.Test]:
        members = self._record(test, _TEST_KEYS, "a test")
        if type(test.value) is not dict:
            return
        name = self._text(members.get("name")) or f"test {number}"
        world = self._given(shared, members.get("given"))
        asked: dict[str, Placed] = {word: members[word] for word in ASKED if word in members}
        if "rows" not in members:
            yield from self._row(test, members, name, asked, world)
            return
        if "expect" in members:
            self.complain(CODE, "a row says what it expects", members["expect"].span)
        for row_number, row in enumerate(self._items(members["rows"]), 1):
            if type(row.value) is not dict:
                self.complain(CODE, "a row is a record", row.span, "write `{ expect: permit }`")
                continue
            told = self._text(row.value.get("name")) or f"row {row_number}"
            laid = self._cells(world, row)
            yield from self._row(row, row.value, f"{name}: {told}", asked, laid)

    def _row(
        self,
        row: Placed,
        members: Mapping[str, Placed],
        name: str,
        asked: Mapping[str, Placed],
        world: _World,
    ) -> Iterator[nodes.Test]:
        own: dict[str, Placed] = {word: members[word] for word in ASKED if word in members}
        asked = own or asked
        if len(asked) != 1 or "expect" not in members:
            message = "a row asks one thing and says what it expects"
            help_ = "write `call: TOOL` (or `list`, or `issue: SCOPE`) and `expect: permit`"
            self.complain(CODE, message, _first(row.span), help_)
            return
        ((what, subject),) = asked.items()
        tool = self._text(subject)
        expected = self._expectation(what, members["expect"])
        if tool is None or expected is None:
            return
        step = nodes.Expectation(
            span=row.span, what=cast("Any", what), subject=tool, arguments=None, **expected
        )
        steps: tuple[nodes.Given | nodes.Expectation, ...] = (*_givens(world, row.span), step)
        yield nodes.Test(span=row.span, name=name, steps=steps)

    def _expectation(self, what: str, written: Placed) -> dict[str, Any] | None:
        text = self._text(written)
        if text is None:
            return None
        try:
            expected = parse_expectation(text, what)
        except NotExpected as error:
            self.complain(CODE, str(error), written.span, error.help)
            return None
        for name in expected["by"]:
            if (name if "." in name else f"{self._package}.{name}") not in self._rules:
                near = [rule.rpartition(".")[2] for rule in self._rules]
                help_ = did_you_mean(name, self._rules if "." in name else near)
                self.complain("unknown-rule", f"there is no rule `{name}`", written.span, help_)
        return expected

    # --- givens ----------------------------------------------------------------------------

    def _given(self, world: _World, given: Placed | None) -> _World:
        """What a `given` record lays over the world: every root in it replaces that root."""
        if given is None:
            return world
        for name, value in self._record(given, _GIVEN_KEYS, "`given`").items():
            world = self._root(world, name, value)
        return world

    def _root(self, world: _World, name: str, value: Placed) -> _World:
        match name:
            case "now":
                now_ms = self._moment(value)
                return replace(world, now_ms=now_ms)
            case "tools":
                tools = {tool: self._tool(each) for tool, each in self._members(value).items()}
                return replace(world, tools={**world.tools, **tools})
        fields = None if name == "user" and value.value is None else self._fields(name, value)
        return _with_root(world, name, fields)

    def _fields(self, root: str, value: Placed) -> dict[str, Any]:
        fields = {}
        for name, member in self._members(value).items():
            self._known(root, name, value.names[name])
            fields[name] = self._value(member, f"{root}.{name}")
        return _without_missing(fields)

    def _tool(self, value: Placed) -> dict[str, Any]:
        fields = {}
        for name, member in self._members(value).items():
            self._known("call", name, value.names[name])
            fields[name] = self._value(member, f"call.{name}")
            if fields[name] is MISSING:
                help_ = "leave it out; without, it is pinned and on the package's first server"
                self.complain(CODE, "a tool has no missing fields", member.span, help_)
        return fields

    def _cells(self, world: _World, row: Placed) -> _World:
        """What the other members of a row lay over the world: roots, and paths into them."""
        for name, cell in row.value.items():
            if name in ("name", "expect", *ASKED):
                continue
            root, *path = name.split(".")
            if not path and (root in _GIVEN_KEYS):
                world = self._root(world, root, cell)
            elif root in ROOTS and path and all(path):
                world = self._cell(world, root, path, cell, row.names[name])
            else:
                help_ = did_you_mean(root, (*_GIVEN_KEYS, "name", "expect", *ASKED))
                help_ = help_ or "a column is a path such as `args.amount`"
                self.complain(CODE, f"`{name}` is no column", row.names[name], help_)
        return world

    def _cell(self, world: _World, root: str, path: list[str], cell: Placed, span: Span) -> _World:
        self._known(root, path[0], span)
        value = self._value(cell, ".".join([root, *path]))
        fields = copy.deepcopy(world.roots.get(root) or {})
        place = fields
        for name in path[:-1]:
            place = place.setdefault(name, {})
            if type(place) is not dict:
                self.complain(CODE, f"`{name}` is given as no record", span)
                return world
        place[path[-1]] = value
        return _with_root(world, root, _without_missing(fields))

    def _known(self, root: str, name: str, span: Span) -> None:
        fields = FIELDS[root]
        if root not in OPEN_ROOTS and name not in fields:
            known = ", ".join(f"`{each}`" for each in fields)
            help_ = did_you_mean(name, fields) or f"it has {known}"
            self.complain("unknown-field", f"`{root}` has no field `{name}`", span, help_)

    # --- values ----------------------------------------------------------------------------

    def _value(self, placed: Placed, path: str) -> Any:
        """Plain JSON, or `MISSING`, with markers read."""
        value = placed.value
        if type(value) is dict:
            return {name: self._value(each, f"{path}.{name}") for name, each in value.items()}
        if type(value) is list:
            return [self._item(each, f"{path}[…]") for each in value]
        if type(value) is str and value.startswith("!"):
            return self._marked(value[1:], placed.span, path)
        if path == "agent.tier" and type(value) is str and value not in self._tiers:
            help_ = did_you_mean(value, self._tiers)
            help_ = help_ or f'where that is meant, write `"!undeclared {value}"`'
            self.complain("unknown-tier", f"there is no tier `{value}`", placed.span, help_)
        elif path in _KINDS and (form := misfit(_KINDS[path], kind_of(value), value)):
            shown = json.encode(value).decode()
            message = f"`{path}` is {_KINDS[path]}, and `{shown}` is none"
            help_ = _FORMS.get(_KINDS[path].word, form.help)
            help_ += f'; where that is meant, write `"!wrong {value}"`'
            self.complain(CODE, message, placed.span, help_)
        return value

    def _item(self, placed: Placed, path: str) -> Any:
        value = self._value(placed, path)
        if value is MISSING:
            self.complain(CODE, "an item of a list is there or not", placed.span, "leave it out")
        return value

    def _marked(self, text: str, span: Span, path: str) -> Any:
        if text.startswith("!"):
            return text
        word, _, rest = text.partition(" ")
        if word not in _MARKERS:
            known = ", ".join(f"`!{marker}`" for marker in _MARKERS)
            help_ = did_you_mean(word, _MARKERS) or f"there are {known}; `!!{text}` is a text"
            self.complain(CODE, f"`!{word}` is no marker", span, help_)
            return None
        if word == "missing" and (path in FILLED_IN or _DOCUMENT.fullmatch(path)):
            self.complain(CODE, f"`{path}` is never missing in a test", span, "give a value")
        value = _MARKERS[word](rest)
        if value is None:
            self.complain(CODE, f"`!{text}` says nothing", span, _MARKER_HELP[word])
        return value

    def _moment(self, placed: Placed) -> int | None:
        found = parse_moment(placed.value) if type(placed.value) is str else None
        if found is None:
            self.complain("no-such-date", f"`{placed.value}` is no moment", placed.span, _WHEN)
        return found

    def _text(self, placed: Placed | None) -> str | None:
        if placed is None or type(placed.value) is str:
            return placed.value if placed else None
        self.complain(CODE, "this has to be a text", placed.span, "put it into quotes")
        return None

    def _items(self, placed: Placed | None) -> list[Placed]:
        if placed is None or type(placed.value) is list:
            return cast("list[Placed]", placed.value) if placed else []
        self.complain(CODE, "this has to be a list", _first(placed.span))
        return []

    def _members(self, placed: Placed) -> dict[str, Placed]:
        if type(placed.value) is dict:
            return cast("dict[str, Placed]", placed.value)
        self.complain(CODE, "this has to be a record", _first(placed.span))
        return {}

    def _record(self, placed: Placed, keys: tuple[str, ...], what: str) -> dict[str, Placed]:
        """A record with these members and no others."""
        members = self._members(placed)
        for name in members:
            if name not in keys:
                known = ", ".join(f"`{key}`" for key in keys)
                help_ = did_you_mean(name, keys) or f"it has {known}"
                self.complain(CODE, f"{what} has no `{name}`", placed.names[name], help_)
        return {name: value for name, value in members.items() if name in keys}


# --- worlds ----------------------------------------------------------------------------------


def _with_root(world: _World, name: str, fields: dict[str, Any] | None) -> _World:
    return replace(world, roots={**world.roots, name: fields})


def _without_missing(fields: dict[str, Any]) -> dict[str, Any]:
    """Without the members that are missing, at any depth of records."""
    return {
        name: _without_missing(value) if type(value) is dict else value
        for name, value in fields.items()
        if value is not MISSING
    }


def _givens(world: _World, span: Span) -> Iterator[nodes.Given]:
    """The world as the steps of a test."""
    if world.now_ms is not None:
        yield nodes.Given(span=span, what="now", value=world.now_ms)
    for root, fields in world.roots.items():
        what = "no user" if fields is None else root
        yield nodes.Given(span=span, what=what, value=fields)
    for name, tool in world.tools.items():
        yield nodes.Given(span=span, what="tool", value=tool, name=name)


# --- markers ---------------------------------------------------------------------------------


def _wrong(text: str) -> Any:
    """A value of JSON, or else a text."""
    try:
        return json.decode(text.encode())
    except json.JsonError:
        return text


_MARKERS: Final[dict[str, Callable[[str], Any]]] = {
    "missing": lambda text: None if text else MISSING,
    "undeclared": lambda text: text or None,
    "duration": parse_duration,
    "time": parse_moment,
    "wrong": lambda text: _wrong(text) if text else None,
}
"""Marker → the value for what stands behind it; None when that says nothing."""

_MARKER_HELP: Final = {
    "missing": "nothing stands behind `!missing`",
    "undeclared": "write the tier: `!undeclared root`",
    "duration": "write a number and `s`, `m`, `h`, `d` or `w`: `!duration 15m`",
    "wrong": "write the value: `!wrong 7`",
    "time": "write it in UTC: `!time 2026-07-01T09:00:00Z`",
}
