"""The compiler as a whole: what a version depends on, what runs share, what a broken set tells."""

from __future__ import annotations

import pytest

from pbac.base.source import Source
from pbac.lang import compile as compiler
from pbac.lang.compile import STAGES, compile_program, program_version
from pbac.lang.program import Clause

TIERS = "tiers low < high\n"
A = Source("a.pbac", f"package a\n{TIERS}permit x\n  for tier >= low\n  on tool t\n")
B = Source("b.pbac", "package b on server s\nforbid y\n  when args.n > 3\n")
C = Source("c.pbac", "package c\nrequire z\n  on any\n  then limit 3 per 1m by agent\n")
SET = (A, B, C)
DATA = {"orgs": {"open": ["acme"]}}


def version(sources=SET, data=DATA):
    compilation = compile_program(sources, data)
    assert compilation.program is not None, compilation.diagnostics
    assert compilation.program.version == compilation.version
    return compilation.version


def packages(compilation):
    return {package.name: package for package in compilation.program.packages}


# --- versions ----------------------------------------------------------------------------------


def test_a_version_is_independent_of_the_order_of_files():
    assert version((C, A, B)) == version(SET)
    assert version(SET).startswith("sha256:")


@pytest.mark.parametrize(
    "changed",
    [
        (A, B),
        (Source("a.pbac", A.text + " "), B, C),
        (Source("a.pbac", A.text + "# only a comment\n"), B, C),
        (Source("a2.pbac", A.text), B, C),
        (A, B, C, Source("d.pbac", "package d\n")),
    ],
    ids=["a file less", "a blank", "a comment", "another name", "an empty package more"],
)
def test_a_version_is_sensitive_to_every_change_of_sources(changed):
    assert version(changed) != version()


@pytest.mark.parametrize(
    "data", [{}, {"orgs": {"open": []}}, {"orgs": {"open": ["acme"]}, "x": None}, {"org": {}}]
)
def test_a_version_is_sensitive_to_data(data):
    assert version(data=data) != version()


def test_the_order_of_members_in_documents_is_no_change():
    one = {"x": {"a": 1, "b": 2}, "y": 1}
    other = {"y": 1, "x": {"b": 2, "a": 1}}
    assert version(data=one) == version(data=other)


@pytest.mark.parametrize("name", ["__version__", "tzdata"])
def test_a_version_is_sensitive_to_engine_and_time_zones(monkeypatch, name):
    before = version()
    if name == "tzdata":
        monkeypatch.setattr(compiler.tzdata, "IANA_VERSION", "2031z")
    else:
        monkeypatch.setattr(compiler, "__version__", "99")
    assert version() != before


def test_a_set_that_cannot_be_used_has_a_version_too():
    broken = (A, Source("b.pbac", "package b\nforbid"))
    compilation = compile_program(broken, {})
    assert compilation.program is None
    assert compilation.version == program_version(broken, {})


# --- sharing -----------------------------------------------------------------------------------


def test_unchanged_packages_are_shared_with_the_run_before():
    first = compile_program(SET, DATA)
    second = compile_program((A, Source("b.pbac", B.text + "# more\n"), C), {}, previous=first)
    before, after = packages(first), packages(second)
    assert after["a"] is before["a"]
    assert after["c"] is before["c"]
    assert after["b"] is not before["b"]


def test_unchanged_files_are_not_parsed_again(monkeypatch):
    first = compile_program(SET, DATA)
    parsed = []
    read = compiler.read
    monkeypatch.setattr(compiler, "read", lambda source: parsed.append(source) or read(source))
    changed = Source("c.pbac", C.text + "\n")
    compile_program((A, B, changed), DATA, previous=first)
    assert parsed == [changed]


def test_other_tiers_make_every_package_anew():
    first = compile_program(SET, DATA)
    more = Source("a.pbac", A.text.replace("low < high", "low < middle < high"))
    second = compile_program((more, B, C), DATA, previous=first)
    assert packages(second)["b"] is not packages(first)["b"]


def test_a_broken_run_in_between_does_not_lose_what_was_compiled():
    first = compile_program(SET, DATA)
    broken = compile_program((A, B, Source("c.pbac", "package c\nrequire")), DATA, previous=first)
    assert broken.program is None
    again = compile_program(SET, DATA, previous=broken)
    for name, package in packages(first).items():
        assert packages(again)[name] is package


TESTED = 'test "t"\n  agent { tier: lwo }\n  call t => permit by a.xx\n'
WRONG = (A, B, Source("d.pbac", "package d\npermit w\n  for tier >= hgih\n  on tool t\n" + TESTED))
OTHER_TIERS = (
    Source("a.pbac", A.text.replace("high", "hgih").replace(" x\n", " xx\n")),
    *WRONG[1:],
)


@pytest.mark.parametrize(("before", "after"), [(WRONG, WRONG), (WRONG, OTHER_TIERS), (SET, WRONG)])
def test_sharing_never_changes_what_is_told(before, after):
    first = compile_program(before, {})
    told = [str(found) for found in compile_program(after, {}, previous=first).diagnostics]
    assert told == [str(found) for found in compile_program(after, {}).diagnostics]
    assert told  # else it would prove nothing


def test_what_is_told_of_a_package_is_kept_with_it():
    first = compile_program(WRONG, {})
    second = compile_program((A, Source("b.pbac", B.text + "#"), WRONG[2]), {}, previous=first)
    assert second.checked.packages["d"][1] is first.checked.packages["d"][1]
    assert second.checked.packages["b"] is not first.checked.packages["b"]


def test_sharing_never_changes_the_outcome():
    first = compile_program(SET, DATA)
    changed = (A, Source("b.pbac", B.text.replace("3", "4")), C)
    alone, shared = compile_program(changed, {}), compile_program(changed, {}, previous=first)
    assert alone.version == shared.version
    assert [rule.node for p in alone.program.packages for rule in p.rules] == [
        rule.node for p in shared.program.packages for rule in p.rules
    ]


# --- stages and mistakes -----------------------------------------------------------------------


def test_every_stage_is_timed_in_order():
    assert list(compile_program(SET, DATA).timings) == [stage.name for stage in STAGES]


def test_all_mistakes_of_all_files_are_told_at_once_in_order():
    unknown = Source("b.pbac", "package b\nforbid y\n  when args.n > 3 and nothing == 1\n")
    kinds = Source("c.pbac", "package c\nforbid z\n  when agent.id > 3\n")
    compilation = compile_program((kinds, unknown, A), {})
    assert compilation.program is None
    assert [(d.span.source, d.code) for d in compilation.diagnostics] == [
        ("b.pbac", "unknown-name"),
        ("c.pbac", "unlike-kinds"),
    ]
    assert "generate" not in compilation.timings


def test_a_file_that_does_not_parse_is_told_and_the_others_are_not_blamed_for_it():
    # `b` and `c` are sound; without the tiers of `a` they would not be.
    uses = Source("b.pbac", "package b\nforbid y\n  for tier low\n")
    compilation = compile_program((Source("a.pbac", f"package a\n{TIERS}permit"), uses), {})
    assert {d.span.source for d in compilation.diagnostics} == {"a.pbac"}
    assert compilation.program is None
    assert "generate" not in compilation.timings


def test_one_run_tells_mistakes_of_every_kind():
    """A syntax error hides nothing but what it stands in, neither in its file nor in others."""
    broken = Source(
        "a.pbac",
        f"package a\n{TIERS}"
        'permit one on tool t when agent.teir == "x"\n'
        "permit two on tool t when args.a &&& 1\n"
        "define small = args.n < 3\n"
        "permit three on tool t when agent.nmae == 1 and small\n"
        "permit for on tool t\n"
        "forbid four on tool t when user.emial == 2\n",
    )
    other = Source("b.pbac", 'package b\nforbid y\n  for tier lo\n  when env.nwo == "x"\n')
    split = Source("c.pbac", "package a on server s\npermit five on tool t\n")
    found = compile_program((broken, other, split), {}).diagnostics
    told = {(each.span.source, each.span.line) for each in found if each.code == "unknown-field"}
    assert told == {("a.pbac", 3), ("a.pbac", 6), ("a.pbac", 8), ("b.pbac", 4)}
    assert {each.code for each in found} >= {"unlike-confinement", "reserved-word"}
    assert "unknown-tier" not in {each.code for each in found}


def test_after_a_broken_header_nothing_is_blamed_for_what_it_may_have_declared():
    broken = Source("a.pbac", f"pakcage a\n{TIERS}define small = args.n < 3\npermit x on any\n")
    other = Source(
        "b.pbac", 'package b permit y for tier low on tool t\ntest "t" call t => deny by a.x'
    )
    found = compile_program((broken, other), {}).diagnostics
    assert {each.span.source for each in found} == {"a.pbac"}


def test_syntax_errors_of_several_files_are_told_together():
    broken = [Source(f"{name}.pbac", f"package {name}\npermit") for name in "ab"]
    found = compile_program(broken, {}).diagnostics
    assert {d.span.source for d in found} == {"a.pbac", "b.pbac"}


def test_half_a_surrogate_pair_is_told_and_not_stumbled_over():
    compilation = compile_program([Source("a.pbac", "package a # \ud800\n")], {})
    assert compilation.program is None
    assert compilation.diagnostics[0].code == "unseen-character"


def test_nothing_at_all_is_a_program_without_rules():
    assert compile_program((), {}).program.packages == ()


# --- rules -------------------------------------------------------------------------------------


def test_a_rule_is_handed_on_with_all_the_index_needs():
    source = Source(
        "a.pbac",
        f"""package a on server github, git*
{TIERS}
permit x
  @expires 2026-03-01
  on tool get_*, ns.put except get_secret
  on tool **
forbid y
  @shadow
  on any
require z
  on token
  then expire in 15m
""",
    )
    (package,) = compile_program((source,), {}).program.packages
    x, y, z = package.rules
    assert package.servers == ("github", "git*")
    assert x.target.clauses == (
        Clause("tool", ("get_*", "ns.put"), ("get_secret",)),
        Clause("tool", ("**",), ()),
    )
    assert (x.name, x.servers, x.shadow, x.on_token) == ("a.x", package.servers, False, False)
    assert x.expires_ms == 1_772_323_200_000
    assert (y.shadow, y.expires_ms) == (True, None)
    assert z.on_token
    assert [(d.kind, d.rule, d.parameters) for d in z.duties] == [
        ("expire", "a.z", {"in_ms": 900_000})
    ]
