"""What another enforcement point asks the decision point, whichever door it comes through.

A question names an agent and describes a call. What the agent *is* (its tier, its publisher) is
looked up, and so is what the tool needs: whoever asks can only say what it alone knows. A member
that would be ignored is refused, since its sender believes that it counts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

import msgspec

from pbac.base import json
from pbac.base.errors import PbacError
from pbac.base.limits import (
    IDENTIFIER_CHARACTERS_MAX,
    METHOD_CHARACTERS_MAX,
    TOOL_NAME_CHARACTERS_MAX,
)
from pbac.base.suggest import did_you_mean

Tree: TypeAlias = Mapping[str, Any]


class QuestionError(PbacError):
    """What was asked is no question. `place` is the member that is wrong."""

    code = "invalid_question"

    def __init__(self, message: str, *, place: str, help: str) -> None:
        super().__init__(message, help=help)
        self.place = place

    @property
    def told(self) -> str:
        """Message and help in one line."""
        return f"{self.message}; {self.help}"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """May this agent make this call?

    Attributes:
        subject: on whose behalf: the agent's own id, as long as agents act for themselves.
        tool: as the gateway lists it, or as `server` calls it where that is said.
        ip: the agent's address as the enforcement point sees it. `client`: what it calls itself.
    """

    agent: str
    subject: str
    method: str
    tool: str
    arguments: dict[str, Any]
    server: str = ""
    ip: str = ""
    client: str = ""


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """The questions of one HTTP request, in order.

    Attributes:
        questions: what could not be read as one stands among them as its error.
        until: the answer after which no more are decided; None decides all.
        several: whether answers go back as a list.
    """

    questions: tuple[Question | QuestionError, ...]
    until: bool | None = None
    several: bool = False


# --- reading members ---------------------------------------------------------------------------


def parse(body: bytes) -> Tree:
    """The JSON object of a body, read strictly. Raises `QuestionError`."""
    try:
        tree = json.decode(body)
    except json.JsonError as error:
        help_ = error.help or "send one JSON object in UTF-8"
        raise QuestionError(f"the body: {error.message}", place="", help=help_) from None
    if type(tree) is not dict:
        raise QuestionError("the body is no JSON object", place="", help="send one in braces")
    return tree


def record_at(tree: Tree, name: str, within: str = "", *, required: bool = False) -> Tree:
    """A member that is an object; empty when it may be left out, and is."""
    at = place(within, name)
    if name not in tree:
        if required:
            raise QuestionError(f"`{at}` is missing", place=at, help=f"send `{name}`, an object")
        return {}
    value = tree[name]
    if type(value) is not dict:
        raise QuestionError(f"`{at}` is no object", place=at, help=f'write `"{name}": {{…}}`')
    return value


def text_at(tree: Tree, name: str, within: str = "", *, required: bool = False) -> str:
    """A member that is a text, within its bound; "" when it may be left out, and is."""
    at = place(within, name)
    if name not in tree:
        if required:
            raise QuestionError(f"`{at}` is missing", place=at, help=f"send `{name}`, a text")
        return ""
    value = tree[name]
    if type(value) is not str or not value:
        raise QuestionError(f"`{at}` is no text", place=at, help=f'write `"{name}": "…"`')
    most = _CHARACTERS_MAX.get(name, IDENTIFIER_CHARACTERS_MAX)
    if len(value) > most:
        raise QuestionError(
            f"`{at}` is longer than {most} characters", place=at, help="send the name itself"
        )
    return value


_CHARACTERS_MAX: Final = {
    "name": METHOD_CHARACTERS_MAX,
    "method": METHOD_CHARACTERS_MAX,
    "tool": TOOL_NAME_CHARACTERS_MAX,
}


def address_at(tree: Tree, name: str, within: str = "") -> str:
    """A member that is an IP address, in its canonical spelling."""
    text = text_at(tree, name, within)
    if not text:
        return ""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None = None
    with suppress(ValueError):
        address = ipaddress.ip_address(text)
    if address is None or "%" in text:  # a zone is of the machine that wrote it
        at, help_ = place(within, name), "write one like `192.0.2.1` or `2001:db8::1`"
        raise QuestionError(f"`{at}` is no IP address", place=at, help=help_)
    # Rules about `10.0.0.0/8` have to know `::ffff:10.1.2.3`.
    return str(getattr(address, "ipv4_mapped", None) or address)


def require_known(
    tree: Tree,
    known: Iterable[str],
    within: str = "",
    *,
    why: Callable[[str], str | None] = lambda _: None,
) -> None:
    """Refuse a member that nobody would read. `why` may know what its sender meant."""
    names = tuple(known)
    for name in tree:
        if name not in names:
            at, listed = place(within, name), ", ".join(f"`{each}`" for each in names)
            near = did_you_mean(name, names)
            help_ = why(name) or near or f"known here: {listed}" if names else why(name)
            raise QuestionError(f"`{at}` is not read", place=at, help=help_ or "leave it out")


def place(within: str, name: str) -> str:
    """The path of a member."""
    return f"{within}.{name}" if within else name
