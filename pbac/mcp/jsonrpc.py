r"""JSON-RPC 2.0 envelopes, read strictly once. One reader for callers and for upstreams.

MCP narrows JSON-RPC: `params` is an object, an id is a string or an integer and never null
(basic/index, Requests). We narrow further. Members we do not know are refused rather than
ignored, because another reader may know them under a folded spelling: Go's `encoding/json` takes
`"Method"` for `method`, and a C reader ends `"method\u0000x"` at the NUL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec

from pbac.base import json
from pbac.base.limits import (
    BATCH_MESSAGES_MAX,
    METHOD_CHARACTERS_MAX,
    REQUEST_ID_CHARACTERS_MAX,
)
from pbac.base.lookalikes import lookalike
from pbac.mcp.wire_errors import JsonRpcError, RequestId


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A call that wants an answer. `params` is `{}` when the sender left it out."""

    id: RequestId
    method: str
    params: dict[str, Any]


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A message that wants no answer."""

    method: str
    params: dict[str, Any]


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with a result object."""

    id: RequestId
    result: dict[str, Any]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with an error; `id` is None when the peer could not read ours."""

    id: RequestId | None
    number: int
    message: str
    data: Any = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON array of messages, which only 2025-03-26 knows. Never holds `initialize`."""

    messages: tuple[Message, ...]


Response: TypeAlias = Success | Failure
Message: TypeAlias = Request | Notification | Success | Failure

_REQUEST: Final = frozenset({"jsonrpc", "id", "method", "params"})
_SUCCESS: Final = frozenset({"jsonrpc", "id", "result"})
_FAILURE: Final = frozenset({"jsonrpc", "id", "error"})
_ERROR: Final = frozenset({"code", "message", "data"})
_METHOD: Final = re.compile(rf"[A-Za-z0-9_$./-]{{1,{METHOD_CHARACTERS_MAX}}}")


def parse(body: bytes) -> Message | Batch:
    """One HTTP body of a caller.

    Raises:
        JsonRpcError: `parse_error`, `number_out_of_range` or `invalid_request`; it carries the
            request's id whenever that much could be read.
    """
    return _parse(body, json.decode)


def parse_answer(body: bytes) -> Message | Batch:
    """As `parse`, for what an upstream sends: one HTTP body, or one line of a stdio peer."""
    return _parse(body, json.decode_answer)


def _parse(body: bytes, decode: Callable[[bytes], Any]) -> Message | Batch:
    try:
        tree = decode(body)
    except json.JsonError as error:
        raise JsonRpcError(error.code, error.message, help=error.help) from None
    return _batch(tree) if isinstance(tree, list) else read(tree)


def read(tree: Any) -> Message:
    """One message from its JSON tree. Raises `JsonRpcError` (`invalid_request`)."""
    if not isinstance(tree, dict):
        raise _invalid("a message is a JSON object", None)
    request_id = tree["id"] if is_request_id(tree.get("id")) else None
    if tree.get("jsonrpc") != "2.0":
        raise _invalid('`jsonrpc` has to be "2.0"', request_id)
    if "method" in tree:
        return _call(tree, request_id)
    if "result" in tree:
        return _success(tree, request_id)
    if "error" in tree:
        return _failure(tree, request_id)
    refuse_unknown(tree, _REQUEST, request_id)
    raise _invalid("a message has a `method`, a `result` or an `error`", request_id)


def is_request_id(value: Any) -> TypeGuard[RequestId]:
    """MCP: "MUST be a string or integer". `True` is no integer, `1.0` neither."""
    if type(value) is str:
        return len(value) <= REQUEST_ID_CHARACTERS_MAX
    return type(value) is int


def refuse_unknown(
    tree: dict[str, Any], known: frozenset[str], request_id: RequestId | None
) -> None:
    """Refuse the first member of `tree` that is not in `known`."""
    # The subset test is the whole cost on a sound message.
    if tree.keys() <= known:
        return
    name = next(name for name in tree if name not in known)
    near = lookalike(name, known)
    remedy = f"spell it `{near}`" if near else "leave it out"
    raise JsonRpcError(
        "invalid_request",
        f"the member `{ascii(name[:64])[1:-1]}` is not known here",
        help=remedy,
        request_id=request_id,
    )


def _batch(trees: list[Any]) -> Batch:
    if not trees or len(trees) > BATCH_MESSAGES_MAX:
        raise _invalid(f"a batch holds 1 to {BATCH_MESSAGES_MAX} messages", None)
    messages = tuple(read(tree) for tree in trees)
    # MCP 2025-03-26 lifecycle: "initialize MUST NOT be part of a JSON-RPC batch".
    if any(isinstance(m, Request) and m.method == "initialize" for m in messages):
        raise _invalid("`initialize` cannot be part of a batch", None)
    ids = [m.id for m in messages if isinstance(m, Request)]
    if len(set(ids)) != len(ids):
        raise _invalid("two requests of the batch have the same `id`", None)
    return Batch(messages=messages)


def _call(tree: dict[str, Any], request_id: RequestId | None) -> Request | Notification:
    refuse_unknown(tree, _REQUEST, request_id)
    method = tree["method"]
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise _invalid("`method` is not the name of a method", request_id)
    params = tree.get("params", {})
    if not isinstance(params, dict):
        raise _invalid("`params` has to be an object", request_id)
    if "id" not in tree:
        return Notification(method=method, params=params)
    if request_id is None:
        raise _invalid(
            f"`id` has to be an integer or up to {REQUEST_ID_CHARACTERS_MAX} characters of text",
            None,
        )
    return Request(id=request_id, method=method, params=params)


def _success(tree: dict[str, Any], request_id: RequestId | None) -> Success:
    refuse_unknown(tree, _SUCCESS, request_id)
    if request_id is None or not isinstance(tree["result"], dict):
        raise _invalid("an answer has an `id` and a `result` object", request_id)
    return Success(id=request_id, result=tree["result"])


def _failure(tree: dict[str, Any], request_id: RequestId | None) -> Failure:
    refuse_unknown(tree, _FAILURE, request_id)
    if request_id is None and tree.get("id") is not None:
        raise _invalid("the `id` of an answer is the id of its request", None)
    body = tree["error"]
    if not isinstance(body, dict):
        raise _invalid("`error` has to be an object", request_id)
    refuse_unknown(body, _ERROR, request_id)
    number, message = body.get("code"), body.get("message")
    if type(number) is not int or not isinstance(message, str):
        raise _invalid("`error` has an integer `code` and a string `message`", request_id)
    return Failure(id=request_id, number=number, message=message, data=body.get("data"))


def _invalid(message: str, request_id: RequestId | None) -> JsonRpcError:
    return JsonRpcError("invalid_request", message, request_id=request_id)
