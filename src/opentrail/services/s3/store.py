"""The SQL of hosted buckets: statements and what their rows mean."""

from __future__ import annotations

from typing import NamedTuple

from opentrail.store.sql import Row, Snapshot, Sql, Tx

FIRST = b""
"""Before every key."""

LAST = b"\xff"
"""After every key: no UTF-8 text holds this byte."""


class Bucket(NamedTuple):
    """A row of s3_bucket."""

    name: str
    account: str
    location: str
    created: int
    policy: str | None
    tags: str | None


class Object(NamedTuple):
    """A row of s3_object."""

    blob: str
    size: int
    etag: str
    modified: int
    headers: str
    checksum: str


class Multipart(NamedTuple):
    """A row of s3_upload."""

    initiated: int
    initiator: str
    headers: str
    algorithm: str
    type: str


class Part(NamedTuple):
    """A row of s3_part."""

    number: int
    blob: str
    size: int
    etag: str
    modified: int
    checksum: str


_BUCKET = Sql("SELECT name, account, location, created, policy, tags FROM s3_bucket WHERE name = :name", settled=True)
BUCKETS = Sql(
    "SELECT name, account, location, created, policy, tags FROM s3_bucket"
    " WHERE account = :account AND name > :after AND name >= :low AND name < :high AND (:region = '*' OR location IN (:region, :alias))"
    " ORDER BY name LIMIT :count"
)
NEW_BUCKET = Sql("INSERT INTO s3_bucket (name, account, location, created) VALUES (:name, :account, :location, :created)", settled=True)
DROP_BUCKET = Sql("DELETE FROM s3_bucket WHERE name = :name", settled=True)
SET_POLICY = Sql("UPDATE s3_bucket SET policy = :policy WHERE name = :name", settled=True)
SET_TAGS = Sql("UPDATE s3_bucket SET tags = :tags WHERE name = :name", settled=True)

_OBJECT = Sql("SELECT blob, size, etag, modified, headers, checksum FROM s3_object WHERE bucket = :bucket AND key = :key")
ANY_OBJECT = Sql("SELECT 1 FROM s3_object WHERE bucket = :bucket LIMIT 1")
OBJECTS = Sql(
    "SELECT key, size, etag, modified, checksum FROM s3_object"
    " WHERE bucket = :bucket AND key >= :low AND key < :high ORDER BY key LIMIT :count"
)
PUT_OBJECT = Sql(
    "INSERT INTO s3_object (bucket, key, blob, size, etag, modified, headers, checksum)"
    " VALUES (:bucket, :key, :blob, :size, :etag, :modified, :headers, :checksum)"
    " ON CONFLICT (bucket, key) DO UPDATE SET blob = excluded.blob, size = excluded.size, etag = excluded.etag,"
    " modified = excluded.modified, headers = excluded.headers, checksum = excluded.checksum"
)
_DROP_OBJECT = Sql("DELETE FROM s3_object WHERE bucket = :bucket AND key = :key")

_UPLOAD = Sql("SELECT initiated, initiator, headers, algorithm, type FROM s3_upload WHERE bucket = :bucket AND key = :key AND id = :id")
UPLOADS = Sql(
    "SELECT key, id, initiated, initiator, algorithm, type FROM s3_upload"
    " WHERE bucket = :bucket AND (key, id) >= (:low, :id) AND key < :high ORDER BY key, id LIMIT :count"
)
NEW_UPLOAD = Sql(
    "INSERT INTO s3_upload (bucket, key, id, initiated, initiator, headers, algorithm, type)"
    " VALUES (:bucket, :key, :id, :initiated, :initiator, :headers, :algorithm, :type)"
)
_DROP_UPLOAD = Sql("DELETE FROM s3_upload WHERE bucket = :bucket AND key = :key AND id = :id")
_DROP_UPLOADS = Sql("DELETE FROM s3_upload WHERE bucket = :bucket")

_PART = Sql("SELECT number, blob, size, etag, modified, checksum FROM s3_part WHERE upload = :upload AND number = :number")
PARTS = Sql(
    "SELECT number, blob, size, etag, modified, checksum FROM s3_part"
    " WHERE upload = :upload AND number > :after ORDER BY number LIMIT :count"
)
PUT_PART = Sql(
    "INSERT INTO s3_part (upload, number, blob, size, etag, modified, checksum)"
    " VALUES (:upload, :number, :blob, :size, :etag, :modified, :checksum)"
    " ON CONFLICT (upload, number) DO UPDATE SET blob = excluded.blob, size = excluded.size, etag = excluded.etag,"
    " modified = excluded.modified, checksum = excluded.checksum"
)
_PARTS_TO_GARBAGE = Sql("INSERT INTO s3_garbage (blob, since) SELECT blob, CAST(:since AS BIGINT) FROM s3_part WHERE upload = :upload")
_DROP_PARTS = Sql("DELETE FROM s3_part WHERE upload = :upload")
_BUCKET_PARTS_TO_GARBAGE = Sql(
    "INSERT INTO s3_garbage (blob, since) SELECT blob, CAST(:since AS BIGINT) FROM s3_part"
    " WHERE upload IN (SELECT id FROM s3_upload WHERE bucket = :bucket)"
)
_DROP_BUCKET_PARTS = Sql("DELETE FROM s3_part WHERE upload IN (SELECT id FROM s3_upload WHERE bucket = :bucket)")

THROW_AWAY = Sql("INSERT INTO s3_garbage (blob, since) VALUES (:blob, :since)")
DUE = Sql("SELECT blob FROM s3_garbage WHERE since <= :until ORDER BY since LIMIT :count")
FORGET = Sql("DELETE FROM s3_garbage WHERE blob = :blob")
KNOWN = Sql(
    "SELECT blob FROM s3_object WHERE blob >= :low AND blob < :high UNION ALL SELECT blob FROM s3_part WHERE blob >= :low AND blob < :high"
    " UNION ALL SELECT blob FROM s3_garbage WHERE blob >= :low AND blob < :high"
)


def find_bucket(snapshot: Snapshot, name: str) -> Bucket | None:
    """The bucket's row, or None. A name no bucket can have finds nothing."""
    if not name.isascii() or "\0" in name:
        return None
    row = snapshot.one(_BUCKET, name=name)
    return Bucket(*row) if row else None


def find_object(snapshot: Snapshot, bucket: str, key: bytes) -> Object | None:
    """The object's row, or None."""
    row = snapshot.one(_OBJECT, bucket=bucket, key=key)
    return Object(*row) if row else None


def put_object(tx: Tx, bucket: str, key: bytes, new: Object) -> None:
    """Writes the object's row; the blob it replaces becomes garbage."""
    old = find_object(tx, bucket, key)
    if old:
        tx.run(THROW_AWAY, blob=old.blob, since=new.modified)
    tx.run(PUT_OBJECT, bucket=bucket, key=key, **new._asdict())


def drop_object(tx: Tx, bucket: str, key: bytes, old: Object, now: int) -> None:
    """Removes the row `old` of the object; its blob becomes garbage."""
    tx.run(_DROP_OBJECT, bucket=bucket, key=key)
    tx.run(THROW_AWAY, blob=old.blob, since=now)


def find_upload(snapshot: Snapshot, bucket: str, key: bytes, id: str) -> Multipart | None:
    """The upload's row, or None."""
    row = snapshot.one(_UPLOAD, bucket=bucket, key=key, id=id) if "\0" not in id else None
    return Multipart(*row) if row else None


def parts(snapshot: Snapshot, upload: str, after: int = 0, count: int = 10_000) -> list[Part]:
    """The upload's parts after a number, in order."""
    return [Part(*row) for row in snapshot.all(PARTS, upload=upload, after=after, count=count)]


def put_part(tx: Tx, upload: str, new: Part) -> None:
    """Writes the part's row; the blob it replaces becomes garbage."""
    row: Row | None = tx.one(_PART, upload=upload, number=new.number)
    if row:
        tx.run(THROW_AWAY, blob=Part(*row).blob, since=new.modified)
    tx.run(PUT_PART, upload=upload, **new._asdict())


def drop_upload(tx: Tx, bucket: str, key: bytes, id: str, now: int) -> None:
    """Removes the upload and its parts; their blobs become garbage."""
    tx.run(_PARTS_TO_GARBAGE, upload=id, since=now)
    tx.run(_DROP_PARTS, upload=id)
    tx.run(_DROP_UPLOAD, bucket=bucket, key=key, id=id)


def drop_uploads(tx: Tx, bucket: str, now: int) -> None:
    """Removes every upload in progress of a bucket, as `drop_upload` does one."""
    tx.run(_BUCKET_PARTS_TO_GARBAGE, bucket=bucket, since=now)
    tx.run(_DROP_BUCKET_PARTS, bucket=bucket)
    tx.run(_DROP_UPLOADS, bucket=bucket)
