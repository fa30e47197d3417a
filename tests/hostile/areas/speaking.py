"""Any bytes as one request of any protocol version, and what the upstream got of the last call."""

from __future__ import annotations

import json
from functools import wraps

from hostile.stage import NEWEST, VERSIONS, refusals
from support.bad_input import META, NAMES
from support.recorder import GAP


def message(method="tools/call", params=None, *, version=NEWEST, **members):
    """The tree of one request; a member that is `...` is left out."""
    params = {"name": NAMES["echo"], "arguments": {"text": "x"}} if params is None else params
    if version == NEWEST:
        params = {**params, "_meta": META | params.get("_meta", {})}
    tree = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **members}
    return {name: value for name, value in tree.items() if value is not ...}


def sound(version=NEWEST, **members) -> str:
    """The text of a sound call of `echo` with the one argument `"x"`."""
    return json.dumps(message(version=version, **members))


def with_text(text, version=NEWEST) -> bytes:
    """The sound call with this JSON in the place of the argument."""
    body = text if isinstance(text, bytes) else text.encode()
    return sound(version).encode().replace(b'"x"', body)


def speak(stage, body, *, version=NEWEST, method="tools/call", named=NAMES["echo"], **how):
    """Send these bytes as the body of a request of this version."""
    body = body if isinstance(body, bytes) else body.encode()
    headers = stage.dress(method, named, version=version, **how)
    return (how.get("world") or stage.plain).send(body, replace=headers)


def everywhere(stage, bodies, **how):
    """Each of these bodies in every version: `bodies` is a function of the version."""
    for version in VERSIONS:
        for body in bodies(version):
            yield speak(stage, body, version=version, **how)


def passes(stage, body, **how):
    """These bytes are sound: the call is forwarded."""
    answer = speak(stage, body, **how)
    assert answer.status == 200, (body[:200], answer.body)
    assert not answer.json["result"].get("isError"), answer.body
    stage.honest_calls += 1
    return answer


def number_of(answer):
    """The JSON-RPC number of an error answer."""
    return answer.json["error"]["code"]


def last_call(stage) -> bytes:
    """The body of the last `tools/call` that the upstream heard, as it came over the wire."""
    bodies = (raw.partition(GAP)[2] for raw in reversed(list(stage.upstream.raw)))
    return next(body for body in bodies if b'"tools/call"' in body)


def counted(attack):
    """This attack, of which every single answer is a refusal that has to be counted."""

    @wraps(attack)
    def tried(stage):
        before, answers = sum(map(refusals, stage.worlds)), 0
        for answer in attack(stage):
            answers += 1
            yield answer
        more = sum(map(refusals, stage.worlds)) - before
        assert more >= answers, f"{answers} refusals, {more} of them counted"

    return tried
