"""The nine Laws of the language, each held to random policy sets and requests.

`pytest -m laws --full` holds each to a hundred thousand examples and says which seed it took;
without `--full` a few thousand run with the others. An example is one request before one policy set,
one expression, one pair of values or one change of a set, whatever the law is about.
"""

from __future__ import annotations

import copy

import msgspec
import pytest
from lang.strategies import (
    TIERS,
    and_,
    for_names,
    for_tier,
    not_,
    on_any,
    on_names,
    op,
    or_,
    path,
    quantified,
    rule,
    when,
)
from lang.test_cost import truth_steps
from laws import kinds
from laws import programs as random
from laws.decided import (
    DUTIES,
    applied_names,
    could_be_permitted,
    issued,
    kleene,
    source_texts,
    token_rules,
    truth_of,
)
from pdp.oracle import answer, assembled, of_rules, scan, told

from pbac.base.source import Source
from pbac.duties.table import DutyConflict, join
from pbac.lang.check.cost import steps_of
from pbac.lang.compile import program_version
from pbac.lang.evaluate.functions import FUNCTIONS
from pbac.lang.evaluate.interpret import truth
from pbac.lang.evaluate.interpret import value as interpreted
from pbac.lang.evaluate.truth import UNKNOWN, Truth
from pbac.lang.generate.generate import Question, generate_rule
from pbac.lang.program import DOUBT, Materials
from pbac.model.decision import Cause, Decision, Duty
from pbac.model.request import DecisionRequest
from pbac.model.values import MISSING
from pbac.pdp.administration import prepare
from pbac.pdp.delegation import narrowed
from pbac.pdp.engine import decide, grant_scope, shown

pytestmark = [pytest.mark.laws, pytest.mark.timeout(3_600)]

REQUESTS = 16
"""Requests that one policy set is asked: building it costs more than asking it."""


# --- Law 1 ---------------------------------------------------------------------------------------


def test_law_1_at_least_one_permit_and_no_forbid_in_any_order(law):
    """And every requirement that applies adds its duties; one that cannot be met is a denial."""

    def check(chance, seen):
        policy_set = random.policy_set(chance)
        servers = policy_set.program.packages[0].servers
        shuffled = of_rules(chance.mixed(policy_set.rules), servers)
        stopped = [*(rule.node for rule in policy_set.rules), rule("forbid", on_any())]
        stopped = assembled(stopped, confinement=()) if chance.odds(10) else None
        for asked in random.requests(chance, REQUESTS):
            decision = decide(policy_set, asked)
            assert told(decision) == scan(policy_set, asked)
            assert decide(shuffled, asked) == decision
            if stopped and asked.call.get("method") != "token/issue":
                assert decide(stopped, asked).cause is Cause.FORBIDDEN
            seen[decision.cause.value] += 1
            seen["with duties"] += bool(decision.duties)
        joined_in_any_order(chance, seen)
        return REQUESTS

    def joined_in_any_order(chance, seen):
        duties = chance.some(lambda: chance.one(DUTIES), 0, 4)
        plan = join(tuple(duties))
        assert join(tuple(chance.mixed(duties))) == plan
        unmet = Duty(kind="teleport", rule="p.t", parameters={})
        assert isinstance(join(tuple(chance.mixed([*duties, unmet]))), DutyConflict)
        seen["conflict"] += isinstance(plan, DutyConflict)

    law(check, among=["permitted", "forbidden", "not_permitted", "with duties", "conflict"])


# --- Law 2 ---------------------------------------------------------------------------------------


def test_law_2_unknown_never_permits_and_never_rules_out_a_forbid(law):
    """Strong Kleene logic: what `and`, `or`, `not`, `any`, `all` come to is written in `kleene`."""

    def check(chance, seen):
        parts = [random.condition(chance, 1) for _ in range(chance.randint(2, 4))]
        name, negated = chance.one(["and", "or"]), chance.odds(30)
        whole, mixed = (
            {"and": and_, "or": or_}[name](*each) for each in (parts, chance.mixed(parts))
        )
        effect = chance.one(["permit", "forbid", "require"])
        applying = {Truth.TRUE} if effect == "permit" else {Truth.TRUE, Truth.UNKNOWN}
        ask = generate_rule(
            Question(
                rule=rule(effect, when(whole, negated=negated)), materials=Materials(tiers=TIERS)
            )
        )
        for asked in random.requests(chance, 4):
            found = kleene(name, [truth(part, asked, random.DATA) for part in parts])
            assert truth(whole, asked, random.DATA) is found
            assert truth(mixed, asked, random.DATA) is found
            opposite = kleene("not", [found])
            assert truth(not_(whole), asked, random.DATA) is opposite
            came = opposite if negated else found
            bits = ask(asked, random.DATA)
            assert bool(bits) is (came in applying)
            assert bool(bits & DOUBT) is (bool(bits) and came is Truth.UNKNOWN)
            seen[f"{effect} {came.value}"] += 1
            each_item(chance, asked)
        return 4

    def each_item(chance, asked):
        items = [{"a": chance.one([True, False, None])} for _ in range(chance.randint(0, 4))]
        called = random.changed(asked, args={"list": items})
        for quantifier, name in (("any", "or"), ("all", "and")):
            each = quantified(quantifier, "v", path("args.list"), path("v.a"))
            outcomes = [truth_of(item["a"]) for item in items]
            assert truth(each, called, random.DATA) is kleene(name, outcomes)

    effects, truths = ("permit", "forbid", "require"), ("true", "false", "unknown")
    law(check, among=[f"{effect} {truth_}" for effect in effects for truth_ in truths])


# --- Law 3 ---------------------------------------------------------------------------------------


def test_law_3_values_of_unlike_kinds_never_compare_and_missing_is_not_null(law):
    """`kinds` is the table of kinds, written down a second time."""
    names = [name for name in FUNCTIONS if name in kinds.TABLE]

    def check(chance, seen):
        left, right = (random.value(chance, 1) for _ in range(2))
        if chance.odds(40):
            right = copy.deepcopy(left)
        args = {"left": left, "right": right}
        for side in list(args):
            if chance.odds(10):
                del args[side]
        asked = DecisionRequest(agent={}, call={}, args=args)
        found = [args.get(side, MISSING) for side in ("left", "right")]
        name = chance.one(names)
        wanted = kinds.TABLE[name](*found)
        assert interpreted(op(name, "$args.left", "$args.right"), asked, {}) is wanted, (name, args)
        seen["unknown" if wanted is UNKNOWN else str(wanted).lower()] += 1
        for form, wanted in kinds.forms(found[0]):
            came = interpreted(form, asked, {})
            assert came is wanted or (came == wanted and type(came) is type(wanted)), (form, args)
        return 1

    law(check, among=["true", "false", "unknown"])


# --- Law 4 ---------------------------------------------------------------------------------------


def test_law_4_no_evaluation_takes_more_steps_than_were_counted_at_load(law):
    """Every evaluation ends with an answer, on both ways to evaluate, and within its bound."""

    def check(chance, seen):
        expression = random.condition(chance, 3)
        most = steps_of(expression)
        ask = generate_rule(
            Question(rule=rule("forbid", when(expression)), materials=Materials(tiers=TIERS))
        )
        for asked in random.requests(chance, 4):
            called = random.changed(asked, args={**asked.args, **long_arguments(chance)})
            taken = truth_steps(expression, called, random.DATA)
            assert 0 < taken <= most
            ask(called, random.DATA)
            seen["hundreds of steps" if taken >= 100 else "few steps"] += 1
        return 4

    def long_arguments(chance):
        if chance.odds(85):
            return {}
        many = chance.one([10, 256, 257, 300])
        return {"a": "a" * many, "c": ["a"] * many, "d": [1] * many}

    law(check, among=["hundreds of steps", "few steps"])


# --- Law 5 ---------------------------------------------------------------------------------------


def test_law_5_a_record_replayed_gives_the_same_decision_bit_for_bit(law):
    """Whatever was asked before, in another process as it were, and nothing given is changed."""

    def check(chance, seen):
        policy_set = random.policy_set(chance)
        asked = random.requests(chance, REQUESTS)
        records = [msgspec.json.encode(each) for each in asked]
        decisions = [msgspec.json.encode(answer(policy_set, each)) for each in asked]
        assert [msgspec.json.encode(each) for each in asked] == records
        again = of_rules(policy_set.rules, policy_set.program.packages[0].servers)
        for number in chance.mixed(range(REQUESTS)):
            read = msgspec.json.decode(records[number], type=DecisionRequest)
            assert msgspec.json.encode(answer(again, read)) == decisions[number]
            decision = msgspec.json.decode(decisions[number], type=Decision)
            assert decision.policy_version == policy_set.version
            seen[decision.cause.value] += 1
        return REQUESTS

    law(check, among=["permitted", "forbidden", "not_permitted"])


# --- Law 6 ---------------------------------------------------------------------------------------


def test_law_6_nothing_is_hidden_that_some_call_would_be_permitted(law):
    """Whatever is undetermined when tools are listed may be anything in the call."""

    def check(chance, seen):
        policy_set = random.policy_set(chance)
        asked = random.requests(chance, REQUESTS)
        described = random.without_undetermined(asked[0])
        visible = shown(policy_set, described)
        for other in asked:
            called = decide(policy_set, random.completed(described, other))
            assert visible or not called.permitted
            seen[("shown" if visible else "hidden") + f" and {called.effect.value}"] += 1
        return REQUESTS

    law(check, among=["shown and permit", "shown and deny", "hidden and deny"])


# --- Law 7 ---------------------------------------------------------------------------------------


def test_law_7_a_version_is_its_content_and_what_is_wrong_leaves_the_old_one_serving(law):
    def check(chance, seen):
        texts, data = source_texts(chance), {"orgs": {"u1": chance.some(lambda: "a", 0, 2)}}
        sources = [Source(name, text) for name, text in texts.items()]
        version = program_version(sources, data)
        assert program_version(chance.mixed(sources), copy.deepcopy(data)) == version
        name = chance.one(list(texts))
        touched = {
            "text": {**texts, name: texts[name] + "# one more line\n"},
            "name": {("z/" + n if n == name else n): text for n, text in texts.items()},
            "file": {**texts, "more.pbac": "package more\npermit x on tool y\n"},
            "data": texts,
        }
        kind = chance.one(list(touched))
        others = [Source(n, text) for n, text in touched[kind].items()]
        other_data = {**data, "more": 1} if kind == "data" else data
        assert program_version(others, other_data) != version
        seen[kind] += 1
        if chance.odds(5):
            published(chance, sources, data, version, seen)
        return 1

    def published(chance, sources, data, version, seen):
        """What is wrong is refused whole; a sound change compiles its own package again."""
        serving = prepare(sources, data)
        assert serving.require().version == version
        assert prepare(chance.mixed(sources), data, previous=serving).require().version == version
        first, *rest = chance.mixed(sources)
        broken = Source(first.name, chance.one([first.text + "permit", first.text + WRONG]))
        refused = prepare([broken, *rest], data, previous=serving)
        assert refused.policy_set is None
        assert refused.problems()
        sound = Source(first.name, first.text + "permit one_more on tool one_more\n")
        changed = prepare([sound, *rest], data, previous=refused)
        before, after = (
            {package.name: package for package in each.compilation.packages}
            for each in (serving, changed)
        )
        kept = {name for name in before if after[name] is before[name]}
        assert kept == before.keys() - {first.text.split()[1]}
        assert changed.require().version != version
        assert serving.policy_set.version == version
        seen["refused"] += 1

    law(check, among=["text", "name", "file", "data", "refused"])


WRONG = '\ntest "fails"\n  call nothing => permit\n'


# --- Law 8 ---------------------------------------------------------------------------------------


def test_law_8_who_acts_through_others_may_do_no_more(law):
    """One actor more in the chain never turns a denial into a permit or drops a duty.

    Rules may read the chain and the tier as they like, also to permit more for less; the law is
    about those that do not: permits for a tier and higher, forbids for a tier and lower.
    """

    def monotone(chance):
        effect = chance.one(random.EFFECTS)
        above = [">=", ">"] if effect == "permit" else ["<=", "<"]
        who = [for_tier(chance.one(above), chance.one(TIERS)) for _ in range(chance.randint(0, 1))]
        who += [named(chance) for _ in range(chance.randint(0, 1))]
        about = chance.one([on_any(), on_names("tool", "get_*", "merge"), on_names("tool", "*")])
        compared = op(chance.one(["==", "<", ">="]), "$args.n", chance.one(random.NUMBERS))
        conditions = [when(compared)] if chance.odds(40) else []
        return rule(effect, *who, about, *conditions)

    def named(chance):
        what = chance.one(["kind", "agent", "provider"])
        names = {"kind": random.KINDS, "agent": random.IDS, "provider": random.PROVIDERS}[what]
        return for_names(what, *chance.some(lambda: chance.one(names), 1, 2))

    def check(chance, seen):
        policy_set = assembled([monotone(chance) for _ in range(chance.randint(2, 6))])
        for drawn in random.requests(chance, REQUESTS):
            actors = drawn.chain.get("actors")
            actors = actors if type(actors) is list else []
            asked = random.changed(drawn, chain={"depth": len(actors), "actors": actors})
            more = list(actors)
            more.insert(chance.randint(0, len(more)), random.actor(chance))
            longer = random.changed(asked, chain={"depth": len(more), "actors": more})
            before, after = decide(policy_set, asked), decide(policy_set, longer)
            assert before.permitted or not after.permitted
            if after.permitted:
                assert {duty.rule for duty in before.duties} <= {duty.rule for duty in after.duties}
            seen[f"{before.effect.value}, then {after.effect.value}"] += 1
            lowest_tier(asked, seen)
            not_laundered(chance, policy_set, asked, seen)
        return REQUESTS

    def lowest_tier(asked, seen):
        everyone = [asked.agent, *asked.chain["actors"]]
        tiers = [each.get("tier") if isinstance(each, dict) else None for each in everyone]
        known = all(isinstance(tier, str) and tier in TIERS for tier in tiers)
        if len(tiers) > 1:
            tier = narrowed(asked, TIERS).agent.get("tier")
            assert tier == (TIERS[min(map(TIERS.index, tiers))] if known else None)
            seen["lowest tier" if known else "no tier"] += 1

    def not_laundered(chance, policy_set, asked, seen):
        """What stops an agent stops whoever it hands its call to."""
        hidden = {
            name: asked.agent[name]
            for name in ("id", "kind", "provider", "tier")
            if name in asked.agent
        }
        front = {**hidden, "id": "front", "kind": "assistant", "provider": "front"}
        handed = random.changed(
            asked,
            agent={**asked.agent, **front},
            chain={"depth": 1, "actors": [*asked.chain["actors"], hidden]},
        )
        stopping = applied_names(policy_set, asked, "forbid")
        assert stopping <= applied_names(policy_set, handed, "forbid")
        seen["stopped"] += bool(stopping)

    law(
        check,
        among=[
            *("permit, then permit", "permit, then deny", "deny, then deny"),
            *("lowest tier", "no tier", "stopped"),
        ],
    )


# --- Law 9 ---------------------------------------------------------------------------------------


def test_law_9_a_scope_is_granted_when_some_call_could_be_permitted_and_nothing_forbids(law):
    """And what a token may do is what was consented and policy permits now, never more."""

    def check(chance, seen):
        policy_set, later = random.policy_set(chance), random.policy_set(chance)
        tools = [random.request(chance, odd=0).call for _ in range(2)]
        for asked in random.requests(chance, REQUESTS // 2):
            described = random.without_undetermined(asked)
            scope = chance.one(random.SCOPES)
            asking = random.changed(described, call={"method": "token/issue", "scope": scope})
            calls = [{**call, "scope": scope} for call in tools[: chance.randint(0, 2)]]
            decision = grant_scope(policy_set, asking, calls)
            called = [random.changed(asking, call=call) for call in calls]
            possible = any(could_be_permitted(policy_set, each) for each in called)
            forbidden = token_rules(policy_set, asking, calls, "forbid")
            assert decision.permitted is (possible and not forbidden)
            seen["forbidden" if forbidden else "granted" if possible else "withheld"] += 1
        consented(chance, policy_set, later, tools, seen)
        return REQUESTS // 2

    def consented(chance, policy_set, later, calls, seen):
        consent = tuple(chance.sample([*random.SCOPES, "gh:other"], chance.randint(0, 3)))
        for each in (policy_set, later, policy_set):
            granted, wanted = issued(each, consent, calls)
            assert granted.consented == consent, "consent stays what it was"
            assert set(granted.effective) == wanted <= set(consent)
            seen["effective"] += len(wanted)
            seen["asleep"] += len(set(consent) - wanted)

    law(check, among=["forbidden", "granted", "withheld", "effective", "asleep"])
