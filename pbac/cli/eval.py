"""`pbac eval`: the decision on one request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pbac.base.json import encode
from pbac.base.render import shown
from pbac.cli.duty_refusal import refusal
from pbac.cli.policy_files import PATH, require_policies
from pbac.cli.request_options import echo_json, request_of, request_options

if TYPE_CHECKING:
    from pbac.model.decision import Decision


@click.command()
@click.argument("path", type=PATH)
@request_options
@click.option("--json", "as_json", is_flag=True, help="The decision as one JSON object.")
def command(path: Path, *, as_json: bool, **options: Any) -> None:
    """Decide one request with the policies of a folder or file.

    A denial is an answer: it ends with 0, like a permit. Mistakes end with 1.
    """
    from pbac.pdp.engine import decide
    from pbac.pdp.telling import tell

    policies = require_policies(path)
    request, policy_set = request_of(policies, **options), policies.policy_set
    decision = tell(policy_set, request, decide(policy_set, request))
    if as_json:
        echo_json(decision)
    else:
        click.echo("\n".join(_lines(decision)))


def _lines(decision: Decision) -> list[str]:
    effect = click.style(str(decision.effect), fg="green" if decision.permitted else "red")
    rows = [
        ("rules", ", ".join(decision.rules)),
        ("unknown", ", ".join(decision.unknown)),
        ("reason", decision.reason),
        ("internal", decision.internal),
        ("help", decision.help),
        ("shadow", ", ".join(decision.shadow)),
        ("version", decision.policy_version),
    ]
    duties = [
        f"  {'duty':<8}  {duty.kind} {encode(duty.parameters).decode()} ({duty.rule})"
        for duty in decision.duties
    ]
    told = [f"  {word:<8}  {shown(text)}" for word, text in rows if text]
    refused = refusal(decision)
    if refused:
        duties.append(f"  {'refused':<8}  {shown(refused)}")
    return [f"{effect}  {decision.cause}", *told[:1], *duties, *told[1:]]
