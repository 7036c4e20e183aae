"""Copies within the server: CopyObject, and the source of UploadPartCopy."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, Right
from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import blobs, checksums, conditions, errors, members, names, objects, store
from opentrail.services.s3.store import Object
from opentrail.store.sql import Snapshot, Tx

SOURCE = frozenset(
    {
        "CopySource",
        "CopySourceIfMatch",
        "CopySourceIfModifiedSince",
        "CopySourceIfNoneMatch",
        "CopySourceIfUnmodifiedSince",
        "ExpectedSourceBucketOwner",
    }
)
COPY = members.WRITES | SOURCE | {"IfMatch", "IfNoneMatch", "MetadataDirective", "TaggingDirective", "ChecksumAlgorithm"}
MOST = 5 * 1024**3
"""The largest source of one copy, in bytes."""


class Source(NamedTuple):
    """What is copied, as it stood when the copy began."""

    bucket: str
    key: str
    found: Object


class Copy(NamedTuple):
    """A copy whose bytes are durable and whose row is still to be written."""

    source: Source
    put: objects.Put


def parse(copy_source: str) -> tuple[str, str]:
    """Bucket and key of an x-amz-copy-source. Raises InvalidArgument, or NoSuchVersion for a version that cannot exist."""
    path, _, version = copy_source.partition("?versionId=")
    members.version(version or None)
    bucket, _, key = unquote(path.removeprefix("/")).partition("/")
    if not bucket or not key or bucket.startswith("arn:"):
        raise errors.invalid_argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey", "x-amz-copy-source")
    return bucket, key


def read_source(snapshot: Snapshot, call: Call, input: Input) -> Source:
    """Finds the source and checks the conditions on it; the record names it. Raises ServiceError."""
    bucket, key = parse(input.CopySource)
    owner = store.find_bucket(snapshot, bucket)
    if owner is None:
        raise errors.no_such_bucket(bucket)
    names.touch(call, names.OBJECT_TYPE, names.object_arn(bucket, key), owner.account)
    names.touch(call, names.BUCKET_TYPE, names.bucket_arn(bucket), owner.account)
    if input.ExpectedSourceBucketOwner not in (None, owner.account):
        raise errors.access_denied()
    found = store.find_object(snapshot, bucket, names.key_bytes(key))
    if found is None:
        raise errors.no_such_key(key)
    conditions.check_copy(
        found,
        input.CopySourceIfMatch,
        input.CopySourceIfNoneMatch,
        input.CopySourceIfModifiedSince,
        input.CopySourceIfUnmodifiedSince,
    )
    return Source(bucket, key, found)


def still(tx: Tx, source: Source) -> None:
    """Raises OperationAborted when the source was overwritten or removed since the copy began."""
    found = store.find_object(tx, source.bucket, names.key_bytes(source.key))
    if found is None or found.blob != source.found.blob:
        raise errors.operation_aborted()


def too_large() -> ServiceError:
    """The source of one copy has more than `MOST` bytes."""
    return errors.invalid_request(f"The specified copy source is larger than the maximum allowable size for a copy source: {MOST}")


def rights(call: Call, input: Input) -> Sequence[Right]:
    """s3:PutObject on the target and s3:GetObject on the source."""
    return (*objects.put_rights(call, input), source_right(input))


def source_right(input: Input) -> Right:
    """The right to read what is copied."""
    return Right("s3:GetObject", names.object_arn(*parse(input.CopySource)))


def prepare(call: Call, input: Input) -> Copy:
    """Makes an object of another one's bytes (CopyObject), which the two then share as one file under two names."""
    members.only(input, COPY)
    with call.tools.read() as snapshot:
        key = objects.check_target(snapshot, call, input)
        conditions.check_write(store.find_object(snapshot, input.Bucket, key), input.Key, input.IfMatch, input.IfNoneMatch)
        source = read_source(snapshot, call, input)
    _check(input, source)
    headers = json.dumps(members.headers(input)) if input.MetadataDirective == "REPLACE" else source.found.headers
    blob = blobs.new_id(call.tools.ids)
    try:
        blobs.link(call.tools.blobs, source.found.blob, blob)
    except FileNotFoundError:
        raise errors.operation_aborted() from None
    etag, checksum = _sums(call, blob, source.found, input.ChecksumAlgorithm)
    call.facts["bytesTransferredIn"] = call.facts["bytesTransferredOut"] = 0
    new = Object(blob, source.found.size, etag, int(call.now), headers, checksum)
    return Copy(source, objects.Put(input.Bucket, input.Key, new, input.IfMatch, input.IfNoneMatch))


def apply(tx: Tx, call: Call, plan: Copy) -> Output:
    """The second half of a copy."""
    still(tx, plan.source)
    objects.write(tx, plan.put)
    new = plan.put.new
    result: dict[str, Any] = {"ETag": names.etag(new.etag), "LastModified": new.modified, **checksums.unpacked(new.checksum)}
    return {"CopyObjectResult": result}


def _check(input: Input, source: Source) -> None:
    if input.TaggingDirective not in (None, "COPY"):
        raise errors.not_implemented("TaggingDirective")
    if input.MetadataDirective not in (None, "COPY", "REPLACE"):
        raise errors.invalid_argument("Unknown metadata directive.", "x-amz-metadata-directive")
    if (source.bucket, source.key) == (input.Bucket, input.Key) and input.MetadataDirective != "REPLACE":
        raise errors.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's"
            " metadata, storage class, website redirect location or encryption attributes."
        )
    if source.found.size > MOST:
        raise too_large()
    if input.ChecksumAlgorithm is not None and input.ChecksumAlgorithm not in checksums.OFFERED:
        raise ServiceError("InvalidRequest", "Checksum algorithm provided is unsupported.")


def _sums(call: Call, blob: str, source: Object, asked: str | None) -> tuple[str, str]:
    """Entity tag and checksum of the copy: the source's where they are those of the whole bytes, else calculated."""
    file = blobs.path(call.tools.blobs, blob)
    etag = source.etag
    if "-" in etag:
        etag = base64.b64decode(checksums.of_file("MD5", file)).hex()
    kept = checksums.unpacked(source.checksum)
    type = kept.pop("ChecksumType", "FULL_OBJECT")
    algorithm = asked or next((name.removeprefix("Checksum") for name in kept), None)
    if algorithm is None or (f"Checksum{algorithm}" in kept and type == "FULL_OBJECT"):
        return etag, source.checksum
    return etag, checksums.packed({f"Checksum{algorithm}": checksums.of_file(algorithm, file)})


OPERATIONS = (Operation("CopyObject", rights, prepare=prepare, apply=apply, data_type=names.OBJECT_TYPE),)
