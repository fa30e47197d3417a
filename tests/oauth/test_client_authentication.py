"""One credential, proven in constant time, and every way to confuse which client is meant."""

import base64
import hashlib
from urllib.parse import quote_plus

import pytest

from pbac.crypto import jose, keys
from pbac.oauth.client_authentication import ASSERTION_TYPE, authenticate, read_credentials
from pbac.oauth.errors import ERRORS, OAuthError, render_error
from pbac.oauth.form import parse_form
from pbac.oauth.model import Client

NOW = 1_800_000_000
ISSUER = "https://gw.example"
AUDIENCES = frozenset({ISSUER, f"{ISSUER}/token"})
SECRET = "s3cret with space&=%+/é"
KEY = keys.generate_signing_key("ES256")


def client(method="client_secret_basic", client_id="agent_1", secret=SECRET):
    keyed = method == "private_key_jwt"
    return Client(
        client_id=client_id,
        client_name="Agent",
        tier="read_only",
        tier_source="operator",
        scopes=("a",),
        grant_types=("client_credentials",),
        auth_method=method,
        secret_hash=None if keyed else hashlib.sha256(secret.encode()).digest(),
        jwks=(keys.render_jwk(KEY.public),) if keyed else (),
        registered_at_ms=0,
    )


def basic(client_id="agent_1", secret=SECRET):
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def assertion(key=KEY, typ="JWT", **changes):
    claims = {"iss": "agent_1", "sub": "agent_1", "aud": ISSUER, "jti": "one", "exp": NOW + 300}
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
    return {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jose.sign(claims, key, typ=typ),
    }


def prove(authorization, form, known):
    credentials = read_credentials(authorization, form)
    found = known if known is not None and known.client_id == credentials.client_id else None
    return authenticate(credentials, found, audiences=AUDIENCES, now_ms=NOW * 1000)


def refused(authorization, form, known=None):
    with pytest.raises(OAuthError) as caught:
        prove(authorization, form, known or client())
    assert caught.value.code == "invalid_client"
    # The same words whatever the reason, so that nobody learns which clients exist.
    assert caught.value.hint == ERRORS["invalid_client"].description
    return caught.value.cause


def test_basic_is_form_decoded_as_rfc_6749_says():
    assert prove(basic(), {}, client()) is None
    assert prove(basic(), {"client_id": "agent_1"}, client()) is None


def test_post_works_for_who_registered_it():
    form = {"client_id": "agent_1", "client_secret": SECRET}
    assert prove(None, form, client("client_secret_post")) is None


def test_an_assertion_names_what_has_to_be_spent():
    for audience in AUDIENCES:
        spent = prove(None, assertion(aud=audience), client("private_key_jwt"))
        assert (spent.issuer, spent.id) == ("client:agent_1", "one")
        assert spent.expires_at_ms >= (NOW + 300) * 1000


def test_two_authentication_methods_in_one_request():
    post = {"client_id": "agent_1", "client_secret": SECRET}
    refused(basic(), post)
    refused(basic(), assertion())
    refused(None, {**post, **assertion()}, client("client_secret_post"))


def test_basic_for_one_client_and_client_id_of_another():
    refused(basic(), {"client_id": "agent_2"})
    refused(None, {**assertion(), "client_id": "agent_2"}, client("private_key_jwt"))


@pytest.mark.parametrize(
    "authorization",
    [
        basic(secret=""),
        basic(client_id=""),
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic QQ",
        "Basic " + base64.b64encode(b"nocolon").decode(),
        "Basic " + base64.b64encode("agent_1:é".encode()).decode(),
        "Bearer abc",
        "",
        basic(secret="wrong"),
        basic(secret=SECRET + " "),
        basic(client_id="nobody"),
        basic(client_id="\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
    ],
)
def test_empty_malformed_and_wrong_credentials(authorization):
    refused(authorization, {})


def test_no_credential_at_all():
    refused(None, {})
    refused(None, {"client_id": "agent_1"})
    refused(None, {"client_secret": SECRET})


def test_a_secret_offered_to_a_client_that_uses_keys():
    refused(basic(), {}, client("private_key_jwt"))
    refused(None, {"client_id": "agent_1", "client_secret": SECRET}, client("private_key_jwt"))
    refused(None, assertion(), client())


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "agent_2"},
        {"iss": "agent_2"},
        {"aud": "https://other.example"},
        {"aud": [ISSUER]},
        {"aud": ...},
        {"aud": ISSUER + "/"},
        {"jti": ...},
        {"jti": ""},
        {"exp": NOW},
        {"exp": NOW + 3_600},
        {"exp": ...},
        {"typ_": 1, "nbf": NOW + 100},
    ],
)
def test_an_assertion_for_somebody_or_somewhere_else(changes):
    refused(None, assertion(**changes), client("private_key_jwt"))


def test_an_assertion_signed_by_another_key_or_of_another_type():
    foreign = keys.generate_signing_key("ES256")
    refused(None, assertion(foreign), client("private_key_jwt"))
    for typ in ("software-statement+jwt", "dpop+jwt", "at+jwt"):
        refused(None, assertion(typ=typ), client("private_key_jwt"))


@pytest.mark.parametrize("missing", ["client_assertion", "client_assertion_type"])
def test_half_an_assertion(missing):
    form = assertion()
    del form[missing]
    refused(None, form, client("private_key_jwt"))


# --- forms and errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"a=1&a=2", b"a=&a=1", b"scope=x&%73cope=y", b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * 99)],
)
def test_repeated_and_unreadable_parameters(body):
    with pytest.raises(OAuthError) as caught:
        parse_form(body)
    assert caught.value.code == "invalid_request"


def test_an_empty_parameter_counts_as_absent():
    assert parse_form(b"a=&b=1&c") == {"b": "1"}
    assert parse_form(b"") == {}


def test_an_error_never_breaks_out_of_its_description():
    rendered = render_error(OAuthError("invalid_request", 'a "quote" \\ é \n line'))
    assert rendered["error_description"] == "a 'quote' ' ' ' line"
