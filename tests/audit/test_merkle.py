"""RFC 6962 vectors, and proofs that are wrong on purpose."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbac.audit import merkle

# The leaves and roots that the Certificate Transparency code base tests itself with.
LEAVES = [
    merkle.leaf_hash(bytes.fromhex(data))
    for data in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count):
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size):
    assert merkle.tree_root(LEAVES[:size]).hex() == ROOTS[size]
    assert merkle.root(merkle.extend(merkle.EMPTY, LEAVES[:size])).hex() == ROOTS[size]


@given(st.integers(0, 300), st.integers(0, 300))
def test_an_edge_grows_into_the_root_of_the_definition(first, second):
    all_leaves = leaves(first + second)
    edge = merkle.extend(merkle.EMPTY, all_leaves[:first])
    grown = merkle.extend(edge, all_leaves[first:])
    assert merkle.root(grown) == merkle.tree_root(all_leaves)
    assert merkle.is_edge(grown.size, grown.peaks)
    assert edge.size == first, "the old edge stays what it was"


def test_a_leaf_cannot_pass_itself_off_as_a_node():
    left, right = leaves(2)
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)
    assert merkle.leaf_hash(b"x") == sha256(b"\x00x").digest()


def wrong_proofs(proof):
    """How a proof can be wrong, by name."""
    yield "trailing garbage", (*proof, bytes(32))
    yield "leading garbage", (bytes(32), *proof)
    for at, node in enumerate(proof):
        yield f"node {at} missing", proof[:at] + proof[at + 1 :]
        yield f"node {at} flipped", (*proof[:at], bytes([node[0] ^ 1]) + node[1:], *proof[at + 1 :])
        yield f"node {at} twice", proof[: at + 1] + proof[at:]
        if at and node != proof[at - 1]:
            swapped = (*proof[: at - 1], node, proof[at - 1], *proof[at + 1 :])
            yield f"nodes {at - 1} and {at} swapped", swapped


@pytest.mark.parametrize("size", range(1, 18))
def test_inclusion_proofs_hold_and_wrong_ones_do_not(size):
    tree = leaves(size)
    root = merkle.tree_root(tree)
    for index, leaf in enumerate(tree):
        proof = merkle.inclusion_proof(tree, index)
        assert merkle.verify_inclusion(leaf, index, size, proof, root)
        for name, wrong in wrong_proofs(proof):
            assert not merkle.verify_inclusion(leaf, index, size, wrong, root), name
        for other in (-1, index - 1, index + 1, size):
            assert not merkle.verify_inclusion(leaf, other, size, proof, root), f"index {other}"
        assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), index, size, proof, root)
        assert not merkle.verify_inclusion(leaf, index, size, proof, bytes(32))
    assert not merkle.verify_inclusion(tree[0], 0, 0, (), merkle.EMPTY_ROOT)


@pytest.mark.parametrize("new", range(1, 18))
def test_consistency_proofs_hold_and_wrong_ones_do_not(new):
    tree = leaves(new)
    new_root = merkle.tree_root(tree)
    for old in range(new + 1):
        old_root = merkle.tree_root(tree[:old])
        proof = merkle.consistency_proof(tree, old)
        check = merkle.verify_consistency
        assert check(old, new, proof, old_root, new_root)
        assert not check(old, new, proof, bytes(32), new_root)
        assert not check(old, new, (*proof, bytes(32)), old_root, new_root)
        if old:
            assert not check(old, new, proof, old_root, bytes(32))
            assert not check(new + 1, new, proof, old_root, new_root)
        if 0 < old < new:
            for name, wrong in wrong_proofs(proof):
                assert not check(old, new, wrong, old_root, new_root), name
            assert not check(old - 1, new, proof, old_root, new_root)


def test_two_histories_of_one_size_are_not_consistent():
    """A split view: both auditors hold a valid root, no proof joins them."""
    mine, theirs = leaves(8), [*leaves(7), merkle.leaf_hash(b"rewritten")]
    roots = merkle.tree_root(mine), merkle.tree_root(theirs)
    assert not merkle.verify_consistency(8, 8, (), *roots)
    grown = [*theirs, merkle.leaf_hash(b"more")]
    proof = merkle.consistency_proof(grown, 8)
    assert not merkle.verify_consistency(8, 9, proof, roots[0], merkle.tree_root(grown))
