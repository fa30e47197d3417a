"""Random programs as text: every form of the grammar, blanks and comments between any two tokens.

A program is a list of items, an item a list of tokens. `spread` puts gaps between the tokens; a gap
says which comments stand in it and is filled with blanks separately, so that the same program with
the same comments can be written in many ways.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

from hypothesis import strategies as st

NAME = st.sampled_from(["a", "owner", "pull_number", "limit", "cidr", "daily", "x1", "record"])
LONG = '"a text that takes a good part of the line, as texts of people do"'
TITLE = st.sampled_from(
    [LONG, '"text"', '"with \\" and \\u{41}"', '"# no comment"', '"é漢"', '"{{}}"']
)
BLOCK = st.sampled_from(['"""one\n    two\n  three"""', '"""\n  a # b\n\n  c\n"""'])
STRING = TITLE | BLOCK
RAW = st.sampled_from([r'r"\d+#"', r'r"[a-z]{2}"'])
NUMBER = st.sampled_from(["0", "1_000", "-3", "0.25", "12"])
DURATION = st.sampled_from(["15m", "1h", "90s", "2w"])
PATTERN = st.sampled_from([
    "get_*", '"get_*"', "github:prs:**", '"when"', '"two words"', "*", "a.b/c", '"2026-07-06"',
    "a_name_that_is_rather_long_to_make_lines_break", "7",
])  # fmt: skip
RESULT = st.sampled_from(["result", "result.a.*.b", "result.structured.**"])
BINARY = (
    "==",
    "!=",
    "<",
    ">=",
    "like",
    "starts with",
    "contains",
    "within",
    "intersects",
    "subset of",
)


def words(text):
    return st.just(text.split())


def one_of(*texts):
    return st.sampled_from([text.split() for text in texts])


def chain(*parts):
    """The tokens of all parts: strings are tokens, strategies draw a token or a list of them."""
    strategies = [st.just([part]) if isinstance(part, str) else part for part in parts]
    return st.tuples(*strategies).map(
        lambda drawn: [t for d in drawn for t in ([d] if isinstance(d, str) else d)]
    )


def maybe(part):
    return st.just([]) | part


def separated(part, sign=",", least=1, most=4):
    return st.lists(part, min_size=least, max_size=most).map(
        lambda parts: [
            t
            for n, p in enumerate(parts)
            for t in ([sign] if n else []) + ([p] if isinstance(p, str) else p)
        ]
    )


def many(part, least=0, most=2):
    return st.lists(part, min_size=least, max_size=most).map(
        lambda parts: list(itertools.chain(*parts))
    )


# --- expressions ---------------------------------------------------------------------------------

PATHS = st.sampled_from(
    [
        ["args", ".", "a"],
        ["data", ".", "orgs", "[", "user", ".", "id", "]", ".", "b"],
        ["args", ".", "items", "[", "0", "]"],
        ["daily"],
        ["mon"],
        ["agent", ".", "a_field_with_a_name_that_takes_some_room"],
        ["args", ".", "another_field_with_a_name_that_takes_some_more_of_the_room"],
    ]
)
SCALARS = (
    STRING | RAW | NUMBER | DURATION | st.sampled_from(["true", "null", "2026-07-06", 'v"2.10"'])
).map(lambda token: [token])
KINDS = st.sampled_from(["null", "string", "list", "record"])
WINDOWS = chain(one_of("weekdays", "daily", "mon , tue"), "09:00-17:00", st.just('"Europe/Berlin"'))


def written(opening, item, closing):
    """A list or record, sometimes with a comma at its end."""
    comma = st.sampled_from([[], [","]])
    return st.just([opening, closing]) | chain(opening, separated(item), comma, closing)


def in_parentheses(part):
    return chain("(", part, ")") | chain("(", "(", part, ")", ")")


def expressions(leaves=6):
    """Anything that may follow `when`, its looser operators in parentheses or not."""

    def more(inner):
        # What the drawn expression is made of is unknown: in parentheses it fits everywhere.
        literal = written("[", inner, "]") | written("{", chain(NAME, ":", inner), "}")
        call = chain(
            st.sampled_from(["count", "lower", "mine"]),
            "(",
            st.just([]) | separated(inner, most=3),
            ")",
        )
        operand = in_parentheses(inner) | PATHS | SCALARS | literal | call
        binary = st.sampled_from([text.split() for text in BINARY])
        collection = (
            in_parentheses(inner | PATHS)
            | chain("cidr", operand)
            | WINDOWS
            | written("[", inner, "]")
        )
        comparison = st.one_of(
            operand,
            chain("has", PATHS),
            chain(operand, binary, operand),
            chain(operand, st.sampled_from([["in"], ["not", "in"]]), collection),
            chain(operand, "is", maybe(words("not")), KINDS),
            chain(operand, "matches", RAW),
            chain(PATHS, "default", operand, ">", NUMBER),
        )
        term = st.one_of(
            comparison,
            chain("not", comparison),
            chain(st.sampled_from(["any", "all"]), NAME, "in", operand, ":", in_parentheses(inner)),
        )
        both = separated(term, "and", least=2, most=3)
        return st.one_of(term, both, separated(term | both, "or", least=2, most=3))

    return st.recursive(PATHS | SCALARS, more, max_leaves=leaves)


# --- items ---------------------------------------------------------------------------------------

NAMES = separated(PATTERN)
TARGET_NAMES = chain(NAMES, maybe(chain("except", NAMES)))
FOR = st.one_of(
    chain("for", "tier", st.sampled_from([">=", "<"]), NAME),
    chain("for", "tier", separated(NAME)),
    chain("for", st.sampled_from(["kind", "agent", "group"]), TARGET_NAMES),
)
ON = st.one_of(
    words("on any"),
    words("on token"),
    chain("on", st.sampled_from(["tool", "scope", "server"]), TARGET_NAMES),
)
ANNOTATION = st.one_of(
    chain("@", "owner", TITLE), words("@ shadow"), words("@ severity high"),
    words("@ expires 2027-01-01"),
)  # fmt: skip


def _split(token):
    return ["or", "user", '"maria"'] if token == "or user" else [token]


def record(inner):
    """Names in it are told apart: twice the same one is refused."""
    comma = st.sampled_from([[], [","]])
    members = st.lists(inner, min_size=1, max_size=4).map(
        lambda values: [
            t
            for n, v in enumerate(values)
            for t in ([","] if n else []) + [f"k{n}" if n % 2 else f'"k {n}"', ":", *v]
        ]
    )
    return st.just(["{", "}"]) | chain("{", members, comma, "}")


LITERAL = st.recursive(
    SCALARS | NAME.map(lambda token: [token]),
    lambda inner: written("[", inner, "]") | record(inner),
    max_leaves=5,
)
DUTY = chain(
    "then",
    st.one_of(
        chain("approval", maybe(words("2")), "from", "group", TITLE, "or user", "within", DURATION)
        .map(lambda tokens: [t for token in tokens for t in _split(token)]),
        chain("limit", words("20"), "per", DURATION, "by", separated(one_of("agent", "args . b", "tool"))),
        chain("redact", separated(RESULT)),
        chain("redact", "matching", RAW, maybe(chain("in", RESULT))),
        chain("truncate", maybe(RESULT), "to", one_of("20 items", "64KiB")),
        words("cap args . n at 10"),
        chain("set", words("args . v"), "=", LITERAL),
        words("single use"), words("record full"), chain("notify", TITLE),
    ),
)  # fmt: skip


def rules(numbers):
    name = st.builds(lambda: f"r{next(numbers)}")
    body = [
        name,
        maybe(STRING.map(lambda t: [t])),
        many(ANNOTATION),
        many(FOR),
        many(ON),
        many(chain(st.sampled_from(["when", "unless"]), expressions())),
        maybe(chain("because", TITLE)),
        maybe(chain("internal", TITLE)),
    ]
    return chain(st.sampled_from(["permit", "forbid"]), *body) | chain(
        "require", *body, many(DUTY, least=1)
    )


def definitions(numbers):
    name = st.builds(lambda: f"d{next(numbers)}")
    return chain("define", name, maybe(words("( p , q )")), "=", expressions())


REFERENCE = NAME.map(lambda t: [t]) | words("other . rule")
BY = maybe(chain("by", separated(REFERENCE)))
OUTCOME = chain("permit", BY, maybe(words("with limit , redact"))) | chain(
    "deny", BY, maybe(chain("unknown", separated(PATHS)))
)
STEP = st.one_of(
    chain(st.sampled_from(["agent", "session", "env"]), record(LITERAL)),
    words("no user"),
    words("now 2026-06-30T23:59:59Z"),
    chain("tool", PATTERN, record(LITERAL)),
    chain("call", PATTERN, maybe(record(LITERAL)), "=>", OUTCOME),
    chain("list", PATTERN, "=>", st.sampled_from(["shown", "hidden"])),
    chain("issue", PATTERN, "=>", OUTCOME),
)
TEST = chain("test", TITLE, many(STEP, least=1, most=5))
PACKAGE = chain(
    maybe(words("sealed")),
    "package",
    "p",
    maybe(chain("on", "server", NAMES)),
    maybe(STRING.map(lambda t: [t])),
)
TIERS = words("tiers low < mid < high")


@st.composite
def programs(draw):
    """A whole file as a list of items, each a list of tokens."""
    numbers = itertools.count()
    items = st.lists(rules(numbers) | definitions(numbers) | TEST, max_size=3)
    return [draw(PACKAGE), *draw(maybe(TIERS.map(lambda t: [t]))), *draw(items)]


# --- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gap:
    """What stands between two tokens: perhaps a comment behind the first, comments on lines."""

    behind: str = ""
    alone: tuple[str, ...] = ()
    between_items: bool = False


@st.composite
def spread(draw, program, comments=6):
    """Tokens and gaps, one before each token and one behind the last."""
    tokens = list(itertools.chain(*program))
    starts = set(itertools.accumulate(map(len, program)))
    gaps = {at: Gap(between_items=at in starts) for at in range(len(tokens) + 1)}
    numbers = itertools.count()
    chosen = st.lists(st.integers(0, len(tokens)), max_size=comments, unique=True).map(sorted)
    for at in draw(chosen):
        shape = draw(st.integers(0, 3))
        behind = f"# {next(numbers)} {{[( when" if shape % 2 and at else ""
        alone = tuple(f"# {next(numbers)} and" for _ in range(shape // 2 + (not behind)))
        gaps[at] = Gap(behind, alone, at in starts or at == 0)
    return tokens, list(gaps.values())


@st.composite
def filled(draw, tokens, gaps):
    """A text: blanks are drawn, comments stay. Between items, blank lines around comments stay."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    pieces = []
    for number, gap in enumerate(gaps):
        if gap.behind:
            pieces += [chance.choice(["", " ", "\t  "]), gap.behind, "\n"]
        for comment in gap.alone:
            lines = (
                "\n\n" if gap.between_items else chance.choice(["\n", "\n\n", "\n   ", " \n \n\t"])
            )
            pieces += [lines, comment, "\n"]
        if gap.alone and gap.between_items:
            pieces.append("\n")
        pieces.append(chance.choice([" ", "  ", "\t", "\n", "\n\n  ", " \n\t"]))
        pieces += tokens[number : number + 1]
    return "".join(pieces)


@st.composite
def texts(draw):
    """Any program, with comments anywhere."""
    return draw(filled(*draw(spread(draw(programs())))))
