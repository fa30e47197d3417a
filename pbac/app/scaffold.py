"""A fresh directory that serves: configuration, a publisher's key pair, a starting policy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pbac.app.config import BackendConfig, parse_config
from pbac.app.private_files import private_directory, write_private
from pbac.app.resources import shipped
from pbac.base.errors import PbacError
from pbac.base.json import encode
from pbac.crypto.keys import generate_signing_key, render_private_pem, render_public_pem

PUBLISHER: Final = "local"
ISSUER: Final = "https://publisher.local"

_TEMPLATE: Final = """\
# PBAC Gateway. Every setting: docs/reference/configuration.md

public_url = "{public_url}"   # the origin agents see; https beyond this machine
listen = "{listen}"
policies = "policies"          # watched: a saved change acts on the next call
state = "state"                # tokens, keys, the record; keep it private and back it up
denials = "result"             # or "403"

# Who may vouch for agents. An agent registers with a statement signed by one of these;
# its tier comes from the statement and never exceeds the ceiling.
[[publishers]]
name = "{publisher}"
issuer = "{issuer}"
key = "keys/{publisher}.pub.pem"
tier_ceiling = "trusted"
{backends}"""

_BACKEND_EXAMPLE: Final = """
# What agents can reach through the gateway. Uncomment one, or write your own.
#
# [[backends]]
# name = "git"
# command = "python3"
# args = ["-m", "mcp_server_git", "--repository", "/path/to/repository"]
#
# [[backends]]
# name = "github"
# url = "https://mcp.example/mcp"
# headers = { Authorization = "env:GITHUB_MCP_TOKEN" }
# [backends.scopes]
# "github:prs:read" = ["get_*", "list_*"]
# "github:prs:merge" = ["merge_pull_request"]
"""


def stories() -> list[str]:
    """The policies that a directory can begin with."""
    return sorted(path.name for path in shipped("policies").iterdir() if path.is_dir())


def write_directory(
    directory: Path,
    *,
    story: str,
    public_url: str,
    listen: str,
    backends: Sequence[BackendConfig] = (),
) -> list[Path]:
    """Write a configuration that `pbac serve` accepts; returns the files written.

    Raises:
        PbacError: when the directory already holds a configuration, the story is unknown, or
            backends cannot be configured so. Nothing is written then.
    """
    config = directory / "pbac.toml"
    if config.exists():
        raise PbacError(f"`{config}` is there already", help="choose another directory")
    if story not in (known := stories()):
        raise PbacError(f"there is no story `{story}`", help=f"choose one of {', '.join(known)}")
    listed = "".join(map(_render_backend, backends)) or _BACKEND_EXAMPLE
    text = _TEMPLATE.format(
        public_url=public_url, listen=listen, publisher=PUBLISHER, issuer=ISSUER, backends=listed
    )
    parse_config(text, name=config.name)  # what `pbac serve` would refuse is not written
    directory.mkdir(parents=True, exist_ok=True)
    policies = _copy_policies(shipped(f"policies/{story}"), directory / "policies")
    keys = _write_keys(private_directory(directory / "keys"))
    # Should the folder stand in a repository after all: neither keys nor records belong into it.
    (directory / ".gitignore").write_text("/keys/\n/state/\n", "utf-8")
    config.write_text(text, "utf-8")
    return [config, *policies, *keys]


def _copy_policies(source: Path, target: Path) -> list[Path]:
    target.mkdir(exist_ok=True)
    files = [file for file in sorted(source.glob("*.pbac")) if not file.stem.endswith("_bad")]
    copied = [Path(shutil.copyfile(file, target / file.name)) for file in files]
    for folder in ("data", "tools"):
        if (source / folder).is_dir():
            shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)
    return copied


def _write_keys(folder: Path) -> list[Path]:
    key = generate_signing_key()
    private, public = folder / f"{PUBLISHER}.pem", folder / f"{PUBLISHER}.pub.pem"
    write_private(private, render_private_pem(key))
    public.write_bytes(render_public_pem(key.public))
    return [private, public]


def _render_backend(backend: BackendConfig) -> str:
    """One `[[backends]]` table. JSON strings and lists of strings are TOML too."""
    lines = ["", "[[backends]]"]
    for name in ("name", "url", "command", "args", "cwd"):
        value = getattr(backend, name)
        if value not in (None, ()):
            lines.append(f"{name} = {encode(value).decode()}")
    for table in ("headers", "env", "scopes"):
        members = getattr(backend, table)
        if members:
            lines.append(f"[backends.{table}]")
            lines += [
                f"{encode(key).decode()} = {encode(value).decode()}"
                for key, value in members.items()
            ]
    return "\n".join(lines) + "\n"
