"""The RSA key pairs that sign digests: one valid pair an account and region at any time, made when first needed.

Source: CloudTrail API reference, PublicKey; live keys are PKCS#1 RSAPublicKey DER, known by the MD5 of that DER, valid 30 days.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_der_private_key

from opentrail.calls.call import Call
from opentrail.kernel.sealing import Sealer
from opentrail.store.sql import Snapshot, Sql, Tx

VALIDITY = 30 * 86400.0
"""Seconds that a key is valid."""

MARGIN = 86400.0
"""A key in its last day is followed by a new one: ranges overlap, and every digest is signed by a key valid for an hour and more."""


class SigningKey(NamedTuple):
    """A key pair. The private part is PKCS#8 DER under a seal; times in seconds since 1970."""

    account: str
    region: str
    fingerprint: str
    public_der: bytes
    sealed_private: bytes
    valid_from: float
    valid_to: float

    def private(self, sealer: Sealer) -> rsa.RSAPrivateKey:
        """The private key. Raises BadSeal under another master key."""
        key = load_der_private_key(sealer.open(_purpose(self.account, self.region, self.fingerprint), self.sealed_private), None)
        assert isinstance(key, rsa.RSAPrivateKey), "make_key makes RSA keys"
        return key


_COLUMNS = "account, region, fingerprint, public_der, sealed_private, valid_from, valid_to"
_AT = Sql(
    f"SELECT {_COLUMNS} FROM signing_key WHERE account = :account AND region = :region"
    " AND valid_from <= :at AND valid_to > :at ORDER BY valid_from DESC, fingerprint LIMIT 1"
)
_BETWEEN = Sql(
    f"SELECT {_COLUMNS} FROM signing_key WHERE account = :account AND region = :region"
    " AND valid_from <= :last AND valid_to > :first ORDER BY valid_from, fingerprint"
)
_INSERT = Sql(
    f"INSERT INTO signing_key ({_COLUMNS}) VALUES (:account, :region, :fingerprint, :public_der, :sealed_private, :valid_from, :valid_to)"
)


def signing_key(snapshot: Snapshot, account: str, region: str, at: float) -> SigningKey | None:
    """The key that signs at that time: of several valid ones the one valid from the latest time on. None: make one."""
    row = snapshot.one(_AT, account=account, region=region, at=at)
    return None if row is None else SigningKey(*row)


def keys_between(snapshot: Snapshot, account: str, region: str, first: float, last: float) -> list[SigningKey]:
    """The keys valid at any moment from `first` to `last`, oldest first."""
    return [SigningKey(*row) for row in snapshot.all(_BETWEEN, account=account, region=region, first=first, last=last)]


def is_due(key: SigningKey | None, at: float) -> bool:
    """Whether a new key must be made before signing at that time."""
    return key is None or key.valid_to - at < MARGIN


def make_key(sealer: Sealer, account: str, region: str, at: float) -> SigningKey:
    """A new pair, valid from that time on. Takes about 0.1 s of CPU: belongs into `prepare` or a follower, never into `apply`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public_der = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    fingerprint = hashlib.md5(public_der, usedforsecurity=False).hexdigest()
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    sealed = sealer.seal(_purpose(account, region, fingerprint), private)
    return SigningKey(account, region, fingerprint, public_der, sealed, at, at + VALIDITY)


def keep(tx: Tx, made: SigningKey, at: float) -> None:
    """Stores a new key, unless another call has stored one meanwhile that is good at that time."""
    if is_due(signing_key(tx, made.account, made.region, at), at):
        tx.run(_INSERT, **made._asdict())


def _purpose(account: str, region: str, fingerprint: str) -> str:
    return f"signing key {account} {region} {fingerprint}"


def prepare(call: Call, region: str) -> SigningKey | None:
    """A new pair for the caller's account in the region if one is due, to be kept by `keep` in the call's `apply`."""
    with call.tools.read() as snapshot:
        present = signing_key(snapshot, call.account, region, call.now)
    return make_key(call.tools.sealer, call.account, region, call.now) if is_due(present, call.now) else None
