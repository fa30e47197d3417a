"""`pbac explain`: why one request is decided as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from pbac.base.render import PLAIN, STYLES, shown
from pbac.cli.duty_refusal import refusal
from pbac.cli.known_tools import calls_needing
from pbac.cli.policy_files import PATH, Policies, require_policies
from pbac.cli.request_options import echo_json, request_of, request_options
from pbac.cli.streams import in_colour

if TYPE_CHECKING:
    from pbac.model.request import DecisionRequest
    from pbac.pdp.policy_set import PolicySet


@click.command()
@click.argument("path", type=PATH)
@request_options
@click.option(
    "--list",
    "listing",
    is_flag=True,
    help="Why `tools/list` shows or hides the tool, whatever its arguments.",
)
@click.option(
    "--issue",
    "scope_issued",
    metavar="SCOPE",
    help="Why a token gets this scope or not; of the tools that need it, --tool names one.",
)
@click.option("--json", "as_json", is_flag=True, help="The explanation as one JSON object.")
def command(
    path: Path, *, listing: bool, scope_issued: str | None, as_json: bool, **options: Any
) -> None:
    """Decide one request, and show every rule, clause and value that mattered.

    \b
    pbac explain policies --tier developer \\
        --tool merge_pull_request --args '{"pull_number": 7}'
    """  # noqa: D301 - `\b` keeps the lines below it as they are
    if listing and scope_issued is not None:
        raise click.UsageError("--list and --issue are two questions: ask one")
    policies = require_policies(path)
    policy_set = policies.policy_set
    styles = STYLES if in_colour() else PLAIN
    if scope_issued is not None:
        explained, text = _issue(policies, scope_issued, options, styles)
    elif listing:
        explained, text = _list(policy_set, request_of(policies, **options), styles)
    else:
        explained, text = _call(policy_set, request_of(policies, **options), styles)
    if as_json:
        echo_json(explained)
    else:
        click.echo(text, nl=False)


def _call(
    policy_set: PolicySet, request: DecisionRequest, styles: Mapping[str, str]
) -> tuple[Any, str]:
    from pbac.pdp.explain import explain
    from pbac.pdp.explain_text import render_explanation

    explained = explain(policy_set, request)
    refused = refusal(explained.decision)
    told = f"  {'refused':<8}  {shown(refused)}\n" if refused else ""
    return explained, render_explanation(explained, styles) + told


def _list(
    policy_set: PolicySet, request: DecisionRequest, styles: Mapping[str, str]
) -> tuple[Any, str]:
    from pbac.pdp.explain_listing import explain_list
    from pbac.pdp.explain_text import render_listing

    explained = explain_list(policy_set, request)
    return explained, render_listing(explained, styles)


def _issue(
    policies: Policies, scope: str, options: dict[str, Any], styles: Mapping[str, str]
) -> tuple[Any, str]:
    """The tools that need the scope are asked for it: the one that is named, or those known."""
    from pbac.model.request import ISSUE
    from pbac.pdp.explain_listing import explain_issue
    from pbac.pdp.explain_text import render_issue

    request = request_of(policies, tool_needed=False, **options)
    calls = calls_needing(scope, request, policies.servers)
    asked = replace(request, call={"method": ISSUE, "scope": scope})
    explained = explain_issue(policies.policy_set, asked, calls)
    return explained, render_issue(explained, styles)
