"""The decision point over HTTP: AuthZEN's endpoints and OPA's, one table, one way in and out.

Asked by enforcement points only, which authenticate as at `/introspect`. There is no door to write
a policy or a document through, as OPA has: policies come from their folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeAlias

from aiohttp import web

from pbac.audit.storage import AuditUnavailable
from pbac.base.json import encode
from pbac.base.limits import REQUEST_BODY_BYTES_MAX, REQUEST_ID_CHARACTERS_MAX
from pbac.gateway import authzen, opa
from pbac.gateway.answer import RETRY_SOON
from pbac.gateway.decision_point import Answered, DecisionPoint, admit, answer
from pbac.gateway.question import Inquiry, QuestionError
from pbac.oauth.errors import OAuthError
from pbac.oauth.storage import StorageError
from pbac.web.oauth_routes import authorization_of, challenged, document, read_body
from pbac.web.refused import NO_STORE, problem

REQUEST_ID: Final = "X-Request-ID"

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


class Door(NamedTuple):
    """A path, its name in records, how its questions are read and its answers written."""

    path: str
    name: str
    read: Callable[[bytes], Inquiry]
    render: Callable[[Inquiry, tuple[Answered, ...]], dict[str, Any]]


DOORS: Final = (
    Door(authzen.EVALUATION, "authzen", authzen.read_evaluation, authzen.render),
    Door(authzen.EVALUATIONS, "authzen", authzen.read_evaluations, authzen.render),
    Door(opa.DECISION, "opa", opa.read_input, opa.render),
)


def routes(point: DecisionPoint) -> list[web.RouteDef]:
    """The routes of the decision point, and of its discovery."""

    async def configuration(_request: web.Request) -> web.Response:
        return document(authzen.configuration(point))

    return [
        *(web.post(door.path, _handler(point, door)) for door in DOORS),
        web.get(authzen.CONFIGURATION, configuration),
    ]


def _handler(point: DecisionPoint, door: Door) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            request_id = _request_id(request)
        except QuestionError as error:
            return _refusal(point, error)
        try:
            asker = admit(point, authorization_of(request), door.name)
            inquiry = door.read(
                await read_body(request, "application/json", REQUEST_BODY_BYTES_MAX)
            )
            tree = door.render(inquiry, await answer(point, asker, inquiry))
            response = web.Response(
                body=encode(tree), content_type="application/json", headers=NO_STORE
            )
        except (OAuthError, QuestionError, StorageError, AuditUnavailable) as error:
            response = _refusal(point, error)
        if request_id is not None:
            # AuthZEN 10.1.3: "the PDP MUST include the same identifier in the response"
            response.headers[REQUEST_ID] = request_id
        return response

    return handle


def _request_id(request: web.Request) -> str | None:
    """The one identifier of a request, when it can be sent back as it is."""
    found = request.headers.getall(REQUEST_ID, [])
    if not found:
        return None
    sound = found[0].isascii() and found[0].isprintable()
    if len(found) > 1 or not sound or len(found[0]) > REQUEST_ID_CHARACTERS_MAX:
        message = f"`{REQUEST_ID}` cannot be sent back"
        help_ = f"send it once, in at most {REQUEST_ID_CHARACTERS_MAX} characters of ASCII"
        raise QuestionError(message, place=REQUEST_ID, help=help_)
    return found[0]


def _refusal(
    point: DecisionPoint, error: OAuthError | QuestionError | StorageError | AuditUnavailable
) -> web.Response:
    """10.1.2: these are about the request, never about the answer to it."""
    if isinstance(error, OAuthError):
        return challenged(problem(error.wire.status, error.code, error.hint))
    point.gateway.counters.refused(error.code)
    if isinstance(error, QuestionError):
        return problem(400, "invalid_question", error.told)
    if isinstance(error, StorageError):
        response = problem(503, "authn_unavailable", "agents cannot be looked up now")
    else:
        message = "the decision cannot be recorded, so there is none"
        response = problem(503, "audit_unavailable", message)
    response.headers.add(*RETRY_SOON)
    return response
