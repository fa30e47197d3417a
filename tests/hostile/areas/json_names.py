"""Names that are one name to this reader and another to that one."""

from __future__ import annotations

import json

from hostile.areas.speaking import (
    counted,
    everywhere,
    message,
    number_of,
    passes,
    sound,
    speak,
    with_text,
)
from hostile.stage import VERSIONS
from support.bad_input import NAMES


def written(value, at=None, extra="", *, first=False, path=()):
    """JSON text of a tree; the object at the path `at` has one member more."""
    if isinstance(value, list):
        items = (written(v, at, extra, first=first, path=(*path, n)) for n, v in enumerate(value))
        return f"[{','.join(items)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    members = [
        f"{json.dumps(k)}:{written(v, at, extra, first=first, path=(*path, k))}"
        for k, v in value.items()
    ]
    if path == at:
        members.insert(0 if first else len(members), extra)
    return "{" + ",".join(members) + "}"


def objects(value, path=()):
    """Every object of a tree with its path."""
    if isinstance(value, dict):
        yield path, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for step, member in pairs:
        if isinstance(member, dict | list):
            yield from objects(member, (*path, step))


def escaped(name):
    """The same name in a spelling that is equal only once it was read."""
    return '"' + "".join(f"\\u{ord(character):04X}" for character in name) + '"'


def half_escaped(name):
    return f'"\\u{ord(name[0]):04x}{name[1:]}"'


def duplicates(stage):
    """Every name of every object of a call, once more: before and behind, in three spellings."""
    nested = {"name": NAMES["echo"], "arguments": {"a": {"b": [{"c": 1}, [{"d": {}}]]}, "é": 1}}

    def bodies(version):
        tree = message(params=nested, version=version)
        for path, members in objects(tree):
            for name, value in members.items():
                for spelt in (json.dumps, escaped, half_escaped):
                    for told in (value, "other", None):
                        member = f"{spelt(name)}:{json.dumps(told)}"
                        yield written(tree, path, member, first=told is None)

    yield from everywhere(stage, bodies)
    passes(stage, written(message(params=nested)))
    # Equal names of two objects, and values that look like names, are no duplicates.
    passes(stage, with_text('{"text": ["text", {"text": 1}, {"text": 2}]}'))


KNOWN = {(): ("jsonrpc", "id", "method", "params"), ("params",): ("name", "arguments", "_meta")}


def folds(name):
    """Spellings that a laxer reader takes for this name: Go folds case, and not in ASCII alone."""
    yield from {name.upper(), name.title(), name[:-1] + name[-1].upper()}
    yield from (
        f" {name}",
        f"{name} ",
        f"{name}\t",
        f"{name}\r\n",
        f"\ufeff{name}",
        f"{name}\u200b",
    )
    if "s" in name:
        yield name.replace("s", "ſ")
    if "k" in name:
        yield name.replace("k", "K")


def ended(name):
    """Spellings that a reader of C strings ends early, with the same name."""
    yield from (f"{name}\0", f"{name}\0x", f"{name}\0\0", f"{name}\x00.suffix")


def lookalikes(stage, spellings):
    """A second name that could be read as a known one, beside it and instead of it."""

    def bodies(version):
        tree = message(version=version)
        for path, names in KNOWN.items():
            for name in names:
                for odd in sorted(spellings(name)):
                    extra = f"{json.dumps(odd)}:{json.dumps('frail__fetch')}"
                    yield written(tree, path, extra)
                    yield written(tree, path, extra, first=True)

    yield from everywhere(stage, bodies)
    yield from instead_of_a_name(stage, spellings)
    arguments_that_look_like_others(stage, spellings)


def instead_of_a_name(stage, spellings):
    for odd in sorted(spellings("name")):
        params = message(version="2025-11-25")["params"]
        params = {odd: params["name"], "arguments": {}}
        body = json.dumps(message(params=params, version="2025-11-25"))
        yield speak(stage, body, version="2025-11-25")


def arguments_that_look_like_others(stage, spellings):
    """What a schema declares and a rule reads has no double among the arguments."""
    for version in VERSIONS:
        for odd in sorted(spellings("amount")):
            answer = stage.call("pay", {"amount": 5, odd: 500}, version=version)
            assert number_of(answer) == -32602, answer.body
        for odd in sorted(spellings("zip")):
            arguments = {"region": "eu", "to": {odd: "1"}}
            headers = stage.dress("tools/call", "shop__ship", version=version)
            params = {"name": "shop__ship", "arguments": arguments}
            body = json.dumps(message(params=params, version=version)).encode()
            answer = stage.plain.send(body, replace=headers | {"Mcp-Param-Region": "eu"})
            assert number_of(answer) == -32602, answer.body


def case_variants(stage):
    yield from lookalikes(stage, folds)


def names_with_nul(stage):
    yield from lookalikes(stage, ended)


def unknown_members(stage):
    """Beside the four members of a message there is no other."""
    odd = ["extra", "", "meta", "_meta", "result", "error", "sessionId", "__proto", "jsonRPC"]
    odd += ["params.name", "method[0]", "$ref", "id2", "é", "\ud83d\ude00"]

    def bodies(version):
        for name in odd:
            for value in (None, {}, "x", [1]):
                yield sound(version, **{name: value})

    yield from everywhere(stage, bodies)


ATTACKS = {
    "JSN-02": counted(duplicates),
    "JSN-03": counted(case_variants),
    "JSN-05": counted(names_with_nul),
    "JSN-06": counted(unknown_members),
}
