"""Comprehend Medical's tables in the main database: batch jobs, and the files that a job at work has done."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, LargeBinary, PrimaryKeyConstraint, String, Table

from opentrail.store.tables import MAIN

job = Table(
    "comprehendmedical_job",
    MAIN,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String),
    Column("status", String, nullable=False),
    Column("submitted", Double, nullable=False),
    Column("ended", Double),
    Column("message", String),
    Column("manifest", String),
    Column("settings", String, nullable=False),
    Column("token", String, nullable=False),
    Column("token_input", String, nullable=False),
    Index("ix_comprehendmedical_job_place", "account", "region", "kind", "submitted", "id"),
    Index("uq_comprehendmedical_job_token", "account", "region", "kind", "token", unique=True),
)
"""A batch job. `id` has 32 hexadecimal digits, `kind` is a key of kinds.KINDS, `settings` is JSON (store.Settings), `manifest` the
key of the job's manifest once it is written; `token` and `token_input` (a hash) make the start idempotent. Times are seconds since 1970."""

file = Table(
    "comprehendmedical_file",
    MAIN,
    Column("job", String, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("characters", BigInteger, nullable=False),
    Column("code", String, nullable=False),
    Column("message", String, nullable=False),
    PrimaryKeyConstraint("job", "key"),
    sqlite_with_rowid=False,
)
"""What became of one input file (its key in UTF-8) of a job that has not ended: `code` is empty when it was processed."""
