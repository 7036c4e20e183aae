"""The tables of hosted buckets, in the main database.

Keys are their UTF-8 bytes, so that both databases order them as S3 does; names and ids that are compared or ranged over
have the byte order too. Times are whole seconds since 1970, as S3 shows them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from opentrail.store.tables import MAIN

_Name = String().with_variant(String(collation="C"), "postgresql")

bucket = Table(
    "s3_bucket",
    MAIN,
    Column("name", _Name, primary_key=True),
    Column("account", String, nullable=False),
    Column("location", String, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("policy", Text),
    Column("tags", Text),
    Index(None, "account", "name"),
)
"""One row a bucket; names are unique across accounts. `location` is the constraint it was created with, empty for us-east-1;
`policy` and `tags` are JSON."""

object_ = Table(
    "s3_object",
    MAIN,
    Column("bucket", _Name, ForeignKey("s3_bucket.name"), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("blob", _Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("headers", Text, nullable=False),
    Column("checksum", Text, nullable=False),
    Index(None, "blob", unique=True),
    sqlite_with_rowid=False,
)
"""One row an object. `blob` names its file; `etag` has no quotes; `headers` is JSON of what a read gives back (wire member
names); `checksum` is JSON of one checksum member, empty when the writer sent none."""

upload = Table(
    "s3_upload",
    MAIN,
    Column("bucket", _Name, ForeignKey("s3_bucket.name"), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("id", _Name, primary_key=True),
    Column("initiated", BigInteger, nullable=False),
    Column("initiator", String, nullable=False),
    Column("headers", Text, nullable=False),
    Column("algorithm", String, nullable=False),
    Column("type", String, nullable=False),
    sqlite_with_rowid=False,
)
"""One row a multipart upload in progress. Ids begin with the time, so that their order is the order of initiation;
`initiator` is an ARN; `algorithm` and `type` say which checksum the finished object gets, empty for none."""

part = Table(
    "s3_part",
    MAIN,
    Column("upload", _Name, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("blob", _Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),
    Index(None, "blob", unique=True),
    sqlite_with_rowid=False,
)
"""One row an uploaded part."""

garbage = Table(
    "s3_garbage",
    MAIN,
    Column("blob", _Name, primary_key=True),
    Column("since", BigInteger, nullable=False),
    Index(None, "since"),
)
"""Blobs that no row refers to any more, and since when. The sweeper unlinks them an hour later."""
