"""CompleteMultipartUpload: the parts become one new blob, and then one row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, right
from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import blobs, checksums, conditions, errors, members, names, objects, store, uploads
from opentrail.services.s3.store import Multipart, Object, Part
from opentrail.store.sql import Tx

COMPLETE = (
    uploads.ON_UPLOAD
    | checksums.MEMBERS - {"ContentMD5", "ChecksumAlgorithm"}
    | {
        *("MultipartUpload", "ChecksumType", "MpuObjectSize", "IfMatch", "IfNoneMatch"),
    }
)
_PART = frozenset({"ETag", "PartNumber", *(f"Checksum{name}" for name in checksums.OFFERED)})
LEAST_PART = 5 * 1024**2
"""The least bytes of every part but the last."""
MOST = 50 * 1024**4
"""The most bytes of one object."""


class Finished(NamedTuple):
    """An upload whose parts lie joined and durable in one blob."""

    input: Input
    parts: tuple[Part, ...]
    put: objects.Put


def prepare(call: Call, input: Input) -> Finished:
    """Puts an upload's parts together (CompleteMultipartUpload)."""
    members.only(input, COMPLETE)
    with call.tools.read() as snapshot:
        upload = uploads.known(snapshot, call, input)
        key = names.key_bytes(input.Key)
        conditions.check_write(store.find_object(snapshot, input.Bucket, key), input.Key, input.IfMatch, input.IfNoneMatch)
        parts = chosen(input, upload, {part.number: part for part in store.parts(snapshot, input.UploadId)})
    size = sum(part.size for part in parts)
    if input.MpuObjectSize not in (None, size):
        raise errors.invalid_request("The provided 'x-amz-mp-object-size' header does not match what was computed.")
    blob = blobs.new_id(call.tools.ids)
    try:
        blobs.join(call.tools.blobs, blob, [(part.blob, 0, part.size) for part in parts])
    except FileNotFoundError:
        raise errors.no_such_upload(input.UploadId) from None
    checksum = _checksum(call, input, upload, parts, blob)
    etag = checksums.composite_etag(part.etag for part in parts)
    call.facts["bytesTransferredIn"] = len(call.request.body)
    call.facts["bytesTransferredOut"] = 0
    new = Object(blob, size, etag, int(call.now), upload.headers, checksum)
    return Finished(input, parts, objects.Put(input.Bucket, input.Key, new, input.IfMatch, input.IfNoneMatch))


def apply(tx: Tx, call: Call, plan: Finished) -> Output:
    """Writes the row and ends the upload, if it and the parts are still those that were joined."""
    input = plan.input
    uploads.known(tx, call, input)
    standing = {part.number: part.blob for part in store.parts(tx, input.UploadId)}
    if any(standing.get(part.number) != part.blob for part in plan.parts):
        raise _invalid_part()
    store.drop_upload(tx, input.Bucket, names.key_bytes(input.Key), input.UploadId, int(call.now))
    objects.write(tx, plan.put)
    output: dict[str, Any] = {
        **uploads.echo(input.Bucket, input.Key),
        "Location": f"{call.tools.settings.url}/{input.Bucket}/{names.url(input.Key)}",
        "ETag": names.etag(plan.put.new.etag),
        **checksums.unpacked(plan.put.new.checksum),
    }
    return output


def chosen(input: Input, upload: Multipart, standing: dict[int, Part]) -> tuple[Part, ...]:
    """The parts that the input lists, checked. Raises MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall, EntityTooLarge."""
    listed = (input.MultipartUpload.Parts if input.MultipartUpload else None) or []
    if not 1 <= len(listed) <= uploads.MOST_PARTS or any(item.PartNumber is None or item.ETag is None for item in listed):
        raise errors.malformed_xml()
    numbers = [item.PartNumber for item in listed]
    if any(number >= follower for number, follower in pairwise(numbers)):
        text = "The list of parts was not in ascending order. The parts list must be specified in order by part number."
        raise ServiceError("InvalidPartOrder", text)
    parts = tuple(_checked(item, upload, standing.get(item.PartNumber)) for item in listed)
    if any(part.size < LEAST_PART for part in parts[:-1]):
        raise ServiceError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    if sum(part.size for part in parts) > MOST:
        raise errors.too_large(MOST)
    return parts


def _checked(item: Any, upload: Multipart, part: Part | None) -> Part:
    members.only(item, _PART)
    if part is None or item.ETag.strip('"') != part.etag:
        raise _invalid_part()
    for name, value in checksums.sent(item).items():
        if uploads.values(part.checksum).get(name) != value:
            raise _invalid_part()
    return part


def _checksum(call: Call, input: Input, upload: Multipart, parts: tuple[Part, ...], blob: str) -> str:
    """The finished object's checksum as rows keep it, compared with what the caller expects. Raises BadDigest, InvalidRequest."""
    if input.ChecksumType not in (None, upload.type):
        raise errors.invalid_request("The checksum type of the upload is not the one that the request names.")
    expected = checksums.sent(input)
    if not upload.algorithm:
        if expected:
            raise errors.invalid_request("The upload was created without a checksum algorithm, so that its checksum cannot be compared.")
        return ""
    member = f"Checksum{upload.algorithm}"
    if upload.type == "FULL_OBJECT":
        value = checksums.of_file(upload.algorithm, blobs.path(call.tools.blobs, blob))
    else:
        value = checksums.composite(upload.algorithm, (uploads.values(part.checksum)[member] for part in parts))
    if expected and {member: value.partition("-")[0]} != {name: sent.partition("-")[0] for name, sent in expected.items()}:
        raise ServiceError("BadDigest", f"The {upload.algorithm} you specified did not match the calculated checksum.")
    return checksums.packed({member: value}, upload.type)


def _invalid_part() -> ServiceError:
    return ServiceError(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag"
        " may not match the part's entity tag.",
    )


OPERATIONS = (
    Operation(
        "CompleteMultipartUpload",
        right("s3:PutObject", names.arn_of_object),
        prepare=prepare,
        apply=apply,
        data_type=names.OBJECT_TYPE,
    ),
)
