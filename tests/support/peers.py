"""The same request asked of other policy engines: OPA, run as its own program, and Cedar.

A request is a dict of the roots that `.pbac` rules read (`agent`, `user`, `call`, `args`, …). OPA is
given it as it is. For Cedar a gateway has to say which entities there are and what is in the
context; and what Cedar cannot work out itself (the hour in a zone, what all items of a list are)
has to be worked out beforehand, here in `WORKED_OUT`.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

PEERS = Path(os.environ.get("PBAC_PEERS", Path.home() / ".cache" / "pbac-peers"))
"""Where `.ci/run` puts them."""
OPA = PEERS / "bin" / "opa"
TIERS = ("read_only", "ci_agent", "developer", "trusted")


class Answer(NamedTuple):
    """What an engine said; `note` is how it came to that, where it is no plain answer."""

    outcome: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}, {self.note}" if self.note else self.outcome


def with_duties(effect: str, kinds: list[str]) -> str:
    """`permit with approval, limit`, as a test block says it."""
    return f"{effect} with {', '.join(kinds)}" if effect == "permit" and kinds else effect


# --- OPA ------------------------------------------------------------------------------------------

QUERY = "{i: a | some i, r in data.requests; a := data.gateway with input as r}"


def ask_opa(opa: str, rego: Path, data: dict, requests: list[dict]) -> list[Answer]:
    """`data.gateway` for each request, in one run: `allow`, and the duties where there are any."""
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder, "documents.json")
        documents.write_text(json.dumps({**data, "requests": requests}), "utf-8")
        command = [opa, "eval", "--format", "json", "-d", str(rego), "-d", str(documents), QUERY]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(done.stdout)["result"]
    answers = found["expressions"][0]["value"]
    return [_from_rego(answers[str(number)]) for number in range(len(requests))]


def _from_rego(answer: dict) -> Answer:
    kinds = sorted(duty["kind"] for duty in answer.get("duties", ()))
    return Answer(with_duties("permit" if answer["allow"] else "deny", kinds))


# --- Cedar ----------------------------------------------------------------------------------------


def ask_cedar(
    policies: str,
    requests: list[dict],
    *,
    passed: list[str],
    users: dict[str, dict],
    groups: dict[str, str],
    schema: str | None = None,
) -> list[Answer]:
    """The answers of Cedar. With a schema, requests and entities are held to it first.

    `passed` names what the context holds, `users` their attributes (`in` is their group), `groups`
    the group that each group is in.
    """
    import cedarpy

    answers = []
    for request in requests:
        entities = [*_principals(request), *_people(users, groups)]
        asked = {
            "principal": {"type": "Agent", "id": request["agent"]["id"]},
            "action": 'Action::"call"',
            "resource": {"type": "Tool", "id": request["call"]["tool"]},
            "context": _context(request, passed),
        }
        answers.append(_from_cedar(cedarpy.is_authorized(asked, policies, entities, schema)))
    return answers


def validation_errors(policies: str, schema: str) -> list[str]:
    """What Cedar's validator says of policies, in its own words."""
    import cedarpy

    return [error.error for error in cedarpy.validate_policies(policies, schema).errors]


def _from_cedar(result: Any) -> Answer:
    outcome = {"Allow": "permit", "Deny": "deny"}.get(result.decision.value, "refused")
    note = "a rule in error" if result.diagnostics.errors and outcome != "refused" else ""
    return Answer(outcome, note)


def _principals(request: dict) -> list[dict]:
    """The agent in its tier, the tool on its server, and the tiers: a higher is in the lower."""
    agent, call = request["agent"], request["call"]
    tier, server = agent.get("tier"), call.get("server")
    above = [_entity("Tier", name, within=("Tier", lower)) for lower, name in pairwise(TIERS)]
    return [
        _entity("Agent", agent["id"], {"name": agent["id"]}, tier and ("Tier", tier)),
        _entity("Tool", call["tool"], {"name": call["tool"]}, server and ("Server", server)),
        *above,
    ]


def _people(users: dict[str, dict], groups: dict[str, str]) -> list[dict]:
    found = [_entity("Group", name, within=("Group", outer)) for name, outer in groups.items()]
    for name, attributes in users.items():
        group = attributes.get("in")
        rest = {key: value for key, value in attributes.items() if key != "in"}
        found.append(_entity("User", name, rest, group and ("Group", group)))
    return found


def _entity(kind: str, name: str, attrs: dict | None = None, within: Any = None) -> dict:
    parents = [{"type": within[0], "id": within[1]}] if within else []
    return {"uid": {"type": kind, "id": name}, "attrs": attrs or {}, "parents": parents}


def _context(request: dict, passed: list[str]) -> dict:
    given: dict[str, Any] = {}
    for name in passed:
        if name in WORKED_OUT:
            found = WORKED_OUT[name](request)
        elif name == "user":
            user = request.get("user")
            found = user and {"__entity": {"type": "User", "id": user["id"]}}
        else:
            found = request.get(name)
        if found is not None:
            given[name] = found
    return given


# --- what Cedar has to be told ----------------------------------------------------------------------


def _moment(request: dict) -> datetime | None:
    now = request["env"].get("now")
    return None if now is None else datetime.fromtimestamp(now / 1000, UTC)


def _now(request: dict) -> dict | None:
    moment = _moment(request)
    return moment and {"__extn": {"fn": "datetime", "arg": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}}


def _local(request: dict) -> dict | None:
    """Weekday and hour on the wall clock of Berlin."""
    moment = _moment(request)
    there = moment and moment.astimezone(ZoneInfo("Europe/Berlin"))
    return there and {"weekday": there.strftime("%a").lower(), "hour": there.hour}


def _providers(request: dict) -> list[str]:
    """The providers of the caller and of every actor of the chain, as far as they are known."""
    actors = [request["agent"], *request["chain"]["actors"]]
    return sorted({actor["provider"] for actor in actors if "provider" in actor})


def _texts(values: Any) -> list[str]:
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []


def _domains(request: dict) -> list[str]:
    """What stands behind the `@` of every recipient that is a text."""
    return sorted({text.rpartition("@")[2] for text in _texts(request["args"].get("to"))})


def _labels(request: dict) -> list[str]:
    """The labels of every attached file that has one."""
    files = request["args"].get("files", [])
    records = [f for f in files if isinstance(f, dict)] if isinstance(files, list) else []
    return sorted(set(_texts([file.get("label") for file in records])))


WORKED_OUT = {
    "now": _now,
    "local": _local,
    "providers": _providers,
    "domains": _domains,
    "labels": _labels,
    "calls_in_the_last_minute": lambda _: 3,
}
"""Name in the context → what the gateway works out for it."""
