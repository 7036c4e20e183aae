"""Identity's tables in the main database. Names are unique in their lower-case form, as in IAM."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from opentrail.store.tables import MAIN

accounts = Table(
    "identity_accounts",
    MAIN,
    Column("id", String, primary_key=True),
    Column("created", Float, nullable=False),
    Column("sessions_since", Float, nullable=False),
)
"""One row an account. Sessions that its root user got before `sessions_since` are revoked."""

users = Table(
    "identity_users",
    MAIN,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("name", String, nullable=False),
    Column("folded", String, nullable=False),
    Column("path", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("sessions_since", Float, nullable=False),
    UniqueConstraint("account", "folded"),
)
"""IAM users. `id` is AIDA...; `folded` the name in lower case; `created` seconds since 1970."""

roles = Table(
    "identity_roles",
    MAIN,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("name", String, nullable=False),
    Column("folded", String, nullable=False),
    Column("path", String, nullable=False),
    Column("created", Float, nullable=False),
    Column("sessions_since", Float, nullable=False),
    Column("description", Text, nullable=True),
    Column("longest", Integer, nullable=False),
    Column("trust", Text, nullable=False),
    UniqueConstraint("account", "folded"),
)
"""IAM roles. `id` is AROA...; `longest` the maximum session duration in seconds; `trust` the trust policy as it was put."""

access_keys = Table(
    "identity_access_keys",
    MAIN,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("active", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Index(None, "owner"),
)
"""Long-term keys. `owner` is a user's id, or the account's id for its root user; `secret` is sealed."""

policies = Table(
    "identity_policies",
    MAIN,
    Column("owner", String, primary_key=True),
    Column("folded", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("document", Text, nullable=False),
)
"""Inline policies. `owner` is the id of a user or role."""

tags = Table(
    "identity_tags",
    MAIN,
    Column("owner", String, primary_key=True),
    Column("folded", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("value", String, nullable=False),
)
"""Tags of users and roles; keys are unique in their lower-case form."""
