"""Rules that arguments of every wrong kind are sent to: one tool a row, one condition a tool.

A row says in Python, independently of the language, which arguments may pass. `fits` and `refused`
are sent through the served gateways; random ones meet the decision point alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OPEN = {"type": "object"}


@dataclass(frozen=True)
class Ruled:
    """One tool. `rail` permits when the condition holds, or forbids when it does."""

    name: str
    rail: str
    condition: str
    permits: Callable[[dict[str, Any]], bool]
    fits: tuple[dict[str, Any], ...]
    refused: tuple[dict[str, Any], ...]

    @property
    def tool(self) -> str:
        return f"ruled_{self.name}"

    @property
    def text(self) -> str:
        who = f"for tier >= read_only\n  on  tool {self.tool}"
        if self.rail == "permit":
            return f"permit {self.name}\n  {who}\n  when {self.condition}\n"
        return (
            f"permit {self.name}_open\n  {who}\n"
            f"forbid {self.name}\n  on tool {self.tool}\n  {self.rail} {self.condition}\n"
        )


def of(member, test, kinds):
    """`permits`: the member is there, of exactly one of these kinds, and passes the test."""

    def permits(arguments):
        value = arguments.get(member, permits)
        return type(value) in kinds and test(value)

    return permits


def each(member, *values, **more):
    """One set of arguments for each value; the member is left out of one more."""
    return (*({member: value, **more} for value in values), dict(more))


def texts(member, test):
    return of(member, test, (str,))


def numbers(member, test):
    return of(member, test, (int, float))


def whole(member, pattern):
    return texts(member, lambda text: re.fullmatch(pattern, text, re.ASCII) is not None)


def lists(member, test):
    return of(member, test, (list,))


# --- POL-01: a forbid that meets an error ------------------------------------------------------

_NO_AMOUNT = each("amount", "abc", None, [], {}, True, False, "50", [50], {"value": 50}, "", 101)
_MODEST = each("amount", 50, 100.0, 0, -1)[:-1]
_AT_MOST_100 = numbers("amount", lambda amount: amount <= 100)

ERRORS = (
    Ruled("refund", "when", "args.amount > 100", _AT_MOST_100, _MODEST, _NO_AMOUNT),
    Ruled("refund_unless", "unless", "args.amount <= 100", _AT_MOST_100, _MODEST, _NO_AMOUNT),
    Ruled("refund_not", "when", "not args.amount <= 100", _AT_MOST_100, _MODEST, _NO_AMOUNT),
    Ruled(
        "region",
        "when",
        'not args.region in ["eu", "us"]',
        texts("region", lambda region: region in ("eu", "us")),
        each("region", "eu", "us")[:-1],
        each("region", "EU", "eu ", "", None, 5, True, ["eu"], {"eu": 1}),
    ),
    Ruled(
        "fetch",
        "when",
        'host(args.url) != "api.example.com"',
        texts("url", lambda url: url.startswith("https://api.example.com/")),
        each("url", "https://api.example.com/x")[:-1],
        each("url", "https://api.example.com@evil/", "//api.example.com", 5, None, [], "https:"),
    ),
    Ruled(
        "label",
        "when",
        'any tag in args.tags: tag starts with "prod"',
        lists(
            "tags",
            lambda tags: (
                len(tags) <= 256
                and all(type(tag) is str and not tag.startswith("prod") for tag in tags)
            ),
        ),
        each("tags", [], ["test"], ["a", "b"])[:-1],
        each("tags", "test", None, {}, 5, [1], ["a", None], [["a"]], ["prod"], ["a"] * 257),
    ),
    Ruled(
        "order",
        "when",
        "args.order.total > 100",
        lambda arguments: (
            type(arguments.get("order")) is dict
            and numbers("total", lambda total: total <= 100)(arguments["order"])
        ),
        ({"order": {"total": 1}},),
        each("order", "x", {}, None, [], [{"total": 1}], {"total": "1"}, {"total": None}),
    ),
)

# --- POL-03 and POL-04: numbers, texts and booleans are three kinds ----------------------------

NUMBERS_AS_TEXTS = (
    Ruled(
        "below",
        "permit",
        "args.amount < 100",
        numbers("amount", lambda amount: amount < 100),
        each("amount", 99, 99.5, -1, 0)[:-1],
        each("amount", "99", "1e9", " 99", "٩", "0x1", None, True, [99], {}, 100, 1e9),
    ),
    Ruled(
        "below_forbid",
        "when",
        "args.amount >= 100",
        numbers("amount", lambda amount: amount < 100),
        each("amount", 99, 99.5, -1, 0)[:-1],
        each("amount", "99", "1e9", "", None, True, [99], {}, 100, 1e9),
    ),
    Ruled(
        "between",
        "permit",
        "0 < args.amount and not args.amount > 10",
        numbers("amount", lambda amount: 0 < amount <= 10),
        each("amount", 1, 10, 0.5)[:-1],
        each("amount", "5", "1e0", True, [5], None, 0, 11),
    ),
)

_SMALL = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
BOOLEANS_AS_NUMBERS = (
    Ruled(
        "once",
        "permit",
        "args.count <= 1",
        numbers("count", lambda count: count <= 1),
        each("count", 1, 1.0, 0)[:-1],
        each("count", True, False, "1", None, [1], 2),
    ),
    Ruled(
        "rehearse",
        "permit",
        "args.dry_run == true",
        of("dry_run", bool, (bool,)),
        ({"dry_run": True},),
        each("dry_run", 1, 1.0, "true", "True", "yes", None, [True], False),
    ),
    Ruled(
        "rehearse_bare",
        "permit",
        "args.dry_run",
        of("dry_run", bool, (bool,)),
        ({"dry_run": True},),
        each("dry_run", 1, "true", [True], {"a": 1}, None, False),
    ),
    Ruled(
        "rehearse_unless",
        "unless",
        "args.dry_run",
        of("dry_run", bool, (bool,)),
        ({"dry_run": True},),
        each("dry_run", 1, "true", [True], {"a": 1}, None, False),
    ),
    Ruled(
        "among",
        "permit",
        "args.n in [0, 1]",
        numbers("n", lambda n: n in (0, 1)),
        each("n", 0, 1, 1.0, 0.0)[:-1],
        each("n", True, False, "1", None, [1], 2),
    ),
    Ruled(
        "among_many",
        "permit",
        f"args.n in [{', '.join(map(str, _SMALL))}]",
        numbers("n", lambda n: n in _SMALL),
        each("n", 0, 11, 1.0)[:-1],
        each("n", True, False, "1", None, [1], {}, 12),
    ),
    Ruled(
        "subset",
        "permit",
        "args.ns subset of [0, 1]",
        lists("ns", lambda ns: all(type(n) in (int, float) and n in (0, 1) for n in ns)),
        each("ns", [], [0, 1, 1.0])[:-1],
        each("ns", [True], [0, False], ["1"], [None], 1, "01", None, [2]),
    ),
    Ruled(
        "shared",
        "permit",
        "args.ns intersects [1]",
        lists("ns", lambda ns: any(type(n) in (int, float) and n == 1 for n in ns)),
        each("ns", [1], [True, 1], [1.0, "x"])[:-1],
        each("ns", [True], ["1"], [], 1, "1", None, {"1": 1}),
    ),
    Ruled(
        "placed",
        "permit",
        'args.names[args.at] == "b"',
        lambda arguments: (
            type(arguments.get("names")) is list
            and type(arguments.get("at")) is int
            and 0 <= arguments["at"] < len(arguments["names"])
            and arguments["names"][arguments["at"]] == "b"
        ),
        ({"names": ["a", "b"], "at": 1},),
        each("at", True, 1.5, "1", None, 0, -1, 7, names=["a", "b"]),
    ),
)

# --- POL-05 and POL-06: lists and records where a text is expected, and the other way round ----

_WRAPPED = (["safe", "prod"], {"name": "safe"}, [["safe"]], ["safe"], {"safe": "safe"}, [], 5)
_SAFE = ({"repo": "safe"},)
_IS_SAFE = texts("repo", lambda repo: repo == "safe")
_SPARES = ", ".join(f'"spare{n}"' for n in range(12))


def _repo(name, rail, condition, permits=_IS_SAFE, *more):
    return Ruled(name, rail, condition, permits, _SAFE, each("repo", *_WRAPPED, None, *more))


WRAPPED = (
    _repo("repo", "permit", 'args.repo == "safe"', _IS_SAFE, "prod"),
    _repo("repo_in", "permit", 'args.repo in ["safe"]', _IS_SAFE, "prod"),
    _repo("repo_in_many", "permit", f'args.repo in ["safe", {_SPARES}]', _IS_SAFE, "prod"),
    _repo("repo_starts", "permit", 'args.repo starts with "saf"', whole("repo", "(?s)saf.*")),
    _repo("repo_ends", "permit", 'args.repo ends with "afe"', whole("repo", "(?s).*afe")),
    _repo("repo_like", "permit", 'args.repo like "s*fe"', whole("repo", "s[^/]*fe")),
    _repo("repo_matches", "permit", 'args.repo matches r"s[a-f]+"', whole("repo", "s[a-f]+")),
    _repo("repo_lower", "permit", 'lower(args.repo) == "safe"', whole("repo", "(?i:safe)")),
    _repo("repo_not", "when", 'args.repo == "prod"', texts("repo", lambda r: r != "prod"), "prod"),
    _repo("repo_not_in", "when", 'args.repo not in ["safe"]', _IS_SAFE, "prod"),
    _repo("repo_contains", "when", 'not args.repo matches r"safe"', _IS_SAFE, "prod"),
)


def _has(role):
    return lists("roles", lambda roles: role in roles)


_NO_ROLES = each("roles", "not_an_administrator", "admin", {"admin": 1}, None, 5, True, [["admin"]])
_ADMIN = each("roles", ["admin"], ["x", "admin"], [1, "admin"])[:-1]
TEXTS_AS_LISTS = (
    Ruled("roles", "permit", '"admin" in args.roles', _has("admin"), _ADMIN, _NO_ROLES),
    Ruled("roles_not", "when", 'not "admin" in args.roles', _has("admin"), _ADMIN, _NO_ROLES),
    Ruled("roles_unless", "unless", '"admin" in args.roles', _has("admin"), _ADMIN, _NO_ROLES),
    Ruled(
        "roles_listed",
        "permit",
        'args.roles is list and args.roles contains "admin"',
        _has("admin"),
        _ADMIN,
        _NO_ROLES,
    ),
    Ruled(
        "roles_any", "permit", 'args.roles intersects ["admin"]', _has("admin"), _ADMIN, _NO_ROLES
    ),
    Ruled(
        "roles_some",
        "permit",
        'any role in args.roles: role == "admin"',
        _has("admin"),
        _ADMIN,
        _NO_ROLES,
    ),
    Ruled(
        "roles_allowed",
        "permit",
        'args.roles subset of ["admin", "staff"]',
        lists("roles", lambda roles: all(role in ("admin", "staff") for role in roles)),
        each("roles", ["admin"], ["staff", "admin"])[:-1],
        _NO_ROLES,
    ),
)

# --- POL-07 and POL-08: null, missing and empty; exact numbers ---------------------------------

ABSENCES = (
    Ruled(
        "env",
        "permit",
        'args.env != "prod"',
        texts("env", lambda env: env != "prod"),
        each("env", "test", "", "PROD", "prod ")[:-1],
        each("env", None, 5, True, [], {}, "prod"),
    ),
    Ruled(
        "env_forbid",
        "when",
        'args.env == "prod"',
        texts("env", lambda env: env != "prod"),
        each("env", "test")[:-1],
        each("env", None, 5, True, [], ["test"], {}, "prod"),
    ),
    Ruled(
        "env_named",
        "permit",
        'args.env in ["dev", "test"]',
        texts("env", lambda env: env in ("dev", "test")),
        each("env", "dev", "test")[:-1],
        each("env", None, "", "PROD", "prod ", "prod"),
    ),
    Ruled(
        "env_null",
        "permit",
        "args.env == null",
        of("env", lambda _: True, (type(None),)),
        ({"env": None},),
        each("env", "", "null", 0, False, [], {}),
    ),
    Ruled(
        "env_there",
        "permit",
        "has args.env",
        lambda arguments: "env" in arguments,
        each("env", None, "", 0)[:-1],
        ({}, {"Env": "test"}, {"env ": "test"}),
    ),
    Ruled(
        "env_default",
        "permit",
        'args.env default "dev" == "dev"',
        lambda arguments: arguments.get("env", "dev") == "dev",
        ({}, {"env": "dev"}),
        each("env", None, "", "null", "DEV", ["dev"])[:-1],
    ),
)

EXACT = (
    Ruled(
        "third",
        "permit",
        "args.n == 0.3",
        numbers("n", lambda n: n == 0.3),
        ({"n": 0.3},),
        each("n", 0.1 + 0.2, 0.29999999999999993, "0.3", True, None, [0.3]),
    ),
    Ruled(
        "positive",
        "permit",
        "args.n > 0",
        numbers("n", lambda n: n > 0),
        each("n", 5e-324, 1, 2**53 - 1)[:-1],
        each("n", -0.0, 0, -1, "1", True, None),
    ),
    Ruled(
        "largest",
        "permit",
        "args.n < 9007199254740991",
        numbers("n", lambda n: n < 2**53 - 1),
        each("n", 2**53 - 2, -(2**53) + 1)[:-1],
        each("n", 2**53 - 1, 9007199254740991.0, "1", True, None),
    ),
    Ruled(
        "largest_forbid",
        "when",
        "args.n >= 9007199254740991",
        numbers("n", lambda n: n < 2**53 - 1),
        each("n", 2**53 - 2, -(2**53) + 1)[:-1],
        each("n", 2**53 - 1, 9007199254740991.0, "1", True, None),
    ),
)

# --- POL-12 to POL-15: patterns, letters, globs, paths -----------------------------------------

_NEARLY_SAFE = ("safe\n", "\nsafe", "unsafe", "safer", "safe ", "SAFE", "safe\r", "safe\0", "")
_NEARLY_SAFE += ("safe\u2028", "safe\r\n", "\ufeffsafe", "ｓａｆｅ", "sa\u00adfe")
ANCHORS = (
    _repo("whole", "permit", 'args.repo matches r"safe"', whole("repo", "safe"), *_NEARLY_SAFE),
    _repo("whole_not", "when", 'not args.repo matches r"safe"', _IS_SAFE, *_NEARLY_SAFE),
    _repo("either", "permit", 'args.repo matches r"safe|ok"', whole("repo", "safe|ok"), "unsafe|ok", "notok", "okay"),
    _repo("dot", "permit", 'args.repo matches r"s.fe"', whole("repo", "s.fe"), "s\nfe", "sfe", "s\r\nfe"),
    _repo("dots", "permit", 'args.repo matches r"s.*"', whole("repo", "s.*"), "s\nx", "\ns", "x\ns"),
)  # fmt: skip

_DIGITS = ("१२", "１", "1१", "²", "①", "٣", "")
LETTERS = (
    Ruled("digits", "permit", r'args.x matches r"\d+"', whole("x", r"\d+"), ({"x": "12"},), each("x", *_DIGITS, 12)),
    Ruled("digits_not", "when", r'args.x matches r"\D*"', texts("x", lambda x: not re.fullmatch(r"\D*", x, re.ASCII)), ({"x": "12"},), each("x", *_DIGITS[:2], 12)),
    Ruled("letters", "permit", r'args.x matches r"\w+"', whole("x", r"\w+"), ({"x": "aZ_9"},), each("x", "é", "ſ", "ａ", "a b", "a\u200b")),
    Ruled("folded", "permit", 'args.x matches r"(?i)k[a-z]*s"', whole("x", "[kK][a-zA-Z]*[sS]"), each("x", "ks", "KilnS")[:-1], each("x", "\u212as", "kſ", "ＫＳ")),
    Ruled("lower", "permit", 'lower(args.x) == "admin"', whole("x", "[aA][dD][mM][iI][nN]"), each("x", "ADMIN", "admin")[:-1], each("x", "ADM\u0130N", "adm\u0131n", "ＡＤＭＩＮ", "admin\u0307")),
    Ruled("lower_dotted", "permit", r'lower(args.x) == "i\u{307}"', texts("x", lambda x: x in ("i\u0307", "I\u0307")), ({"x": "I\u0307"},), each("x", "\u0130", "i", "\u0131")),
    Ruled("lower_kelvin", "permit", 'lower(args.x) == "k"', texts("x", lambda x: x in ("k", "K")), ({"x": "K"},), each("x", "\u212a", "ｋ")),
)  # fmt: skip

_TEXT_BEYOND = ("acme/x/../../evil", "acme%2Fx", "ACME/x", "xacme/y", "acme", "acme//x", "/acme/x")
_TEXT_BEYOND += ("acme\\x", "acme\u2215x", "evil/acme/x", "acme/x/y", " acme/x", "acme /x")
_ROUTE_BEYOND = ("acme/", "acme/x?ref=..", "acme/..", "acme/.", "acme/x#y", "acme/x%2F..", "acme/ ")
GLOBS = (
    Ruled("glob", "permit", 'args.repo like "acme/*"', whole("repo", r"(?s)acme/[^/]*"), ({"repo": "acme/x"},), each("repo", *_TEXT_BEYOND, ["acme/x"], None)),
    Ruled("glob_not", "when", 'not args.repo like "acme/*"', whole("repo", r"(?s)acme/[^/]*"), ({"repo": "acme/x"},), each("repo", *_TEXT_BEYOND, ["acme/x"], None)),
    Ruled("route", "permit", 'args.repo matches r"acme/[a-z0-9_-]+"', whole("repo", r"acme/[a-z0-9_-]+"), ({"repo": "acme/x"},), each("repo", *_TEXT_BEYOND, *_ROUTE_BEYOND, ["acme/x"], None)),
)  # fmt: skip


def _inside(path):
    """A path that every reader takes to be /data or below it."""
    odd = re.search(r"[\x00-\x1f\x7f\\%]", path) or not re.match("/(?!/)", path)
    names = [name for name in path.split("/") if name not in ("", ".")]
    return not odd and ".." not in names and names[:1] == ["data"]


_OUTSIDE = ("/data/../etc/passwd", "/data\\..\\", "/data/%2e%2e/etc", "//data/x", "data/x", "", "/")
_OUTSIDE += ("./data/x", "/database/x", "/dat", "/DATA/x", "/data/x\0", "/data/x\n", "/data/..")
_OUTSIDE += ("/data/x/../..", "\\data\\x", "C:/data/x", "file:///data/x", "~/data", "/x/../data/y")
_OUTSIDE += ("/etc", "/./../data")
_PATHS = each("path", "/data", "/data/x", "/data/x/.y", "/data//x", "/data/./x", "/data/...")[:-1]
_ODD_PATHS = each("path", *_OUTSIDE, ["/data/x"], {"path": "/data/x"}, None, 5)
PATHS = (
    Ruled("path", "permit", 'args.path within "/data"', texts("path", _inside), _PATHS, _ODD_PATHS),
    Ruled("path_not", "when", 'not args.path within "/data"', texts("path", _inside), _PATHS, _ODD_PATHS),
    Ruled("path_some", "permit", 'args.path within "/data" or args.path within "/data/x"', texts("path", _inside), _PATHS, _ODD_PATHS),
)  # fmt: skip

BOMBS = 50
_PAIRS = "any a in args.list: any b in args.list: (a == {} and b == -1)"
BOMB = "permit bombs\n  for tier >= read_only\n  on  tool ruled_bomb\n" + "".join(
    f"forbid bomb{number}\n  on tool ruled_bomb\n  when {_PAIRS.format(number)}\n"
    for number in range(BOMBS)
)
"""Fifty rules that look at every pair of a list."""

MINE = """
permit mine
  for tier >= read_only
  on  tool ruled_mine
  when args.owner == agent.name

forbid not_mine
  on   tool ruled_mine
  when args.owner != agent.name
  because "{agent.name} is not {args.owner}"

require three_an_hour
  on   tool ruled_counted
  then limit 3 per 1h by agent, args.who, args.whom

permit counted
  for tier >= read_only
  on  tool ruled_counted

permit tiered
  for tier >= trusted
  on  tool ruled_tiered

permit kinded
  for kind scanner
  on  tool ruled_kinded

permit listed
  for tier >= read_only
  on  tool ruled_listed
  when "a,b" in args.names

permit paired
  for tier >= read_only
  on  tool ruled_paired
  when args.owner == "a|b" and args.repo == "c"
"""
"""What depends on who asks."""

ROWS = (
    *ERRORS, *NUMBERS_AS_TEXTS, *BOOLEANS_AS_NUMBERS, *WRAPPED, *TEXTS_AS_LISTS, *ABSENCES,
    *EXACT, *ANCHORS, *LETTERS, *GLOBS, *PATHS,
)  # fmt: skip
RULED = "package ruled on server shop\n\n" + "\n".join([*(row.text for row in ROWS), BOMB, MINE])
_MORE = ("bomb", "mine", "counted", "tiered", "kinded", "listed", "paired")
RULED_TOOLS = {row.tool: OPEN for row in ROWS} | {f"ruled_{name}": OPEN for name in _MORE}
