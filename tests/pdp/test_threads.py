"""Threads that share a policy set: what one prepares while deciding is what another finds."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet

SHAPES = (
    "args.a{n} == {n}", "args.b{n} > {n}", 'args.c{n} starts with "x{n}"', "has args.d{n}",
    "args.e{n} in [{n}, 7]", "not args.f{n}",
)  # fmt: skip
ROUNDS = 12
THREADS = 8


def program(tools):
    """A rule of another shape for every tool, and one for all of them."""
    rules = [
        f"permit p{n} on tool t{n}, t{n + 1} when {SHAPES[n % len(SHAPES)].format(n=n)}"
        for n in range(tools)
    ]
    rules += [f'forbid f{n} on any when agent.kind == "k{n}"' for n in range(6)]
    found = compile_program([Source("p.pbac", "package p\n" + "\n".join(rules))], {})
    assert found.program is not None, found.diagnostics
    return found.program


def requests(tools):
    for n in range(tools):
        for kind in ("k1", "other"):
            args = {f"a{n}": n, f"b{n}": n + 1, f"c{n}": f"x{n}y", f"d{n}": 1, f"e{n}": 7}
            yield DecisionRequest(
                agent={"id": "a", "tier": None, "kind": kind},
                call={"method": "tools/call", "server": "s", "tool": f"t{n}", "scope": "x"},
                chain={"depth": 0, "actors": []},
                args={**args, f"f{n}": False},
            )


def _decided(policy_set, asked, number, together):
    """Each thread begins elsewhere, all of them at once."""
    begin = number * len(asked) // THREADS
    together.wait(60)
    found = [decide(policy_set, each) for each in (*asked[begin:], *asked[:begin])]
    end = len(asked) - begin
    return [*found[end:], *found[:end]]


def test_threads_decide_as_one_does():
    compiled, asked = program(24), list(requests(24))
    alone = PolicySet(compiled)
    expected = [decide(alone, each) for each in asked]
    assert {each.effect for each in expected} == {"permit", "deny"}
    together, before = Barrier(THREADS), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in range(ROUNDS):
                shared = PolicySet(compiled)
                work = [pool.submit(_decided, shared, asked, n, together) for n in range(THREADS)]
                assert all(each.result() == expected for each in work)
    finally:
        sys.setswitchinterval(before)
