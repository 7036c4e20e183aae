"""Which certificates the server's own clients trust when they call it over TLS."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from opentrail.kernel.settings import Settings


def own_issuer(settings: Settings) -> str:
    """The certificate file when its chain holds a self-signed certificate, whose issuer no system knows; else nothing: the
    system's trust (or AWS_CA_BUNDLE) decides. Raises ValueError when the file holds no certificates."""
    if not settings.tls_certificate:
        return ""
    file = Path(settings.tls_certificate).resolve()
    chain = x509.load_pem_x509_certificates(file.read_bytes())
    return str(file) if any(one.issuer == one.subject for one in chain) else ""
