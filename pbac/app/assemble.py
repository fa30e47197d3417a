"""Configuration → parts, wired. The only place that knows every room."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from pbac import __version__
from pbac.adapters.audit_files import open_audit_files
from pbac.adapters.audit_keys import AuditKeys, open_audit_keys
from pbac.adapters.group_commit import GroupCommit
from pbac.adapters.http_pool import HttpPool
from pbac.adapters.http_upstream import HttpUpstream
from pbac.adapters.sqlite_state import SqliteState
from pbac.adapters.stdio_upstream import StdioUpstream
from pbac.app.config import BackendConfig, Config, ConfigError, PublisherConfig
from pbac.audit.log import AuditLog
from pbac.audit.redact import arguments_digest
from pbac.base.clock import SystemClock
from pbac.catalog.backends import Backend, HttpTransport, StdioTransport, Transport, backend
from pbac.catalog.tools import Toolset
from pbac.crypto.keys import KeyFormatError, parse_public_keys
from pbac.duties.quota import Quotas
from pbac.gateway.decision_point import DecisionPoint
from pbac.gateway.decision_request import tool_call
from pbac.gateway.gateway import Gateway, Settings
from pbac.gateway.issuance import Issuance
from pbac.gateway.offer import offer
from pbac.gateway.ports import Published
from pbac.gateway.refusals import RefusalWindow
from pbac.gateway.upstream import Upstream
from pbac.mcp.modern import ServerInfo
from pbac.model.decision import Decision
from pbac.model.request import DecisionRequest
from pbac.oauth.model import Publisher, ResourceServer
from pbac.pdp.engine import grant_scope
from pbac.pdp.policy_set import PolicySet
from pbac.web.metrics import Metrics

SERVER = ServerInfo(name="pbac-gateway", version=__version__, title="PBAC Gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a running gateway consists of; `run` starts and stops it."""

    config: Config
    gateway: Gateway
    issuance: Issuance
    decision_point: DecisionPoint
    audit: GroupCommit
    metrics: Metrics
    window: RefusalWindow
    backends: tuple[Backend, ...]
    upstreams: Mapping[str, Upstream]


def open_audit(config: Config) -> tuple[GroupCommit, AuditKeys]:
    """The record, read back and verified, ready to append. Call within the event loop.

    Raises:
        AuditUnavailable, AuditDamaged, AuditKeyError: the gateway must not start.
    """
    origin = f"{urlsplit(config.public_url).netloc}/audit"
    keys = open_audit_keys(config.state_directory / "keys", origin)
    files, state = open_audit_files(config.state_directory / "audit", keys.verifier)
    log = AuditLog(files, state, keys.signer, SystemClock())
    log.start()
    return GroupCommit(log), keys


def assemble(
    config: Config,
    *,
    policy_set: PolicySet,
    state: SqliteState,
    audit: GroupCommit,
    audit_keys: AuditKeys,
    http: HttpPool,
) -> Parts:
    """Wire the parts of one gateway. Nothing is started here.

    Raises:
        PbacError: for a backend, key or secret that cannot be used.
    """
    clock = SystemClock()
    window = RefusalWindow(clock.now_ms())
    metrics = Metrics(window)
    backends = tuple(map(read_backend, config.backends))
    upstreams = {each.name: connect(each, http) for each in backends}
    gateway = Gateway(
        settings=settings(config),
        policies=Published(policy_set),
        offer=Published(offer(Toolset(backend=each.name) for each in backends)),
        upstreams=upstreams,
        find_principal=state.find_principal_record,
        audit=audit,
        counters=metrics,
        clock=clock,
        entropy=os.urandom,
        digest_arguments=arguments_digest(audit_keys.arguments_key),
        quotas=Quotas(),
    )
    issuance = Issuance(
        issuer=config.public_url,
        resource=gateway.settings.resource,
        environment=config.environment,
        publishers=tuple(read_publisher(config, each) for each in config.publishers),
        resource_servers=resource_servers(config, gateway.settings.resource),
        storage=state,
        decide_scope=partial(_decide_scope, gateway),
        known_scopes=lambda: sorted({tool.scope for tool in gateway.offer.current.tools}),
        tier_order=lambda: gateway.policies.current.tiers,
        audit=audit,
        counters=metrics,
        clock=clock,
        entropy=os.urandom,
    )
    decision_point = DecisionPoint(
        origin=config.public_url,
        gateway=gateway,
        enforcement_points=issuance.resource_servers,
        find_client=lambda client_id: state.read(lambda reader: reader.find_client(client_id)),
    )
    return Parts(
        config=config,
        gateway=gateway,
        issuance=issuance,
        decision_point=decision_point,
        audit=audit,
        metrics=metrics,
        window=window,
        backends=backends,
        upstreams=upstreams,
    )


def settings(config: Config) -> Settings:
    """What requests feel of the configuration."""
    return Settings(
        resource=f"{config.public_url}/mcp",
        resource_metadata=f"{config.public_url}/.well-known/oauth-protected-resource/mcp",
        environment=config.environment,
        denials=config.denials,
        server=SERVER,
    )


def _decide_scope(gateway: Gateway, request: DecisionRequest) -> Decision:
    """Law 9: could some call that needs this scope be permitted?"""
    scope = request.call["scope"]
    calls = [tool_call(tool) for tool in gateway.offer.current.tools if tool.scope == scope]
    return grant_scope(gateway.policies.current, request, calls)


def read_backend(config: BackendConfig) -> Backend:
    """One checked backend. Raises `PbacError`."""
    transport: Transport
    if config.url is not None:
        headers = {name: resolve_secret(value) for name, value in config.headers.items()}
        transport = HttpTransport(url=config.url, headers=headers)
    else:
        transport = StdioTransport(
            command=config.command or "",
            args=config.args,
            env={name: resolve_secret(value) for name, value in config.env.items()},
            cwd=config.cwd,
        )
    return backend(config.name, transport, config.scopes)


def connect(each: Backend, http: HttpPool) -> Upstream:
    """The adapter for a backend's transport; not connected yet."""
    match each.transport:
        case HttpTransport() as transport:
            return HttpUpstream(http, transport.url, SERVER, headers=transport.headers)
        case StdioTransport() as transport:
            log = logging.getLogger(f"pbac.stdio.{each.name}")
            return StdioUpstream(transport, SERVER, on_stderr=log.info)


def read_publisher(config: Config, publisher: PublisherConfig) -> Publisher:
    """One trusted publisher with its key read from its file. Raises `ConfigError`."""
    path = config.path(publisher.key)
    try:
        keys = parse_public_keys(path.read_bytes())
    except (OSError, KeyFormatError) as error:
        raise ConfigError(
            f"publisher `{publisher.name}`: `{path}` is no public key: {error}"
        ) from None
    return Publisher(
        name=publisher.name,
        issuer=publisher.issuer,
        keys=keys,
        tier_ceiling=publisher.tier_ceiling,
        scopes=publisher.scopes,
    )


def undeclared_ceilings(config: Config, policy_set: PolicySet) -> list[str]:
    """One complaint for each publisher whose ceiling the policies in force do not declare."""
    declared = ", ".join(f"`{tier}`" for tier in policy_set.tiers) or "none"
    return [
        f"publisher `{each.name}` has the tier ceiling `{each.tier_ceiling}`, which no policy "
        f"declares (declared: {declared}): every registration by it is refused"
        for each in config.publishers
        if each.tier_ceiling not in policy_set.tiers
    ]


def resource_servers(config: Config, resource: str) -> tuple[ResourceServer, ...]:
    """Who may introspect. Raises `ConfigError` when a secret is not in the environment."""
    return tuple(
        ResourceServer(
            id=each.id,
            secret_hash=hashlib.sha256(resolve_secret(each.secret).encode()).digest(),
            resource=resource,
        )
        for each in config.introspectors
    )


def resolve_secret(value: str) -> str:
    """`env:NAME` → the environment's value; anything else as it is. Raises `ConfigError`."""
    if not value.startswith("env:"):
        return value
    name = value.removeprefix("env:")
    found = os.environ.get(name)
    if not found:
        raise ConfigError(f"the environment has no `{name}`", help=f"set {name} and start again")
    return found
