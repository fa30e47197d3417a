"""Slips in our own language: quotes, brackets, words that are missing, clauses out of order."""

from __future__ import annotations

import re
from typing import Final

from pbac.base.suggest import near_misses
from pbac.lang.syntax.resume import item_start
from pbac.lang.syntax.stop import NAME, Stop, Told, closes, open_bracket
from pbac.lang.syntax.words import CLAUSE_WORDS, DUTY_WORDS, ITEM_WORDS, RESERVED, TARGET_WORDS

_QUOTED: Final = re.compile(
    r"'([^'\n]{0,200})'(?!\w)|`([^`\n]{0,200})`"
    r"|\u2018([^\u2019\n]{0,200})\u2019|[\u201c\u201d]([^\u201c\u201d\n]{0,200})\u201d"
)
_OTHER_QUOTES: Final = frozenset("'`\u2018\u2019\u201c\u201d")


def quotes(stop: Stop) -> Told | None:
    """A text without its end, or in other quotes; the name of a tier in quotes."""
    if stop.found == '"' and stop.kinds & {"STRING", "RAW"}:
        return Told(
            code="unterminated-text",
            message="this text has no closing quote on its line",
            help='close it with `"`, or write a text of several lines in `"""…"""`',
        )
    if stop.found in _OTHER_QUOTES:
        return _other_quotes(stop)
    tier = re.compile(r'"([A-Za-z_]\w*)"').match(stop.text, stop.at)
    if tier and re.search(r"\btier\s*(?:[<>]=?|[\w\s,]*,)?\s*\Z", stop.lead):
        message = "tiers are written without quotes"
        return Told(
            code="wrong-quotes",
            message=message,
            help=f"write `{tier[1]}`",
            under=tier.span(),
            instead=tier[1],
        )
    return None


def _other_quotes(stop: Stop) -> Told:
    message = "texts are written in double quotes"
    quoted = _QUOTED.match(stop.text, stop.at)
    inside = "".join(filter(None, quoted.groups())) if quoted else ""
    if quoted is None or '"' in inside or "\\" in inside:
        help_ = 'write `"…"`, or `r"…"` for a pattern with backslashes'
        return Told(code="wrong-quotes", message=message, help=help_)
    return Told(
        code="wrong-quotes",
        message=message,
        help=f'write `"{inside}"`',
        under=quoted.span(),
        instead=f'"{inside}"',
    )


# --- brackets and lists --------------------------------------------------------------------------


def unclosed(stop: Stop) -> Told | None:
    """A bracket that is open where a clause, an item or the end of the file begins."""
    at = stop.breaks_off
    if at is None and stop.starts_line and stop.found in _EXPECTATIONS:
        at = stop.at
    opener = None if at is None else open_bracket(stop)
    if at is None or opener is None:
        return None
    bracket = stop.text[opener]
    if bracket == "(" and stop.text[:at].rstrip().endswith(","):
        return None
    message = f"this `{bracket}` is not closed"
    return Told(
        code="syntax",
        message=message,
        help=f"close it with `{closes(bracket)}`",
        under=(opener, opener + 1),
        instead=f" {closes(bracket)} ",
        over=(at, at),
    )


_EXPECTATIONS: Final = ("call", "list", "issue")


def stray_bracket(stop: Stop) -> Told | None:
    """A closing bracket that closes nothing, or another one than the last that opened."""
    if stop.found not in (")", "]", "}"):
        return None
    opener = open_bracket(stop)
    if opener is None:
        message = f"this `{stop.found}` closes nothing"
        return Told(code="syntax", message=message, help="leave it out", instead="")
    closer = closes(stop.text[opener])
    if closer == stop.found or not (stop.after_value or closer in stop.fits):
        return None
    message = f"this `{stop.text[opener]}` is closed by `{stop.found}`"
    under = (opener, opener + 1)
    return Told(
        code="syntax",
        message=message,
        help=f"close it with `{closer}`",
        under=under,
        instead=closer,
        over=(stop.at, stop.end),
    )


def trailing_comma(stop: Stop) -> Told | None:
    """`on tool a, b,` and a clause, whose word was taken for a name."""
    at = stop.breaks_off
    comma = None if at is None else re.search(r",\s*\Z", stop.lead[: len(stop.lead) - stop.at + at])
    if at is None or comma is None or open_bracket(stop) is not None:
        return None
    word = stop.found if at == stop.at else stop.before
    before = f"the list before `{word}`" if word else "the last list"
    place = stop.lead_place(comma)[0]
    return Told(
        code="trailing-comma",
        message=f"{before} ends with a comma",
        help="leave the comma out",
        under=(place, place + 1),
        instead="",
    )


def missing_comma(stop: Stop) -> Told | None:
    """`on tool a b`: names in a target are parted by commas."""
    if not stop.names_end or stop.starts_line:
        return None
    if not (NAME.match(stop.found) or stop.found == '"'):
        return None
    close = near_misses(stop.found, stop.fits, most=1)
    if close:
        message = f"`{stop.found}` does not fit here"
        return Told(code="syntax", message=message, help=f"did you mean `{close[0]}`?")
    if stop.before in TARGET_WORDS and re.search(rf",\s*{stop.before}\s*\Z", stop.lead):
        message = f"`{stop.before}` stands once in front of all names"
        under = (stop.before_at, stop.before_end)
        return Told(code="syntax", message=message, help="leave it out", under=under, instead="")
    return Told(
        code="missing-comma",
        message=f"a comma is missing before `{stop.found}`",
        help="part names with commas; a clause begins with its keyword",
        instead=", ",
        over=(stop.at, stop.at),
    )


_CONJUNCTIONS: Final = {"or": "or", "||": "or", "|": "or", "and": "and", "&&": "and", "&": "and"}


_LISTED: Final = re.compile(r"\b(?:tier(?!\s*[<>])|per\s+\w+\s+by)\s+[\w.]+(?:\s*,\s*[\w.]+)*\s*\Z")


def other_conjunction(stop: Stop) -> Told | None:
    """`on tool a or b`, `on tool a and b`."""
    meant = _CONJUNCTIONS.get(stop.found)
    if meant is None or not (stop.names_end or _LISTED.search(stop.lead)):
        return None
    message = f"names are parted by commas, and not by `{stop.found}`"
    if re.search(r"\bby\s[\w.,\s]*\Z", stop.lead):
        return Told(code="missing-comma", message=message, help="write `,`", instead=",")
    if meant == "or":
        help_ = "write `,`: a comma means or"
        return Told(code="missing-comma", message=message, help=help_, instead=",")
    help_ = "a comma means or; what has to be true as well is another `for` or `on` line"
    return Told(code="foreign-syntax", message=message, help=help_, instead=",")


_JOINED: Final = re.compile(rf"\s*({'|'.join(CLAUSE_WORDS)})\b")


def joined_clause(stop: Stop) -> Told | None:
    """`on tool a and on scope b`, `on any, when args.a`."""
    clause = _JOINED.match(stop.text, stop.end) if stop.found in (*_CONJUNCTIONS, ",") else None
    if clause is None or clause[1] not in stop.fits:
        return None
    code = "trailing-comma" if stop.found == "," else "foreign-syntax"
    message = f"nothing stands between clauses, and no `{stop.found}`"
    return Told(code=code, message=message, help="leave it out", instead="")


def other_approvers(stop: Stop) -> Told | None:
    """`approval from group "a", group "b"`."""
    if stop.found not in (",", "and") or not {"or", "within"} <= stop.fits:
        return None
    if not re.compile(r"\s*(?:group|user)\b").match(stop.text, stop.end):
        return None
    help_ = "write `or`; where both have to approve, write a `then approval` for each"
    message = f"those who may approve are not joined by `{stop.found}`"
    return Told(code="syntax", message=message, help=help_, instead="or")


# --- operands and operators ----------------------------------------------------------------------


def missing_operand(stop: Stop) -> Told | None:
    """`when and x`: the lexer took `and` for a name, so reading stopped one word later."""
    at = stop.breaks_off
    if at is not None and (stop.wants_value if at == stop.at else stop.after_value):
        return _operand_after(stop, at)
    if stop.after_value and stop.before in RESERVED - {"true", "false", "null"}:
        return Told(
            code="missing-operand",
            message=f"an expression is missing before `{stop.before}`",
            help="write a value or a condition there",
            under=(stop.before_at, stop.before_end),
        )
    if stop.wants_value and (stop.found in RESERVED or stop.found in (")", "]", "}", ",")):
        where = f"after `{stop.before}`" if stop.before else "here"
        return Told(code="missing-operand", message=f"an expression is missing {where}")
    return None


def _operand_after(stop: Stop, at: int) -> Told:
    """Nothing follows an operator but the next clause or item."""
    last = re.search(r"(\w+|[=!<>]+|\S)\s*\Z", stop.lead[: len(stop.lead) - stop.at + at])
    under = stop.lead_place(last, 1) if last else (at, at)
    return Told(
        code="missing-operand",
        message=f"an expression is missing after `{last[1] if last else ''}`",
        help="write a value or a condition there",
        under=under,
        instead=" null ",
        over=(at, at),
    )


_VALUE_BEGINS: Final = re.compile(r"[A-Za-z0-9_\"(]")
_PATH_BEGINS: Final = re.compile(r"[A-Za-z_]\w*[.\[]")


def two_values(stop: Stop) -> Told | None:
    """Two values, and nothing between them."""
    value = _PATH_BEGINS if stop.starts_line else _VALUE_BEGINS
    if stop.after_value and value.match(stop.text, stop.at):
        if "," in stop.fits and (opener := open_bracket(stop)) and stop.text[opener] == "[":
            message = f"a comma is missing before `{stop.found}`"
            help_ = "part the items of a list with commas"
            over = (stop.at, stop.at)
            return Told(code="missing-comma", message=message, help=help_, instead=", ", over=over)
        return Told(
            code="missing-operator",
            message=f"an operator is missing before `{stop.found}`",
            help="join conditions with `and` or `or`; compare values with `==`, `in`, `like`, …",
        )
    return None


# --- clauses -------------------------------------------------------------------------------------

_KIND_WORDS: Final = {
    "on": {"tool", "scope", "resource", "prompt", "tag", "server", "any", "token"},
    "for": {"tier", "kind", "provider", "group"},
}
_ANOTHER_DUTY: Final = re.compile(r"\bthen\b[^\"]*(?:\"[^\"\n]*\"[^\"]*)*?(,|\band)\s*\Z")


def missing_clause_word(stop: Stop) -> Told | None:
    """`tool get_x` without its `on`, a duty without its `then`."""
    for clause, words in _KIND_WORDS.items():
        if stop.found in words and clause in stop.fits:
            return _without_word(clause, stop.found, stop.at, stop.at)
    if stop.found in DUTY_WORDS and "then" in stop.fits:
        return _without_word("then", stop.found, stop.at, stop.at)
    return None


def second_duty(stop: Stop) -> Told | None:
    """`then limit …, limit …`: the lexer may have taken the second for a path."""
    word = re.compile(r"\s*(?:,|and\b)\s*([a-z]+)").match(stop.text, stop.at)
    if "then" in stop.fits and word and word[1] in DUTY_WORDS:
        return _without_word("then", word[1], stop.at, word.start(1))
    lead = stop.lead.rstrip().removesuffix(stop.before)
    joined = _ANOTHER_DUTY.search(lead)
    if joined is None or stop.before not in DUTY_WORDS or stop.found in (".", ",", "["):
        return None
    start, _ = stop.lead_place(joined, 1)
    return _without_word("then", stop.before, start, stop.before_at)


def _without_word(clause: str, word: str, start: int, at: int) -> Told:
    """The clause's word is read in place of what joins: nothing, a comma, `and`."""
    several = "each duty has a `then` of its own; " if clause == "then" and start < at else ""
    return Told(
        code="missing-clause-word",
        message=f"`{clause}` is missing before `{word}`",
        help=f"{several}write `{clause} {word} …`",
        under=(at, at + len(word)),
        instead=f" {clause} ",
        over=(start, at),
    )


_DUTY_FOLLOWS: Final = re.compile(rf"\s+(?:{'|'.join(DUTY_WORDS)})\b")


def clause_order(stop: Stop) -> Told | None:
    """A clause that stands too late, or in a rule that has none such."""
    if stop.found not in CLAUSE_WORDS and stop.found != "@":
        return None
    if stop.found == "then" and not _in_requirement(stop):
        return Told(
            code="misplaced-clause",
            message="`then` stands in `require` rules only, after all other clauses",
            help="write `require` instead, or remove the duty",
            instead="require _ " if _DUTY_FOLLOWS.match(stop.text, stop.end) else None,
            over=(stop.at, stop.at),
        )
    if not ({"permit", "then"} & stop.fits):
        return None
    order = "`@…`, `for`, `on`, `when`/`unless`, `because`, `internal`, `then`"
    return Told(
        code="misplaced-clause",
        message=f"`{stop.found}` stands too late in its rule",
        help=f"the order of clauses is {order}; one `because`, one `internal`",
        # Read as a rule of its own, so that its mistakes are told too.
        instead=None if _in_requirement(stop) else "permit _ ",
        over=(stop.at, stop.at),
    )


_REQUIREMENT: Final = re.compile(r"\s*require\b")


def _in_requirement(stop: Stop) -> bool:
    return _REQUIREMENT.match(stop.text, item_start(stop.text, stop.at) or 0) is not None


def missing_then(stop: Stop) -> Told | None:
    """A `require` without a duty."""
    if "then" not in stop.fits or "permit" in stop.fits:
        return None
    if stop.found and stop.found not in ITEM_WORDS and near_misses(stop.found, stop.fits, most=1):
        return None
    found = f"found `{stop.found}`" if stop.found else "the file ends"
    return Told(
        code="missing-then",
        message=f"a `require` rule has at least one `then`, but {found}",
        help='write for example `then approval from group "owners" within 15m`',
        instead=" then record full " if stop.found in ITEM_WORDS else None,
        over=(stop.at, stop.at),
    )
