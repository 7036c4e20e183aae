"""Personalize's tables in the main database."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, String, Table

from opentrail.store.tables import MAIN

resource = Table(
    "personalize_resource",
    MAIN,
    Column("arn", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("domain", String),
    Column("status", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("body", String, nullable=False),
    Index("ix_personalize_resource_place", "account", "region", "kind", "created"),
)
"""A resource of the control plane. `kind` is the word in its ARN (schema, dataset-group ...); `body` is JSON with what only
its kind has."""
