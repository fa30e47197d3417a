"""What goes over the wire when OAuth says no: one table (RFC 6749 5.2, 7591 3.2.2, 8707 2).

`OAuthError.hint` is for the sender; `cause` is for the operator's record and never leaves.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pbac.base.errors import PbacError


class WireError(NamedTuple):
    """One row: the `error` member, the HTTP status, what it says when nothing better is known."""

    error: str
    status: int
    description: str


ERRORS: Final[dict[str, WireError]] = {
    "invalid_request": WireError("invalid_request", 400, "the request is malformed"),
    "method_not_allowed": WireError("invalid_request", 405, "send this request with POST"),
    "body_too_slow": WireError("invalid_request", 408, "the body did not arrive in time"),
    "body_too_large": WireError("invalid_request", 413, "the body is too large"),
    "media_type": WireError("invalid_request", 415, "the body has another media type"),
    "invalid_client": WireError(
        "invalid_client",
        401,
        "client authentication failed; check the id, the credential and the registered method",
    ),
    "invalid_grant": WireError("invalid_grant", 400, "the grant is not valid"),
    "unauthorized_client": WireError("unauthorized_client", 400, "not allowed for this client"),
    "unsupported_grant_type": WireError(
        "unsupported_grant_type", 400, "this server offers `client_credentials`"
    ),
    "unsupported_response_type": WireError(
        "unsupported_response_type", 400, "agents sign in here with `client_credentials` at /token"
    ),
    "invalid_scope": WireError("invalid_scope", 400, "no requested scope can be granted"),
    "invalid_target": WireError("invalid_target", 400, "`resource` is not served here"),
    "invalid_client_metadata": WireError(
        "invalid_client_metadata", 400, "the registration cannot be accepted"
    ),
    "invalid_redirect_uri": WireError(
        "invalid_redirect_uri", 400, "a redirect URI cannot be accepted"
    ),
    "invalid_software_statement": WireError(
        "invalid_software_statement", 400, "the software statement cannot be accepted"
    ),
    "unapproved_software_statement": WireError(
        "unapproved_software_statement", 400, "the publisher of the statement is not trusted here"
    ),
    "slow_down": WireError("slow_down", 429, "too many requests; try again later"),
    "temporarily_unavailable": WireError(
        "temporarily_unavailable", 503, "this cannot be recorded durably now; try again later"
    ),
}
"""Our symbolic code → the wire."""


class OAuthError(PbacError):
    """A refusal by the rules of OAuth.

    Attributes:
        code: key of `ERRORS`.
        hint: what the sender may know; becomes `error_description`.
        cause: what only the operator may know; goes into the record.
    """

    def __init__(self, code: str, hint: str = "", *, cause: str = "") -> None:
        self.wire = ERRORS[code]
        self.hint = hint or self.wire.description
        self.cause = cause or self.hint
        super().__init__(self.hint, code=code)


def render_error(error: OAuthError) -> dict[str, str]:
    """The JSON body. RFC 6749 5.2: a description is printable ASCII, no quotes or backslashes."""
    plain = (
        character if " " <= character <= "~" and character not in '"\\' else "'"
        for character in error.hint
    )
    return {"error": error.wire.error, "error_description": "".join(plain)}
