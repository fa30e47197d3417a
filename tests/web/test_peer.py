"""The client's address is believed only as far as proxies we were told of say it."""

from types import SimpleNamespace

import pytest
from multidict import CIMultiDict

from pbac.web.peer import address_of, client_address, networks

PROXIES = networks(["10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "127.0.0.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.2.3.4", "198.51.100.7"),
        ("10.0.0.1", "10.1.1.1, 10.2.3.4", "10.1.1.1"),
        ("10.0.0.1", "nonsense", ""),
        ("10.0.0.1", "198.51.100.7:8080", ""),
        ("10.0.0.1", None, "10.0.0.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("", "198.51.100.7", ""),
    ],
)
def test_forwarded_headers_count_only_from_trusted_proxies(peer, forwarded, address):
    assert client_address(peer, forwarded, PROXIES) == address


def test_without_proxies_forwarded_headers_are_ignored():
    assert client_address("203.0.113.9", "127.0.0.1", ()) == "203.0.113.9"


def test_every_line_of_forwarded_addresses_is_read():
    """A proxy that adds a line of its own must not leave the client's line in charge."""
    lines = [("X-Forwarded-For", "10.9.9.9"), ("X-Forwarded-For", "203.0.113.7")]
    request = SimpleNamespace(remote="10.0.0.1", headers=CIMultiDict(lines))
    assert address_of(request, PROXIES) == "203.0.113.7"
    assert address_of(SimpleNamespace(remote="192.0.2.1", headers=CIMultiDict()), ()) == "192.0.2.1"
