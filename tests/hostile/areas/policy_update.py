"""Policies change under attack: at the wrong moment, half, twice at once, too wide, too large."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

from hostile.policies import POLICIES
from hostile.stage import NEWEST
from support.bad_input import World, both, call, eventually

from pbac.adapters.policy_store import open_policy_store

SHOP = POLICIES["shop.pbac"]
OPEN = SHOP + "\nforbid none\n  on tool nothing\n"
SHUT = SHOP + "\nforbid some\n  on tool load0, slow\n"
KILLS = 2
RULES, BYTES, FILES = 100_000, 50_000_000, 13


def changing(stage) -> World:
    """A gateway of this area's own, whose policies are changed; denials are 403."""
    if "changing" not in stage.others:
        upstream, frail = stage.plain.upstream, stage.plain.frail
        gateway = stage.serve(
            backends=both(upstream, frail),
            policy=POLICIES,
            edit=lambda text: text.replace('denials = "result"', 'denials = "403"'),
        )
        world = World(gateway, upstream, frail, token="")
        _, _, world.token = world.agent("changed upon")
        stage.others["changing"] = world
    return stage.others["changing"]


# --- what the attacks are made of -------------------------------------------------------------


def policy_command(world, *words):
    """A `pbac policy …` of this gateway, begun."""
    gateway = world.gateway
    return subprocess.Popen(
        [sys.executable, "-m", "pbac", "policy", *map(str, words), "--config", gateway.config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """(exit code, both outputs)."""
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out + err


@contextmanager
def folder_of(files):
    with tempfile.TemporaryDirectory() as name:
        for path, text in files.items():
            (Path(name) / path).write_text(text)
        yield Path(name)


def published(world, **changed):
    """The stage's policies but for these, put in force by the command; their version."""
    files = {**POLICIES, **{f"{name}.pbac": text for name, text in changed.items()}}
    with folder_of(files) as folder:
        code, told = ended(policy_command(world, "publish", folder))
    assert code == 0, told
    return world.gateway.version()


def changes(world, event="published"):
    return [each for each in world.gateway.records("policy") if each["event"] == event]


def refusal_after(world, before):
    """The problems of the next refusal in the record."""
    found = eventually(lambda: changes(world, "refused")[before:], "it is not recorded", 20)
    return found[0]["problems"]


def acts(world):
    """What the store says was put in force."""
    with closing(open_policy_store(world.gateway.directory / "state")) as store:
        return [(each.number, each.version) for each in store.acts(1_000)]


def written(world, name, text):
    path = world.gateway.directory / "policies" / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


# --- PUP-01: between the decision and the upstream ----------------------------------------------


def between(stage):
    """The decision is the moment that counts: it names the version, and is finished under it."""
    world = changing(stage)
    before = published(world, shop=OPEN)
    stage.upstream.release.clear()
    heard = len(stage.upstream.calls("slow"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(stage.call, "slow", world=world)
        eventually(lambda: len(stage.upstream.calls("slow")) > heard, "it was not forwarded")
        after = published(world, shop=SHUT)
        late = stage.call("slow", world=world)
        assert (late.status, late.error) == (403, "policy_denied")
        stage.upstream.release.set()
        answer = running.result()
    assert (world.decision(answer)["policy_version"], before != after) == (before, True)
    assert world.decision(late)["policy_version"] == after
    assert world.outcome(answer.headers["pbac-decision"])["outcome"] == "completed"
    _under_load(world, {before: OPEN, after: SHUT})
    yield answer


def _under_load(world, texts):
    """Calls without pause while versions take turns: each is answered as its version says."""
    told, over = [], threading.Event()

    def hammer():
        while not over.is_set():
            answer = world.call("load0")
            told.append((answer.headers["pbac-decision"], answer.status))
            time.sleep(0.005)

    heard = len(world.upstream.calls("load0"))
    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    versions = {published(world, shop=text) for text in (*texts.values(), *texts.values())}
    over.set()
    for thread in threads:
        thread.join()
    recorded = {each["decision_id"]: each for each in world.gateway.records("decision")}
    statuses = {texts[version]: 200 if texts[version] == OPEN else 403 for version in texts}
    assert versions == texts.keys()
    seen = Counter()
    for decision_id, status in told:
        version = recorded[decision_id]["policy_version"]
        assert status == statuses[texts[version]], (status, recorded[decision_id])
        seen[status] += 1
    assert set(seen) == {200, 403}, "both were asked"
    assert len(world.upstream.calls("load0")) - heard == seen[200]


# --- PUP-02: killed while it publishes ----------------------------------------------------------

PAIR = ("load1", "load2"), ("load3", "load4")
"""Tools that two files permit, of one number each: a mixture would permit two numbers."""


def half_written(stage):
    """Two files that belong together: after a kill both are old, or both are new."""
    world, chance = changing(stage), random.Random(0)
    heard = len(stage.upstream.calls())
    for kill in range(KILLS):
        published(world, **_pair(kill % 2))
        with folder_of({**POLICIES, **_files(_pair(1 - kill % 2))}) as folder:
            publishing = policy_command(world, "publish", folder)
            version = world.gateway.version()
            deadline = time.monotonic() + chance.choice((0.2, 0.9))
            while time.monotonic() < deadline and world.gateway.version() == version:
                time.sleep(0.01)
            for process in (world.gateway.process, publishing):
                process.send_signal(signal.SIGKILL)
                process.communicate()
        world.gateway.start()
        yield from _one_of_the_pair(stage, world)
    published(world)
    stage.honest_calls += len(stage.upstream.calls()) - heard


def _pair(number):
    texts = {}
    for name, tools in zip(("one", "two"), PAIR, strict=True):
        texts[name] = f"package {name} on server shop\n\npermit it\n  on tool {tools[number]}\n"
    texts["shop"] = SHOP.replace("* except close", "echo, slow")
    return texts


def _files(texts):
    return {f"{name}.pbac": text for name, text in texts.items()}


def _one_of_the_pair(stage, world):
    answers = {tool: stage.call(tool, world=world) for tools in PAIR for tool in tools}
    permitted = {tool for tool, answer in answers.items() if answer.status == 200}
    assert permitted in [{tools[number] for tools in PAIR} for number in (0, 1)], "a mixture"
    assert acts(world)[0][1] == world.gateway.version(), "what is in force is what the store says"
    started = [each for each in world.gateway.records("gateway") if each["event"] == "started"]
    assert started[-1]["detail"]["policy_version"] == world.gateway.version()
    yield from (answer for tool, answer in answers.items() if tool not in permitted)


# --- PUP-07: two at once ------------------------------------------------------------------------


def two_at_once(stage):
    """Both have seen the same version: one wins, the other is told and recorded."""
    world = changing(stage)
    base, before = published(world), len(changes(world, "refused"))
    numbers = len(acts(world))
    with folder_of(_files({"shop": OPEN})) as one, folder_of(_files({"shop": SHUT})) as two:
        begun = [policy_command(world, "publish", each, "--expect", base) for each in (one, two)]
        done = [ended(each) for each in begun]
    assert sorted(code for code, _ in done) == [0, 1], done
    (told,) = (told for code, told in done if code == 1)
    assert "is in force by now" in told
    assert "(version_conflict)" in refusal_after(world, before)[0]
    assert len(acts(world)) == numbers + 1, "no update was lost, none was overwritten"
    assert world.gateway.version() == acts(world)[0][1] != base
    published(world)
    yield from ()


# --- PUP-11: everything -------------------------------------------------------------------------

WIDE = (
    "on any",
    "on tool *",
    "on tool **",
    "on tool get_*, *",
    "on server *",
    "on server * on tool *",
    "for agent * on any",
    "for tier >= read_only on any",
    "for tier read_only, developer, trusted on any",
)


def permits_everything(stage):
    """However it is written, it has to be said that it is meant; then its reach is told."""
    world = changing(stage)
    version = published(world)
    for text in WIDE:
        before = len(changes(world, "refused"))
        written(world, "wide.pbac", f"package wide\n\npermit it\n  {text}\n")
        assert "[permits-everything]" in refusal_after(world, before)[0], text
        assert stage.call("close", world=world).status == 403
        written(world, "wide.pbac", None)
    wide = f"package wide\n\npermit it\n  {WIDE[0]}\n"
    before = len(changes(world, "refused"))
    with folder_of({**POLICIES, "wide.pbac": wide}) as folder:
        code, told = ended(policy_command(world, "publish", folder))
        assert (code, "permits-everything" in told) == (1, True), told
        assert "[permits-everything]" in refusal_after(world, before)[0]
        assert world.gateway.version() == version
        meant = wide.replace("permit it", "# pbac: allow permits-everything a drill\npermit it")
        (folder / "wide.pbac").write_text(meant)
        code, told = ended(policy_command(world, "publish", folder))
    assert (code, "1 rule added" in told) == (0, True), told
    assert stage.call("close", world=world).status == 200
    stage.honest_calls += 1
    published(world)
    yield from ()


# --- PUP-12: huge -------------------------------------------------------------------------------


def huge(stage):
    """Whatever is compiled is compiled elsewhere: calls go on, and are decided as before."""
    world = changing(stage)
    version, before = published(world), len(changes(world, "refused"))
    served, done = 0, None
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(_write_huge, world)
        while not done:
            assert stage.call("echo", world=world).status == 200
            served += 1
            time.sleep(0.005)
            if served % 20 == 0 and writing.done():
                done = changes(world, "refused")[before:]
            assert served < 200_000
    stage.honest_calls += served
    assert any("at most 50,000 rules" in line for line in done[0]["problems"]), done[0]["problems"]
    assert world.gateway.version() == version
    for number in range(FILES):
        written(world, f"huge{number}.pbac", None)
    yield from ()


def _write_huge(world):
    """Renamed in one by one, as fast as they come; each is about as large as a file may be."""
    each = RULES // FILES + 1
    padding = "#" + "x" * (BYTES // RULES - 40)
    folder = world.gateway.directory / "policies"
    for number in range(FILES):
        rules = (f"permit r{n}\n  on tool t{number}_{n}\n{padding}\n" for n in range(each))
        waiting = folder / f".huge{number}"
        waiting.write_text(f"package huge{number} on server shop\n{''.join(rules)}")
    for number in range(FILES):
        (folder / f".huge{number}").rename(folder / f"huge{number}.pbac")


# --- PUP-13: the author is the subject ----------------------------------------------------------

PATHS = [
    "/policy",
    "/policies",
    "/policies/shop",
    "/policies/shop.pbac",
    "/policy/publish",
    "/policy/rollback",
    "/v1/policies",
    "/v1/policies/shop",
    "/v1/data",
    "/api/policies",
    "/api/v1/policies",
    "/admin",
    "/admin/policies",
    "/bundles/shop",
    "/mcp/policies",
    "/publish",
    "/rollback",
    "/reload",
    "/-/reload",
    "/config",
    "/state/policies.sqlite3",
    "/versions",
    "/acts",
    "/dashboard/policies",
    "/.well-known/policies",
]
TOOLS = ("policy.write", "pbac__publish", "policies", "../policies/shop.pbac", "shop__policy")


def author_is_the_subject(stage):
    """No door of the gateway takes policies: whoever has a token can call tools, and no more."""
    world = changing(stage)
    version, known = published(world), acts(world)
    for scope in ("policy:write", "pbac:admin policy:write", "policies"):
        yield _token_with(world, scope)
    mine = b"package shop on server shop\npermit all\n  on any\n"
    for path in PATHS:
        for method in ("PUT", "POST", "PATCH", "DELETE"):
            dropped = {"MCP-Protocol-Version": None, "Mcp-Method": None, "Mcp-Name": None}
            yield world.send(mine, line=f"{method} {path} HTTP/1.1", replace=dropped)
    for method in ("PUT", "PATCH", "DELETE"):
        refused = world.send(mine, line=f"{method} /mcp HTTP/1.1")
        assert refused.status >= 400
    for tool in TOOLS:
        refused = stage.call(tool, {"text": mine.decode()}, world=world, version=NEWEST)
        assert refused.status >= 400 or refused.json["result"].get("isError"), refused.body
    for method in ("policy/write", "policies/put", "resources/write", "pbac/publish"):
        body = call("echo").replace(b"tools/call", method.encode())
        assert world.send(body, replace={"Mcp-Method": method}).status >= 400
    assert (world.gateway.version(), acts(world)) == (version, known)


def _token_with(world, scope):
    client = world.gateway.register("developer", "author")
    form = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "scope": scope,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}
    return world.send(urlencode(form).encode(), line="POST /token HTTP/1.1", replace=headers)


ATTACKS = {
    "PUP-01": between,
    "PUP-02": half_written,
    "PUP-07": two_at_once,
    "PUP-11": permits_everything,
    "PUP-12": huge,
    "PUP-13": author_is_the_subject,
}
