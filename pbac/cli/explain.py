"""`pbac explain`: why one request is decided as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pbac.base.render import PLAIN, STYLES
from pbac.cli.policy_files import PATH, in_colour, require_policy_set
from pbac.cli.request_options import echo_json, request_of, request_options


@click.command()
@click.argument("path", type=PATH)
@request_options
@click.option("--json", "as_json", is_flag=True, help="The explanation as one JSON object.")
def command(path: Path, *, as_json: bool, **options: Any) -> None:
    """Decide one request, and show every rule, clause and value that mattered.

    pbac explain policies --tool merge_pull_request --tier developer --args '{"pull_number": 7}'
    """
    from pbac.pdp.explain import explain
    from pbac.pdp.explain_text import render_explanation

    policy_set = require_policy_set(path)
    explanation = explain(policy_set, request_of(policy_set, **options))
    if as_json:
        echo_json(explanation)
    else:
        styles = STYLES if in_colour() else PLAIN
        click.echo(render_explanation(explanation, styles), nl=False)
