"""`pbac demo`: the walk-through, printed as it happens."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from pbac.app.demo import Demo, Step


@click.command()
@click.option("--serve", is_flag=True, help="Keep gateway and backend running afterwards.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a step.")
def command(*, serve: bool, as_json: bool) -> None:
    """Watch one agent being allowed and refused, end to end."""
    try:
        import mcp  # noqa: F401
    except ImportError:
        raise click.ClickException(
            "the demo needs the official MCP client: pip install 'pbac-gateway[demo]'"
        ) from None
    from rich.console import Console

    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="pbac-demo-") as folder:
        sys.exit(_run(Path(folder), console, serve=serve, as_json=as_json))


def _run(folder: Path, console: Console, *, serve: bool, as_json: bool) -> int:
    from pbac.app.demo import running

    # Asked to end, the demo takes the processes it started along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with running(folder) as demo:
        if not as_json:
            console.print(f"[bold]PBAC Gateway[/]  {demo.origin}/mcp")
            console.print(f"[dim]{demo.policy}[/]\n", soft_wrap=True)
        asyncio.run(_walk(demo, console, as_json=as_json))
        if serve:
            _keep_serving(demo, console)
    return 0


async def _walk(demo: Demo, console: Console, *, as_json: bool) -> None:
    import msgspec

    from pbac.app.demo import walk_through

    number = 0
    async for step in walk_through(demo):
        number += 1
        if as_json:
            click.echo(msgspec.json.encode(step))
        else:
            _print(console, number, step)
    if not as_json:
        console.print(f"\n[bold green]All {number} steps came out as they must.[/]")


def _print(console: Console, number: int, step: Step) -> None:
    from rich.markup import escape

    colour = "red" if step.status >= 400 else "green"
    status = f"[{colour}]{step.status}[/]" if step.status else "   "
    console.print(f"[dim]{number:>2}[/]  {status}  [bold]{escape(step.title)}[/]")
    if step.note:
        console.print(f"         [dim]{escape(step.note)}[/]", soft_wrap=True)
    for name, value in (
        ("tool", step.tool),
        ("rule", step.rule),
        ("reason", step.reason),
        ("decision", step.decision_id),
    ):
        if value:
            console.print(f"         [dim]{name:<9}[/]{escape(value)}", soft_wrap=True)


def _keep_serving(demo: Demo, console: Console) -> None:
    from pbac.app.demo import resume, snippet

    resume(demo)
    console.print(f"\nURL    {demo.origin}/mcp\nToken  {demo.token}\n")
    console.print("Paste into your MCP client:\n")
    click.echo(snippet(demo))
    console.print("\nStop with Ctrl+C.")
    try:
        asyncio.run(asyncio.sleep(float("inf")))
    except KeyboardInterrupt:
        console.print("stopped")
