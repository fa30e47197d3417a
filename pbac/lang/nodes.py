"""The syntax tree of one `.pbac` file. Every node has a span; grammar words name the nodes.

`parse` builds these; nothing changes them afterwards. Names (of definitions, quantifier variables,
rules) are still plain words here: `resolve` says what they mean.
"""

from __future__ import annotations

from typing import Literal as Word
from typing import TypeAlias

import msgspec

from pbac.base.source import Span


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, array_like=True):
    """Anything written in a policy file.

    A tree has no cycles, so the collector need not know it (`gc`). Arrays that begin with the name
    of their class are how a tree is stored.
    """

    span: Span


# --- expressions ---------------------------------------------------------------------------


class Literal(Node, frozen=True, kw_only=True):
    """A constant, already in its runtime form (`model/values`); `kind` tells which it was.

    Durations and datetimes are integers of milliseconds, dates and versions strings.
    """

    value: bool | int | float | str | None
    kind: Word["null", "boolean", "number", "string", "duration", "date", "datetime", "version"]


class ListExpression(Node, frozen=True, kw_only=True):
    """`[a, b]`."""

    items: tuple[Expression, ...]


class RecordExpression(Node, frozen=True, kw_only=True):
    """`{name: value}`; names as written, duplicates refused by the checker."""

    pairs: tuple[tuple[str, Expression], ...]


class Field(Node, frozen=True, kw_only=True):
    """`.name` of a path."""

    name: str


class Index(Node, frozen=True, kw_only=True):
    """`[expression]` of a path: a text into a record, a number into a list."""

    key: Expression


class Path(Node, frozen=True, kw_only=True):
    """`args.owner`, `data.orgs[user.id]`, a quantifier's variable, or a definition's bare name."""

    root: str
    steps: tuple[Field | Index, ...] = ()

    def text(self) -> str:
        """As it is blamed in records: `args.owner`, `data.orgs[…]`."""
        return self.root + "".join(
            f".{step.name}" if isinstance(step, Field) else "[…]" for step in self.steps
        )


class Default(Node, frozen=True, kw_only=True):
    """`path default operand`: the operand when the path is missing, never for null."""

    path: Path
    fallback: Expression


class Has(Node, frozen=True, kw_only=True):
    """`has path`."""

    path: Path


class IsKind(Node, frozen=True, kw_only=True):
    """`operand is kind`, `operand is not kind`."""

    operand: Expression
    kind: Word["null", "string", "number", "boolean", "list", "record"]
    negated: bool


class Not(Node, frozen=True, kw_only=True):
    """`not x`."""

    operand: Expression


class And(Node, frozen=True, kw_only=True):
    """`a and b and c`."""

    items: tuple[Expression, ...]


class Or(Node, frozen=True, kw_only=True):
    """`a or b or c`."""

    items: tuple[Expression, ...]


class Operation(Node, frozen=True, kw_only=True):
    """An operator or function of the table `functions.FUNCTIONS`, by its name there.

    Operators: `==` `!=` `<` `<=` `>` `>=` `in` `not in` `contains` `intersects` `subset of`
    `like` `matches` `starts with` `ends with` `within` `in cidr` `in window`. Functions:
    `host` `scheme` `count` `strings` `lower`. `in window` has operands: the moment, then
    Literals: days (`mon,tue`), start minute and end minute of the day (numbers), zone (string).
    """

    name: str
    operands: tuple[Expression, ...]


class Quantified(Node, frozen=True, kw_only=True):
    """`any x in list: body`, `all x in list: body`."""

    quantifier: Word["any", "all"]
    variable: str
    collection: Expression
    body: Expression


class Apply(Node, frozen=True, kw_only=True):
    """`name(arguments)`: a definition with parameters; `resolve` expands it."""

    name: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = (
    Literal | ListExpression | RecordExpression | Path | Default | Has | IsKind | Not | And | Or
    | Operation | Quantified | Apply
)  # fmt: skip


# --- targets -------------------------------------------------------------------------------


class Pattern(Node, frozen=True, kw_only=True):
    """A name or glob of a target, as written, quotes removed."""

    text: str


class ForTier(Node, frozen=True, kw_only=True):
    """`for tier >= x` with one name, or `for tier a, b`, whose `operator` is `in`."""

    operator: Word[">=", "<=", ">", "<", "in"]
    tiers: tuple[Pattern, ...]


class ForNames(Node, frozen=True, kw_only=True):
    """`for kind|agent|provider|group names except names`."""

    what: Word["kind", "agent", "provider", "group"]
    names: tuple[Pattern, ...]
    without: tuple[Pattern, ...] = ()


class OnNames(Node, frozen=True, kw_only=True):
    """`on tool|scope|resource|prompt|tag|server names except names`."""

    what: Word["tool", "scope", "resource", "prompt", "tag", "server"]
    names: tuple[Pattern, ...]
    without: tuple[Pattern, ...] = ()


class OnAny(Node, frozen=True, kw_only=True):
    """`on any`: every call."""


class OnToken(Node, frozen=True, kw_only=True):
    """`on token`: issuance (Law 9), never a call."""


ForClause: TypeAlias = ForTier | ForNames
OnClause: TypeAlias = OnNames | OnAny | OnToken


# --- items ---------------------------------------------------------------------------------


class Annotation(Node, frozen=True, kw_only=True):
    """`@owner "team"`, `@expires 2027-01-01`, `@shadow`."""

    name: str
    value: Literal | None = None


class Condition(Node, frozen=True, kw_only=True):
    """`when x` or `unless x`."""

    negated: bool
    expression: Expression


class Text(Node, frozen=True, kw_only=True):
    """A `because` or `internal` text: parts are plain strings and interpolated paths."""

    parts: tuple[str | Path, ...]


class DutyLine(Node, frozen=True, kw_only=True):
    """`then …`: `kind` and `parameters` as documented at `model.decision.Duty`.

    Values are plain JSON; a path parameter is its text. `paths` keeps the positioned paths.
    """

    kind: str
    parameters: dict[str, object]
    paths: tuple[Path, ...] = ()


class Rule(Node, frozen=True, kw_only=True):
    """`permit`, `forbid` or `require`; `name_span` underlines the name."""

    effect: Word["permit", "forbid", "require"]
    name: str
    name_span: Span
    docstring: str = ""
    annotations: tuple[Annotation, ...] = ()
    who: tuple[ForClause, ...] = ()
    what: tuple[OnClause, ...] = ()
    conditions: tuple[Condition, ...] = ()
    because: Text | None = None
    internal: Text | None = None
    duties: tuple[DutyLine, ...] = ()


class Definition(Node, frozen=True, kw_only=True):
    """`define name(parameters) = expression`."""

    name: str
    name_span: Span
    parameters: tuple[str, ...]
    expression: Expression


class Tiers(Node, frozen=True, kw_only=True):
    """`tiers a < b < c`, lowest first."""

    names: tuple[Pattern, ...]


# --- tests ---------------------------------------------------------------------------------


class Stated(Node, frozen=True, kw_only=True):
    """How a value of a test is written: `kind` as of a `Literal`, or `name`, `list`, `record`.

    `name` and `name_span` are those of a member; `parts` the members of a record, items of a list.
    """

    kind: str
    value: object
    name: str = ""
    name_span: Span | None = None
    parts: tuple[Stated, ...] = ()


class Given(Node, frozen=True, kw_only=True):
    """One fact of a test.

    `what` is a root (`agent`, `user`, …), `now`, `no user`, or `tool`
    (then `name` is the tool). `value` is plain JSON in runtime form. Given lines accumulate:
    later lines replace the same root for the expectations that follow. `stated` is how the value
    is written; None for what no policy file holds.
    """

    what: str
    value: object
    name: str = ""
    stated: Stated | None = None


class Expectation(Node, frozen=True, kw_only=True):
    """`call tool {args} => outcome`, `list tool => shown|hidden`, `issue scope => outcome`.

    `by`: rule names that must be the deciding ones (all, in any order; may be `package.name`), and
    where each is written;
    `duties`: the duty kinds that must be attached (exactly, when stated on a permit);
    `unknown`: path texts that must be blamed (subset). Empty means: not stated.
    """

    what: Word["call", "list", "issue"]
    subject: str
    arguments: dict[str, object] | None
    outcome: Word["permit", "deny", "shown", "hidden"]
    by: tuple[str, ...] = ()
    by_spans: tuple[Span, ...] = ()
    duties: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Test(Node, frozen=True, kw_only=True):
    """`test "name" …`: givens and expectations in the order written."""

    name: str
    steps: tuple[Given | Expectation, ...]


class Package(Node, frozen=True, kw_only=True):
    """One file. Files with the same package name form one package."""

    name: str
    sealed: bool = False
    servers: tuple[Pattern, ...] = ()
    docstring: str = ""
    tiers: Tiers | None = None
    rules: tuple[Rule, ...] = ()
    definitions: tuple[Definition, ...] = ()
    tests: tuple[Test, ...] = ()
