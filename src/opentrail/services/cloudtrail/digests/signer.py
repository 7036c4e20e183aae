"""Signing keys of digests: those that StartLogging made in the main database, and those that this process makes by itself.

StartLogging makes the home region's key. Other regions of a trail, and the time after a key's thirty days, need keys when
nobody calls; the followers' process makes them in its own database. ListPublicKeys shows both.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from opentrail.kernel.sealing import Sealer
from opentrail.services.cloudtrail import keys
from opentrail.services.cloudtrail.digests.document import Key, Signer
from opentrail.store.database import Database


class RsaKey:
    """An RSA private key with its fingerprint."""

    def __init__(self, fingerprint: str, private: rsa.RSAPrivateKey) -> None:
        self._fingerprint = fingerprint
        self._private = private

    @property
    def fingerprint(self) -> str:
        """See `document.Key`."""
        return self._fingerprint

    def sign(self, message: bytes) -> bytes:
        """See `document.Key`."""
        return self._private.sign(message, padding.PKCS1v15(), hashes.SHA256())


def signer(main: Database, own: Database, sealer: Sealer) -> Signer:
    """Signs with a stored key that stays valid for a while, making one where there is none."""
    opened: dict[str, RsaKey] = {}

    def stored(account: str, region: str, at: float) -> keys.SigningKey | None:
        for database in (main, own):
            with database.read() as snapshot:
                found = keys.signing_key(snapshot, account, region, at)
            if not keys.is_due(found, at):
                return found
        return None

    def key(account: str, region: str, at: float) -> Key:
        found = stored(account, region, at)
        if found is None:
            made = keys.make_key(sealer, account, region, at)
            with own.write() as tx:
                keys.keep(tx, made, at)
            found = stored(account, region, at)
            assert found is not None, "it was just kept"
        if found.fingerprint not in opened:
            opened[found.fingerprint] = RsaKey(found.fingerprint, found.private(sealer))
        return opened[found.fingerprint]

    return key
