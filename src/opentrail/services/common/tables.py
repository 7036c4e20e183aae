"""Tables of the main database that several services use."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from opentrail.store.tables import MAIN

tag = Table(
    "tag",
    MAIN,
    Column("arn", String, primary_key=True),
    Column("tag_key", String, primary_key=True),
    Column("tag_value", String, nullable=False),
)
"""One tag of one resource."""
