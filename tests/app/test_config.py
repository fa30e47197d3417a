"""A configuration is understood whole or refused with place and remedy."""

import pytest

from pbac.app.assemble import undeclared_ceilings
from pbac.app.config import ConfigError, load_config, parse_config
from pbac.base.source import Source
from pbac.pdp.administration import prepare

GOOD = """
public_url = "https://gateway.example"
listen = "0.0.0.0:8443"
trusted_proxies = ["10.0.0.0/8"]
[[publishers]]
name = "acme"
issuer = "https://publisher.example"
key = "acme.pub.pem"
tier_ceiling = "developer"
[[backends]]
name = "git"
command = "python3"
args = ["-m", "mcp_server_git"]
[backends.scopes]
"git:read" = ["git_log", "git_status"]
"""


PUBLISHER = """
[[publishers]]
name = "p"
issuer = "https://p.example"
key = "k"
tier_ceiling = "developer"
"""


def test_a_whole_file_is_read():
    config = parse_config(GOOD, directory="/srv/gateway")
    assert config.listen_address == ("0.0.0.0", 8443)
    assert config.backends[0].scopes == {"git:read": ("git_log", "git_status")}
    assert str(config.state_directory) == "/srv/gateway/state"


def test_an_empty_file_is_a_loopback_gateway():
    assert parse_config("").listen_address == ("127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ('publc_url = "x"', "there is no setting `publc_url`", "did you mean `public_url`?"),
        ('[[backends]]\nname = "g"\nurll = "x"', "`backends[1].urll`", "did you mean `url`?"),
        ('[tls]\ncert = "x"', "`tls.cert`", "certificate"),
        ('denials = "404"', "denials", None),
        ("listen = 8080", "expected `str`", None),
        ('listen = "8080"', "is not host:port", "127.0.0.1:8080"),
        ('public_url = "http://gateway.example"', "must be https", "tls"),
        ('public_url = "https://gateway.example/x"', "is not a bare origin", "scheme and host"),
        ('trusted_proxies = ["everyone"]', "is no network", "10.0.0.0/8"),
        ('[[backends]]\nname = "g"', "needs either `url` or `command`", None),
        ('[[backends]]\nname = "g"\nurl = "http://x"\ncommand = "y"', "either", None),
        ('[[backends]]\nname = "G!"\nurl = "http://x"', "`G!`", "a-z"),
        ('[[backends]]\nname="g"\nurl="http://x"\n' * 2, "names `g` twice", "unique"),
        ('[[introspectors]]\nid = "rs"\nsecret = "hunter2"', "secret in the file", "env:NAME"),
        ('[[backends]]\nname = "a__b"\nurl = "http://x"', "has `__` in its name", "one `_`"),
        (PUBLISHER + 'scopes = ["a b"]', "`a b`, which is no scope pattern", "github:**"),
        (PUBLISHER + 'scopes = ["a*b"]', "`a*b`, which is no scope pattern", "prefix"),
        (PUBLISHER + 'scopes = ["a", ""]', "``, which is no scope pattern", "prefix"),
        (PUBLISHER + 'scopes = ["ä:*"]', "`ä:*`, which is no scope pattern", "prefix"),
        (PUBLISHER + "scopes = []", "may grant no scope", "leave `scopes` out"),
        ("public_url = ", "is not TOML", None),
    ],
)
def test_a_mistake_is_named_with_its_remedy(text, message, remedy):
    with pytest.raises(ConfigError) as error:
        parse_config(text)
    assert message in error.value.message
    assert remedy is None or remedy in (error.value.help or "")
    assert "hunter2" not in str(error.value)


def test_patterns_that_scopes_have_are_understood():
    text = PUBLISHER + 'scopes = ["github:**", "git:*", "a:b", "*", "**"]'
    assert len(parse_config(text).publishers[0].scopes) == 5


def test_a_ceiling_that_no_policy_declares_is_told_with_what_is_declared():
    config = parse_config(PUBLISHER)
    declares = "package p on server s\ntiers {}\npermit everything\n  on any"
    known = prepare([Source("p.pbac", declares.format("low < developer"))]).require()
    other = prepare([Source("p.pbac", declares.format("low < high"))]).require()
    assert undeclared_ceilings(config, known) == []
    (complaint,) = undeclared_ceilings(config, other)
    assert "`p` has the tier ceiling `developer`" in complaint
    assert "`low`, `high`" in complaint


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "pbac.toml")
    assert "pbac init" in error.value.help
