"""What one running gateway consists of, as the pipeline sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pbac.base.clock import Clock
from pbac.duties.quota import Quotas
from pbac.gateway.enforce import Denials
from pbac.gateway.facts import Sessions
from pbac.gateway.in_flight import InFlight
from pbac.gateway.offer import Offer
from pbac.gateway.ports import AuditLog, Counters, Published
from pbac.gateway.principal import Principals
from pbac.gateway.upstream import Upstream
from pbac.mcp.legacy_session import LegacySessions
from pbac.mcp.modern import ServerInfo
from pbac.oauth.model import PrincipalRecord
from pbac.pdp.policy_set import PolicySet


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The few settings a request can feel."""

    resource: str
    resource_metadata: str
    environment: str
    denials: Denials
    server: ServerInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of the enforcement point; everything that does I/O arrives as a promise.

    `entropy(n)` gives n unpredictable bytes. `digest_arguments` is keyed, so that a record does
    not let anyone guess low-entropy arguments.
    """

    settings: Settings
    policies: Published[PolicySet]
    offer: Published[Offer]
    upstreams: Mapping[str, Upstream]
    find_principal: Callable[[bytes], PrincipalRecord | None]
    audit: AuditLog
    counters: Counters
    clock: Clock
    entropy: Callable[[int], bytes]
    digest_arguments: Callable[[object], str]
    quotas: Quotas
    principals: Principals = field(default_factory=Principals)
    in_flight: InFlight = field(default_factory=InFlight)
    sessions: Sessions = field(default_factory=Sessions)
    legacy_sessions: LegacySessions = field(default_factory=LegacySessions)
