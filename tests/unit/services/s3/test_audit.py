"""What records keep of S3's calls, beside what holds for all services (tests/unit/test_audit.py)."""

from __future__ import annotations

from opentrail.record.keep import projector
from opentrail.services.s3 import buckets, completion, copies, listing, members, objects, uploads
from opentrail.services.s3.audit import AUDIT
from opentrail.services.s3.service import service
from tests.unit.services.s3.support import MODEL, built

SERVICE = service(lambda document: None)


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
