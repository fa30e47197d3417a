"""TLS with certificates that can be replaced while serving."""

from __future__ import annotations

import ssl
from pathlib import Path

from pbac.base.errors import PbacError


class TlsError(PbacError):
    """A certificate or key that cannot be used; the one loaded before goes on serving."""

    code = "tls_error"


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for TLS 1.2 and newer. Raises `TlsError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, certificate, key)
    return context


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load the pair into `context`: the next handshake uses it, open connections stay.

    The pair is tried in a scratch context first, so that a half-written file changes nothing.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(
            f"the certificate `{certificate}` cannot be loaded: {error}",
            help="both files must be PEM and belong together",
        ) from None
