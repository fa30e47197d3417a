"""Whatever is kept (decisions, callers, counts, answers) is kept for exactly what it was made of.

A kept decision is tried by changing one input alone: on the rail of permits and that of forbids, in
both orders, more than once, and always beside a policy set that has kept nothing yet.
"""

from __future__ import annotations

import json
from functools import cache, partial
from itertools import permutations, product

from hostile.faults import faulty
from hostile.inputs import INPUTS, asked_with, rules_about
from hostile.policies import POLICIES
from hostile.ruled import BOOLEANS_AS_NUMBERS
from hostile.stage import NEWEST, VERSIONS
from hostile.written import text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pdp.oracle import policies, request, scan, told

from pbac.adapters.sqlite_state import open_state
from pbac.base.source import Source
from pbac.crypto import base64url
from pbac.duties.limit import claim
from pbac.gateway.principal import Principals
from pbac.model.decision import Duty
from pbac.oauth.access_token import PREFIX, hash_access_token, new_access_token
from pbac.pdp.administration import prepare
from pbac.pdp.engine import decide, shown
from pbac.pdp.policy_set import PolicySet

DELIMITERS = ("|", ",", ":", "/", ".", ";", " ", "\n", "\t", '"', "\\", "__", '","')


# --- CAC-01: parts that run together ------------------------------------------------------------


def parts_do_not_run_together(stage, version):
    """First what is permitted, then the same letters cut elsewhere."""
    listed, paired = "shop__ruled_listed", "shop__ruled_paired"
    stage.honest(listed, {"names": ["a,b"]}, version=version)
    for names in (["a", "b"], "a,b", ["a,b,"], ["a", ",b"], ['a","b'], ["a, b"], [["a,b"]], []):
        yield from stage.denied(listed, {"names": names}, version=version)
    stage.honest(paired, {"owner": "a|b", "repo": "c"}, version=version)
    for owner, repo in (("a", "b|c"), ("a|b|c", ""), ("", "a|b|c"), ("a|b", "|c"), ("c", "a|b")):
        yield from stage.denied(paired, {"owner": owner, "repo": repo}, version=version)
    stage.honest(paired, {"owner": "a|b", "repo": "c"}, version=version)
    if version == NEWEST:
        targets_do_not_run_together()
        counts_do_not_run_together(stage)


def targets_do_not_run_together():
    """Server, tool, scope and agent: a permit for `a⌁b` beside `c` is none for `a` beside `b⌁c`."""
    for delimiter in DELIMITERS:
        first, second = f"a{delimiter}b", f"b{delimiter}c"
        for left, right in permutations(("server", "tool", "scope", "agent"), 2):
            named = {left: first, right: "c"}
            policy_set = policies("permit x " + _target(named))
            for _ in range(2):
                assert decide(policy_set, _about(named)).permitted, (delimiter, named)
                for other in ({left: "a", right: second}, {left: first, right: f"{delimiter}c"}):
                    assert not decide(policy_set, _about(other)).permitted, (delimiter, other)
                    assert not shown(policy_set, _about(other))


def _target(named):
    clauses = [f"for agent {text(named['agent'])}"] if "agent" in named else []
    clauses += [f"on {what} {text(name)}" for what, name in named.items() if what != "agent"]
    return "\n".join([*clauses, "on any"])


def _about(named):
    call = {what: text for what, text in named.items() if what != "agent"}
    agent = {"id": named.get("agent", "a1"), "tier": "developer", "kind": "assistant"}
    return request(call=call, agent=agent)


def counts_do_not_run_together(stage):
    """A bucket is of these values in this order and of these kinds: others have their own."""
    duty = Duty(
        kind="limit",
        rule="p.r",
        parameters={"count": 1, "per_ms": 1_000, "by": ["agent", "args.a", "args.b"]},
    )
    absent = object()
    values = ["a|b", "c", "a", "b|c", "", None, True, 1, "1", [1], ["a", "b"], ["a,b"], {}, absent]
    keys = {}
    for agent, a, b in product(("x", "x|a"), values, values):
        args = {name: value for name, value in (("a", a), ("b", b)) if value is not absent}
        asked = request(agent={"id": agent, "tier": "developer"}, args=args)
        other = keys.setdefault(claim(duty, asked).key, asked)
        assert other is asked, (other.args, asked.args)
    _, _, token = stage.plain.agent("counted")
    counted = partial(stage.call, "shop__ruled_counted", token=token)
    for who, whom in (
        ("a|b", "c"),
        ("a", "b|c"),
        (["a"], "b"),
        ('["a"]', "b"),
        (1, "x"),
        (True, "x"),
    ):
        for _ in range(3):
            stage.honest("shop__ruled_counted", {"who": who, "whom": whom}, token=token)
        denial = counted({"who": who, "whom": whom}).json["result"]["_meta"]["pbac/denial"]
        assert denial["code"] == "quota_exceeded"


# --- CAC-02: one input alone is changed ---------------------------------------------------------


def one_input_alone(stage, version):
    yield from changed_at_the_gateway(stage, version)
    if version != NEWEST:
        return
    for each in INPUTS:
        for rules in rules_about(each):
            for value in each.changed:
                misses(each, rules, value)
            refusals_keep_to_themselves(each, rules)
    other_sets_keep_to_themselves()
    kept_is_what_would_be_built()


def misses(each, rules, value):
    """Neither is the kept permit told to the changed request, nor the kept denial to the first."""
    held, changed = asked_with(each, each.held), asked_with(each, value)
    built = {id(asked): decide(unused(rules), asked) for asked in (held, changed)}
    for order in ((held, changed), (changed, held)):
        policy_set = unused(rules)
        for asked in (*order, *order):
            decision = decide(policy_set, asked)
            assert decision.permitted is (asked is held), (each, value, rules)
            assert decision == built[id(asked)]
            if each.listing:
                assert shown(policy_set, asked) is (asked is held), (each, value, rules)


def refusals_keep_to_themselves(each, rules):
    """Refused by the same rules for another value, or in doubt: another reason, other paths."""
    requests = [asked_with(each, value) for value in (*each.changed, each.held)]
    built = [decide(unused(rules), asked) for asked in requests]
    policy_set = unused(rules)
    for asked, expected in [*zip(requests, built, strict=True)] * 2:
        assert decide(policy_set, asked) == expected, (each, rules)
        assert told(expected) == scan(policy_set, asked)


def unused(rules):
    """A set of these rules that has kept nothing."""
    return PolicySet(_program(rules))


@cache
def _program(rules):
    return policies(rules).program


def other_sets_keep_to_themselves():
    """Rules or data change, functions are shared, both sets decide at the same time."""
    header = "package p\ntiers read_only < developer < trusted\n"
    rules = "permit x on any when args.repo in data.repos and call.scope in data.scopes\n"
    extra = 'forbid y on any when args.repo == "b" because "since now"\n'
    variants = [
        (rules, {"repos": ["a", "b"], "scopes": ["s"]}),
        (rules, {"repos": ["b"], "scopes": ["s"]}),
        (rules, {"repos": ["a", "b"], "scopes": ["t"]}),
        (rules + extra, {"repos": ["a", "b"], "scopes": ["s"]}),
        ("permit x on any when args.repo == data.repos[0]\n", {"repos": ["b"], "scopes": []}),
    ]
    permitted = ({"a", "b"}, {"b"}, set(), {"a"}, {"b"})
    published = None
    sets = []
    for written, data in variants:
        published = prepare([Source("p.pbac", header + written)], data, previous=published)
        sets.append(published.require())
    assert len({each.version for each in sets}) == len(sets)
    for _, repo in product(range(3), "abc"):
        for policy_set, expected in zip(sets, permitted, strict=True):
            asked = request(call={"scope": "s"}, args={"repo": repo})
            decision = decide(policy_set, asked)
            assert decision.permitted is (repo in expected)
            assert decision.policy_version == policy_set.version


def kept_is_what_would_be_built():
    """Any few of the requests, in any order, against all rules together."""
    conditions = [(each, rules) for each in INPUTS for rules in rules_about(each)]
    some = st.lists(st.sampled_from(INPUTS), min_size=2, max_size=5)

    @settings(
        max_examples=40,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(conditions), some, st.randoms(use_true_random=False))
    def check(drawn, others, random):
        each, rules = drawn
        requests = [
            asked_with(one, value)
            for one in (each, *others)
            for value in (one.held, random.choice(one.changed))
        ]
        random.shuffle(requests)
        policy_set = unused(rules)
        for asked in (*requests, *requests):
            assert decide(policy_set, asked) == decide(unused(rules), asked)

    check()


def changed_at_the_gateway(stage, version):
    """The same through the served gateways: argument, tool, agent, tier, kind and scope."""
    world = stage.plain
    names = {"everyday": world.token}
    trusted, scanner = _token(world, "trusted"), _token(world, "developer", kind="scanner")
    for _ in range(2):
        stage.honest("shop__ruled_mine", {"owner": "everyday"}, version=version)
        yield from stage.denied("shop__ruled_mine", {"owner": "everyday "}, version=version)
        other = stage.call(
            "shop__ruled_mine", {"owner": "everyday"}, version=version, token=trusted
        )
        assert other.json["result"]["_meta"]["pbac/denial"]["code"] == "policy_denied"
        assert b"boss is not everyday" in other.body
        for tool, fitting in (("ruled_tiered", trusted), ("ruled_kinded", scanner)):
            stage.honest(f"shop__{tool}", version=version, token=fitting)
            refused = stage.call(f"shop__{tool}", version=version, token=names["everyday"])
            assert refused.status == 403, "it is not even listed"
            yield refused
    narrow = _token(world, "developer", scope="shop:echo")
    stage.honest("echo", version=version, token=narrow)
    refused = stage.call("count", {"count": 1}, version=version, token=narrow)
    assert (refused.status, refused.error) == (403, "insufficient_scope")


def _token(world, tier, kind="assistant", scope=None):
    client = world.gateway.register(tier, "boss", kind=kind)
    if scope is None:
        return world.sign_in(client)
    body = (
        f"grant_type=client_credentials&client_id={client['client_id']}"
        f"&client_secret={client['client_secret']}&scope={scope}"
    ).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    answer = world.send(body, line="POST /token HTTP/1.1", replace=form)
    world.bodies.pop()
    return answer.json["access_token"]


# --- CAC-03: tokens that begin alike ------------------------------------------------------------


def tokens_that_begin_alike(stage):
    world = stage.plain
    stage.honest("echo")
    for token in _relatives(world.token):
        yield stage.call("echo", token=token)
        stage.honest("echo")
    state = open_state(world.gateway.directory / "state", 0)
    try:
        only_whole_hashes_count(state, hash_access_token(world.token))
    finally:
        state.close()


def _relatives(token):
    """Tokens of our own form that share much with a live one, and pieces of it."""
    secret = base64url.decode(token.removeprefix(PREFIX)[:43])
    for shared in (9, 16, 24, 31):
        yield _issued(secret[:shared] + bytes(byte ^ 1 for byte in secret[shared:]))
        yield _issued(bytes(byte ^ 1 for byte in secret[:-shared]) + secret[-shared:])
    yield _issued(secret[::-1])
    yield from (token[:20], token[:-6], token[:-1], token + "A", token[:-6] + token[:6])
    yield from (token.swapcase(), token.upper(), token[:30] + token[30:].swapcase())


def _issued(secret):
    token = new_access_token(lambda _: secret)
    assert hash_access_token(token) is not None
    return token


def only_whole_hashes_count(state, whole):
    """No part of a hash finds a token, and nothing kept for one hash is told to another."""
    assert len(whole) == 32
    record = state.find_principal_record(whole)
    assert record is not None
    principals = Principals()
    mine = principals.of(record)
    for place in range(32):
        other = bytes(byte ^ (position == place) for position, byte in enumerate(whole))
        assert state.find_principal_record(other) is None
        token = replace(record.access_token, token_hash=other, client_id=f"agent{place}")
        assert principals.of(replace(record, access_token=token)).key == f"agent{place}"
    for cut in (0, 1, 8, 16, 31):
        assert state.find_principal_record(whole[:cut]) is None
    assert principals.of(record) is mine
    suspended = replace(record, client=replace(record.client, tier="read_only"))
    assert principals.of(suspended).agent["tier"] == "read_only", "the same token, changed since"


# --- CAC-04: numbers and booleans as keys -------------------------------------------------------


def unlike_values_are_unlike_keys(stage, version):
    """1, 1.0, true and "1" in every order: whatever was decided first is not told to the others."""
    rows = [row for row in BOOLEANS_AS_NUMBERS if row.name in ("once", "among", "among_many")]
    orders = list(permutations([1, 1.0, True, "1"]))
    for order in orders[VERSIONS.index(version) :: len(VERSIONS)]:
        for row, value in product(rows, order):
            (member,) = {member for arguments in row.fits for member in arguments}
            if type(value) in (int, float):
                stage.honest(f"shop__{row.tool}", {member: value}, version=version)
            else:
                yield from stage.denied(f"shop__{row.tool}", {member: value}, version=version)


# --- CAC-08: the clock is set -------------------------------------------------------------------

QUOTA = """
package quota on server shop

require twice
  on   tool echo
  then limit 2 per 10m by agent
"""
MINUTES = 60.0


def clock_jumps(stage):
    """Used calls do not come back, tokens live on, and what is revoked stays revoked at once."""
    with faulty(stage, policy=POLICIES | {"quota.pbac": QUOTA}) as (world, faults):
        for _ in range(2):
            yield stage.honest("echo", world=world)
        *client, other = world.agent("other")
        for minutes in (30, -30, 0, -60, 55):
            faults.begin("clock", minutes * MINUTES)
            denial = stage.call("echo", world=world).json["result"]["_meta"]["pbac/denial"]
            assert denial["code"] == "quota_exceeded", minutes
            assert "10 minutes" in denial["help"] or "seconds" in denial["help"], denial
            yield stage.honest("load0", world=world)
            yield stage.honest("load0", world=world, token=other)
        form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
        body = f"token={other}&client_id={client[0]}&client_secret={client[1]}".encode()
        assert world.send(body, line="POST /revoke HTTP/1.1", replace=form).status == 200
        faults.begin("clock", -60 * MINUTES)
        assert stage.call("load0", world=world, token=other).status == 401
        faults.begin("clock", 61 * MINUTES)
        assert stage.call("load0", world=world).status == 401, "an hour is an hour of this clock"
    yield stage.honest("echo")


# --- CAC-09: caches in front --------------------------------------------------------------------


def nothing_may_be_kept(stage):
    """Every answer to whoever sends a token, refusals included, says so."""
    world, answers = stage.plain, []
    for version in VERSIONS:
        answers.append(stage.ask("tools/list", version=version))
        answers.append(stage.honest("echo", version=version))
        answers.append(stage.call("pay", {"amount": 500}, version=version))
        answers.append(stage.call("pay", {"amount": 500}, version=version, world=stage.strict))
        answers.append(stage.call("nothing", version=version))
        answers.append(stage.call("close", version=version))
        answers.append(stage.ask("no/such", version=version))
    for answer in answers[:: len(answers) // len(VERSIONS)]:
        assert answer.json["result"]["tools"]
    assert answers[-7].json["result"]["cacheScope"] == "private"
    assert answers[-7].json["result"]["ttlMs"] == 0
    answers += _answers_beside_calls(stage, world)
    assert {200, 202, 204, 400, 401, 403, 404, 405, 406, 415} <= {each.status for each in answers}
    for answer in answers:
        told = answer.headers["cache-control"].replace(" ", "").split(",")
        assert "no-store" in told, (answer.status, answer.headers)
        assert "public" not in told
        assert "authorization" in answer.headers["vary"].lower(), (answer.status, answer.headers)
        assert not answer.headers.keys() & {"etag", "last-modified", "expires", "age"}
    yield from (answer for answer in answers if answer.status == 200)


def _answers_beside_calls(stage, world):
    session = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Method": None, "Mcp-Name": None}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "old"}}
    first = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    started = world.send(json.dumps(first).encode(), replace=session)
    session["Mcp-Session-Id"] = started.headers["mcp-session-id"]
    ready = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    yield started
    yield world.send(ready, replace=session)
    yield world.send(b"", line="DELETE /mcp HTTP/1.1", replace=session)
    yield world.send(b"", line="DELETE /mcp HTTP/1.1", replace=session)
    yield world.send(b"", line="GET /mcp HTTP/1.1")
    yield world.send(b"", line="DELETE /mcp HTTP/1.1")
    yield world.send(b"{")
    yield world.send(replace={"Accept": "text/html"})
    yield world.send(replace={"Content-Type": "text/plain"})
    yield world.send(replace={"Authorization": None})
    yield world.send(replace={"Authorization": "Bearer no"})
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    for path in ("token", "introspect", "revoke"):
        yield world.send(b"token=x", line=f"POST /{path} HTTP/1.1", replace=form)
    client = world.gateway.register("developer", "cached")
    body = (
        f"grant_type=client_credentials&client_id={client['client_id']}"
        f"&client_secret={client['client_secret']}"
    ).encode()
    yield world.send(body, line="POST /token HTTP/1.1", replace=form)


ATTACKS = {
    "CAC-01": parts_do_not_run_together,
    "CAC-02": one_input_alone,
    "CAC-03": tokens_that_begin_alike,
    "CAC-04": unlike_values_are_unlike_keys,
    "CAC-08": clock_jumps,
    "CAC-09": nothing_may_be_kept,
}
