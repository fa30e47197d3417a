"""Rules that arguments of every wrong kind are sent to: one tool a row, one condition a tool.

A row says in Python, independently of the language, which arguments may pass. `fits` and `refused`
are sent through the served gateways; random ones meet the decision point alone.
"""

from __future__ import annotations

from hostile.rows import IS_SAFE, SPARES, Ruled, each, lists, numbers, of, repo, texts, whole
from hostile.ruled_texts import ANCHORS, GLOBS, LETTERS, PATHS

OPEN = {"type": "object"}

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

WRAPPED = (
    repo("repo", "permit", 'args.repo == "safe"', IS_SAFE, "prod"),
    repo("repo_in", "permit", 'args.repo in ["safe"]', IS_SAFE, "prod"),
    repo("repo_in_many", "permit", f'args.repo in ["safe", {SPARES}]', IS_SAFE, "prod"),
    repo("repo_starts", "permit", 'args.repo starts with "saf"', whole("repo", "(?s)saf.*")),
    repo("repo_ends", "permit", 'args.repo ends with "afe"', whole("repo", "(?s).*afe")),
    repo("repo_like", "permit", 'args.repo like "s*fe"', whole("repo", "s[^/]*fe")),
    repo("repo_matches", "permit", 'args.repo matches r"s[a-f]+"', whole("repo", "s[a-f]+")),
    repo("repo_lower", "permit", 'lower(args.repo) == "safe"', whole("repo", "(?i:safe)")),
    repo("repo_not", "when", 'args.repo == "prod"', texts("repo", lambda r: r != "prod"), "prod"),
    repo("repo_not_in", "when", 'args.repo not in ["safe"]', IS_SAFE, "prod"),
    repo("repo_contains", "when", 'not args.repo matches r"safe"', IS_SAFE, "prod"),
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
    *ERRORS,
    *NUMBERS_AS_TEXTS,
    *BOOLEANS_AS_NUMBERS,
    *WRAPPED,
    *TEXTS_AS_LISTS,
    *ABSENCES,
    *EXACT,
    *ANCHORS,
    *LETTERS,
    *GLOBS,
    *PATHS,
)
RULED = "package ruled on server shop\n\n" + "\n".join([*(row.text for row in ROWS), BOMB, MINE])
_MORE = ("bomb", "mine", "counted", "tiered", "kinded", "listed", "paired")
RULED_TOOLS = {row.tool: OPEN for row in ROWS} | {f"ruled_{name}": OPEN for name in _MORE}
