"""Who may register, as what, and every way to ask for more than a publisher signed for."""

import hashlib
import itertools

import pytest

from pbac.base import json
from pbac.crypto import base64url, jose, keys
from pbac.oauth import registration, software_statement
from pbac.oauth.errors import OAuthError
from pbac.oauth.model import Publisher, describe_agent

NOW = 1_800_000_000
ISSUER = "https://gw.example"
TIERS = ("read_only", "ci_agent", "developer", "trusted")
KEY = keys.generate_signing_key()
FOREIGN_KEY = keys.generate_signing_key()
PUBLISHER = Publisher(
    name="acme",
    issuer="https://acme.example",
    keys=(KEY.public,),
    tier_ceiling="developer",
    scopes=("github:**", "git:*"),
)
CLIENT_KEY = keys.generate_signing_key()


def claims(**changes):
    base = {
        "iss": PUBLISHER.issuer,
        "iat": NOW,
        "exp": NOW + 3600,
        "software_id": "acme.reviewer",
        "software_version": "1.2",
        "client_name": "Acme Reviewer",
        "tier": "ci_agent",
        "kind": "ci",
        "provider": "acme",
        "model": "m-1",
        "scope": "github:prs:read github:prs:write",
        "tags": ["nightly"],
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def statement(key=KEY, typ="software-statement+jwt", **changes):
    return jose.sign(claims(**changes), key, typ=typ)


def request(text=None, **changes):
    base = {
        "software_statement": text or statement(),
        "grant_types": ["client_credentials"],
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def prepare(body, order=TIERS, publishers=(PUBLISHER,), now=NOW):
    counter = itertools.count(1)
    return registration.prepare(
        body,
        publishers=publishers,
        tier_order=order,
        issuer=ISSUER,
        now_ms=now * 1000,
        entropy=lambda n: bytes([next(counter)]) * n,
    )


def refused(body, code, **how):
    with pytest.raises(OAuthError) as caught:
        prepare(body, **how)
    assert caught.value.code == code, caught.value.cause
    return caught.value


def test_an_agent_is_what_its_statement_says():
    draft = prepare(request())
    assert describe_agent(draft.client) == {
        "id": draft.client.client_id,
        "name": "Acme Reviewer",
        "tier": "ci_agent",
        "verified": True,
        "registered_at": NOW * 1000,
        "tags": ["nightly"],
        "kind": "ci",
        "provider": "acme",
        "model": "m-1",
        "software_id": "acme.reviewer",
        "software_version": "1.2",
        "publisher": "acme",
    }
    assert draft.client.tier_source == "statement"
    assert draft.client.scopes == ("github:prs:read", "github:prs:write")


def test_the_secret_is_shown_once_and_only_its_hash_is_kept():
    draft = prepare(request())
    answer = registration.render_registration(draft)
    assert answer["client_secret"] == draft.secret
    assert answer["client_secret_expires_at"] == 0
    assert draft.client.secret_hash == hashlib.sha256(draft.secret.encode()).digest()
    assert draft.secret not in repr(draft.client)


def test_a_client_with_keys_gets_no_secret():
    jwks = {"keys": [keys.render_jwk(CLIENT_KEY.public)]}
    body = request(token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    answer = registration.render_registration(prepare(body))
    assert "client_secret" not in answer
    assert answer["jwks"] == jwks


def test_a_tier_above_the_publishers_ceiling_is_lowered_to_it():
    draft = prepare(request(statement(tier="trusted")))
    assert (draft.client.tier, draft.client.tier_source) == ("developer", "ceiling")
    assert draft.stated_tier == "trusted"


@pytest.mark.parametrize("tier", ["root", "Trusted", "", "trusted ", 7, None, ...])
def test_a_tier_nobody_declared_is_refused(tier):
    refused(request(statement(tier=tier)), "invalid_software_statement")


def test_a_ceiling_nobody_declared_is_refused():
    refused(request(), "invalid_software_statement", order=("read_only", "ci_agent"))


def test_scopes_beyond_the_publishers_are_dropped():
    draft = prepare(request(statement(scope="github:prs:read mail:send git:**")))
    assert draft.client.scopes == ("github:prs:read", "git:*")
    refused(request(statement(scope="mail:send")), "invalid_software_statement")
    refused(request(statement(scope=...)), "invalid_software_statement")


def test_a_request_may_ask_for_less_but_not_for_more_than_its_statement():
    assert prepare(request(scope="github:prs:read")).client.scopes == ("github:prs:read",)
    refused(request(scope="admin"), "invalid_client_metadata")
    refused(request(scope="**"), "invalid_client_metadata")


def test_the_statement_wins_over_the_request():
    body = request(
        client_name="Somebody Else", software_id="other", software_version="9", model=...
    )
    client = prepare(body).client
    assert (client.client_name, client.software_id) == ("Acme Reviewer", "acme.reviewer")
    bound = statement(grant_types=["client_credentials"], jwks={"keys": []})
    refused(request(bound, grant_types=...), "invalid_client_metadata")
    signed_keys = {"keys": [keys.render_jwk(CLIENT_KEY.public)]}
    bound = statement(jwks=signed_keys, token_endpoint_auth_method="private_key_jwt")
    mine = {"keys": [keys.render_jwk(FOREIGN_KEY.public)]}
    client = prepare(
        request(bound, jwks=mine, token_endpoint_auth_method="client_secret_post")
    ).client
    assert list(client.jwks) == signed_keys["keys"]


@pytest.mark.parametrize(
    "member",
    [
        "tier",
        "trusted",
        "verified",
        "publisher",
        "status",
        "kind",
        "provider",
        "model",
        "tags",
        "owner",
        "tier_source",
        "client_id",
        "client_secret",
        "registration_access_token",
    ],
)
def test_asking_for_power(member):
    error = refused(request(**{member: "trusted"}), "invalid_client_metadata")
    assert f"`{member}`" in error.hint


def test_asking_for_everything_at_once():
    body = request(scope="admin", token_endpoint_auth_method="none", client_id="me", trusted=True)
    refused(body, "invalid_client_metadata")


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"grant_types": ["password"]},
        {"grant_types": ["client_credentials", "authorization_code"]},
        {"grant_types": []},
        {"grant_types": ..., "redirect_uris": ["https://acme.example/callback"]},
        {"grant_types": "client_credentials"},
        {"grant_types": [1]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"jwks": {"keys": [keys.render_jwk(CLIENT_KEY.public)]}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct"}]}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": []},
        {"application_type": "toaster"},
        {"client_name": 7},
        {"scope": 'a"b'},
        {"scope": "  "},
    ],
)
def test_metadata_we_do_not_offer_or_understand(changes):
    refused(request(**changes), "invalid_client_metadata")


@pytest.mark.parametrize(
    "member",
    [
        "jwks_uri",
        "logo_uri",
        "policy_uri",
        "tos_uri",
        "sector_identifier_uri",
        "client_uri",
        "initiate_login_uri",
        "request_uris",
    ],
)
@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://localhost/",
        "https://2130706433/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://x.localhost/",
        "https://user:pw@acme.example/",
        "https://acme.example:99999/",
        "file:///etc/passwd",
        ["https://acme.example"],
        7,
    ],
)
def test_server_side_request_forgery_by_metadata_address(member, uri):
    refused(request(**{member: uri}), "invalid_client_metadata")


def test_an_ordinary_home_page_is_no_reason_to_refuse():
    assert prepare(request(client_uri="https://acme.example/agents", contacts=["a@acme.example"]))


@pytest.mark.parametrize(
    "name",
    [
        "Cl\u0430ude",
        "Cla\u200bude",
        "Claude\u202e",
        "\uff23laude",
        "",
        " Claude",
        "Claude ",
        "a  b",
        "<b>Claude</b>",
        "Claude\n",
        "a" * 201,
        "\u0421\u043b\u043e\u0434",
        "Claude\u0661",
        "C\u01c0aude",
        "Cl\u0251ude",
        "A\u0261ent",
        "Cla\u0131de",
        "\u1d00gent",
    ],
)
def test_homograph_and_hidden_characters_in_a_name(name):
    refused(request(client_name=name), "invalid_client_metadata")
    refused(request(statement(client_name=name)), "invalid_client_metadata")


@pytest.mark.parametrize(
    "name", ["Claude Code", "Übersetzer 2.1", "O'Brien's bot (CI)", "Łódź", "Søren", "Straße", "x"]
)
def test_ordinary_names_are_fine(name):
    assert prepare(request(statement(client_name=name))).client.client_name == name


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        ("web", "http://localhost/callback"),
        ("web", "https://localhost/callback"),
        ("web", "http://acme.example/callback"),
        ("native", "https://foreign.example/callback"),
        ("native", "http://acme.example/callback"),
        ("web", "https://acme.example/#fragment"),
        ("web", "https://user@acme.example/"),
        ("web", "javascript:alert(1)"),
        ("web", "https://localhost./callback"),
        ("web", "https://x.localhost/callback"),
        ("web", "https://127.1/callback"),
        ("web", "https://0x7f000001/callback"),
        ("web", "https://[::ffff:127.0.0.1]/callback"),
        ("web", "https://0.0.0.0/callback"),
        ("native", "javascript:alert(1)"),
    ],
)
def test_application_type_and_redirect_mismatch(kind, uri):
    refused(request(application_type=kind, redirect_uris=[uri]), "invalid_redirect_uri")


# --- the statement itself ---------------------------------------------------------------------


def test_a_registration_without_a_statement():
    refused(request(software_statement=...), "invalid_software_statement")
    refused(request(software_statement=5), "invalid_software_statement")
    refused([], "invalid_client_metadata")
    refused(None, "invalid_client_metadata")


def test_a_statement_of_an_unapproved_publisher():
    text = statement(FOREIGN_KEY, iss="https://evil.example")
    refused(request(text), "unapproved_software_statement")
    refused(request(), "unapproved_software_statement", publishers=())


def test_a_statement_in_our_publishers_name_by_another_key():
    refused(request(statement(FOREIGN_KEY)), "invalid_software_statement")


def test_a_statement_macced_with_the_publishers_public_key():
    import hmac

    head = json.encode({"alg": "HS256", "typ": "software-statement+jwt", "kid": KEY.public.kid})
    signed = f"{base64url.encode(head)}.{base64url.encode(json.encode(claims()))}"
    for secret in (keys.render_public_pem(KEY.public), KEY.public.material.public_bytes_raw()):
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        refused(request(f"{signed}.{base64url.encode(mac)}"), "invalid_software_statement")


def test_a_statement_with_algorithm_none():
    head = json.encode({"alg": "none", "typ": "software-statement+jwt"})
    text = f"{base64url.encode(head)}.{base64url.encode(json.encode(claims(tier='trusted')))}."
    refused(request(text), "invalid_software_statement")


@pytest.mark.parametrize("typ", ["JWT", "dpop+jwt", "at+jwt", ""])
def test_another_token_of_the_publisher_passed_off_as_a_statement(typ):
    refused(request(statement(typ=typ)), "invalid_software_statement")


def test_a_statement_with_the_tier_claim_twice():
    payload = json.encode(claims(tier="read_only"))[:-1] + b',"tier":"trusted"}'
    head = json.encode({"alg": "EdDSA", "typ": "software-statement+jwt", "kid": KEY.public.kid})
    signed = f"{base64url.encode(head)}.{base64url.encode(payload)}"
    signature = base64url.encode(KEY.material.sign(signed.encode()))
    refused(request(f"{signed}.{signature}"), "invalid_software_statement")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW},
        {"exp": ...},
        {"iat": ...},
        {"iat": NOW + 3600},
        {"exp": NOW + 500 * 86_400},
        {"aud": "https://other-gateway.example"},
        {"aud": [ISSUER]},
        {"software_id": ...},
        {"software_id": "a\nb"},
        {"client_name": ...},
        {"kind": "x\u202e"},
        {"tags": ["a"] * 51},
        {"tags": "nightly"},
        {"tags": ["\0"]},
        {"jti": ""},
        {"scope": ["github:prs:read"]},
        {"scope": "github:prs:read  github:prs:write"},
    ],
)
def test_expired_endless_misaddressed_and_misshapen_statements(changes):
    refused(request(statement(**changes)), "invalid_software_statement")


def test_a_statement_made_for_this_gateway_is_accepted():
    assert prepare(request(statement(aud=ISSUER)))


def test_what_the_command_line_signs_is_what_registration_reads():
    signed = software_statement.sign_statement(
        KEY, issuer=PUBLISHER.issuer, name="S", tier="read_only", now_ms=NOW * 1000
    )
    assert prepare({"software_statement": signed}).client.scopes == ("github:**", "git:*")


def test_an_operator_vouches_without_a_publisher():
    draft = registration.prepare_by_operator(
        name="планировщик", tier="x", scopes=["a:*"], now_ms=1, entropy=bytes, client_id="bot-1"
    )
    agent = describe_agent(draft.client)
    assert (agent["verified"], agent["tier"], draft.client.tier_source) == (False, "x", "operator")
    assert "publisher" not in agent
    assert draft.secret
    for bad in ("a:b", "", "a b", "ü"):
        with pytest.raises(OAuthError):
            registration.prepare_by_operator(
                name="n", tier="x", scopes=["a"], now_ms=1, entropy=bytes, client_id=bad
            )
