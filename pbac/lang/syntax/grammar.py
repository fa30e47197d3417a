"""Lark with our grammar, and the tables it makes of it.

`python -m pbac.lang.syntax.grammar` writes `grammar/pbac.tables.json` anew, after every change of
`grammar/pbac.lark`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from lark import Lark
from lark.grammar import Rule
from lark.parsers.lalr_analysis import Shift

from pbac.lang.syntax.tables import (
    END,
    GRAMMAR_FILE,
    TABLES_FILE,
    RuleShape,
    Tables,
    Words,
    digest_of,
)

STARTS = ["file", "rest"]
"""A whole file; what stands below a mistake in one."""


def make_lark(grammar: str, **options: Any) -> Lark:
    """Lark with a grammar and the options that all of its uses share; takes half a second."""
    return Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=STARTS,
        propagate_positions=True,
        maybe_placeholders=False,
        **options,
    )


# --- tables ----------------------------------------------------------------------------------


def make_tables(grammar: str) -> Tables:
    """The automaton Lark makes of a grammar, in our own plain words.

    States are numbered in the order in which a walk finds them: Lark's own numbers change from
    run to run.
    """
    made = make_lark(grammar)
    parser: Any = made.parser  # what it holds is no public part of Lark; the tests hold it still
    table, lexers = parser.parser._parse_table, parser.lexer.lexers  # noqa: SLF001
    number = {state: place for place, state in enumerate(_walk(table), 1)}
    shapes = sorted({rule: _shape(rule) for rule in made.rules}.items(), key=_by_shape)
    rules = {rule: place for place, (rule, _) in enumerate(shapes, 1)}
    words = {state: _words(lexers[state], made) for state in number}
    places = {each: place for place, each in enumerate(dict.fromkeys(words.values()))}
    return Tables(
        digest=digest_of(grammar),
        starts={start: number[table.start_states[start]] for start in STARTS},
        ends={start: number[table.end_states[start]] for start in STARTS},
        words=tuple(places),
        lexers=(0, *(places[each] for each in words.values())),
        rules=(RuleShape(0, "", "", (), single=False), *(shape for _, shape in shapes)),
        states=({}, *(_actions(table.states[state], number, rules) for state in number)),
        gotos=({}, *(_gotos(table.states[state], number) for state in number)),
    )


def _walk(table: Any) -> list[Any]:
    """Every state that can be reached, each once, in an order that only the grammar decides."""
    found = dict.fromkeys(table.start_states[start] for start in STARTS)
    waiting = list(found)
    for state in waiting:  # grows while it is walked
        row = table.states[state]
        for symbol in sorted(row):
            action, target = row[symbol]
            if action is Shift and target not in found:
                found[target] = None
                waiting.append(target)
    return waiting


def _shape(rule: Rule) -> RuleShape:
    """What Lark's tree builder would do with a production."""
    expansion: Any = rule.expansion
    helper = rule.origin.name.startswith("_")
    kept = tuple(
        place
        for place, symbol in enumerate(expansion)
        if rule.options.keep_all_tokens or not (symbol.is_term and symbol.filter_out)
    )
    return RuleShape(
        size=len(expansion),
        origin=str(rule.origin.name),
        data="" if helper else str(rule.alias or rule.origin.name),
        kept=kept,
        single=rule.options.expand1 and not rule.alias,
    )


def _by_shape(entry: tuple[Rule, RuleShape]) -> Any:
    rule, shape = entry
    return shape.origin, [symbol.name for symbol in rule.expansion], shape.data


def _actions(
    row: Mapping[str, Any], number: Mapping[Any, int], rules: Mapping[Rule, int]
) -> dict[str, int]:
    """Of the words, which Lark writes in capitals and `$END`."""
    return {
        str(symbol): number[target] if action is Shift else -rules[target]
        for symbol, (action, target) in sorted(row.items())
        if _is_word(symbol)
    }


def _gotos(row: Mapping[str, Any], number: Mapping[Any, int]) -> dict[str, int]:
    return {
        str(symbol): number[target]
        for symbol, (_, target) in sorted(row.items())
        if not _is_word(symbol)
    }


def _is_word(symbol: str) -> bool:
    return symbol == END or symbol.isupper()


def _words(lexer: Any, made: Lark) -> Words:
    """The expression that Lark's contextual lexer tries in one state, blanks in front of it."""
    terminals = [t for t in lexer.scanner.terminals if t.name not in made.ignore_tokens]
    blanks = "|".join(made.get_terminal(name).pattern.to_regexp() for name in made.ignore_tokens)
    words = "|".join(f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in terminals)
    return Words(
        # Possessive: what was read as blank is never given back to be read as a word.
        pattern=rf"(?:{blanks})*+(?:{words}|\Z)" if words else rf"(?:{blanks})*+\Z",
        words=tuple(
            (
                str(name),
                tuple(
                    sorted((str(t.pattern.value), str(t.name)) for t in unless.scanner.terminals)
                ),
            )
            for name, unless in sorted(lexer.callback.items())
        ),
    )


def render_tables(tables: Tables) -> str:
    """As JSON, one entry a line, so that two versions can be compared."""
    members = [
        f"{_json(name)}: {_rendered(value)}" for name, value in msgspec.to_builtins(tables).items()
    ]
    return "{\n" + ",\n".join(members) + "\n}\n"


def _rendered(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return _json(value)
    return "[\n" + ",\n".join(map(_json, value)) + "\n]"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    folder = Path(__file__).parents[3] / "grammar"
    made = make_tables((folder / GRAMMAR_FILE).read_text("utf-8"))
    (folder / TABLES_FILE).write_text(render_tables(made), "utf-8")
