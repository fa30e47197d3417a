"""`pbac policy bundle` and `inspect` on real folders, from the key pair to the refused file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbac.cli.policy import COMMANDS

POLICIES = Path(__file__).parent.parent.parent / "policies"
STORIES = sorted(folder for folder in POLICIES.iterdir() if folder.is_dir())
OUTPUT = "acme.pbacbundle"
GOOD = """package good on server github
tiers read_only < trusted

permit read "Everyone reads."
  for tier >= read_only
  on tool get_*

test "reads"
  agent { tier: read_only }
  call get_x => permit by read
"""


@pytest.fixture
def built(pbac, tmp_path, monkeypatch):
    """Where keys are; `built(folder)` bundles it with them."""
    monkeypatch.chdir(tmp_path)
    pbac("publisher", "new", "acme")
    pbac("publisher", "new", "other")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/good.pbac").write_text(GOOD)

    def run(folder="policies", *more, key="acme", name="acme", output=OUTPUT):
        options = ("--key", f"keys/{key}.pem", "--name", name, "-o", output)
        return pbac("policy", "bundle", folder, *options, *more)

    return run


def inspected(pbac, *more, file=OUTPUT, key="acme"):
    return pbac("policy", "inspect", file, "--key", f"keys/{key}.pub.pem", *more)


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_a_story_is_bundled_and_inspected(pbac, built, story):
    ran = built(story)
    assert (ran.code, ran.err) == (0, "")
    told = inspected(pbac, "--json").json
    assert (told["name"], told["number"]) == ("acme", 1)
    assert told["key"] in ran.out
    wanted = [p for p in story.rglob("*.pbac") if not p.stem.endswith("_bad")]
    wanted += [*story.rglob("data/*.json"), *story.rglob("tools/*.json")]
    sizes = {p.relative_to(story).as_posix(): p.stat().st_size for p in wanted}
    assert {each["path"]: each["bytes"] for each in told["files"]} == sizes


def test_inspect_tells_people_what_is_in_it(pbac, built):
    assert built().out.startswith(f"`{OUTPUT}`: bundle `acme` number 1, 1 file, ")
    ran = inspected(pbac)
    assert ran.code == 0
    first, second, third, empty, *files = ran.out.splitlines()
    assert first.startswith("bundle `acme` number 1, made 2")
    assert second.startswith("signed by ")
    assert third.startswith("sha256:")
    assert empty == ""
    assert files == [f"{len(GOOD)}  good.pbac"]


def test_numbers_grow_by_themselves_or_as_asked_and_never_back(pbac, built):
    for number in (1, 2, 3):
        assert f"number {number}," in built().out
    assert "number 9," in built("policies", "--number", 9).out
    assert "number 10," in built().out
    before = Path(OUTPUT).read_bytes()
    for number in (1, 9, 10):
        ran = built("policies", "--number", number)
        assert ran.code == 1
        assert f"number {number} is not larger than 10" in ran.err
    assert Path(OUTPUT).read_bytes() == before


@pytest.mark.parametrize("number", [0, -1, 2**53, "x", "1.0"])
def test_a_number_that_is_none(built, number):
    assert built("policies", "--number", number).code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("=> permit by read", "=> deny"), 'test "reads"'),
        (GOOD.replace("on tool", "onn tool"), "policies/good.pbac:6"),
        (GOOD.replace("read_only\n  on", "readonly\n  on"), "policies/good.pbac:5"),
    ],
    ids=["test", "syntax", "tier"],
)
def test_policies_that_are_not_sound_are_not_signed(built, text, told):
    Path("policies/good.pbac").write_text(text)
    ran = built()
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err
    assert "error: the policies of `policies` are not sound, and were not signed" in ran.err
    assert not Path(OUTPUT).exists()


@pytest.mark.parametrize("expected", ["deny", "nonsense"])
def test_a_case_file_that_fails_is_not_signed_over(built, expected):
    case = f"package: good\ntests:\n  - {{name: x, call: get_x, expect: {expected}}}\n"
    given = "given: {agent: {tier: trusted}}\n"
    Path("policies/good.cases.yaml").write_text(given + case)
    ran = built()
    assert ran.code == 1
    assert "policies/good.cases.yaml:" in ran.err
    assert not Path(OUTPUT).exists()


def test_a_document_that_is_no_json_is_told_with_its_place(built):
    Path("policies/data").mkdir()
    Path("policies/data/orgs.json").write_text("{")
    ran = built()
    assert ran.code == 1
    assert "policies/data/orgs.json:1:1" in ran.err


def test_policies_without_a_test_are_a_warning(built):
    Path("policies/good.pbac").write_text(GOOD.partition("\ntest")[0])
    ran = built()
    assert ran.code == 0
    assert "warning: `policies` has no tests" in ran.err


@pytest.mark.parametrize("folder", ["nowhere", POLICIES])
def test_a_folder_that_is_no_policy_set(built, folder):
    ran = built(folder)
    assert ran.code == 1
    assert "were not signed" in ran.err


def test_what_is_no_older_bundle_of_this_key_and_name_is_not_replaced(pbac, built):
    built()
    before = Path(OUTPUT).read_bytes()
    for ran, told in (
        (built(key="other"), "no key of ours has this `kid`; it is left as it is"),
        (built(key="other", name="x"), "it is left as it is"),
        (built(name="beta"), "the file is bundle `acme`, and this one would be `beta`"),
        (built("policies", "--number", 7, key="other"), "move it away, and say --number"),
    ):
        assert ran.code == 1
        assert told in ran.err
        assert Path(OUTPUT).read_bytes() == before
    Path("precious.pbacbundle").write_text("precious")
    assert built(output="precious.pbacbundle").code == 1
    assert Path("precious.pbacbundle").read_text() == "precious"


def test_a_bundle_has_a_name_by_which_it_is_told_from_a_policy(built):
    ran = built(output="policies/good.pbac")
    assert ran.code == 2
    assert "ends in `.pbacbundle`" in ran.err
    assert Path("policies/good.pbac").read_text() == GOOD


@pytest.mark.parametrize("name", ["Acme", "a b", "../a", "", "a" * 65])
def test_a_name_that_is_none(built, name):
    ran = built(name=name)
    assert ran.code == 1
    assert "the name of a bundle\n  help: use a-z and 0-9" in ran.err


def test_keys_that_cannot_sign(pbac, built, tmp_path):
    assert "a public key stands where a private key belongs" in built(key="acme.pub").err
    from pbac.crypto.keys import generate_signing_key, render_private_pem

    Path("keys/p256.pem").write_bytes(render_private_pem(generate_signing_key("ES256")))
    ran = built(key="p256")
    assert ran.code == 1
    assert "Ed25519 is needed\n  help: make one with `pbac publisher new NAME`" in ran.err


def test_inspect_refuses_what_the_keys_did_not_sign(pbac, built):
    built()
    ran = inspected(pbac, key="other")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: `{OUTPUT}`: no bundle: no key of ours has this `kid`")
    assert inspected(pbac, "--key", "keys/other.pub.pem").code == 0
    assert "and `beta` is wanted" in inspected(pbac, "--name", "beta").err
    data = Path(OUTPUT).read_bytes()
    Path(OUTPUT).write_bytes(data.replace(b"A", b"B", 1))
    assert inspected(pbac).code == 1
    assert inspected(pbac, file="nowhere").err.startswith("error: `nowhere` cannot be read: ")


@pytest.mark.parametrize("word", ["bundel", "inspct"])
def test_a_misspelt_command_is_told_with_the_nearest(pbac, word):
    ran = pbac("policy", word)
    assert ran.code == 2
    assert "Did you mean" in ran.err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_a_command_is_how_its_help_begins(pbac, name):
    assert COMMANDS[name].endswith(".")
    assert pbac("policy", name, "--help").code == 0
