"""`pbac policy …` as it is typed: on folders without a gateway, and on one that serves."""

from __future__ import annotations

import json
import threading

import pytest
from click.testing import CliRunner

from pbac.adapters.policy_source import Bundled
from pbac.adapters.policy_store import VersionConflict, open_policy_store
from pbac.adapters.policy_versions import Version
from pbac.cli import group

FIRST = """package shop
permit look
  on tool find_*
"""
SECOND = FIRST.replace("find_*", "find_*, get_*") + "\nforbid sell\n  on tool sell_*\n"


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pbac.toml").write_text('policies = "policies"\n')
    for name, text in (("policies", FIRST), ("next", SECOND)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.pbac").write_text(text)
    return tmp_path


def pbac(*words, exit_code=0):
    result = CliRunner().invoke(group, ["policy", *words], catch_exceptions=False)
    told = result.output + (str(result.exception) if result.exception else "")
    assert bool(result.exit_code) is bool(exit_code), told
    return result.output


def refused(*words, code):
    with pytest.raises(Exception) as caught:  # its code says which
        CliRunner().invoke(group, ["policy", *words], catch_exceptions=False)
    assert caught.value.code == code
    return str(caught.value)


def test_before_the_first_act(there):
    assert "nothing was ever in force" in pbac("list")
    assert "nothing yet" in pbac("status")
    assert "no version was ever in force" in refused("show", code="error")
    assert "no version was ever in force" in refused("rollback", code="error")


def test_publish_compare_and_go_back(there):
    assert "act 1, 1 rule" in pbac("publish")
    assert "in force already" in pbac("publish")
    found = json.loads(pbac("diff", "in-force", "next", "--json"))
    assert [(each["kind"], each["name"]) for each in found["rules"]] == [
        ("changed", "shop.look"),
        ("added", "shop.sell"),
    ]
    assert "1 rule added, 1 rule changed" in pbac("publish", "next", "--note", "SHOP-7")
    assert "1 rule removed, 1 rule changed" in pbac("rollback", "--note", "back")
    acts = [json.loads(line) for line in pbac("list", "--json").splitlines()]
    assert [(each["act"], each["how"], each["note"]) for each in acts] == [
        (3, "rollback", "back"),
        (2, "publish", "SHOP-7"),
        (1, "publish", ""),
    ]
    assert acts[0]["version"] == acts[2]["version"] != acts[1]["version"]
    assert "nothing differs" in pbac("diff")
    (there / "policies" / "shop.pbac").write_text("# why\n" + FIRST)
    assert "no rule differs, but what else stands in `shop.pbac`" in pbac("diff")
    pbac("diff", "1", "2", "--exit-code", exit_code=1)


def test_the_files_of_a_version_come_back(there):
    pbac("publish")
    pbac("publish", "next")
    pbac("show", "1", "-o", "back")
    assert (there / "back" / "shop.pbac").read_text() == FIRST
    assert "is there and not empty" in refused("show", "1", "-o", "back", code="error")
    told = json.loads(pbac("show", "2", "--json"))
    assert told["rules"] == 2
    assert told["files"] == [{"path": "shop.pbac", "bytes": len(SECOND)}]
    digits = told["version"].removeprefix("sha256:")[:9]
    assert json.loads(pbac("show", digits, "--json")) == told


def test_what_is_wrong_changes_nothing_and_is_noted(there):
    pbac("publish")
    (there / "next" / "shop.pbac").write_text(FIRST + "permit\n")
    assert "are not put in force" in refused("publish", "next", code="policy_refused")
    (there / "next" / "shop.pbac").write_text("package shop\npermit everything\n  on any\n")
    assert "permits-everything" in refused("publish", "next", code="policy_refused")
    allowed = "package shop\n# pbac: allow permits-everything a test\npermit everything\n  on any\n"
    (there / "next" / "shop.pbac").write_text(allowed)
    assert "act 2" in pbac("publish", "next")
    store = open_policy_store(there / "state")
    attempt = store.oldest_attempt()
    assert attempt.kind == "publish"
    assert attempt.actor
    assert "shop.pbac" in attempt.problems[0]
    store.close()


def test_a_sealed_package_stays(there):
    (there / "policies" / "shop.pbac").write_text("sealed " + FIRST)
    pbac("publish")
    assert "sealed-missing" in refused("publish", "next", code="policy_refused")


def test_of_two_who_publish_at_once_one_is_told(there, monkeypatch):
    """PUP-07: both begin at the same version; the act that comes second is refused."""
    pbac("publish")
    (there / "other").mkdir()
    (there / "other" / "shop.pbac").write_text(SECOND.replace("sell", "buy"))
    from pbac.adapters import policy_build

    both, built = threading.Barrier(2), policy_build.Builder.build

    def build(self, *given, **named):
        found = built(self, *given, **named)
        both.wait(30)
        return found

    monkeypatch.setattr(policy_build.Builder, "build", build)
    outcomes = []

    def publish(name):
        try:
            pbac("publish", name)
            outcomes.append("published")
        except VersionConflict as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=publish, args=(name,)) for name in ("next", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == ["published", "version_conflict"]
    store = open_policy_store(there / "state")
    assert store.head().number == 2
    assert "is in force by now" in store.oldest_attempt().problems[0]
    store.close()


def test_expect_names_the_version_a_change_was_made_for(there):
    pbac("publish")
    pbac("publish", "next", "--expect", "1")
    assert "version_conflict" not in pbac("rollback", "1")
    refused("publish", "next", "--expect", "2", code="version_conflict")


def test_a_version_whose_file_is_gone_cannot_come_back(there):
    pbac("publish")
    pbac("publish", "next")
    store = open_policy_store(there / "state")
    store._transact(lambda c: c.execute("DELETE FROM contents WHERE data = ?", (FIRST.encode(),)))
    store.close()
    assert "`shop.pbac` of version" in refused("rollback", code="version_unknown")
    assert json.loads(pbac("list", "--json").splitlines()[0])["act"] == 2


def test_every_bundle_that_is_kept_counts(there):
    """Also one whose policies were in force already: it may withdraw the one before."""
    store = open_policy_store(there / "state")
    for number in (5, 10, 9):
        bundled = Bundled(name="acme", number=number, digest=f"d{number}")
        version = Version(
            version="sha256:1", content="c", program="1", packages=(), bundled=bundled
        )
        store.keep(version, {"a.pbac": b""})
    assert store.accepted_bundles() == {"acme": (10, "d10")}
    store.close()


def test_what_is_neither_a_version_nor_a_path(there):
    pbac("publish")
    assert "neither a version nor a path" in refused("diff", "1", "./no", code="version_unknown")


@pytest.mark.parametrize("named", ["zz", "", "99", "sha256:", "9" * 40, "²"])
def test_names_of_no_version(there, named):
    pbac("publish")
    refused("show", named, code="version_unknown")
