"""Lint about rules beside other rules: duplicates, and rules that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pbac.lang.lint.implication import all_follow
from pbac.lang.lint.linting import Finding, Linting
from pbac.lang.lint.rivals import Claimed, Rivals, duty_shape


def duplicates(linting: Linting) -> Iterator[Finding]:
    """Rules that say what an earlier one says."""
    for rule, earlier in _repeated(linting.rules):
        message = f"`{rule.rule.name}` says the same as `{_named(earlier, rule)}`"
        help_ = f"remove one of them; the other is at {earlier.rule.name_span}"
        yield Finding(message, rule.rule.name_span, help_)


def _repeated(rules: tuple[Claimed, ...]) -> Iterator[tuple[Claimed, Claimed]]:
    first: dict[object, Claimed] = {}
    for rule in rules:
        if rule.enforced:
            earlier = first.setdefault(rule.said, rule)
            if earlier is not rule:
                yield rule, earlier


def shadowed(linting: Linting) -> Iterator[Finding]:
    """Rules without which every decision would be the same, because another covers them."""
    twice = {rule for rule, _ in _repeated(linting.rules)}
    plain = [rule for rule in linting.rules if rule.enforced and rule not in linting.barren]
    effects = ("permit", "forbid", "require")
    rivals = {effect: Rivals(r for r in plain if r.rule.effect == effect) for effect in effects}
    for rule in plain:
        if rule in twice:
            continue
        finding = _forbidden(rule, rivals["forbid"]) if rule.rule.effect == "permit" else None
        finding = finding or _implied(rule, rivals[rule.rule.effect], twice)
        if finding is not None:
            yield finding


def _forbidden(rule: Claimed, forbids: Rivals) -> Finding | None:
    for other in forbids.of(rule):
        if other.on_token == rule.on_token and all_follow(other.claims, rule.claims):
            name = _named(other, rule)
            message = f"`{rule.rule.name}` permits only what `forbid {name}` refuses"
            help_ = f"narrow `{name}` at {other.rule.name_span}, or remove `{rule.rule.name}`"
            return Finding(message, rule.rule.name_span, help_)
    return None


def _implied(rule: Claimed, rivals: Rivals, twice: set[Claimed]) -> Finding | None:
    verb = {"permit": "permits", "forbid": "refuses", "require": "asks for"}[rule.rule.effect]
    for other in rivals.of(rule):
        if other in twice or not _covers(other, rule):
            continue
        if other.number > rule.number and _covers(rule, other):
            continue  # each covers the other: the later one is told
        name = _named(other, rule)
        message = f"`{name}` {verb} all that `{rule.rule.name}` {verb}"
        help_ = f"remove `{rule.rule.name}`, or narrow `{name}` at {other.rule.name_span}"
        return Finding(message, rule.rule.name_span, help_)
    return None


def _covers(wide: Claimed, narrow: Claimed) -> bool:
    """Wherever the narrow rule applies, the wide one does, for as long and with its duties."""
    if wide.on_token != narrow.on_token:
        return False
    if wide.expires and (not narrow.expires or narrow.expires > wide.expires):
        return False
    duties = set(map(duty_shape, wide.rule.duties))
    if not duties.issuperset(map(duty_shape, narrow.rule.duties)):
        return False
    return all_follow(wide.claims, narrow.claims)


def _named(other: Claimed, beside: Claimed) -> str:
    """A rule's name, with its package where that is another."""
    return other.rule.name if other.package == beside.package else other.name
