"""CloudTrail's tables in the main database: trails and what they were, the signing keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, SmallInteger, String, Table, Text

from opentrail.store.tables import MAIN

trail = Table(
    "trail",
    MAIN,
    Column("arn", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("home_region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("configuration", Text, nullable=False),
    Index("ix_trail_account", "account", "home_region", "name", unique=True),
)
"""One row a trail as it is now. `configuration` is the JSON of `versions.TrailConfiguration`."""

trail_turn = Table(
    "trail_turn",
    MAIN,
    Column("account", String, primary_key=True),
    Column("taken", BigInteger, nullable=False),
)
"""One row an account, counted up before its trails change: its row lock puts changes of several lanes in order."""

trail_version = Table(
    "trail_version",
    MAIN,
    Column("trail_arn", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("from_position", BigInteger),
    Column("account", String, nullable=False),
    Column("home_region", String, nullable=False),
    Column("configuration", Text, nullable=False),
    Column("logging", SmallInteger, nullable=False),
    Column("deleted", SmallInteger, nullable=False),
    Index("ix_trail_version_from_position", "from_position"),
)
"""One row a change of a trail, its selectors or its logging, never removed. It holds from `from_position`
on, which is the position of the record of the call that made the change; that is NULL only inside the call's own batch."""

signing_key = Table(
    "signing_key",
    MAIN,
    Column("account", String, primary_key=True),
    Column("region", String, primary_key=True),
    Column("fingerprint", String, primary_key=True),
    Column("public_der", LargeBinary, nullable=False),
    Column("sealed_private", LargeBinary, nullable=False),
    Column("valid_from", Float, nullable=False),
    Column("valid_to", Float, nullable=False),
)
"""RSA-2048 key pairs that sign digests. `public_der` is the PKCS#1 RSAPublicKey, `fingerprint` its MD5 in hexadecimal,
`sealed_private` the sealed PKCS#8 key; times in seconds since 1970."""
