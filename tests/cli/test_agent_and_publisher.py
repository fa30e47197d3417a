"""The operator's commands on a real state database, from the key pair to the deny list."""

import json
import stat

import pytest
from click.testing import CliRunner

from pbac.adapters.sqlite_state import open_state
from pbac.base.clock import SystemClock
from pbac.base.errors import PbacError
from pbac.cli import agent, publisher
from pbac.crypto.keys import generate_signing_key, parse_public_keys, render_public_pem
from pbac.oauth.model import Publisher
from pbac.oauth.software_statement import verify_statement


@pytest.fixture
def pbac(tmp_path):
    config = tmp_path / "pbac.toml"
    config.write_text('state = "state"\n')

    def run(command, *arguments):
        arguments = [*arguments, "--config", str(config)]
        return CliRunner().invoke(command, arguments, catch_exceptions=False).stdout

    run.config = config
    return run


def listed(pbac):
    return [json.loads(line) for line in pbac(agent.command, "list", "--json").splitlines()]


def test_an_agent_is_registered_listed_suspended_resumed_and_promoted(pbac, tmp_path):
    shown = pbac(
        agent.command, "register", "--name", "Nightly", "--tier", "ci_agent", "--id", "nightly"
    )
    secret = shown.split("client_secret  ")[1].strip()
    assert secret.startswith("pbac_cs_")
    (entry,) = listed(pbac)
    assert (entry["tier"], entry["tier_source"], entry["status"]) == (
        "ci_agent",
        "operator",
        "active",
    )
    assert secret not in pbac(agent.command, "list")
    assert entry["secret_hash"] is None
    assert "is suspended" in pbac(agent.command, "suspend", "nightly")
    assert listed(pbac)[0]["status"] == "suspended"
    pbac(agent.command, "resume", "nightly")
    pbac(agent.command, "tier", "nightly", "trusted")
    assert "trusted" in pbac(agent.command, "list")
    assert listed(pbac)[0]["status"] == "active"


def test_a_command_acts_while_the_gateway_has_the_state_open(pbac, tmp_path):
    pbac(agent.command, "register", "--name", "A", "--tier", "t", "--id", "a")
    state = open_state(tmp_path / "state", 0)
    pbac(agent.command, "suspend", "a")
    assert state.read(lambda reader: reader.find_client("a")).status == "suspended"
    state.close()


def test_an_unknown_agent_is_a_clear_error_with_the_near_miss(pbac):
    pbac(agent.command, "register", "--name", "A", "--tier", "t", "--id", "nightly")
    with pytest.raises(PbacError) as caught:
        pbac(agent.command, "suspend", "nigthly")
    assert "did you mean `nightly`?" in caught.value.help


def test_an_agent_with_a_key_gets_no_secret(pbac, tmp_path):
    pem = tmp_path / "agent.pub.pem"
    pem.write_bytes(render_public_pem(generate_signing_key().public))
    shown = pbac(agent.command, "register", "--name", "A", "--tier", "t", "--jwks", str(pem))
    assert "secret" not in shown
    assert listed(pbac)[0]["auth_method"] == "private_key_jwt"


def test_a_publisher_is_made_configured_and_signs(pbac, tmp_path):
    folder = str(tmp_path / "keys")
    run = CliRunner().invoke(
        publisher.command, ["new", "acme", "--directory", folder, "--ceiling", "developer"]
    )
    private = tmp_path / "keys/acme.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    pbac.config.write_text(pbac.config.read_text() + run.stdout)
    statement = pbac(
        publisher.command,
        *("sign", "--key", str(private), "--name", "My Agent", "--tier", "trusted"),
        *("--scope", "a:*", "--scope", "b", "--kind", "ci", "--days", "1", "--single-use"),
    ).strip()
    (key,) = parse_public_keys((tmp_path / "keys/acme.pub.pem").read_bytes())
    verified = verify_statement(
        statement,
        publishers=[
            Publisher(
                name="acme", issuer="https://acme.local", keys=(key,), tier_ceiling="developer"
            )
        ],
        tier_order=("developer", "trusted"),
        audience="https://gw.example",
        now_ms=SystemClock().now_ms(),
    )
    assert (verified.tier, verified.scopes, verified.claims.kind) == (
        "developer",
        ("a:*", "b"),
        "ci",
    )
    assert verified.spent is not None


def test_a_key_pair_is_never_overwritten(tmp_path):
    arguments = ["new", "acme", "--directory", str(tmp_path)]
    CliRunner().invoke(publisher.command, arguments, catch_exceptions=False)
    before = (tmp_path / "acme.pem").read_bytes()
    with pytest.raises(PbacError, match="there already"):
        CliRunner().invoke(publisher.command, arguments, catch_exceptions=False)
    assert (tmp_path / "acme.pem").read_bytes() == before


def test_a_key_no_configured_publisher_has_cannot_guess_its_issuer(pbac, tmp_path):
    CliRunner().invoke(publisher.command, ["new", "x", "--directory", str(tmp_path)])
    with pytest.raises(PbacError, match="no publisher"):
        pbac(
            publisher.command,
            *("sign", "--key", str(tmp_path / "x.pem"), "--name", "A", "--tier", "t"),
        )
