"""Scope ceilings as sets, access tokens as unguessable text, and the one word `active`."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbac.base.limits import SCOPES_PER_REQUEST_MAX
from pbac.oauth import introspection, scopes
from pbac.oauth.access_token import find_fault, hash_access_token, new_access_token
from pbac.oauth.client_authentication import Credentials
from pbac.oauth.errors import OAuthError
from pbac.oauth.grants import client_credentials
from pbac.oauth.model import AccessToken, Client, PrincipalRecord, ResourceServer
from pbac.oauth.token import parse_token_request

RESOURCE = "https://gw.example/mcp"


@pytest.mark.parametrize(
    ("pattern", "scope", "covered"),
    [
        ("github:prs:read", "github:prs:read", True),
        ("github:prs:read", "github:prs:readx", False),
        ("github:*", "github:prs", True),
        ("github:*", "github:prs:read", False),
        ("github:**", "github:prs:read", True),
        ("github:p*", "github:prs", True),
        ("*", "a:b:c", True),
        ("**", "a:b:c", True),
        ("github:*", "githubx:prs", False),
        ("github:*", "github:**", False),
        ("github:**", "github:*", True),
    ],
)
def test_a_ceiling_covers_what_it_says(pattern, scope, covered):
    assert scopes.admits([pattern], scope) is covered


WORDS = st.lists(st.sampled_from(["a", "b", ":"]), max_size=4).map("".join)
PATTERNS = st.tuples(WORDS, st.sampled_from(["", "*", "**"])).map("".join).filter(bool)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, PATTERNS, WORDS.filter(bool))
def test_narrowing_is_the_intersection_of_both_sets(one, other, scope):
    both = scopes.admits([one], scope) and scopes.admits([other], scope)
    assert scopes.admits(scopes.narrow([one], [other]), scope) is both


@pytest.mark.parametrize(
    "text", ["", " ", "a  b", " a", "a ", "é", 'a"', "a\\", "a\tb", "a*", "*", "a" * 201]
)
def test_a_request_names_plain_scopes_only(text):
    with pytest.raises(OAuthError) as caught:
        scopes.parse_scopes(text)
    assert caught.value.code == "invalid_scope"


def test_endless_scope_lists_are_refused():
    with pytest.raises(OAuthError):
        scopes.parse_scopes(" ".join(f"s{n}" for n in range(SCOPES_PER_REQUEST_MAX + 1)))


@pytest.mark.parametrize("text", ["a*b", "***", "*:read", "a***"])
def test_a_star_stands_at_the_end_of_a_pattern(text):
    with pytest.raises(OAuthError):
        scopes.parse_patterns(text)


def test_a_token_that_lost_or_gained_a_character_is_not_even_looked_up():
    text = new_access_token(os.urandom)
    assert hash_access_token(text) is not None
    for cut in range(1, len(text)):
        assert hash_access_token(text[:-cut]) is None
    for more in ("A", "=", "\n", " ", "é"):
        assert hash_access_token(text + more) is None
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        assert hash_access_token(text[:place] + other + text[place + 1 :]) is None
    assert hash_access_token("a" * 1_000_000) is None


def client(**changes):
    fields = {
        "client_id": "agent_1",
        "client_name": "Agent",
        "tier": "t",
        "tier_source": "operator",
        "scopes": ("github:**",),
        "grant_types": ("client_credentials",),
        "auth_method": "client_secret_basic",
        "registered_at_ms": 0,
    }
    return Client(**{**fields, **changes})


def record(client_changes=None, **changes):
    fields = {
        "token_hash": bytes(32),
        "client_id": "agent_1",
        "grant_type": "client_credentials",
        "scopes": ("a",),
        "audience": RESOURCE,
        "issued_at_ms": 0,
        "expires_at_ms": 1_000,
    }
    return PrincipalRecord(AccessToken(**{**fields, **changes}), client(**(client_changes or {})))


@pytest.mark.parametrize(
    ("known", "fault"),
    [
        (record(), None),
        (record(expires_at_ms=500), "expired"),
        (record(revoked_at_ms=1), "revoked"),
        (record(audience=RESOURCE + ".evil.example"), "other_audience"),
        (record({"status": "suspended"}), "suspended"),
    ],
)
def test_a_token_is_live_or_has_one_fault(known, fault):
    assert find_fault(known, resource=RESOURCE, now_ms=500) == fault


def test_a_resource_server_learns_nothing_about_tokens_for_another():
    other = ResourceServer(id="rs2", secret_hash=bytes(32), resource="https://other.example/mcp")
    assert introspection.find_live(record(), other, 500) is None
    mine = ResourceServer(id="rs1", secret_hash=bytes(32), resource=RESOURCE)
    assert introspection.find_live(record(), mine, 500) is not None
    assert introspection.find_live(None, mine, 500) is None


def test_an_agent_cannot_introspect():
    for method in ("client_secret_basic", "private_key_jwt"):
        credentials = Credentials(method=method, client_id="agent_1", proof="x")
        with pytest.raises(OAuthError) as caught:
            introspection.require_resource_server(credentials, ())
        assert caught.value.code == "invalid_client"


def test_introspection_scanning_is_slowed_down():
    misses = introspection.Misses(per_minute_max=3)
    for _ in range(3):
        misses.require_few("rs", 0)
        misses.count("rs", 0)
    with pytest.raises(OAuthError) as caught:
        misses.require_few("rs", 59_999)
    assert caught.value.wire.status == 429
    misses.require_few("rs", 60_000)
    misses.require_few("another", 0)


def test_consent_is_what_was_requested_within_the_ceiling():
    known = ("github:prs:read", "git:log")
    assert client_credentials.consent(client(), ("git:log", "github:x"), known) == ("github:x",)
    assert client_credentials.consent(client(), (), known) == ("github:prs:read",)
    with pytest.raises(OAuthError) as caught:
        client_credentials.consent(client(), ("git:log",), known)
    assert caught.value.code == "invalid_scope"
    with pytest.raises(OAuthError) as caught:
        client_credentials.consent(client(grant_types=()), (), known)
    assert caught.value.code == "unauthorized_client"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "urn:x"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "resource": RESOURCE + "/"}, "invalid_target"),
        ({"grant_type": "client_credentials", "scope": "a  b"}, "invalid_scope"),
    ],
)
def test_unknown_grants_and_foreign_resources(form, code):
    with pytest.raises(OAuthError) as caught:
        parse_token_request(form, resource=RESOURCE)
    assert caught.value.code == code


def test_every_error_raised_has_a_row_in_the_table():
    import re
    from pathlib import Path

    import pbac.oauth
    from pbac.oauth.errors import ERRORS

    folder = Path(pbac.oauth.__file__).parent
    sources = [path.read_text() for path in folder.rglob("*.py")]
    sources += [(folder.parent / "gateway/issuance.py").read_text()]
    sources += [(folder.parent / "web/oauth_routes.py").read_text()]
    raised = {code for text in sources for code in re.findall(r'OAuthError\(\s*"(\w+)"', text)}
    assert raised
    assert raised <= ERRORS.keys()
