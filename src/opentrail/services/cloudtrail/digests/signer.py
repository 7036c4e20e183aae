"""Signing with the keys of the main database, which the serving process makes."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from opentrail.kernel.sealing import Sealer
from opentrail.services.cloudtrail import keys
from opentrail.services.cloudtrail.digests.document import Key, Signer
from opentrail.store.database import Database


class NoKey(Exception):
    """The account has no signing key in the region yet; it was asked for, and signing is tried again."""


class RsaKey:
    """An RSA private key with its fingerprint."""

    def __init__(self, fingerprint: str, private: rsa.RSAPrivateKey) -> None:
        self.fingerprint = fingerprint
        self._private = private

    def sign(self, message: bytes) -> bytes:
        """See `document.Key`."""
        return self._private.sign(message, padding.PKCS1v15(), hashes.SHA256())


def signer(main: Database, sealer: Sealer, ask: Callable[[str, str], None]) -> Signer:
    """Signs with the stored keys. `ask` makes the serving process store a key for an account and region; it is called when
    none is valid or the valid one is about to end."""
    opened: dict[str, RsaKey] = {}

    def key(account: str, region: str, at: float) -> Key:
        with main.read() as snapshot:
            found = keys.signing_key(snapshot, account, region, at)
        if keys.is_due(found, at):
            ask(account, region)
            with main.read() as snapshot:
                found = keys.signing_key(snapshot, account, region, at)
        if found is None:
            raise NoKey(region)
        if found.fingerprint not in opened:
            opened[found.fingerprint] = RsaKey(found.fingerprint, found.private(sealer))
        return opened[found.fingerprint]

    return key
