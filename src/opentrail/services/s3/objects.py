"""Objects: PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opentrail.calls.call import Call, Download, Touched, Upload
from opentrail.calls.operation import Input, Operation, Output, Right, right
from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import blobs, checksums, conditions, errors, members, names, store
from opentrail.services.s3.store import Object
from opentrail.store.sql import Snapshot, Tx

_CONDITIONS = frozenset({"IfMatch", "IfNoneMatch"})
PUT = members.WRITES | checksums.MEMBERS | _CONDITIONS | {"Body", "ContentLength"}
_READ = members.ON_OBJECT | _CONDITIONS | {"IfModifiedSince", "IfUnmodifiedSince", "Range", "VersionId", "ChecksumMode"}
_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
READ = _READ | set(_OVERRIDES)
DELETE = members.ON_OBJECT | {"VersionId", "IfMatch"}
DELETE_MANY = members.COMMON | {"Delete", "ChecksumAlgorithm", "RequestPayer"}
_ARN_BYTES = 64_000


class Put(NamedTuple):
    """An object whose bytes are durable and whose row is still to be written."""

    bucket: str
    key: str
    new: Object
    if_match: str | None
    if_none_match: str | None


def put_rights(call: Call, input: Input) -> Sequence[Right]:
    """s3:PutObject with the headers that bucket policies compare."""
    asked = {"s3:x-amz-acl": input.ACL, "s3:x-amz-storage-class": input.StorageClass}
    keys = {name: value for name, value in asked.items() if value is not None}
    return (Right("s3:PutObject", names.arn_of_object(call, input), keys),)


def check_target(snapshot: Snapshot, call: Call, input: Input) -> bytes:
    """The key's bytes, once bucket, key and the members every write shares are found good."""
    members.check_write(input)
    names.known_for_object(snapshot, call, input)
    return names.key_bytes(input.Key)


def prepare_put(call: Call, input: Input) -> Put:
    """Adds an object to a bucket (PutObject): everything is checked before the spooled body becomes a blob."""
    with call.tools.read() as snapshot:
        key = check_target(snapshot, call, input)
        members.only(input, PUT)
        conditions.check_write(store.find_object(snapshot, input.Bucket, key), input.Key, input.IfMatch, input.IfNoneMatch)
    headers = members.headers(input)
    body: Upload = input.Body
    call.facts["bytesTransferredIn"] = body.size
    call.facts["bytesTransferredOut"] = 0
    if body.size > call.tools.settings.max_object:
        raise errors.too_large(call.tools.settings.max_object)
    checksum = checksums.verified(body, input)
    blob = blobs.new_id(call.tools.ids)
    blobs.adopt(call.tools.blobs, blob, body.file)
    new = Object(blob, body.size, body.md5, int(call.now), json.dumps(headers), checksums.packed(checksum))
    return Put(input.Bucket, input.Key, new, input.IfMatch, input.IfNoneMatch)


def apply_put(tx: Tx, call: Call, plan: Put) -> Output:
    """Writes the row; the one place that decides between concurrent writers."""
    write(tx, plan)
    return {"ETag": names.etag(plan.new.etag), **checksums.unpacked(plan.new.checksum)}


def write(tx: Tx, plan: Put) -> None:
    """Writes an object's row if the bucket still stands and the conditions still hold. Raises ServiceError."""
    if store.find_bucket(tx, plan.bucket) is None:
        raise errors.no_such_bucket(plan.bucket)
    key = names.key_bytes(plan.key)
    if plan.if_match is not None or plan.if_none_match is not None:
        conditions.check_write(store.find_object(tx, plan.bucket, key), plan.key, plan.if_match, plan.if_none_match)
    store.put_object(tx, plan.bucket, key, plan.new)


def get(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Reads an object (GetObject). An output with ContentRange is a 206."""
    members.only(input, READ)
    found, output = _read(snapshot, call, input)
    first, length = conditions.span(input.Range, found.size) or (0, found.size)
    call.facts["bytesTransferredIn"] = 0
    call.facts["bytesTransferredOut"] = length
    return {**output, "Body": Download(blobs.path(call.tools.blobs, found.blob), first, length)}


def head(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Reads an object's headers (HeadObject)."""
    members.only(input, READ)
    _, output = _read(snapshot, call, input)
    call.facts["bytesTransferredIn"] = call.facts["bytesTransferredOut"] = 0
    return output


def _read(snapshot: Snapshot, call: Call, input: Input) -> tuple[Object, dict[str, Any]]:
    names.known_for_object(snapshot, call, input)
    members.version(input.VersionId)
    found = store.find_object(snapshot, input.Bucket, names.key_bytes(input.Key))
    if found is None:
        raise errors.no_such_key(input.Key)
    conditions.check_read(found, input.IfMatch, input.IfNoneMatch, input.IfModifiedSince, input.IfUnmodifiedSince)
    output: dict[str, Any] = json.loads(found.headers)
    output |= {name: value for sent, name in _OVERRIDES.items() if (value := getattr(input, sent)) is not None}
    output |= {"AcceptRanges": "bytes", "ETag": names.etag(found.etag), "LastModified": found.modified, "ContentLength": found.size}
    part = conditions.span(input.Range, found.size)
    if part:
        first, length = part
        output |= {"ContentLength": length, "ContentRange": f"bytes {first}-{first + length - 1}/{found.size}"}
    elif input.ChecksumMode == "ENABLED":
        output |= checksums.unpacked(found.checksum)
    return found, output


def prepare_delete(call: Call, input: Input) -> Input:
    """Removes an object (DeleteObject); that there is none is a success too."""
    members.only(input, DELETE)
    with call.tools.read() as snapshot:
        names.known_for_object(snapshot, call, input)
    members.version(input.VersionId)
    names.key_bytes(input.Key)
    return input


def apply_delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteObject's second half."""
    names.known_bucket(tx, call, input)
    _delete(tx, input.Bucket, input.Key, input.IfMatch, int(call.now))
    return {}


def _delete(tx: Tx, bucket: str, key: str, if_match: str | None, now: int) -> None:
    encoded = names.key_bytes(key)
    found = store.find_object(tx, bucket, encoded)
    conditions.check_write(found, key, if_match, None)
    if found:
        store.drop_object(tx, bucket, encoded, found, now)


def prepare_delete_many(call: Call, input: Input) -> Input:
    """Removes up to 1,000 objects (DeleteObjects). The record names each, as far as a record can hold them."""
    members.only(input, DELETE_MANY)
    checksums.check_whole(call)
    items = input.Delete.Objects
    if not 1 <= len(items) <= 1000:
        raise errors.malformed_xml()
    arns = [names.object_arn(input.Bucket, item.Key) for item in items]
    if sum(map(len, arns)) > _ARN_BYTES:
        arns = [names.object_arn(input.Bucket, "")]
    with call.tools.read() as snapshot:
        owner = names.known_bucket(snapshot, call, input).account
    call.touched.extend(Touched(names.OBJECT_TYPE, arn, owner) for arn in dict.fromkeys(arns))
    return input


def delete_many_rights(call: Call, input: Input) -> Sequence[Right]:
    """s3:DeleteObject on every key: all or nothing."""
    arns = dict.fromkeys(names.object_arn(input.Bucket, item.Key) for item in input.Delete.Objects)
    return tuple(Right("s3:DeleteObject", arn) for arn in arns) or (Right("s3:DeleteObject", names.object_arn(input.Bucket, "*")),)


def apply_delete_many(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteObjects' second half."""
    names.known_bucket(tx, call, input)
    deleted: list[Mapping[str, Any]] = []
    failed: list[Mapping[str, Any]] = []
    for item in input.Delete.Objects:
        named = {"Key": item.Key} if item.VersionId is None else {"Key": item.Key, "VersionId": item.VersionId}
        try:
            if item.LastModifiedTime is not None or item.Size is not None:
                raise errors.not_implemented("LastModifiedTime and Size")
            members.version(item.VersionId)
            _delete(tx, input.Bucket, item.Key, item.ETag, int(call.now))
        except ServiceError as error:
            failed.append({**named, "Code": error.code, "Message": error.for_caller()})
        else:
            deleted.append(named)
    output = {"Deleted": [] if input.Delete.Quiet else deleted, "Errors": failed}
    return {name: listed for name, listed in output.items() if listed}


OPERATIONS = (
    Operation("PutObject", put_rights, prepare=prepare_put, apply=apply_put, data_type=names.OBJECT_TYPE, streams_in=True),
    Operation("GetObject", right("s3:GetObject", names.arn_of_object), read=get, data_type=names.OBJECT_TYPE, point=True),
    Operation("HeadObject", right("s3:GetObject", names.arn_of_object), read=head, data_type=names.OBJECT_TYPE, point=True),
    Operation(
        "DeleteObject",
        right("s3:DeleteObject", names.arn_of_object),
        prepare=prepare_delete,
        apply=apply_delete,
        data_type=names.OBJECT_TYPE,
    ),
    Operation("DeleteObjects", delete_many_rights, prepare=prepare_delete_many, apply=apply_delete_many, data_type=names.OBJECT_TYPE),
)
