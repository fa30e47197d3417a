"""The Merkle tree of RFC 6962 2.1 (kept by RFC 9162): roots, inclusion and consistency proofs.

Theory. A log of n leaves is one binary tree whose left subtrees are always perfect. So the whole
tree is determined by its *edge*: the roots of the perfect subtrees that n's binary digits name,
largest first (11 = 8 + 2 + 1 has three). Appending a leaf merges the subtrees of equal size at
the right end, exactly as adding 1 to n carries; the root is the edge folded from the right. An
edge holds at most 64 hashes however long the log is, which is why appending costs O(1) amortised
and a log can go on from its edge without reading its past.

Two promises come out of the one hash function. *Inclusion*: a leaf is in the tree with this root.
*Consistency*: the tree with the old root is a prefix of the tree with the new root, so nothing
signed earlier was changed. Both are O(log n) hashes, both are checked without the log.

Leaf and node hashes begin with different bytes (RFC 6962 2.1: "This domain separation is required
to give second preimage resistance"): no record can pass itself off as an inner node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""RFC 6962 2.1: "The hash of an empty list is the hash of an empty string"."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree of `size` leaves.

    INVARIANT: `len(peaks) == size.bit_count()`, largest subtree first, 32 bytes each.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()


EMPTY: Final = Edge()


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962 2.1: `SHA-256(0x00 || data)`."""
    return sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1: `SHA-256(0x01 || left || right)`."""
    return sha256(NODE_PREFIX + left + right).digest()


def is_edge(size: int, peaks: Sequence[bytes]) -> bool:
    """Whether these could be the peaks of a tree of that size, by number and length."""
    return (
        size >= 0
        and len(peaks) == size.bit_count()
        and all(len(peak) == HASH_BYTES for peak in peaks)
    )


def extend(edge: Edge, leaves: Iterable[bytes]) -> Edge:
    """The edge after appending leaf hashes; the given edge stays what it was."""
    peaks = list(edge.peaks)
    size = edge.size
    for leaf in leaves:
        node, carry = leaf, size
        while carry & 1:  # each trailing one is a perfect subtree that this leaf completes
            node = sha256(NODE_PREFIX + peaks.pop() + node).digest()
            carry >>= 1
        peaks.append(node)
        size += 1
    return Edge(size, tuple(peaks))


def root(edge: Edge) -> bytes:
    """The tree head of an edge."""
    if not edge.peaks:
        return EMPTY_ROOT
    *rest, node = edge.peaks
    for peak in reversed(rest):
        node = node_hash(peak, node)
    return node


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, written as the RFC does: the specification of `root` and `extend`."""
    match len(leaves):
        case 0:
            return EMPTY_ROOT
        case 1:
            return leaves[0]
        case size:
            split = _split(size)
            return node_hash(tree_root(leaves[:split]), tree_root(leaves[split:]))


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """PATH of RFC 6962 2.1.1, deepest sibling first. Requires `0 <= index < len(leaves)`."""
    assert 0 <= index < len(leaves)
    if len(leaves) == 1:
        return ()
    split = _split(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return (*inclusion_proof(left, index), tree_root(right))
    return (*inclusion_proof(right, index - split), tree_root(left))


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """PROOF of RFC 6962 2.1.2 from `old_size` to `len(leaves)`.

    Requires `0 <= old_size <= len(leaves)`. Empty when either tree is empty or they are equal.
    """
    assert 0 <= old_size <= len(leaves)
    return _subproof(leaves, old_size, whole=True) if old_size else ()


def _subproof(leaves: Sequence[bytes], old_size: int, *, whole: bool) -> tuple[bytes, ...]:
    """SUBPROOF of RFC 6962 2.1.2; `whole`: the old tree is this subtree, its root is known."""
    if old_size == len(leaves):
        return () if whole else (tree_root(leaves),)
    split = _split(len(leaves))
    left, right = leaves[:split], leaves[split:]
    if old_size <= split:
        return (*_subproof(left, old_size, whole=whole), tree_root(right))
    return (*_subproof(right, old_size - split, whole=False), tree_root(left))


def _split(size: int) -> int:
    """RFC 6962 2.1: "the largest power of two smaller than n"; requires `size > 1`."""
    return 1 << (size - 1).bit_length() - 1


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> bool:
    """RFC 9162 2.1.3.2. False unless `0 <= index < size` and every hash of the proof is used."""
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            position, last = _skip_missing_siblings(position, last)
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and node == expected_root


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """RFC 9162 2.1.4.2. False unless `0 <= old_size <= new_size` and the whole proof is used."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    if old_size == 0:  # every tree extends the empty one; there is nothing to prove
        return not proof and old_root == EMPTY_ROOT
    # "If first is an exact power of 2, then prepend first_hash to the consistency_path array."
    path = (old_root, *proof) if old_size & (old_size - 1) == 0 else tuple(proof)
    if not path:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            position, last = _skip_missing_siblings(position, last)
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _skip_missing_siblings(position: int, last: int) -> tuple[int, int]:
    """The step both algorithms share after hashing from the left.

    "If LSB(fn) is not set, then right-shift both fn and sn equally until either LSB(fn) is set or
    fn is 0": on an incomplete right edge a node can be its own parent, level after level.
    """
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last
