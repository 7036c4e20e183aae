"""What records keep: every operation of the model, every leaf of those offered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentrail.calls.operation import NOTHING
from opentrail.record.keep import projector
from opentrail.services.s3 import buckets, completion, copies, listing, members, objects, uploads
from opentrail.services.s3.audit import AUDIT
from opentrail.services.s3.service import service
from tests.unit.services.s3.support import MODEL, built

SERVICE = service(lambda document: None)


def leaves(shape: Any, path: str = "") -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        yield from leaves(shape.member, path + "[]")
    elif shape.type_name == "map":
        yield from leaves(shape.value, path + "{}")
    else:
        yield path


def test_every_operation_of_the_model_has_an_entry_and_no_other() -> None:
    assert set(AUDIT) == set(MODEL.operation_names)
    assert set(SERVICE.operations) <= set(MODEL.operation_names)
    for name, audit in AUDIT.items():
        assert (audit == NOTHING) is (name not in SERVICE.operations)


def test_every_leaf_of_an_offered_input_is_kept_or_dropped_by_name() -> None:
    for name in SERVICE.operations:
        audit = AUDIT[name]
        named = [*audit.keep, *audit.drop]
        assert len(named) == len(set(named)), name
        assert set(named) == set(leaves(MODEL.operation_model(name).input_shape)), name


def test_secrets_and_content_are_never_kept() -> None:
    for name in SERVICE.operations:
        for kept in AUDIT[name].keep:
            assert not any(word in kept for word in ("Metadata{", "Body", "SSECustomer", "Disposition", "ContinuationToken")), (name, kept)
        assert AUDIT[name].keep_output == ()


def test_a_record_of_a_put_shows_names_as_s3_does() -> None:
    audit = AUDIT["PutObject"]
    sent = {"Bucket": "box", "Key": "k", "ACL": "private", "Metadata": {"secret": "canary"}, "ContentDisposition": "canary"}
    value = built(MODEL.operation_model("PutObject").input_shape, sent)
    assert projector(audit.keep, rename=audit.rename)(value) == {"bucketName": "box", "key": "k", "x-amz-acl": "private"}


def test_every_offered_member_is_one_of_the_model() -> None:
    for name, offered in {
        "CreateBucket": buckets.CREATE - {"ExpectedBucketOwner"},
        "ListBuckets": buckets.LIST,
        "PutBucketTagging": buckets.PUT_TAGS,
        "DeleteBucket": members.COMMON,
        "PutObject": objects.PUT,
        "GetObject": objects.READ,
        "HeadObject": objects.READ,
        "DeleteObject": objects.DELETE,
        "DeleteObjects": objects.DELETE_MANY,
        "CopyObject": copies.COPY,
        "ListObjects": listing.V1,
        "ListObjectsV2": listing.V2,
        "CreateMultipartUpload": uploads.CREATE,
        "UploadPart": uploads.UPLOAD_PART,
        "UploadPartCopy": uploads.COPY_PART,
        "ListParts": uploads.LIST_PARTS,
        "ListMultipartUploads": uploads.LIST,
        "CompleteMultipartUpload": completion.COMPLETE,
        "AbortMultipartUpload": uploads.ON_UPLOAD,
    }.items():
        assert offered <= set(MODEL.operation_model(name).input_shape.members), name


def test_object_calls_are_data_events() -> None:
    management = {name for name, operation in SERVICE.operations.items() if not operation.data_type}
    assert {name for name in management if "Object" in name or "Part" in name} == set()
    assert len(SERVICE.operations) == 28
