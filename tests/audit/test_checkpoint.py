"""Signed notes: the format of C2SP, exactly, and nothing beside it."""

from __future__ import annotations

import pytest

from pbac.audit import checkpoint as cp
from pbac.audit import merkle

EDGE = merkle.extend(merkle.EMPTY, [merkle.leaf_hash(bytes([n])) for n in range(11)])
TIME = "2026-11-23T08:00:00.123Z"


def test_a_key_of_the_specification_has_its_id():
    """The example of C2SP signed-note."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = cp.parse_key(text)
    assert key.name == "PeterNeumann"
    assert cp.render_key(key) == text


def test_a_note_of_the_specification_verifies(make_keys):
    """Signed by the Go implementation; the key name and the signature are taken as they are."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = cp.parse_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    message = (
        b"If you think cryptography is the answer to your problem,\n"
        b"then you don't know what your problem is.\n"
    )
    import base64

    signature = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert signature[:4] == key.key_id
    Ed25519PublicKey.from_public_bytes(key.public).verify(signature[4:], message)


@pytest.mark.parametrize("with_edge", [False, True])
def test_what_was_signed_is_what_is_read(make_keys, with_edge):
    signer, verifier = make_keys(b"k")
    claim = cp.checkpoint(signer.key.name, EDGE, TIME, with_edge=with_edge)
    note = cp.sign(claim, signer)
    assert cp.verify(note, verifier) == claim
    lines = note.decode().split("\n")
    assert lines[0] == "gateway.example/audit"
    assert lines[1] == "11"
    assert lines[4 + with_edge] == ""
    assert lines[5 + with_edge].startswith("— gateway.example/audit ")


def test_every_changed_byte_of_a_note_is_noticed(make_keys):
    signer, verifier = make_keys(b"k")
    note = cp.sign(cp.checkpoint(signer.key.name, EDGE, TIME, with_edge=True), signer)
    for at in range(len(note)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128):
            changed = bytearray(note)
            changed[at] ^= mask
            with pytest.raises(cp.CheckpointError):
                cp.verify(bytes(changed), verifier)
    for end in range(len(note)):
        with pytest.raises(cp.CheckpointError):
            cp.verify(note[:end], verifier)


def test_other_keys_and_other_logs_are_refused(make_keys):
    signer, verifier = make_keys(b"k")
    claim = cp.checkpoint(signer.key.name, EDGE, TIME)
    other_key, _ = make_keys(b"o")
    with pytest.raises(cp.OtherKeyError, match="another key of the same name"):
        cp.verify(cp.sign(claim, other_key), verifier)
    other_log, _ = make_keys(b"k", "other.example/audit")
    note = cp.sign(cp.checkpoint(other_log.key.name, EDGE, TIME), other_log)
    with pytest.raises(
        cp.OtherKeyError, match=r"not signed by `gateway\.example/audit`: it is .* `other\.example"
    ):
        cp.verify(note, verifier)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("leading zero", "O\n011\nR\ntime T\n"),
        ("sign", "O\n+11\nR\ntime T\n"),
        ("no time", "O\n11\nR\n"),
        ("no size", "O\nR\ntime T\n"),
        ("unknown extension", "O\n11\nR\ntime T\nmood good\n"),
        ("edge of another tree", "O\n11\nR\ntime T\nedge AAAA\n"),
        ("short root", "O\n11\nAAAA\ntime T\n"),
    ],
)
def test_a_signature_does_not_excuse_the_text(make_keys, name, text):
    """Signed by the right key and still not a checkpoint."""
    signer, verifier = make_keys(b"k")
    root = cp._base64(merkle.root(EDGE))
    text = text.replace("O", signer.key.name).replace("R", root).replace("T", TIME)
    signature = cp._base64(signer.key.key_id + signer.sign(text.encode()))
    note = f"{text}\n— {signer.key.name} {signature}\n\n".encode()
    with pytest.raises(cp.CheckpointError):
        cp.verify(note, verifier)


def test_notes_are_split_where_they_end(make_keys):
    signer, _ = make_keys(b"k")
    note = cp.sign(cp.checkpoint(signer.key.name, EDGE, TIME), signer)
    assert list(cp.split_notes(note + note)) == [(0, note), (len(note), note)]
    torn = list(cp.split_notes(note + note[:-1]))
    assert torn == [(0, note), (len(note), note[:-1])]
    assert [cp.is_finished(text) for _, text in torn] == [True, False]
    assert list(cp.split_notes(b"")) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "n+00000000+AAAA",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX",
    ],
)
def test_a_damaged_verifier_key_is_refused(text):
    with pytest.raises(cp.CheckpointError):
        cp.parse_key(text)


def test_a_fingerprint_is_what_people_compare(make_keys):
    signer, verifier = make_keys(b"k")
    assert cp.fingerprint(signer.key) == cp.fingerprint(verifier.key)
    assert cp.fingerprint(signer.key).startswith("SHA256:")
    assert "=" not in cp.fingerprint(signer.key)
