"""`pbac.toml`: one file, every key known, every mistake named with its place and remedy.

Paths in the file are relative to the file. Secrets are never in it: a header value may say
`env:NAME` and is then read from the environment when the gateway starts.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from pbac.app.config_shape import unknown_keys, wrong_value
from pbac.base.errors import PbacError
from pbac.catalog.backends import NAME_SEPARATOR, url_problem
from pbac.oauth.errors import OAuthError
from pbac.oauth.scopes import parse_patterns

_PORT_MAX: Final = 65_535
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")

NAME_HELP: Final = "use a-z and 0-9, `-` and `_` between them, at most 64 characters"


class ConfigError(PbacError):
    """A configuration that cannot be used."""

    code = "config_error"


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; unknown keys are refused."""


class PublisherConfig(_Section, frozen=True, kw_only=True):
    """Who may sign software statements, and how far they are trusted.

    `key` is the path of a PEM public key or a JWK file. `tier_ceiling` caps every tier the
    publisher states. `scopes` are patterns that bound the scopes it may grant.
    """

    name: str
    issuer: str
    key: str
    tier_ceiling: str
    scopes: tuple[str, ...] = ("**",)


class BackendConfig(_Section, frozen=True, kw_only=True):
    """One MCP server behind the gateway: either `url` or `command`.

    `scopes` maps an OAuth scope to the tools that need it (patterns); a tool no pattern names
    needs the scope `<backend>:<tool>`. A stdio child gets exactly the environment in `env`.
    """

    name: str
    url: str | None = None
    headers: dict[str, str] = {}
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    scopes: dict[str, tuple[str, ...]] = {}


class TlsConfig(_Section, frozen=True, kw_only=True):
    """PEM files; both are watched and reloaded when they change."""

    certificate: str
    key: str


class IntrospectorConfig(_Section, frozen=True, kw_only=True):
    """Who may call `/introspect` and ask for decisions; `secret` must say `env:NAME`."""

    id: str
    secret: str


class Config(_Section, frozen=True, kw_only=True):
    """The whole file. See `docs/reference/configuration.md`."""

    public_url: str = "http://127.0.0.1:8080"
    listen: str = "127.0.0.1:8080"
    policies: str = "policies"
    policy_keys: tuple[str, ...] = ()
    policy_bundle: str = ""
    sealed_packages: tuple[str, ...] = ()
    keep_sealed_packages: bool = True
    state: str = "state"
    denials: Literal["result", "403"] = "result"
    environment: str = "production"
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    tls: TlsConfig | None = None
    publishers: tuple[PublisherConfig, ...] = ()
    backends: tuple[BackendConfig, ...] = ()
    introspectors: tuple[IntrospectorConfig, ...] = ()
    directory: str = "."

    @property
    def state_directory(self) -> Path:
        """Where tokens, keys and the audit log live."""
        return self.path(self.state)

    @property
    def policy_directory(self) -> Path:
        """What is watched: a folder of `.pbac` files, or a bundle. A link to one may be swapped."""
        # Not resolved, as other paths are: then nobody would notice.
        path = Path(self.directory) / Path(self.policies).expanduser()
        return Path(os.path.abspath(path))  # noqa: PTH100

    @property
    def listen_address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    def path(self, text: str) -> Path:
        """A path of the file, made absolute."""
        return (Path(self.directory) / text).expanduser().resolve()


def load_config(path: Path | str) -> Config:
    """Read and check one configuration file.

    Raises:
        ConfigError: naming the key, what is wrong and what to write instead.
    """
    file = Path(path)
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no `{file}`", help="run `pbac init` to make one, or name it with --config"
        ) from None
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ConfigError(f"`{file}` cannot be read: {reason}") from None
    except UnicodeDecodeError as error:
        message = f"`{file}` is not UTF-8 at byte {error.start}"
        raise ConfigError(message, help="save it as UTF-8") from None
    return parse_config(text, name=str(file), directory=str(file.resolve().parent))


def parse_config(text: str, *, name: str = "pbac.toml", directory: str = ".") -> Config:
    """Text → checked configuration. Raises `ConfigError`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"`{name}` is not TOML: {error}".replace("\n", " ")) from None
    for complaint, remedy in unknown_keys(tree, Config):
        raise ConfigError(f"{name}: {complaint}", help=remedy)
    try:
        config = msgspec.convert({**tree, "directory": directory}, Config)
    except msgspec.ValidationError as error:
        complaint, how = wrong_value(error, tree, Config)
        raise ConfigError(f"{name}: {complaint}", help=how) from None
    _check(config, name)
    return config


def _check(config: Config, name: str) -> None:
    for complaint, remedy in _complaints(config):
        raise ConfigError(f"{name}: {complaint}", help=remedy)


def _complaints(config: Config) -> Iterator[tuple[str, str | None]]:
    url = urlsplit(config.public_url)
    loopback = url.hostname in {"127.0.0.1", "localhost", "::1"}
    if url.scheme not in {"http", "https"} or not url.hostname or url.path or url.query:
        yield (
            f"`public_url` `{config.public_url}` is not a bare origin",
            "write scheme and host only, like `https://gateway.example`",
        )
    if url.scheme == "http" and not loopback:
        yield "`public_url` must be https beyond this machine", "set `[tls]` or a proxy in front"
    if not re.fullmatch(r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}", config.listen):
        yield f"`listen` `{config.listen}` is not host:port", "write `127.0.0.1:8080`"
    elif config.listen_address[1] > _PORT_MAX:
        yield f"`listen` has the port {config.listen_address[1]}", f"ports end at {_PORT_MAX}"
    for proxy in config.trusted_proxies:
        if not _is_network(proxy):
            yield f"`trusted_proxies` has `{proxy}`, which is no network", "write `10.0.0.0/8`"
    yield from _named_once("backends", [backend.name for backend in config.backends])
    yield from _named_once("publishers", [publisher.name for publisher in config.publishers])
    for publisher in config.publishers:
        for scope in publisher.scopes:
            if not _is_scope_pattern(scope):
                yield (
                    f"publisher `{publisher.name}` has `{scope}`, which is no scope pattern",
                    "write a scope, or a prefix that ends in `*` or `**`, like `github:**`",
                )
        if not publisher.scopes:
            yield (
                f"publisher `{publisher.name}` may grant no scope at all",
                "leave `scopes` out for all of them, or name some",
            )
    for backend in config.backends:
        if NAME_SEPARATOR in backend.name:
            yield (
                f"backend `{backend.name}` has `{NAME_SEPARATOR}` in its name",
                "it stands between backend and tool in the names agents see; use `-` or one `_`",
            )
        if (backend.url is None) == (backend.command is None):
            yield (
                f"backend `{backend.name}` needs either `url` or `command`",
                "`url` for a server that is reached by HTTP, `command` for one to start",
            )
        if backend.url is not None and (problem := url_problem(backend.url)):
            yield f"the url of backend `{backend.name}` {problem[0]}", problem[1]
    for introspector in config.introspectors:
        if not introspector.secret.startswith("env:"):
            yield f"introspector `{introspector.id}` has its secret in the file", "write `env:NAME`"


def is_name(text: str) -> bool:
    """Whether a publisher or backend may be called so; if not, `NAME_HELP` helps."""
    return _NAME.fullmatch(text) is not None


def _named_once(section: str, names: list[str]) -> Iterator[tuple[str, str | None]]:
    for name in names:
        if not is_name(name):
            yield f"`{section}` has the name `{name}`", NAME_HELP
        elif names.count(name) > 1:
            yield f"`{section}` names `{name}` twice", "names are unique"


def _is_scope_pattern(text: str) -> bool:
    try:
        return parse_patterns(text) == (text,)
    except OAuthError:
        return False


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True
