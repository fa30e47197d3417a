"""`application/x-www-form-urlencoded` bodies, read so that nobody can read them differently."""

from __future__ import annotations

from urllib.parse import parse_qsl

from pbac.base.limits import FORM_FIELDS_MAX
from pbac.oauth.errors import OAuthError


def parse_form(body: bytes) -> dict[str, str]:
    """Parameter → value. Empty values are left out (RFC 6749 3.2: "treated as if omitted").

    Raises:
        OAuthError: for a repeated parameter (RFC 6749 3.2), too many, or text that is not UTF-8.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
            separator="&",
        )
    except UnicodeError:
        raise OAuthError("invalid_request", "the body is not URL-encoded UTF-8") from None
    except ValueError:
        raise OAuthError("invalid_request", f"more than {FORM_FIELDS_MAX} parameters") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a parameter is sent twice; send each once")
    return {name: value for name, value in form.items() if value}
