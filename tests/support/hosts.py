"""A TLS host of an authority of its own on a loopback port, which knows of every connection.

`routes` says what it serves: path → body (JSON), or (status, headers, body). `connected` counts
connections before anything was said, `requests` holds every request head that was read: what must
never be fetched is a URL of this host, and both have to stay empty.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SECONDS_MAX = 10.0
_DAY = datetime.timedelta(days=1)
_PEM = serialization.Encoding.PEM


class Authority:
    """A certificate authority nobody trusts who was not told to."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("An authority of tests")
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = self._sign(self._name, self._key.public_key(), basic)
        self.pem = self._certificate.public_bytes(_PEM)

    def certificate(self, *names: str) -> bytes:
        """Private key and certificate for these names and addresses, as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        listed = x509.SubjectAlternativeName([_general_name(name) for name in names])
        signed = self._sign(_name(names[0]), key.public_key(), listed)
        private = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + signed.public_bytes(_PEM)

    def _sign(self, subject, public, extension):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=public,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - _DAY,
            not_valid_after=now + 365 * _DAY,
        )
        return builder.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


@cache
def authority() -> Authority:
    """The one authority of a test run."""
    return Authority()


@dataclass
class Host:
    """One host. `names` are in its certificate, beside the loopback address."""

    routes: dict = field(default_factory=dict)
    names: tuple[str, ...] = ("localhost",)
    connected: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    port: int = 0

    def start(self) -> Host:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            Path(file.name).write_bytes(authority().certificate("127.0.0.1", *self.names))
            self._context.load_cert_chain(file.name)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def url(self, path: str = "/", name: str = "127.0.0.1") -> str:
        return f"https://{name}:{self.port}{path}"

    def trusting(self) -> ssl.SSLContext:
        """What a client needs that is meant to reach this host."""
        return ssl.create_default_context(cadata=authority().pem.decode())

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, address = self._socket.accept()
                self.connected.append(address)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection) -> None:
        connection.settimeout(SECONDS_MAX)
        with contextlib.suppress(OSError), connection:
            tls = self._context.wrap_socket(connection, server_side=True)
            with tls:
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (data := tls.recv(65_536)):
                        return
                    head += data
                self.requests.append(head)
                tls.sendall(self._answer(head.split()[1].decode("latin-1")))

    def _answer(self, target: str) -> bytes:
        found = self.routes.get(target.partition("?")[0], (404, {}, b""))
        json = {"Content-Type": "application/json"}
        status, headers, body = (200, json, found) if isinstance(found, bytes) else found
        sent = {**headers, "Content-Length": len(body), "Connection": "close"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode() + body


@contextlib.contextmanager
def hosting(routes=(), **how):
    """A host for the length of a block."""
    host = Host(dict(routes), **how).start()
    try:
        yield host
    finally:
        host.stop()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
