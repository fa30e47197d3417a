"""What somebody typed and did not mean is refused, with what would have been right."""

from __future__ import annotations

import pytest

from pbac.app.config import load_config
from pbac.crypto.keys import (
    generate_signing_key,
    render_private_pem,
    render_public_pem,
)

TIERED = """
package p on server s
tiers read_only < developer < trusted

permit everything
  for tier >= trusted
  on any
"""
UNTIERED = "package p on server s\npermit everything\n  on any\n"
BROKEN = "package p on server s\npermit\n"
FAILING = TIERED + '\ntest "wrong"\n  agent { tier: read_only }\n  call x => permit\n'


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A configuration, policies, a key pair, and a registered agent `a`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/p.pbac").write_text(TIERED)
    (tmp_path / "pbac.toml").write_text("")
    key = generate_signing_key()
    (tmp_path / "key.pem").write_bytes(render_private_pem(key))
    (tmp_path / "key.pub.pem").write_bytes(render_public_pem(key.public))
    return tmp_path


COMMANDS = [
    pytest.param(("agent", "register", "--name", "B", "--id", "b", "--tier"), id="register"),
    pytest.param(("agent", "tier", "a"), id="tier"),
    pytest.param(
        ("publisher", "sign", "--key", "key.pem", "--name", "A", "--issuer", "https://p.example",
         "--tier"), id="sign",
    ),
]  # fmt: skip


@pytest.fixture
def registered(gateway, pbac):
    assert pbac("agent", "register", "--name", "A", "--id", "a", "--tier", "trusted").code == 0
    return gateway


@pytest.mark.parametrize("command", COMMANDS)
def test_a_tier_that_no_policy_declares_is_refused_with_the_nearest(registered, pbac, command):
    ran = pbac(*command, "trustd")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: there is no tier `trustd`\n  help: did you mean `trusted`?\n"
    ran = pbac(*command, "x")
    assert "tiers are `read_only`, `developer`, `trusted`" in ran.err
    assert pbac(*command, "developer").code == 0
    if command[0] == "agent":
        assert "trustd" not in pbac("agent", "list", "--json").out


@pytest.mark.parametrize("command", COMMANDS)
def test_where_no_policies_can_be_read_any_tier_is_taken_and_that_is_told(
    registered, pbac, command
):
    (registered / "policies/p.pbac").write_text(BROKEN)
    ran = pbac(*command, "trustd")
    assert ran.code == 0
    folder = registered / "policies"
    assert ran.err.startswith(
        "warning: nobody checked whether there is a tier `trustd`: "
        f"the policies in `{folder}` cannot be used, see `pbac check {folder}`\n"
    )
    (registered / "policies/p.pbac").unlink()
    assert "warning: nobody checked" in pbac(*command, "trustd").err


@pytest.mark.parametrize("command", COMMANDS)
def test_policies_without_tiers_know_no_wrong_ones(registered, pbac, command):
    (registered / "policies/p.pbac").write_text(UNTIERED)
    ran = pbac(*command, "trustd")
    assert (ran.code, "warning" in ran.err) == (0, False)


@pytest.mark.parametrize("command", COMMANDS)
def test_policies_whose_tests_fail_declare_their_tiers_all_the_same(registered, pbac, command):
    (registered / "policies/p.pbac").write_text(FAILING)
    assert "did you mean `trusted`?" in pbac(*command, "trustd").err


def test_a_publisher_without_a_configuration_may_sign(gateway, pbac):
    (gateway / "pbac.toml").unlink()
    ran = pbac(*COMMANDS[2].values[0], "trustd")
    assert ran.code == 0
    assert "nobody checked whether there is a tier `trustd`: there is no `pbac.toml`" in ran.err


def test_the_key_of_another_publisher_that_is_gone_is_no_obstacle(gateway, pbac):
    publishers = "".join(
        f'[[publishers]]\nname = "{name}"\nissuer = "https://{name}.example"\n'
        f'key = "{key}"\ntier_ceiling = "trusted"\n'
        for name, key in (("gone", "gone.pem"), ("odd", "pbac.toml"), ("mine", "key.pub.pem"))
    )
    (gateway / "pbac.toml").write_text(publishers)
    ran = pbac("publisher", "sign", "--key", "key.pem", "--name", "A", "--tier", "trusted")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--url", "a=ftp://x", "has the scheme `ftp`; `http` and `https` are allowed"),
        ("--url", "a=mcp.example/mcp", "has no scheme; `http` and `https` are allowed"),
        ("--url", "a=http://", "the url of `a` is no address: write where its MCP endpoint is"),
        ("--url", "a=http://[::1", "is no address"),
        ("--url", "a=http://x:port/", "is no address"),
        ("--url", "a=http://x:0/", "is no address"),
        ("--url", "a=http://x y/", "is no address"),
        ("--url", "a=http://x/#top", "holds a user, a password or a fragment"),
        ("--url", "a=https://me:hunter2@x/", "holds a user, a password or a fragment"),
        ("--url", "http://x/", "`http://x/` is not NAME=URL"),
        ("--url", "=http://x/", "`` is not NAME=URL"),
        ("--url", "a=", "the url of `a` has no scheme"),
        ("--url", "A b=http://x/", "`A b` cannot be the name of a backend: use a-z and 0-9"),
        ("--stdio", "git", "`git` is not NAME=COMMAND"),
        ("--stdio", "git= ", "a command begins with a program"),
        ("--stdio", "git=python 'unclosed", "is no command: no closing quotation"),
        ("--policy", "startr", "there is no story `startr`, did you mean `starter`?"),
        ("--policy", "x", "there are 01_production_secrets, 02_separation_of_duties, "),
        ("--port", "0", "0 is not in the range"),
    ],
)
def test_init_refuses_what_a_gateway_would_and_writes_nothing(tmp_path, pbac, option, value, told):
    ran = pbac("init", tmp_path / "new", option, value)
    assert (ran.code, ran.out) == (2, "")
    assert f"Invalid value for '{option}': " in ran.err
    assert told in ran.err
    assert "hunter2" not in ran.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        (("a=http://x/", "a=http://y/"), "`backends` names `a` twice"),
        (("a__b=http://x/",), "has `__` in its name"),
    ],
)
def test_init_refuses_backends_that_do_not_go_together(tmp_path, pbac, urls, told):
    ran = pbac("init", tmp_path / "new", *(part for url in urls for part in ("--url", url)))
    assert ran.code == 1
    assert told in ran.err
    assert not (tmp_path / "new").exists()


def test_init_says_which_stories_there_are(pbac):
    told = " ".join(pbac("init", "--help").out.split())
    assert "starter, typed_forge." in told


@pytest.mark.parametrize("name", ["Ac me", "../acme", "ä", "a-", "", "a" * 65])
def test_a_publisher_has_a_name_that_a_configuration_takes(tmp_path, pbac, name):
    ran = pbac("publisher", "new", name, "--directory", tmp_path / "keys")
    assert (ran.code, ran.out) == (2, "")
    assert f"`{name}` cannot be the name of a publisher: use a-z and 0-9, `-` and `_`" in ran.err
    assert not (tmp_path / "keys").exists()


def test_what_a_new_publisher_is_told_to_add_is_toml_whatever_was_typed(gateway, pbac):
    given = ("--issuer", 'https://x/"\n[tls]', "--ceiling", "trusted")
    block = pbac("publisher", "new", "acme", *given).out
    (gateway / "pbac.toml").write_text(block)
    (publisher,) = load_config(gateway / "pbac.toml").publishers
    assert publisher.issuer == 'https://x/"\n[tls]'


@pytest.mark.parametrize(
    ("data", "told", "remedy"),
    [
        ("private", "a private key stands where a public key belongs", "openssl pkey -in"),
        (b"\xff\x00", "neither PEM nor JSON", "BEGIN PUBLIC KEY"),
        (b"-----BEGIN PUBLIC KEY-----\nx", "not a public key in PEM form", "BEGIN PUBLIC KEY"),
        (b'{"kty":"OKP","crv":"Ed25519","x":"eA","d":"eA"}', "private or symmetric", "public"),
    ],
)
def test_a_file_that_is_no_public_key_is_told_with_its_name(gateway, pbac, data, told, remedy):
    file = gateway / ("key.pem" if data == "private" else "odd")
    if data != "private":
        file.write_bytes(data)
    ran = pbac("agent", "register", "--name", "A", "--tier", "trusted", "--jwks", file)
    assert ran.code == 1
    assert ran.err.startswith(f"error: `{file}`: ")
    assert told in ran.err
    assert remedy in ran.err


@pytest.mark.parametrize(
    ("file", "told", "remedy"),
    [
        ("key.pub.pem", "a public key stands where a private key belongs", "public half of"),
        ("odd", "not an unencrypted private key in PEM form", "pbac publisher new NAME"),
    ],
)
def test_a_file_that_is_no_private_key_is_told_with_its_name(gateway, pbac, file, told, remedy):
    (gateway / "odd").write_bytes(b"\xff\x00")
    ran = pbac("publisher", "sign", "--key", file, "--name", "A", "--tier", "trusted")
    assert ran.code == 1
    assert ran.err.startswith(f"error: `{file}`: {told}\n  help: ")
    assert remedy in ran.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("init", "/proc/new"), "error: `/proc/new`: no such file or directory\n"),
        (("publisher", "new", "a", "--directory", "/proc/new"), "error: `/proc/new`: no such file"),
        (("tools", "import", "ftp://x", "--server", "a"), "`http` and `https` are allowed"),
    ],
)
def test_what_cannot_be_written_or_reached_is_told_in_one_line(pbac, arguments, told):
    ran = pbac(*arguments)
    assert ran.code == 1
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_defect_is_not_told_as_a_file_that_cannot_be_used(pbac, monkeypatch):
    def fails(*_arguments, **_options):
        raise OSError(5, "no file is named")

    monkeypatch.setattr("pbac.cli.group", fails)
    with pytest.raises(OSError, match="no file is named"):
        pbac("check")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "p", "--level", "nonsens=off"), "`pbac check` shows codes in brackets"),
        (("tools", "import", "--stdio", "", "--server", "a"), "a command begins with a program"),
    ],
)
def test_a_value_that_is_none_is_misuse(pbac, arguments, told):
    ran = pbac(*arguments)
    assert ran.code == 2
    assert told in ran.err


@pytest.mark.parametrize("word", ["chek", "inti"])
def test_a_misspelt_command_is_told_with_the_nearest(pbac, word):
    ran = pbac(word)
    assert ran.code == 2
    assert "Did you mean" in ran.err
