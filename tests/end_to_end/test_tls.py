"""TLS: served, reloaded when the files change, and kept when they are broken."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate():
    """A self-signed pair for 127.0.0.1: (PEM certificate, PEM key, serial)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(pem), private, made.serial_number


def served_serial(port):
    """The serial of the certificate a new connection is given."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(der).serial_number


def wait_for(serial, port):
    deadline = time.monotonic() + 10
    while served_serial(port) != serial:
        assert time.monotonic() < deadline, "the new certificate was not loaded"
        time.sleep(0.05)


@pytest.fixture
def pair(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()

    def write():
        public, private, serial = certificate()
        (folder / "key.pem").write_bytes(private)
        (folder / "cert.pem").write_bytes(public)
        return serial

    return folder, write


def test_a_new_certificate_is_served_without_a_restart(serve, pair):
    folder, write = pair
    serial = write()
    tls = f'[tls]\ncertificate = "{folder}/cert.pem"\nkey = "{folder}/key.pem"\n'
    gateway = serve(
        edit=lambda text: text.replace('public_url = "http:', 'public_url = "https:') + tls,
        ready=lambda gateway: served_serial(gateway.port) == serial,
    )
    renewed = write()
    wait_for(renewed, gateway.port)
    (folder / "cert.pem").write_text("half a certifi")
    time.sleep(0.3)
    assert served_serial(gateway.port) == renewed
    last = write()
    wait_for(last, gateway.port)
    assert gateway.stop() == 0
