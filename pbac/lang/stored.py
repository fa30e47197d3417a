"""Compiled packages as bytes: what a compiler in another process hands to those who decide.

A package that was checked is stored as its rules, definitions expanded, each beside the little that
an index asks of all rules (`Target` and flags). The rule itself stays bytes until somebody looks at
it, which takes microseconds and happens to few of many rules; its function is then generated as
that of any other. So there is no code among the bytes: whoever could forge them could make rules,
and no more. They are trusted all the same: nothing is checked again.

Python's own `marshal` would store code objects, which take longer to load than trees do, differ
between builds of Python, and run whatever they hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.source import Span
from pbac.lang import nodes
from pbac.lang.generate.generate import OnDemand, Question
from pbac.lang.program import Clause, CompiledPackage, CompiledRule, Materials, Target


class StoredError(PbacError):
    """Bytes that are no compiled package of this format."""

    code = "stored_package"


class _Rule(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One rule; see `CompiledRule`. `target` is its number among the package's."""

    name: str
    effect: Literal["permit", "forbid", "require"]
    target: int
    expires_ms: int | None
    shadow: bool
    steps: int
    internal: bool
    node: msgspec.Raw


class _Package(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One package; see `CompiledPackage`.

    `rules` are lists of at most `_RULES_TOGETHER`: between two of them other threads may go on.
    """

    name: str
    sealed: bool
    digest: str
    servers: tuple[str, ...]
    tiers: tuple[str, ...]
    targets: tuple[Target, ...]
    rules: tuple[msgspec.Raw, ...]


def _form() -> str:
    """Of all that is stored: it changes with the fields of any node."""
    stored: list[type[msgspec.Struct]] = [
        _Package,
        _Rule,
        Target,
        Clause,
        Span,
        *nodes.Node.__subclasses__(),
    ]
    return json.digest({each.__name__: list(each.__struct_fields__) for each in stored})


STORED_FORMAT: Final = _form()
"""Bytes of another form must not be parsed: fields are told apart by their order alone."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_RULES_TOGETHER: Final = 250
_RULES: Final = msgspec.msgpack.Decoder(tuple[_Rule, ...])
_PACKAGE: Final = msgspec.msgpack.Decoder(_Package)
_NODE: Final = msgspec.msgpack.Decoder(nodes.Rule)


def render_package(package: CompiledPackage, tiers: Sequence[str]) -> bytes:
    """The package as bytes, without its tests; the same for the same package."""
    targets = {target: n for n, target in enumerate(dict.fromkeys(r.target for r in package.rules))}
    rules = [_stored(rule, targets[rule.target]) for rule in package.rules]
    stored = _Package(
        name=package.name,
        sealed=package.sealed,
        digest=package.digest,
        servers=package.servers,
        tiers=tuple(tiers),
        targets=tuple(targets),
        rules=tuple(
            msgspec.Raw(_ENCODER.encode(rules[start : start + _RULES_TOGETHER]))
            for start in range(0, len(rules), _RULES_TOGETHER)
        ),
    )
    return _ENCODER.encode(stored)


def _stored(rule: CompiledRule, target: int) -> _Rule:
    return _Rule(
        name=rule.name,
        effect=rule.effect,
        target=target,
        expires_ms=rule.expires_ms,
        shadow=rule.shadow,
        steps=rule.steps,
        internal=rule.internal,
        node=msgspec.Raw(_ENCODER.encode(rule.node)),
    )


def parse_package(data: bytes) -> CompiledPackage:
    """The package that `render_package` made bytes of.

    Raises:
        StoredError: for anything else. Give it only what is known to be ours, and of
            `STORED_FORMAT`.
    """
    try:
        stored = _PACKAGE.decode(data)
        rules = [rule for part in stored.rules for rule in _RULES.decode(part)]
    except (msgspec.DecodeError, ValueError) as error:  # of another format, most likely
        raise StoredError(f"no compiled package: {error}") from None
    materials = Materials(tiers=stored.tiers)
    return CompiledPackage(
        name=stored.name,
        sealed=stored.sealed,
        digest=stored.digest,
        rules=tuple(_rule(rule, stored.targets[rule.target], materials) for rule in rules),
        tests=(),
        servers=stored.servers,
    )


def _rule(stored: _Rule, target: Target, materials: Materials) -> CompiledRule:
    written = _Written(stored.node)

    def question() -> Question:
        return Question(rule=written(), materials=materials, until_ms=stored.expires_ms)

    return CompiledRule(
        name=stored.name,
        effect=stored.effect,
        target=target,
        written=written,
        ask=OnDemand(question),
        materials=materials,
        expires_ms=stored.expires_ms,
        shadow=stored.shadow,
        steps=stored.steps,
        internal=stored.internal,
    )


class _Written:
    """A rule's node, read when it is first wanted."""

    __slots__ = ("_data", "_node")

    def __init__(self, data: msgspec.Raw) -> None:
        self._data = data
        self._node: nodes.Rule | None = None

    def __call__(self) -> nodes.Rule:
        if self._node is None:
            self._node = _NODE.decode(self._data)
        return self._node
