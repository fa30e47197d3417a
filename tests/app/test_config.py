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


BACKEND = "[[backends]]\nname = 'g'\nurl = '"
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
        ('denials = "404"', "`denials` cannot be `404`", "it is one of `result`, `403`"),
        ('denials = "results"', "`denials` cannot be `results`", "one of `result`, `403`"),
        ("denials = 403", "`denials` cannot be `403`", "it is one of `result`, `403`"),
        ("listen = 8080", "`listen` is a number, and has to be a text", "in quotes"),
        ('keep_sealed_packages = "no"', "is a text, and has to be true or false", "`false`"),
        ('allowed_origins = "x"', "is a text, and has to be a list", "in brackets"),
        ('tls = "x"', "`tls` is a text, and has to be a table", "heading"),
        ("tls = { certificate = 1 }", "`tls.certificate` is a number", "in quotes"),
        ("[[backends]]\nurl = 'http://x'", "`backends[1]` has no `name`", "`name = …`"),
        ("[[backends]]\nname = 'a'\nenv = { A = 1 }", "`backends[1].env", "in quotes"),
        ("[[backends]]\nname = 'a'\nargs = [1]", "`backends[1].args[1]` is a number", "quotes"),
        ('listen = "8080"', "is not host:port", "127.0.0.1:8080"),
        ('public_url = "http://gateway.example"', "must be https", "tls"),
        ('public_url = "https://gateway.example/x"', "is not a bare origin", "scheme and host"),
        ('trusted_proxies = ["everyone"]', "is no network", "10.0.0.0/8"),
        ('[[backends]]\nname = "g"', "needs either `url` or `command`", "`command` for"),
        ('[[backends]]\nname = "g"\nurl = "http://x"\ncommand = "y"', "either", "`url` for"),
        ('[[backends]]\nname = "G!"\nurl = "http://x"', "`G!`", "a-z"),
        ('[[backends]]\nname="g"\nurl="http://x"\n' * 2, "names `g` twice", "unique"),
        (BACKEND + "ftp://x'", "has the scheme `ftp`; `http` and `https` are allowed", "https://"),
        (BACKEND + "http://'", "the url of backend `g` is no address", "https://mcp.example/mcp"),
        (BACKEND + "http://[::1'", "is no address", "https://mcp.example/mcp"),
        (BACKEND + "http://x:99999/'", "is no address", "https://mcp.example/mcp"),
        (BACKEND + "http://me:hunter2@x/'", "holds a user, a password", "`headers`"),
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


def test_a_file_that_is_no_text_is_told_without_words_of_the_reader(tmp_path):
    (tmp_path / "pbac.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 0") as error:
        load_config(tmp_path / "pbac.toml")
    assert error.value.help == "save it as UTF-8"
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load_config(tmp_path)
