"""Multipart uploads: CreateMultipartUpload, UploadPart, UploadPartCopy, AbortMultipartUpload, ListParts, ListMultipartUploads.

Parts are blobs of their own. Completing an upload is in completion.py.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from opentrail.calls.call import Call, Upload
from opentrail.calls.operation import Input, Operation, Output, Right, right
from opentrail.services.s3 import blobs, checksums, copies, errors, listing, members, names, objects, store
from opentrail.services.s3.store import Multipart, Part
from opentrail.store.sql import Snapshot, Tx

ON_UPLOAD = members.ON_OBJECT | {"UploadId"}
CREATE = members.WRITES | {"ChecksumAlgorithm", "ChecksumType"}
UPLOAD_PART = ON_UPLOAD | checksums.MEMBERS | {"Body", "ContentLength", "PartNumber"}
COPY_PART = ON_UPLOAD | copies.SOURCE | {"CopySourceRange", "PartNumber"}
LIST_PARTS = ON_UPLOAD | {"MaxParts", "PartNumberMarker"}
LIST = members.COMMON | {"Delimiter", "EncodingType", "KeyMarker", "MaxUploads", "Prefix", "RequestPayer", "UploadIdMarker"}
MOST_PARTS = 10_000
_ID_CHARACTERS = 44


class NewUpload(NamedTuple):
    """An upload to begin."""

    bucket: str
    key: str
    id: str
    row: Multipart


class NewPart(NamedTuple):
    """A part whose bytes are durable and whose row is still to be written."""

    input: Input
    row: Part
    source: copies.Source | None = None


def known(snapshot: Snapshot, call: Call, input: Input) -> Multipart:
    """The upload that the input names. Raises NoSuchBucket or NoSuchUpload."""
    names.known_for_object(snapshot, call, input)
    found = store.find_upload(snapshot, input.Bucket, names.key_bytes(input.Key), input.UploadId)
    if found is None:
        raise errors.no_such_upload(input.UploadId)
    return found


def prepare_create(call: Call, input: Input) -> NewUpload:
    """Begins an upload in parts (CreateMultipartUpload)."""
    members.only(input, CREATE)
    with call.tools.read() as snapshot:
        objects.check_target(snapshot, call, input)
    algorithm, type = _checksum(input)
    id = f"{int(call.now * 1000):012x}{call.tools.ids.hex(_ID_CHARACTERS)}"
    row = Multipart(int(call.now), call.caller.arn or call.caller.service, json.dumps(members.headers(input)), algorithm, type)
    return NewUpload(input.Bucket, input.Key, id, row)


def apply_create(tx: Tx, call: Call, plan: NewUpload) -> Output:
    """CreateMultipartUpload's second half."""
    if store.find_bucket(tx, plan.bucket) is None:
        raise errors.no_such_bucket(plan.bucket)
    tx.run(store.NEW_UPLOAD, bucket=plan.bucket, key=names.key_bytes(plan.key), id=plan.id, **plan.row._asdict())
    return echo(plan.bucket, plan.key) | {"UploadId": plan.id} | _checksum_members(plan.row)


def prepare_part(call: Call, input: Input) -> NewPart:
    """Adds or replaces one part (UploadPart)."""
    members.only(input, UPLOAD_PART)
    with call.tools.read() as snapshot:
        upload = known(snapshot, call, input)
    _check_number(input.PartNumber)
    body: Upload = input.Body
    call.facts["bytesTransferredIn"] = body.size
    call.facts["bytesTransferredOut"] = 0
    if body.size > call.tools.settings.max_object:
        raise errors.too_large(call.tools.settings.max_object)
    checksum = checksums.verified(body, input)
    if upload.algorithm and f"Checksum{upload.algorithm}" not in checksum:
        checksum = {f"Checksum{upload.algorithm}": checksums.of_upload(body, upload.algorithm)}
    blob = blobs.new_id(call.tools.ids)
    blobs.adopt(call.tools.blobs, blob, body.file)
    return NewPart(input, Part(input.PartNumber, blob, body.size, body.md5, int(call.now), checksums.packed(checksum)))


def apply_part(tx: Tx, call: Call, plan: NewPart) -> Output:
    """UploadPart's second half."""
    known(tx, call, plan.input)
    store.put_part(tx, plan.input.UploadId, plan.row)
    return {"ETag": names.etag(plan.row.etag), **values(plan.row.checksum)}


def copy_rights(call: Call, input: Input) -> Sequence[Right]:
    """s3:PutObject on the target and s3:GetObject on the source."""
    return (Right("s3:PutObject", names.arn_of_object(call, input)), copies.source_right(input))


def prepare_copy(call: Call, input: Input) -> NewPart:
    """Adds a part from a range of another object (UploadPartCopy)."""
    members.only(input, COPY_PART)
    with call.tools.read() as snapshot:
        upload = known(snapshot, call, input)
        source = copies.read_source(snapshot, call, input)
    _check_number(input.PartNumber)
    first, size = _copy_range(input.CopySourceRange, source.found.size)
    blob = blobs.new_id(call.tools.ids)
    try:
        blobs.join(call.tools.blobs, blob, [(source.found.blob, first, size)])
    except FileNotFoundError:
        raise errors.operation_aborted() from None
    file = blobs.path(call.tools.blobs, blob)
    etag = base64.b64decode(checksums.of_file("MD5", file)).hex()
    checksum = {f"Checksum{upload.algorithm}": checksums.of_file(upload.algorithm, file)} if upload.algorithm else {}
    call.facts["bytesTransferredIn"] = call.facts["bytesTransferredOut"] = 0
    return NewPart(input, Part(input.PartNumber, blob, size, etag, int(call.now), checksums.packed(checksum)), source)


def apply_copy(tx: Tx, call: Call, plan: NewPart) -> Output:
    """UploadPartCopy's second half."""
    known(tx, call, plan.input)
    assert plan.source is not None, "a copy has a source"
    copies.still(tx, plan.source)
    store.put_part(tx, plan.input.UploadId, plan.row)
    return {"CopyPartResult": {"ETag": names.etag(plan.row.etag), "LastModified": plan.row.modified, **values(plan.row.checksum)}}


def prepare_abort(call: Call, input: Input) -> Input:
    """Ends an upload and throws its parts away (AbortMultipartUpload)."""
    members.only(input, ON_UPLOAD)
    with call.tools.read() as snapshot:
        known(snapshot, call, input)
    return input


def apply_abort(tx: Tx, call: Call, input: Input) -> Output:
    """AbortMultipartUpload's second half: the parts become garbage."""
    known(tx, call, input)
    store.drop_upload(tx, input.Bucket, names.key_bytes(input.Key), input.UploadId, int(call.now))
    return {}


def list_parts(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Lists the parts of an upload by number (ListParts)."""
    members.only(input, LIST_PARTS)
    upload = known(snapshot, call, input)
    most = members.count(input.MaxParts, "max-parts")
    after = members.count(input.PartNumberMarker, "part-number-marker", MOST_PARTS) if input.PartNumberMarker is not None else 0
    found = store.parts(snapshot, input.UploadId, after, most + 1)
    page = found[:most]
    owner = names.owner(names.known_bucket(snapshot, call, input).account)
    output: dict[str, Any] = {
        **echo(input.Bucket, input.Key),
        "UploadId": input.UploadId,
        "PartNumberMarker": after,
        "MaxParts": most,
        "IsTruncated": len(found) > most > 0,
        "StorageClass": "STANDARD",
        "Owner": owner,
        "Initiator": {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]},
        **_checksum_members(upload),
    }
    if page:
        output["Parts"] = [_part(part) for part in page]
        output["NextPartNumberMarker"] = page[-1].number
    return output


def list_uploads(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Lists a bucket's uploads in progress by key, then by when they began (ListMultipartUploads)."""
    members.only(input, LIST)
    bucket = names.known_bucket(snapshot, call, input)
    most = members.count(input.MaxUploads, "max-uploads")
    prefix, delimiter, marker = ((text or "").encode() for text in (input.Prefix, input.Delimiter, input.KeyMarker))
    place = (listing.start(prefix, delimiter, marker), "")
    if marker and input.UploadIdMarker and "\0" not in input.UploadIdMarker:
        place = max((prefix, ""), (marker, input.UploadIdMarker + "~"))

    def fetch(place: listing.Place, high: bytes, count: int) -> list[tuple[Any, ...]]:
        return snapshot.all(store.UPLOADS, bucket=bucket.name, low=place[0], id=place[1], high=high, count=count)

    page = listing.walk(fetch, prefix, delimiter, place, most, listing.next_id)
    output: dict[str, Any] = {
        "Bucket": bucket.name,
        "Prefix": input.Prefix or "",
        "KeyMarker": input.KeyMarker or "",
        "UploadIdMarker": input.UploadIdMarker or "",
        "MaxUploads": most,
        "IsTruncated": page.truncated,
    }
    if input.Delimiter:
        output["Delimiter"] = input.Delimiter
    if page.truncated:
        output["NextKeyMarker"] = page.last.decode()
        output["NextUploadIdMarker"] = page.rows[-1][1] if page.rows and bytes(page.rows[-1][0]) == page.last else ""
    if page.rows:
        output["Uploads"] = [_upload(row, names.owner(bucket.account)) for row in page.rows]
    if page.prefixes:
        output["CommonPrefixes"] = [{"Prefix": common.decode()} for common in page.prefixes]
    return listing.encoded(output, input.EncodingType)


def echo(bucket: str, key: str) -> dict[str, Any]:
    """Bucket and key as answers repeat them; without the key where XML cannot carry it."""
    return {"Bucket": bucket, "Key": key} if names.xml_safe(key) else {"Bucket": bucket}


def values(stored: str) -> dict[str, str]:
    """A part's checksum, without its type."""
    return {name: value for name, value in checksums.unpacked(stored).items() if name != "ChecksumType"}


def _checksum(input: Input) -> tuple[str, str]:
    """Algorithm and type of the finished object's checksum; both empty for none."""
    algorithm, type = input.ChecksumAlgorithm, input.ChecksumType
    if algorithm is None:
        if type is not None:
            raise errors.invalid_request("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
        return "", ""
    if algorithm not in ("CRC32", "SHA1", "SHA256"):
        raise errors.invalid_request("Checksum algorithm provided is unsupported.")
    if type == "FULL_OBJECT" and algorithm != "CRC32":
        raise errors.invalid_request(f"The FULL_OBJECT checksum type cannot be used with the {algorithm.lower()} checksum algorithm.")
    return algorithm, type or "COMPOSITE"


def _checksum_members(upload: Multipart) -> dict[str, str]:
    return {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.type} if upload.algorithm else {}


def _check_number(number: int) -> None:
    if not 1 <= number <= MOST_PARTS:
        raise errors.invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber")


_COPIED = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})", re.ASCII)


def _copy_range(asked: str | None, size: int) -> tuple[int, int]:
    if asked is None:
        first, count = 0, size
    else:
        match = _COPIED.fullmatch(asked)
        if match is None or int(match[1]) > int(match[2]):
            raise errors.invalid_argument(
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based"
                " offsets of the first and last bytes to copy",
                "x-amz-copy-source-range",
            )
        first, count = int(match[1]), int(match[2]) - int(match[1]) + 1
        if first + count > size:
            raise errors.invalid_argument(f"Range specified is not valid for source object of size: {size}", "x-amz-copy-source-range")
    if count > copies.MOST:
        raise copies.too_large()
    return first, count


def _part(part: Part) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": part.modified,
        "ETag": names.etag(part.etag),
        "Size": part.size,
        **values(part.checksum),
    }


def _upload(row: Sequence[Any], owner: dict[str, str]) -> dict[str, Any]:
    key, id, initiated, initiator, algorithm, type = row
    checksum = {"ChecksumAlgorithm": algorithm, "ChecksumType": type} if algorithm else {}
    return {
        "UploadId": id,
        "Key": bytes(key).decode(),
        "Initiated": initiated,
        "StorageClass": "STANDARD",
        "Owner": owner,
        "Initiator": {"ID": initiator, "DisplayName": initiator.rpartition("/")[2]},
        **checksum,
    }


_DATA = names.OBJECT_TYPE
_PUT = right("s3:PutObject", names.arn_of_object)
OPERATIONS = (
    Operation("CreateMultipartUpload", objects.put_rights, prepare=prepare_create, apply=apply_create, data_type=_DATA),
    Operation("UploadPart", _PUT, prepare=prepare_part, apply=apply_part, data_type=_DATA, streams_in=True),
    Operation("UploadPartCopy", copy_rights, prepare=prepare_copy, apply=apply_copy, data_type=_DATA),
    Operation(
        "AbortMultipartUpload",
        right("s3:AbortMultipartUpload", names.arn_of_object),
        prepare=prepare_abort,
        apply=apply_abort,
        data_type=_DATA,
    ),
    Operation("ListParts", right("s3:ListMultipartUploadParts", names.arn_of_object), read=list_parts, data_type=_DATA),
    Operation("ListMultipartUploads", listing.list_rights("s3:ListBucketMultipartUploads"), read=list_uploads),
)
