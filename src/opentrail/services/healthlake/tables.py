"""HealthLake's tables in the main database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, SmallInteger, String, Table

from opentrail.store.tables import MAIN

datastore = Table(
    "healthlake_datastore",
    MAIN,
    Column("id", String, primary_key=True),
    Column("key", BigInteger().with_variant(Integer, "sqlite"), nullable=False, unique=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("name", String),
    Column("status", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("token", String),
    Column("token_input", String),
    Column("configuration", String, nullable=False),
    Index("ix_healthlake_datastore_place", "account", "region", "created"),
    Index("uq_healthlake_datastore_token", "account", "region", "token", unique=True),
)
"""A data store. `id` has 32 hexadecimal digits, `key` is the short number that its resources carry; `token` and
`token_input` (a hash) make creation idempotent; `configuration` is JSON."""

resource = Table(
    "fhir_resource",
    MAIN,
    Column("store", BigInteger, primary_key=True),
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("time", Double, nullable=False),
    Column("method", String, nullable=False),
    Column("current", SmallInteger, nullable=False),
    Column("body", LargeBinary),
)
"""A version of a resource. `method` is POST, PUT, PATCH or DELETE; a deleted version has no body; `current` is 1 for the newest."""
