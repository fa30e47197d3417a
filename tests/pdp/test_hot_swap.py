"""Policies change while decisions are made: every decision is that of one version, and whole.

Threads decide without pause, and with no lock, while one package of many changes again and again.
What they were told is held afterwards to what each version decides that was built from nothing.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter

import msgspec
import pytest

from pbac.adapters.policy_cache import open_policy_cache
from pbac.base.source import Source
from pbac.lang.compile import compile_program
from pbac.model.request import DecisionRequest
from pbac.pdp.engine import decide
from pbac.pdp.policy_set import PolicySet
from pbac.pdp.telling import tell

PACKAGES = 8
PUBLICATIONS, PUBLICATIONS_FULL = 60, 1_000
DECIDERS = 3
DECISIONS_BETWEEN = 10
TIERS = ("low", "middle", "high")


def package(name, number):
    """A package whose rules all depend on its number, in every way a rule can."""
    return f"""
package p{name} on server s{name}

permit exact
  for tier >= {TIERS[number % 3]}
  on tool get_{number % 4}, get_{number % 7}
permit when_asked
  on tool ask
  when args.n < {number}
permit listed
  on tool ask
  when args.n in data.d{name % 2}
forbid odd
  on tool get_{number % 5}
  when args.n == {number % 3} or call.scope == "never"
  because "not {number}, {{args.n}}"
forbid unknown
  on tool ask
  when args.missing == {number}
  unless args.n > 2
require slow
  on tool get_*, ask
  then limit {number + 1} per 1h by agent
"""


def sources(numbers):
    tiers = Source("tiers.pbac", f"package ranks\ntiers {' < '.join(TIERS)}\n")
    return [
        tiers,
        *(Source(f"{name}.pbac", package(name, number)) for name, number in enumerate(numbers)),
    ]


def documents(numbers):
    return {"d0": [sum(numbers) % 4], "d1": [1, 2]}


REQUESTS = [
    DecisionRequest(
        agent={"id": "a", "tier": tier},
        call={"method": "tools/call", "server": f"s{server}", "tool": tool, "scope": "x"},
        args={"n": n},
        env={"now": 1_790_000_000_000},
    )
    for tier in TIERS
    for server in range(PACKAGES)
    for tool in ("get_0", "get_1", "get_3", "ask", "other")
    for n in (0, 2, 7)
]


def answer(policy_set, number):
    return tell(policy_set, REQUESTS[number], decide(policy_set, REQUESTS[number]))


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


class Deciders:
    """Threads that ask what is in force by then, over and over.

    `told`: each different answer once, with the set that was asked; `asked` counts them all.
    """

    def __init__(self, first):
        self.current = first
        self.told = set()
        self.asked = Counter()
        self.failures = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._decide, args=(each,)) for each in range(DECIDERS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _decide(self, me):
        chance, told = random.Random(me), set()
        try:
            while not self._over.is_set():
                policy_set = self.current
                for _ in range(5):  # a request keeps the set it began with
                    number = chance.randrange(len(REQUESTS))
                    decision = _ENCODER.encode(answer(policy_set, number))
                    told.add((policy_set.version, number, decision))
                self.asked[me] += 5
        except BaseException as fault:  # noqa: BLE001 - a thread's own; told by the test
            self.failures.append(fault)
        self.told |= told

    def put(self, policy_set):
        """Assign it, and let everyone decide by it for a moment."""
        before = dict(self.asked)
        self.current = policy_set
        while not self.failures and any(
            self.asked[me] - before.get(me, 0) < DECISIONS_BETWEEN for me in range(DECIDERS)
        ):
            threading.Event().wait(0.0005)


class Sets:
    """Publications: one package of many gets another number, sometimes one it had before."""

    def __init__(self, seed):
        self._chance = random.Random(seed)
        self.numbers = [0] * PACKAGES
        self.made = {}
        self._compilation = None

    def compiled(self, change=True):
        if change:
            self.numbers[self._chance.randrange(PACKAGES)] = self._chance.randrange(12)
        self._compilation = compile_program(
            sources(self.numbers), documents(self.numbers), previous=self._compilation
        )
        assert self._compilation.program is not None, self._compilation.diagnostics
        self.made[self._compilation.version] = tuple(self.numbers)
        return self._compilation.program

    def scratch(self, version):
        """The set of a version, compiled from nothing and shared with nothing."""
        numbers = self.made[version]
        found = compile_program(sources(numbers), documents(numbers))
        assert found.version == version
        return PolicySet(found.program)


@pytest.fixture
def eager():
    """Threads take turns all the time, so that one is interrupted wherever it is."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def kept_in_memory(sets, _folder):
    policy_set = None

    def next_set(change=True):
        nonlocal policy_set
        policy_set = PolicySet(sets.compiled(change), previous=policy_set)
        return policy_set

    return next_set


def read_back_from_the_cache(sets, folder):
    """As a gateway does it: another process writes what this one reads."""
    writing, reading = open_policy_cache(folder), open_policy_cache(folder)

    def next_set(change=True):
        program = sets.compiled(change)
        writing.put(program)
        return reading.find(program.version)

    return next_set


@pytest.fixture
def bound(request, monkeypatch):
    """Of all tables: so small a one empties them all the time, by one thread while others read."""
    if request.param is not None:
        monkeypatch.setattr("pbac.pdp.index.INDEX_KEYS_MAX", request.param)
        monkeypatch.setattr("pbac.pdp.plan.ANSWERS_KEPT_MAX", request.param)
    return request.param


WAYS = [(kept_in_memory, 7), (read_back_from_the_cache, None)]
WAYS_FULL = [(kept_in_memory, None), (read_back_from_the_cache, 7)]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("way", "bound"),
    [*WAYS, *(pytest.param(*each, marks=pytest.mark.full) for each in WAYS_FULL)],
    indirect=["bound"],
)
def test_every_decision_is_that_of_one_version(tmp_path, full, say, way, bound):
    sets = Sets(seed=f"{way.__name__} {bound}")
    next_set = way(sets, tmp_path)
    publications = (PUBLICATIONS_FULL if full else PUBLICATIONS) // 2
    with Deciders(next_set(change=False)) as deciders:
        for _ in range(publications):
            deciders.put(next_set())
    assert not deciders.failures, deciders.failures
    versions = {version for version, _, _ in deciders.told}
    assert versions == sets.made.keys(), "every version decided, and none but those published"
    causes = Counter()
    for version in versions:
        alone = sets.scratch(version)
        for _, number, told in (each for each in deciders.told if each[0] == version):
            expected = answer(alone, number)
            same = told == _ENCODER.encode(expected)
            assert same, (msgspec.msgpack.decode(told), expected, REQUESTS[number])
            causes[expected.cause, bool(expected.unknown), bool(expected.duties)] += 1
    assert len(causes) >= 4, "it was no test of much"
    say(
        f"hot swap, {way.__name__}: {publications} publications, "
        f"{deciders.asked.total()} decisions by {DECIDERS} threads"
    )


def test_a_set_decides_on_as_it_did_when_others_have_followed(tmp_path, full):
    """Requests that began long ago: what later sets share with theirs has not changed it."""
    sets = Sets(seed=1)
    next_set = read_back_from_the_cache(sets, tmp_path)
    kept = [next_set(change=False)]
    before = [[answer(kept[0], number) for number in range(0, len(REQUESTS), 7)]]
    for _ in range(100 if full else 12):
        kept.append(next_set())
        before.append([answer(kept[-1], number) for number in range(0, len(REQUESTS), 7)])
    for policy_set, told in zip(kept, before, strict=True):
        assert [answer(policy_set, number) for number in range(0, len(REQUESTS), 7)] == told
