"""Compiled policies on disk: used only as they were written, shared by identity, bounded."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest
from support.policy_home import permits, policy

from pbac.adapters import policy_cache
from pbac.adapters.policy_cache import FOLDER, open_policy_cache
from pbac.base.limits import POLICY_CACHE_SETS_MAX
from pbac.base.source import Source
from pbac.lang.compile import compile_program

KINDS = (".set", ".package", ".document")


def program(number=0, packages=3, data=None):
    """Packages of which one, `p0`, is of this number."""
    texts = [policy(f"get_{number if n == 0 else 'x'}", package=f"p{n}") for n in range(packages)]
    sources = [Source(f"{n}.pbac", text) for n, text in enumerate(texts)]
    found = compile_program(sources, data or {"orgs": ["acme"], "n": number})
    assert found.program is not None, found.diagnostics
    return found.program


@pytest.fixture
def cache(tmp_path):
    return open_policy_cache(tmp_path)


@pytest.fixture
def folder(tmp_path, cache):
    return tmp_path / FOLDER


def again(folder):
    """The cache as another process has it."""
    return open_policy_cache(folder.parent)


def files(folder, kind=""):
    return sorted(path for path in folder.iterdir() if path.name.endswith(kind))


def test_what_was_put_is_found_and_decides_the_same(folder, cache):
    made = program(7)
    cache.put(made)
    for each in (cache, again(folder)):
        found = each.find(made.version)
        assert (found.version, found.tiers, found.data) == (made.version, made.tiers, made.data)
        assert [p.digest for p in found.program.packages] == [p.digest for p in made.packages]
        assert permits(found, "get_7")
        assert not permits(found, "get_8")
    assert [len(files(folder, kind)) for kind in KINDS] == [1, 3, 2]
    assert cache.find(program(8).version) is None


DOCUMENTS = [
    None, True, 0, -1, 1.0, -0.0, 1e300, 9_007_199_254_740_991, "", "é\u0000😀", [], {},
    [1, 1.0, True], {"b": 1, "a": [{"c": None}]},
]  # fmt: skip


def test_documents_come_back_as_they_were(folder, cache):
    data = {f"d{n}": document for n, document in enumerate(DOCUMENTS)}
    made = program(data=data)
    cache.put(made)
    found = again(folder).find(made.version).data
    assert repr(found) == repr(data), "kinds and order too"


# --- what is not as it was written ----------------------------------------------------------------


def sampled(size):
    """Places of a file: its first bytes, where its parts meet, its last ones, some between."""
    places = {*range(4), 31, 32, 33, *range(40, size, max(size // 23, 1)), size - 2, size - 1}
    return sorted(place for place in places if place < size)


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_may_be_another(folder, cache, kind):
    made = program()
    cache.put(made)
    for path in files(folder, kind)[:2]:
        whole = path.read_bytes()
        for at in sampled(len(whole)):
            for bit in (1, 128):
                flipped = bytearray(whole)
                flipped[at] ^= bit
                path.write_bytes(flipped)
                assert again(folder).find(made.version) is None, (path.name, at)
        path.write_bytes(whole)
    assert again(folder).find(made.version)


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_may_be_shorter_or_longer(folder, cache, kind):
    made = program()
    cache.put(made)
    path = files(folder, kind)[0]
    whole = path.read_bytes()
    for size in [0, *sampled(len(whole))]:
        path.write_bytes(whole[:size])
        assert again(folder).find(made.version) is None, size
    for more in (b"\0", whole):
        path.write_bytes(whole + more)
        assert again(folder).find(made.version) is None
    path.unlink()
    assert again(folder).find(made.version) is None


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_may_stand_for_another(folder, cache, kind):
    """Each is sound where it was written; an older set must not be passed off as this one."""
    one, two = program(1), program(2)
    for each in (one, two):
        cache.put(each)
    mine = {path.name: path.read_bytes() for path in files(folder, kind)}
    for name, data in mine.items():
        for other in mine.keys() - {name}:
            (folder / other).write_bytes(data)
            found = [again(folder).find(each.version) for each in (one, two)]
            assert None in found
            for policy_set, number in zip(found, (1, 2), strict=True):
                assert policy_set is None or permits(policy_set, f"get_{number}")
            (folder / other).write_bytes(mine[other])


def test_another_key_vouches_for_nothing(folder, cache, tmp_path):
    made = program()
    elsewhere = open_policy_cache(tmp_path / "elsewhere")
    elsewhere.put(made)
    for path in files(tmp_path / "elsewhere" / FOLDER):
        shutil.copy(path, folder / path.name)
    assert cache.find(made.version) is None
    cache.put(made)
    assert cache.find(made.version), "what is not ours is replaced"
    (tmp_path / "compiled.key").unlink()
    assert again(folder).find(made.version) is None


@pytest.mark.parametrize("what", ["__version__", "STORED_FORMAT"])
def test_another_program_or_form_is_not_read(folder, cache, monkeypatch, what):
    made = program()
    cache.put(made)
    monkeypatch.setattr(policy_cache, what, "other")
    assert again(folder).find(made.version) is None


def test_what_was_found_wanting_is_written_again_once_it_is_doubted(folder, cache):
    made = program()
    for _ in range(2):  # it looks once at what it finds
        cache.put(made)
    for path in files(folder):
        path.write_bytes(b"damaged")
    cache.put(made)
    assert cache.find(made.version) is None, "it trusts what it wrote itself"
    cache.doubt()
    cache.put(made)
    assert cache.find(made.version)
    shutil.rmtree(folder)
    cache.doubt()
    cache.put(made)
    assert again(folder).find(made.version), "the folder may be deleted at any time"


def test_a_file_that_vanishes_while_it_is_read_is_not_there(folder, cache, monkeypatch):
    made = program()
    cache.put(made)

    def gone(path):
        raise FileNotFoundError(2, "no such file", str(path))

    monkeypatch.setattr(policy_cache.os, "utime", gone)
    assert cache.find(made.version) is None


@pytest.mark.parametrize("left", [b"", b"short", b"x" * 33])
def test_a_key_that_was_cut_is_made_anew(tmp_path, left):
    (tmp_path / "compiled.key").write_bytes(left)
    cache = open_policy_cache(tmp_path)
    cache.put(program())
    assert len((tmp_path / "compiled.key").read_bytes()) == 32
    assert open_policy_cache(tmp_path).find(program().version)


def test_all_who_open_it_first_have_one_key(tmp_path):
    for number in range(20):
        state, keys, barrier = tmp_path / str(number), [], threading.Barrier(6)

        def opens(state=state, keys=keys, barrier=barrier):
            barrier.wait()
            keys.append(open_policy_cache(state)._key)

        threads = [threading.Thread(target=opens) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(keys)) == 1
        assert len(keys) == 6


def test_it_is_for_its_owner_alone(folder, cache):
    cache.put(program())
    assert {path.stat().st_mode & 0o777 for path in files(folder)} == {0o600}
    assert (folder.parent / "compiled.key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


# --- sharing and bounds ---------------------------------------------------------------------------


def test_parts_of_the_latest_set_are_the_same_objects(folder, cache):
    one, two = program(1, data={"a": [1], "b": [2]}), program(2, data={"a": [1], "b": [3]})
    for each in (one, two):
        cache.put(each)
    first, second = cache.find(one.version), cache.find(two.version)
    changed = {package.name for package in one.packages} - {
        package.name
        for package in second.program.packages
        if any(package is each for each in first.program.packages)
    }
    assert changed == {"p0"}
    assert second.data["a"] is first.data["a"]
    assert second.data["b"] is not first.data["b"]
    for package in second.program.packages[1:]:
        assert second.index.filed[package] is first.index.filed[package], "filed once"
    assert permits(first, "get_1")
    assert permits(second, "get_2")


def test_a_part_in_memory_is_not_read_again(folder, cache):
    one, two = program(1), program(2)
    cache.put(one)
    cache.find(one.version)
    cache.put(two)
    new = two.packages[0].digest.removeprefix("sha256:")
    for path in files(folder, ".package"):
        if path.stem != new:
            path.unlink()
    assert permits(cache.find(two.version), "get_2")
    assert again(folder).find(two.version) is None


def test_the_sets_used_last_are_kept_with_what_they_are_made_of(folder, cache, monkeypatch):
    monkeypatch.setattr(policy_cache, "POLICY_CACHE_SETS_MAX", 4)
    programs = [program(number) for number in range(20)]
    often = programs[0]
    for number, each in enumerate(programs):
        cache.put(each)
        assert again(folder).find(often.version), "what is used stays"
        now = time.time_ns() + number
        for path in files(folder, ".set"):
            if path.stem == each.version.removeprefix("sha256:"):
                os.utime(path, ns=(now, now))
        assert len(files(folder, ".set")) < 8
        assert again(folder).find(each.version)
    sets = [each for each in programs if again(folder).find(each.version)]
    assert len(sets) == len(files(folder, ".set"))
    assert len(files(folder, ".package")) <= 2 + 8
    assert len(files(folder, ".document")) <= 1 + 8


def test_a_set_that_was_pruned_may_come_back(folder, cache, monkeypatch):
    monkeypatch.setattr(policy_cache, "POLICY_CACHE_SETS_MAX", 2)
    programs = [program(number) for number in range(9)]
    for each in programs:
        cache.put(each)
    assert cache.find(programs[0].version) is None
    cache.put(programs[0])
    assert permits(again(folder).find(programs[0].version), "get_0")


def test_the_bound_is_what_it_says():
    assert POLICY_CACHE_SETS_MAX >= 32
