"""The same policies decided by OPA: zero differences, live where `opa` is here and recorded always."""

from __future__ import annotations

import os
import random
from collections import Counter

import msgspec
from laws.chance import Chance
from pdp.oracle import request
from rego.opa import RECORDED, _input, decided_by_opa, twins
from rego.twins import whole

from pbac.base.source import Source
from pbac.lang.evaluate.patterns import PatternError, regex
from pbac.model.decision import Cause
from pbac.model.request import DecisionRequest
from pbac.pdp.administration import prepare
from pbac.pdp.engine import decide

POLICIES, POLICIES_FULL, REQUESTS = 30, 600, 20


def differences(text, inputs, answers):
    """Requests that OPA and we decide differently, in effect, deciding rules or duties."""
    policy_set = prepare([Source("p.pbac", text)]).require()
    for given, answer in zip(inputs, answers, strict=True):
        asked = msgspec.convert(given, DecisionRequest)
        permits, forbids, requires = (
            tuple(sorted(answer[part])) for part in ("permits", "forbids", "requires")
        )
        decision = decide(policy_set, asked)
        assert decision.cause is not Cause.ENGINE_FAULT, decision.internal
        permitted = bool(permits) and not forbids
        wanted = permitted, permits if permitted else forbids, requires if permitted else ()
        duties = tuple(duty.rule for duty in decision.duties)
        if (decision.permitted, decision.rules, duties) != wanted:
            yield wanted, (decision.permitted, decision.rules, duties), given


def recorded_differences(seen):
    """Differences from what OPA answered when it was asked; `seen` counts the answers."""
    for row in msgspec.json.decode(RECORDED.read_bytes())["policies"]:
        for answer in row["answers"]:
            seen[
                "forbid" if answer["forbids"] else "permit" if answer["permits"] else "nothing"
            ] += 1
        for found in differences(row["text"], row["inputs"], row["answers"]):
            yield row["text"], found


def live_differences(seed, policies):
    """Differences from what OPA answers now, about policies made from this seed."""
    made = twins(seed, policies, REQUESTS)
    inputs = {name: [_input(one) for one in asked] for name, (_, _, asked) in made.items()}
    for names in _in_parts(list(made), 30):
        modules = {name: made[name][1] for name in names}
        answers = decided_by_opa(modules, {name: inputs[name] for name in names})
        for name in names:
            text = made[name][0]
            for found in differences(text, inputs[name], answers[name]):
                yield f"PBAC_OPA_SEED={seed}", text, found


def test_recorded_answers_of_opa_are_ours():
    seen = Counter()
    assert next(recorded_differences(seen), None) is None
    assert min(seen[outcome] for outcome in ("permit", "forbid", "nothing")) > 20, seen


def test_opa_decides_as_we_do(opa, full, say):
    """Policies nobody has seen before; the seed is said, and can be given by `PBAC_OPA_SEED`."""
    seed = int(os.environ.get("PBAC_OPA_SEED", random.SystemRandom().randrange(1 << 32)))
    policies = POLICIES_FULL if full else POLICIES
    assert next(live_differences(seed, policies), None) is None
    say(f"OPA and we: {policies * REQUESTS:,} decisions, 0 differ, seed {seed}")


def test_a_difference_is_seen():
    """The judge is no rubber stamp: another answer is a difference."""
    text = "package p\npermit x on any when args.a == 1\n"
    given = _input(request(args={"a": 1}, env={}))
    same = {"permits": ["p.x"], "forbids": [], "requires": []}
    assert not list(differences(text, [given], [same]))
    for other in ({"permits": []}, {"forbids": ["p.y"]}, {"requires": ["p.z"]}):
        assert len(list(differences(text, [given], [{**same, **other}]))) == 1


ATOMS = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    r"\d",
    r"\w",
    r"\s",
    r"\n",
    "é",
    r"\x41",
    r"\.",
    "[b-é]",
    r"\D",
]
REPEATS = ["", "", "*", "+", "?", "{2}", "{1,}", "{0,2}"]


def pattern(chance, depth=2):
    """A regular expression of the common subset."""
    if depth == 0 or chance.odds(40):
        return chance.one(ATOMS)
    parts = [pattern(chance, depth - 1) + chance.one(REPEATS) for _ in range(chance.randint(1, 3))]
    return chance.one(["({})", "(?:{})", "{}"]).format(chance.one(["", "|"]).join(parts))


def test_regular_expressions_are_read_as_re2_reads_them(opa, say):
    """OPA's are RE2's own: a whole match there is a match here, or the pattern is refused here."""
    chance = Chance(random.SystemRandom().randrange(1 << 32))
    held = []
    for _ in range(300):
        text = chance.one(["", "", "(?i)"]) + pattern(chance)
        try:
            held.append((text, regex(text)))
        except PatternError:
            continue
    assert len(held) > 100
    texts = ["".join(chance.some(lambda: chance.one("aAb1é.\n _"), 0, 5)) for _ in range(40)]
    asked = {"p": [{"pattern": whole(text), "texts": texts} for text, _ in held]}
    module = "package p\nanswer := [regex.match(input.pattern, text) | some text in input.texts]\n"
    for (written, automaton), answers in zip(
        held, decided_by_opa({"p": module}, asked)["p"], strict=True
    ):
        assert [automaton(text) for text in texts] == answers, written
    say(f"RE2 and we: {len(held)} patterns, {len(held) * len(texts):,} texts, 0 differ")


def _in_parts(names, size):
    return [names[start : start + size] for start in range(0, len(names), size)]
