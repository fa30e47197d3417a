"""Kinds put together: what is one *or* another (`union`), what is one *and* another (`meet`).

Both are sound and not complete: the result holds every value that it has to hold, and may hold
more. So records are put together field by field, and which fields went together is forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pbac.lang.kinds.kinds import ANY, UNDECLARED, Kind, options
from pbac.model.values import Value


def union(kinds: Iterable[Kind]) -> Kind:
    """What is of one of these kinds; of any kind when there are none, or one of them is."""
    by_word: dict[str, list[Kind]] = {}
    for kind in kinds:
        for each in options(kind):
            by_word.setdefault(each.word, []).append(each)
    if not by_word or "any" in by_word:
        return ANY
    words = sorted(by_word, key=lambda word: (word == "null", word))  # `a string or null`
    found = tuple(_same_word(by_word[word]) for word in words)
    return found[0] if len(found) == 1 else Kind(word="union", options=found)


def _same_word(kinds: Sequence[Kind]) -> Kind:
    first = kinds[0]
    if all(kind is first or kind == first for kind in kinds[1:]):
        return first
    if first.word == "record":
        return records_together([("", kind) for kind in kinds])
    if first.word == "list":
        return Kind(word="list", item=union(kind.item or ANY for kind in kinds))
    choices = [kind.choices for kind in kinds]
    known = [values for values in choices if values is not None]
    return replace(
        first,
        choices=_distinct(known) if len(known) == len(choices) else None,
        whole=all(kind.whole for kind in kinds),
        sent=any(kind.sent for kind in kinds),
    )


def _distinct(choices: Iterable[tuple[Value, ...]]) -> tuple[Value, ...]:
    return tuple(dict.fromkeys(value for values in choices for value in values))


# --- records -----------------------------------------------------------------------------------


def records_together(named: Sequence[tuple[str, Kind]]) -> Kind:
    """The record that is one of these; `holders` tells by name which of them have a field.

    One look at every field of every record: a rule may be about thousands of tools.
    """
    if any(record.fields is None for _, record in named):
        return Kind(word="record")
    kinds: dict[str, list[Kind]] = {}
    holders: dict[str, list[str]] = {}
    certain: Counter[str] = Counter()
    for label, record in named:
        for name, kind in (record.fields or {}).items():
            kinds.setdefault(name, []).append(kind)
            holders.setdefault(name, []).append(label)
        certain.update(record.required or ())
    for label, record in named:
        if record.rest is not None and record.rest != UNDECLARED:  # it may hold all the others too
            for name in kinds.keys() - (record.fields or {}).keys():
                kinds[name].append(record.rest)
                holders[name].append(label)
    told = all(record.required is not None for _, record in named)
    return Kind(
        word="record",
        fields={name: union(found) for name, found in kinds.items()},
        rest=_rest([record for _, record in named]),
        required=frozenset(n for n in kinds if certain[n] == len(named)) if told else None,
        holders={n: tuple(found) for n, found in holders.items() if len(found) < len(named)},
    )


def member(record: Kind, name: str) -> Kind | None:
    """What a member is; None when there is none, or nobody described one."""
    found = (record.fields or {}).get(name, record.rest)
    return None if found == UNDECLARED else found


def _rest(records: Sequence[Kind]) -> Kind | None:
    found = [record.rest for record in records if record.rest is not None]
    told = [rest for rest in found if rest != UNDECLARED]
    if told:
        return union(told)
    return UNDECLARED if found else None


# --- both ----------------------------------------------------------------------------------------


def meet(left: Kind, right: Kind) -> Kind:
    """What is of both kinds; of any kind where no value is, for nobody will send one."""
    if "any" in (left.word, right.word):
        return left if right.word == "any" else right
    both = [
        _meet(one, other)
        for one in options(left)
        for other in options(right)
        if one.word == other.word
    ]
    return union(both)


def _meet(left: Kind, right: Kind) -> Kind:
    if left.word == "record":
        return _meet_records(left, right)
    if left.word == "list":
        return Kind(word="list", item=meet(left.item or ANY, right.item or ANY))
    choices = left.choices if right.choices is None else right.choices
    if left.choices is not None and right.choices is not None:
        choices = tuple(value for value in left.choices if value in right.choices)
    return replace(left, choices=choices, whole=left.whole or right.whole)


def _meet_records(left: Kind, right: Kind) -> Kind:
    if left.fields is None or right.fields is None:
        return right if left.fields is None else left
    names = [*left.fields, *(name for name in right.fields if name not in left.fields)]
    fields: Mapping[str, Kind] = {
        name: meet(one, other)
        for name in names
        if (one := left.fields.get(name, left.rest)) is not None
        and (other := right.fields.get(name, right.rest)) is not None
    }
    rest = None if left.rest is None or right.rest is None else meet(left.rest, right.rest)
    return Kind(
        word="record",
        fields=fields,
        rest=rest,
        required=(left.required or frozenset()) | (right.required or frozenset()),
    )
