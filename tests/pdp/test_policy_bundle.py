"""What a bundle promises, and what is refused in one though its signature holds."""

from __future__ import annotations

import contextlib
import random
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import (
    EC_KEY,
    FILES,
    KEY,
    MADE_MS,
    OTHER,
    refused,
    rendered,
    signed,
    tree,
)

from pbac.base import json, limits
from pbac.crypto.keys import parse_jwk, render_jwk, thumbprint
from pbac.pdp import bundle_files
from pbac.pdp.bundle import Accepted, parse_bundle, require_newer
from pbac.pdp.bundle_files import BundleError, kind_of

# --- what a bundle promises -------------------------------------------------------------------


def test_an_honest_bundle_is_read_with_everything_in_it():
    bundle = parse_bundle(rendered(), [OTHER.public, EC_KEY.public, KEY.public], name="acme")
    assert (bundle.name, bundle.number, bundle.made_ms) == ("acme", 7, MADE_MS)
    assert bundle.key_id == thumbprint(KEY.public)
    assert bundle.files == FILES
    assert signed(tree()) == rendered()  # so the table below attacks what is written


def test_a_key_is_found_by_thumbprint_whatever_its_owner_calls_it():
    named = parse_jwk({**render_jwk(KEY.public), "kid": "release-key"})
    assert parse_bundle(rendered(), [named]).key_id == thumbprint(KEY.public)
    impostor = parse_jwk({**render_jwk(OTHER.public), "kid": thumbprint(KEY.public)})
    refused(rendered(), "bundle_key", keys=[impostor])


def test_the_digest_is_of_the_content_and_not_of_who_signed_it():
    first, second = rendered(), rendered(key=OTHER)
    keys = [KEY.public, OTHER.public]
    assert first != second
    assert parse_bundle(first, keys).digest == parse_bundle(second, keys).digest
    assert parse_bundle(first, keys).digest != parse_bundle(rendered(made_ms=1), keys).digest


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?", fullmatch=True)
WORDS = st.text("abcXYZ019 _-éß漢", min_size=1, max_size=6).map(str.strip).filter(bool)
PATHS = st.builds(
    lambda folders, stem, ending: "/".join([*folders, ending.format(stem)]),
    st.lists(WORDS, max_size=3),
    WORDS.filter(lambda stem: not stem.endswith("_bad")),
    st.sampled_from(["{}.pbac", "data/{}.json", "tools/{}.json"]),
)
CONTENTS = st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")) | st.sampled_from(
    [b"", b"\xef\xbb\xbfpackage x\r\n", b"\x00\x7f", "\u2028\U0001f512".encode()]
)


def apart(files) -> bool:
    return len({bundle_files._folded(path) for path in files}) == len(files)


@settings(max_examples=200, deadline=None)
@given(
    files=st.dictionaries(PATHS, CONTENTS, max_size=5).filter(apart),
    name=NAMES,
    number=st.integers(1, limits.BUNDLE_NUMBER_MAX),
    made_ms=st.integers(0, 253_402_300_799_999),
    seed=st.integers(0, 9),
)
def test_what_was_rendered_is_parsed_and_equal_input_gives_equal_bytes(
    files, name, number, made_ms, seed
):
    files = {**files, "always.pbac": b""}
    data = rendered(files, name=name, number=number, made_ms=made_ms)
    bundle = parse_bundle(data, [KEY.public])
    assert (bundle.name, bundle.number, bundle.made_ms) == (name, number, made_ms)
    assert bundle.files == files
    shuffled = list(files.items())
    random.Random(seed).shuffle(shuffled)
    assert rendered(dict(shuffled), name=name, number=number, made_ms=made_ms) == data


# --- sizes ------------------------------------------------------------------------------------


def test_a_huge_file_is_refused_before_it_is_looked_at():
    refused(b"A" * (limits.BUNDLE_BYTES_MAX + 1), "bundle_too_large")
    refused(b"." * 1_000_000, "bundle_malformed")
    refused(b"A" * 5_000_000 + b"." + b"e30.e30", "bundle_malformed")


@pytest.mark.parametrize(
    "files",
    [
        {"a.pbac": b" " * (limits.POLICY_FILE_BYTES_MAX + 1)},
        {"a.pbac": b"", **{f"{n}/data/{n}.json": b" " * 6_000_000 for n in range(3)}},
        {"a.pbac": b"", "tools/x.json": b" " * (limits.POLICY_DATA_BYTES_MAX + 1)},
        {f"{n}.pbac": b"" for n in range(limits.POLICY_FILES_MAX + 1)},
        {f"{n}.pbac": b" " * 4_000_000 for n in range(13)},
    ],
    ids=["policy", "data", "tools", "many", "whole"],
)
def test_files_that_are_too_large_or_too_many_are_neither_written_nor_read(files):
    with pytest.raises(BundleError) as caught:
        rendered(files)
    assert caught.value.code == "bundle_too_large"
    texts = {path: data.decode() for path, data in files.items()}
    refused(signed(tree(files=texts)), "bundle_too_large")


def test_as_many_and_as_large_as_may_be():
    files = {f"f/{n}.pbac": b"{:[" * 200 for n in range(limits.POLICY_FILES_MAX)}
    files["data/x.json"] = b"\x01" * 1_000_000
    assert parse_bundle(rendered(files), [KEY.public]).files == files


# --- the payload ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + json.canonical(tree()),
        json.canonical(tree()) + b" ",
        json.canonical(tree()).replace(b":", b": ", 1),
        json.canonical(tree()).replace(b'"number":7', b'"number":7,"number":8'),
        json.canonical(tree()).replace(b'"number":7', b'"number":1,"n\\u0075mber":7'),
        json.canonical(tree()).replace(b'"tools/shop.json"', b'"shop.pbac"'),
        json.canonical(tree()).replace(b"package", b"\\ud800package"),
        json.canonical(tree()).replace(b"package", b"\\u0070ackage"),
        json.encode({"number": 7, "name": "acme", "made_ms": MADE_MS, "files": {}}),
        json.canonical(tree(more=1)),
        json.canonical({**tree(), "\u202e": 1}),
        *(json.canonical(tree(**{member: ...})) for member in tree()),
        json.canonical(tree(files=[])),
        json.canonical(tree(files=None)),
        json.canonical(tree(made_ms=-1)),
        json.canonical(tree(made_ms=True)),
        json.canonical(tree(made_ms=1.0)),
        json.canonical(tree(made_ms=253_402_300_800_000)),
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
    ],
)
def test_a_payload_that_is_none_though_signed(payload):
    refused(signed(payload), "bundle_malformed")


@pytest.mark.parametrize("number", [0, -1, True, False, None, "7", "", 7.0, 7.5, [7], {}])
def test_a_number_that_is_none(number):
    refused(signed(tree(number=number)), "bundle_number")
    with pytest.raises(BundleError) as caught:
        rendered(number=number)
    assert caught.value.code == "bundle_number"


@pytest.mark.parametrize("number", [b"9007199254740992", b"1" * 5_000, b"1e400", b"NaN", b"-0"])
def test_a_giant_number_or_one_that_two_readers_see_differently(number):
    payload = json.canonical(tree()).replace(b'"number":7', b'"number":' + number)
    refused(signed(payload), "bundle_malformed")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Acme",
        "a-",
        "-a",
        "a b",
        "../a",
        "a/b",
        "ä",
        "a\n",
        "a\0",
        "a" * 65,
        None,
        7,
        ["a"],
        "\u202e",
    ],
)
def test_a_name_that_is_none(name):
    refused(signed(tree(name=name)), "bundle_name")
    with pytest.raises(BundleError) as caught:
        rendered(name=name)
    assert caught.value.code == "bundle_name"


def test_a_bundle_of_another_name_in_the_place_of_ours():
    refused(rendered(name="beta", number=99), "bundle_name", name="acme")


# --- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "..", "/", "/etc/x.pbac", "../x.pbac", "a/../x.pbac", "a/../../x.pbac", "./x.pbac",
        "a//x.pbac", "a/./x.pbac", "x.pbac/", ".pbac", ".x.pbac", ".git/x.pbac", "a/.b/x.pbac",
        "data/.x.json", "a\\x.pbac", "..\\x.pbac", "C:\\x.pbac", "C:/x.pbac", "x.pbac:y.pbac",
        "\\\\host\\x.pbac", "x.pbac\0", "x\0.pbac", "x\n.pbac", "\u202ex.pbac", "x\u200b.pbac",
        "x.pbac ", " x.pbac", "a /x.pbac", "a./x.pbac", "x.PBAC", "x.pbac.txt", "x.json", "x_bad.pbac",
        "x.cases.yaml", "data/x.yaml", "data/a/x.json", "Data/x.json", "data/x.JSON", "tools.json",
        "README.md", "a" * 1_020 + ".pbac",
    ],
)  # fmt: skip
def test_a_path_that_no_policy_folder_has_or_that_leads_elsewhere(path):
    files = {"a.pbac": b"", path: b""}
    with pytest.raises(BundleError) as caught:
        rendered(files)
    assert caught.value.code == "bundle_path"
    assert caught.value.message.isprintable()
    refused(signed(tree(files={"a.pbac": "", path: ""})), "bundle_path")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/etc/x.pbac", "is not relative"),
        ("a/../x.pbac", "has a part that is empty, `.` or `..`"),
        ("a/.b/x.pbac", "is hidden"),
        ("a\\x.pbac", "holds `\\` or `:`"),
        ("a. /x.pbac", "has a part with a blank at its edge"),
    ],
)
def test_a_path_is_told_with_what_is_wrong_with_it(path, told):
    error = refused(signed(tree(files={path: ""})), "bundle_path")
    assert f"`{path}` {told}" in error.message


@pytest.mark.parametrize(
    "paths",
    [
        ("a.pbac", "A.pbac"),
        ("x/a.pbac", "X/a.pbac"),
        ("straße.pbac", "STRASSE.pbac"),
        ("é.pbac", unicodedata.normalize("NFD", "é.pbac")),
        ("É.pbac", unicodedata.normalize("NFD", "é.pbac")),
        ("data/x.json", "data/X.json"),
        ("a.pbac", "a.pbac/b.pbac"),
        ("A.pbac", "a.pbac/data/x.json"),
    ],
)
def test_two_paths_that_some_file_system_takes_for_one(paths):
    files = {"z.pbac": b"", **dict.fromkeys(paths, b"")}
    with pytest.raises(BundleError) as caught:
        rendered(files)
    assert caught.value.code == "bundle_path"
    assert paths[0] in caught.value.message
    refused(signed(tree(files=dict.fromkeys(files, ""))), "bundle_path")


@pytest.mark.parametrize("content", [None, 1, True, ["x"], {"text": "x"}])
def test_a_file_that_is_no_text(content):
    refused(signed(tree(files={"a.pbac": content})), "bundle_file")


@pytest.mark.parametrize("data", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_a_file_that_is_not_utf_8_is_not_bundled(data):
    with pytest.raises(BundleError) as caught:
        rendered({"a.pbac": b"", "b.pbac": data})
    assert caught.value.code == "bundle_file"
    assert "`b.pbac`" in caught.value.message


@pytest.mark.parametrize("files", [{}, {"data/x.json": b"{}"}, {"tools/x.json": b"{}"}])
def test_a_bundle_without_a_policy(files):
    with pytest.raises(BundleError) as caught:
        rendered(files)
    assert caught.value.code == "bundle_file"
    texts = {path: data.decode() for path, data in files.items()}
    refused(signed(tree(files=texts)), "bundle_file")


def test_what_each_file_is():
    assert [*map(kind_of, FILES)] == ["policy", "data", "tools"]


# --- numbers only grow ------------------------------------------------------------------------


def bundle(**how):
    return parse_bundle(rendered(**how), [KEY.public])


def test_a_newer_bundle_is_new_the_same_is_unchanged():
    seven = bundle()
    accepted = {"acme": seven.accepted}
    assert accepted == {"acme": Accepted(7, seven.digest)}
    assert require_newer(seven, {})
    assert require_newer(bundle(number=8), accepted)
    assert not require_newer(seven, accepted)
    assert require_newer(bundle(name="other", number=1), accepted)


@pytest.mark.parametrize(
    "how",
    [
        {"number": 6},
        {"number": 1},
        {"made_ms": MADE_MS + 1},
        {"files": {"shop.pbac": b"package other on server shop\n"}},
    ],
    ids=["lower", "first", "same number, other time", "same number, other files"],
)
def test_the_replay_of_an_older_bundle(how):
    with pytest.raises(BundleError) as caught:
        require_newer(bundle(**how), {"acme": bundle().accepted})
    assert caught.value.code == "bundle_rollback"
    assert "number 8 or higher" in caught.value.help


# --- anything at all --------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
MEMBERS = st.sampled_from(["alg", "kid", "typ", "crit", "files", "made_ms", "name", "number", "x"])


@settings(max_examples=200, deadline=None)
@given(
    header=st.dictionaries(MEMBERS, JSON_VALUES, max_size=2),
    changes=st.dictionaries(MEMBERS, JSON_VALUES, max_size=3),
    files=st.dictionaries(st.text(max_size=12), JSON_VALUES, max_size=3) | st.just(tree()["files"]),
)
def test_no_header_or_member_crashes_the_reader(header, changes, files):
    with contextlib.suppress(BundleError):
        assert parse_bundle(signed(tree(**{"files": files, **changes}), **header), [KEY.public])


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | st.from_regex(rb"[\w-]{0,9}\.[\w-]{0,9}\.[\w-]{0,9}", fullmatch=True)
    | st.binary(max_size=60).map(signed)
)
def test_no_bytes_crash_the_reader(data):
    with pytest.raises(BundleError):
        parse_bundle(data, [KEY.public])
