"""Random policies written twice at once: in `.pbac`, and in Rego for OPA to decide.

Every truth becomes two total rules, "certainly true" and "certainly false", each with the guards of
its kinds; unknown is neither. A permit asks for the first, a forbid and a require for *not the
second*. Nothing of the language's own code writes the Rego: it is made beside the text, from the same
draw, so that reader, checker, compiler and decision are all held to another engine.

What is written here is what Rego says exactly: comparisons, membership, texts, patterns, `has`,
`default`, `is`, quantifiers, logic, and targets; no windows, networks or URLs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from laws.programs import IDS, KINDS, PROVIDERS, SCOPES, actor, changed, request
from pdp.oracle import SERVERS, TOOLS

TIERS = ("read_only", "ci_agent", "developer", "trusted")
TEXTS = ["", "a", "b", "acme", "acme/api", "é", "1", "true", "Acme"]
NUMBERS = [0, 1, 2, 500, -3, 0.5, 2**53 - 1]
PATHS = ["args.a", "args.n", "args.f", "args.c", "args.b.a", "args.b.n", "args.if", "args.a.x"]
LISTS = ["args.c", "args.d", "args.b", "args.n"]
GUARDS = {"number": "is_number", "string": "is_string", "boolean": "is_boolean", "null": "is_null"}
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
REGEXES = ["a+", "[a-z/]*", r"\d+", "(?i)ACME.*", "(a|b)(/b)?.*", "[^a]*", r"\w{1,4}", "", "é|1"]
GLOBS = ["*", "a*", "*/api", "acme/**", "a", "**b*", "a*e"]
TOOL_GLOBS = [*TOOLS, "get_*", "*", "**", "ns.*", "ns.**", "*_x"]


def reference(path):
    """`args.b.a` as Rego reads it: names with dots and words of Rego included."""
    root, *names = path.split(".")
    head = root if root == "v" else f'input["{root}"]'
    return head + "".join(f"[{json.dumps(name)}]" for name in names)


def as_regex(glob, separators):
    """A glob as a regular expression over the whole text."""
    if glob in ("*", "**"):
        return r"(?s)\A.*\z"
    segment = f"[^{separators}]*" if separators else "(?s:.*)"
    parts = [p.split("*") for p in glob.split("**")]
    plain = [
        "".join(c if c.isalnum() or c == "_" else "\\" + c for c in t) for p in parts for t in p
    ]
    whole, place = "", 0
    for number, part in enumerate(parts):
        texts = plain[place : place + len(part)]
        place += len(part)
        whole += ("(?s:.*)" if number else "") + segment.join(texts)
    return rf"\A(?:{whole})\z"


@dataclass
class Rego:
    """The rules of one package, two for every truth. `v` is the variable of a quantifier, if any."""

    lines: list[str] = field(default_factory=list)
    number: int = 0

    def truth(self, true, false, v=""):
        """The calls of two new rules that hold when one of these bodies does."""
        self.number += 1
        calls = []
        for name, bodies in ((f"t{self.number}", true), (f"f{self.number}", false)):
            self.lines.append(f"default {name}{'(_)' if v else ''} := false")
            self.lines += [f"{name}{f'({v})' if v else ''} if {{ {body} }}" for body in bodies]
            calls.append(name + (f"({v})" if v else ""))
        return tuple(calls)


# --- conditions ----------------------------------------------------------------------------------


def literal(value):
    return json.dumps(value, ensure_ascii=False)


def kind_of(value):
    if value is None:
        return "null"
    return {bool: "boolean", str: "string"}.get(type(value), "number")


def compared(path, name, value):
    """The bodies of `path op value`."""
    read, guard = reference(path), GUARDS[kind_of(value)]
    known = f"{guard}({read})"
    return (
        [f"{known}; {read} {name} {literal(value)}"],
        [f"{known}; {read} {OPPOSITE[name]} {literal(value)}"],
    )


def missing(path):
    """The bodies of "the path leads nowhere": some step is not in a record that is there."""
    root, *names = path.split(".")
    bodies = [] if root in ("v", "args") else [f'not "{root}" in object.keys(input)']
    above = root
    for name in names:
        read = reference(above)
        bodies.append(f"is_object({read}); not {json.dumps(name)} in object.keys({read})")
        above += f".{name}"
    return bodies


def leaf(chance, rego, v):
    """The text of a condition, and the calls that say it is true and false."""
    path = chance.one(["v", "v", "v.a"]) if v and chance.odds(70) else chance.one(PATHS)
    read = reference(path)
    text, bodies = chance.one(LEAVES)(chance, path, read)
    return text, rego.truth(*bodies, v)


def _compare(chance, path, _read):
    value = chance.one([*TEXTS, *NUMBERS, True, False, None])
    ordered = kind_of(value) in ("number", "string")
    name = chance.one(list(OPPOSITE) if ordered else ["==", "!="])
    return f"{path} {name} {literal(value)}", compared(path, name, value)


def _compare_paths(chance, path, read):
    other = chance.one(PATHS)
    name = chance.one(list(OPPOSITE))
    kinds = ["number", "string"] if name not in ("==", "!=") else list(GUARDS)
    true, false = [], []
    for guard in (GUARDS[kind] for kind in kinds):
        known = f"{guard}({read}); {guard}({reference(other)})"
        true.append(f"{known}; {read} {name} {reference(other)}")
        false.append(f"{known}; {read} {OPPOSITE[name]} {reference(other)}")
    return f"{path} {name} {other}", (true, false)


def _default(chance, path, _read):
    if path == "v":
        path = "v.a"
    values = chance.one([NUMBERS, TEXTS])
    fallback, value, name = chance.one(values), chance.one(values), chance.one(list(OPPOSITE))
    true, false = compared(path, name, value)
    came = f"{literal(fallback)} {name} {literal(value)}"
    opposite = f"{literal(fallback)} {OPPOSITE[name]} {literal(value)}"
    true = true + [f"{body}; {came}" for body in missing(path)]
    false = false + [f"{body}; {opposite}" for body in missing(path)]
    return f"{path} default {literal(fallback)} {name} {literal(value)}", (true, false)


def _member(chance, path, read):
    items = literal(chance.sample(TEXTS, 3))
    bodies = (
        [f"is_string({read}); {read} in {items}"],
        [f"is_string({read}); not {read} in {items}"],
    )
    if chance.odds(50):
        return f"{path} in {items}", bodies
    return f"{path} not in {items}", bodies[::-1]


def _contains(chance, path, read):
    value = literal(chance.one(TEXTS))
    true = [f"is_array({read}); {value} in {read}", f"is_string({read}); contains({read}, {value})"]
    false = [
        f"is_array({read}); every x in {read} {{ is_string(x); x != {value} }}",
        f"is_string({read}); not contains({read}, {value})",
    ]
    return f"{path} contains {value}", (true, false)


def _affix(chance, path, read):
    name, function = chance.one([("starts with", "startswith"), ("ends with", "endswith")])
    value = literal(chance.one(TEXTS))
    known, test = f"is_string({read})", f"{function}({read}, {value})"
    return f"{path} {name} {value}", ([f"{known}; {test}"], [f"{known}; not {test}"])


def _pattern(chance, path, read):
    if chance.odds(50):
        pattern = chance.one(REGEXES)
        text, regex = f'{path} matches r"{pattern}"', whole(pattern)
    else:
        glob = chance.one(GLOBS)
        text, regex = f"{path} like {literal(glob)}", as_regex(glob, "/")
    test = f"regex.match({literal(regex)}, {read})"
    return text, ([f"is_string({read}); {test}"], [f"is_string({read}); not {test}"])


def whole(pattern):
    """A regular expression that has to match the whole text."""
    fold, rest = ("(?i)", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
    return rf"{fold}\A(?:{rest})\z"


def _kind(chance, path, read):
    tests = {**GUARDS, "list": "is_array", "record": "is_object"}
    word = chance.one(list(tests))
    bodies = [f"{tests[word]}({read})"], [f"x := {read}; not {tests[word]}(x)"]
    if chance.odds(50):
        return f"{path} is {word}", bodies
    return f"{path} is not {word}", bodies[::-1]


def _has(chance, path, _read):
    path = chance.one(["user", "user.login", "args.a", "args.b.a", "args.never", "args.a.x"])
    return f"has {path}", ([f"x := {reference(path)}"], missing(path))


def _count(chance, path, read):
    name, value = chance.one([">", "==", "<"]), chance.randint(0, 3)
    true, false = (
        [f"{known}({read}); count({read}) {sign} {value}" for known in ("is_array", "is_object")]
        for sign in (name, OPPOSITE[name])
    )
    return f"count({path}) {name} {value}", (true, false)


def _flag(_chance, path, read):
    return path, ([f"{read} == true"], [f"{read} == false"])


LEAVES = [_compare, _compare, _compare_paths, _default, _member, _contains, _affix, _pattern]
LEAVES += [_kind, _has, _count, _flag]


def condition(chance, rego, depth=2, v=""):
    kind = chance.random()
    if depth == 0 or kind < 0.4:
        return leaf(chance, rego, v)
    if kind < 0.55:
        text, (true, false) = condition(chance, rego, depth - 1, v)
        return f"not ({text})", (false, true)
    if kind < 0.65 and not v:
        return _quantified(chance, rego, depth)
    parts = [condition(chance, rego, depth - 1, v) for _ in range(chance.randint(2, 3))]
    texts = [f"({text})" for text, _ in parts]
    trues, falses = [t for _, (t, _) in parts], [f for _, (_, f) in parts]
    if kind < 0.82:
        return " and ".join(texts), rego.truth(["; ".join(trues)], falses, v)
    return " or ".join(texts), rego.truth(trues, ["; ".join(falses)], v)


def _quantified(chance, rego, depth):
    text, (true, false) = condition(chance, rego, depth - 1, "v")
    path = chance.one(LISTS)
    known = f"is_array({reference(path)})"
    some = f"{known}; some v in {reference(path)}; {{}}"
    every = f"{known}; every v in {reference(path)} {{{{ {{}} }}}}"
    if chance.odds(50):
        bodies = [some.format(true)], [every.format(false)]
        return f"any v in {path}: ({text})", rego.truth(*bodies)
    bodies = [every.format(true)], [some.format(false)]
    return f"all v in {path}: ({text})", rego.truth(*bodies)


# --- targets -------------------------------------------------------------------------------------


def who(chance, rego, effect):
    if chance.odds(50):
        rank, name = chance.randint(0, 3), chance.one([">=", ">", "<=", "<"])
        bodies = [f"lowest {name} {rank}"], [f"lowest {OPPOSITE[name]} {rank}"]
        return f"for tier {name} {TIERS[rank]}", rego.truth(*bodies)
    what, names = chance.one([("kind", KINDS), ("agent", IDS), ("provider", PROVIDERS)])
    wanted = chance.sample(names, chance.randint(1, 2))
    one_of, member = literal(wanted), {"agent": "id"}.get(what, what)
    caller = f'input.agent["{member}"]'
    true = [f"is_string({caller}); {caller} in {one_of}"]
    false = f"is_string({caller}); not {caller} in {one_of}"
    if effect != "permit":
        true.append(
            f'some a in input.chain.actors; is_string(a["{member}"]); a["{member}"] in {one_of}'
        )
        false += (
            "; every a in input.chain.actors "
            f'{{ is_string(a["{member}"]); not a["{member}"] in {one_of} }}'
        )
    return f"for {what} {', '.join(wanted)}", rego.truth(true, [false])


def what(chance, rego):
    about, names, separators = chance.one(
        [
            ("tool", TOOL_GLOBS, "./"),
            ("server", [*SERVERS, "git*"], ""),
            ("scope", [*SCOPES, "gh:*", "gh:**"], ":"),
        ]
    )
    wanted = chance.sample(names, chance.randint(1, 2))
    read = f'input.call["{about}"]'
    tests = [f"regex.match({literal(as_regex(name, separators))}, {read})" for name in wanted]
    true = [f"is_string({read}); {test}" for test in tests]
    false = "; ".join([f"is_string({read})", *(f"not {test}" for test in tests)])
    quoted = ", ".join(literal(name) for name in wanted)
    return f"on {about} {quoted}", rego.truth(true, [false])


HEADER = """\
ranks := {"read_only": 0, "ci_agent": 1, "developer": 2, "trusted": 3}
lowest := min([r | some r in array.concat(own, [ranks[a.tier] | some a in input.chain.actors])]) if {
	every a in input.chain.actors { ranks[a.tier] >= 0 }
	own := [ranks[input.agent.tier]]
}
"""


def twin(chance, name):
    """The `.pbac` text and the Rego module of one random policy."""
    rego, text = Rego(), [f"package p\ntiers {' < '.join(TIERS)}"]
    for number in range(chance.randint(2, 5)):
        effect = chance.one(["permit", "permit", "forbid", "require"])
        clauses = [who(chance, rego, effect) for _ in range(chance.randint(0, 1))]
        clauses += [what(chance, rego) for _ in range(chance.randint(effect == "permit", 1))]
        for _ in range(chance.randint(0, 2)):
            said, (true, false) = condition(chance, rego)
            negated = chance.odds(30)
            rails = (false, true) if negated else (true, false)
            clauses.append((f"{'unless' if negated else 'when'} {said}", rails))
        duty = "\n  then limit 1 per 1m by agent" if effect == "require" else ""
        said = "".join(f"\n  {clause}" for clause, _ in clauses)
        text.append(f"{effect} r{number}{said}{duty}")
        true, false = rego.truth(
            ["; ".join(["true", *(t for _, (t, _) in clauses)])], [f for _, (_, f) in clauses]
        )
        applies = true if effect == "permit" else f"not {false}"
        rego.lines.append(f'{effect}s contains "p.r{number}" if {applies}')
    for effect in ("permits", "forbids", "requires"):
        rego.lines.append(f'{effect} contains "" if false')
    answer = '{"permits": permits, "forbids": forbids, "requires": requires}'
    module = f"package {name}\n\n{HEADER}" + "\n".join([*rego.lines, f"answer := {answer}"]) + "\n"
    return "\n".join(text) + "\n", module


def asked(chance):
    """A request that Rego can read, odd values and missing ones included."""
    made = request(chance, odd=5)
    args = {**made.args, "if": chance.one(TEXTS), "d": chance.one([[], ["a"], [1, "a"], [None]])}
    if chance.odds(30):
        args[chance.one(["a", "n", "c", "b", "f"])] = chance.one(
            [None, True, 1, "500", [], ["a", {"a": 1}], {"a": "b"}, [1, 2], {"x": 1}]
        )
    actors = chance.some(lambda: actor(chance), 0, 2) if chance.odds(25) else []
    call = {**made.call, "method": "tools/call"}
    return changed(made, args=args, call=call, chain={"actors": actors})
