"""Objects: written, read, conditional, removed."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError
from tests.unit.services.s3.support import OTHER, OWNER, Server

HELLO_MD5 = "XUFAKrxLKna5cZ2REBfFkg=="
CRC = base64.b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()


def refused(code: str) -> Any:
    return pytest.raises(ServiceError, match=f"^{code}$")


def test_what_is_put_is_read_back_with_its_headers(s3: Server, bucket: str) -> None:
    put = s3.do(
        "PutObject",
        Bucket=bucket,
        Key="a/b",
        Body=b"hello",
        Metadata={"signature": "ab"},
        ContentType="text/plain",
        ContentEncoding="aws-chunked,gzip",
        CacheControl="no-store",
        Expires=1e9,
        ChecksumCRC32=CRC,
        ChecksumAlgorithm="CRC32",
        ContentMD5=HELLO_MD5,
    )
    assert put == {"ETag": '"5d41402abc4b2a76b9719d911017c592"', "ChecksumCRC32": CRC, "ChecksumType": "FULL_OBJECT"}
    got = s3.do("GetObject", Bucket=bucket, Key="a/b", ChecksumMode="ENABLED")
    assert s3.body(got) == b"hello"
    assert (got["ContentLength"], got["ContentType"], got["ContentEncoding"]) == (5, "text/plain", "gzip")
    assert (got["Metadata"], got["CacheControl"], got["Expires"]) == ({"signature": "ab"}, "no-store", 1e9)
    assert (got["ETag"], got["ChecksumCRC32"], got["LastModified"]) == (put["ETag"], CRC, s3.clock.now())
    assert s3.last is not None
    assert s3.last.facts == {"bytesTransferredIn": 0, "bytesTransferredOut": 5}
    assert [(t.type, t.arn, t.account) for t in s3.last.touched] == [
        ("AWS::S3::Object", "arn:aws:s3:::box/a/b", OWNER),
        ("AWS::S3::Bucket", "arn:aws:s3:::box", OWNER),
    ]
    head = s3.do("HeadObject", Bucket=bucket, Key="a/b")
    assert "Body" not in head
    assert head["ContentLength"] == 5
    assert "ChecksumCRC32" not in head


def test_a_range_is_part_of_the_object_and_has_no_checksum(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"hello", ChecksumCRC32=CRC)
    got = s3.do("GetObject", Bucket=bucket, Key="k", Range="bytes=1-2", ChecksumMode="ENABLED")
    assert s3.body(got) == b"el"
    assert (got["ContentRange"], got["ContentLength"]) == ("bytes 1-2/5", 2)
    assert "ChecksumCRC32" not in got
    with refused("InvalidRange"):
        s3.do("GetObject", Bucket=bucket, Key="k", Range="bytes=5-")


def test_answers_can_be_given_other_headers(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"x")
    got = s3.do("GetObject", Bucket=bucket, Key="k", ResponseContentType="a/b", ResponseContentDisposition="inline")
    assert (got["ContentType"], got["ContentDisposition"]) == ("a/b", "inline")
    assert s3.do("GetObject", Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumSHA1": base64.b64encode(bytes(20)).decode()}, "BadDigest"),
        ({"ChecksumSHA256": base64.b64encode(bytes(32)).decode()}, "BadDigest"),
        ({"ChecksumSHA512": base64.b64encode(bytes(64)).decode()}, "BadDigest"),
        ({"ChecksumCRC32": "not base64"}, "InvalidRequest"),
        ({"ChecksumCRC32": CRC, "ChecksumSHA1": "x"}, "InvalidRequest"),
        ({"ChecksumAlgorithm": "CRC32"}, "InvalidRequest"),
        ({"ContentMD5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        ({"ContentMD5": "short"}, "InvalidDigest"),
        ({"ChecksumCRC32C": "AAAAAA=="}, "NotImplemented"),
        ({"ServerSideEncryption": "aws:kms"}, "NotImplemented"),
        ({"Tagging": "a=b"}, "NotImplemented"),
        ({"ObjectLockMode": "GOVERNANCE"}, "NotImplemented"),
        ({"WebsiteRedirectLocation": "/x"}, "NotImplemented"),
        ({"GrantRead": "id=1"}, "NotImplemented"),
        ({"StorageClass": "GLACIER"}, "NotImplemented"),
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"Metadata": {"a": "x" * 2048}}, "MetadataTooLarge"),
        ({"IfNoneMatch": '"abc"'}, "NotImplemented"),
        ({"IfMatch": '"abc"'}, "NoSuchKey"),
        ({"ExpectedBucketOwner": OTHER}, "AccessDenied"),
        ({"Key": "é" * 513}, "KeyTooLongError"),
        ({"Key": "\ud800"}, "InvalidURI"),
        ({"Bucket": "nowhere"}, "NoSuchBucket"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(s3: Server, bucket: str, values: dict[str, Any], code: str) -> None:
    with refused(code):
        s3.do("PutObject", **({"Bucket": bucket, "Key": "k", "Body": b"hello"} | values))
    assert s3.rows("SELECT 1 FROM s3_object") == []
    assert list(s3.folder.glob("??/*")) == []


def test_supported_headers_of_writes(s3: Server, bucket: str) -> None:
    for acl in ("private", "bucket-owner-full-control"):
        s3.do("PutObject", Bucket=bucket, Key="k", Body=b"x", ACL=acl, StorageClass="STANDARD", RequestPayer="requester")


def test_conditional_writes(s3: Server, bucket: str) -> None:
    first = s3.do("PutObject", Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with refused("PreconditionFailed"):
        s3.do("PutObject", Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"2", IfMatch=first["ETag"])
    with refused("PreconditionFailed"):
        s3.do("PutObject", Bucket=bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    with refused("PreconditionFailed"):
        s3.do("DeleteObject", Bucket=bucket, Key="k", IfMatch=first["ETag"])
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"2"


def test_of_two_conditional_creations_prepared_at_once_one_wins(s3: Server, bucket: str) -> None:
    operation = s3.service.operations["PutObject"]
    plans = []
    for body in (b"1", b"2"):
        call = s3.begin("PutObject", OWNER, "us-east-1", b"", {})
        input = s3.input("PutObject", {"Bucket": bucket, "Key": "k", "Body": body, "IfNoneMatch": "*"})
        plans.append((call, operation.prepare(call, input)))
    assert operation.apply is not None
    with s3.database.write() as tx:
        operation.apply(tx, *plans[0])
    with refused("PreconditionFailed"), s3.database.write() as tx:
        operation.apply(tx, *plans[1])
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"1"


def test_conditional_reads(s3: Server, bucket: str) -> None:
    etag = s3.do("PutObject", Bucket=bucket, Key="k", Body=b"1")["ETag"]
    now = s3.clock.now()
    s3.do("GetObject", Bucket=bucket, Key="k", IfMatch=etag, IfUnmodifiedSince=now - 9)
    s3.do("GetObject", Bucket=bucket, Key="k", IfNoneMatch='"other", W/"x"', IfModifiedSince=now + 9)
    for condition, code in (
        ({"IfMatch": '"other"'}, "PreconditionFailed"),
        ({"IfUnmodifiedSince": now - 1}, "PreconditionFailed"),
        ({"IfNoneMatch": f'"a", {etag}'}, "NotModified"),
        ({"IfNoneMatch": "*"}, "NotModified"),
        ({"IfModifiedSince": now}, "NotModified"),
    ):
        with refused(code) as caught:
            s3.do("HeadObject", Bucket=bucket, Key="k", **condition)
        assert caught.value.status == (304 if code == "NotModified" else 412)


def test_delete_is_idempotent_and_leaves_the_bytes_to_the_sweeper(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"1")
    assert s3.do("DeleteObject", Bucket=bucket, Key="k") == {}
    assert s3.do("DeleteObject", Bucket=bucket, Key="k", VersionId="null") == {}
    with refused("NoSuchVersion"):
        s3.do("DeleteObject", Bucket=bucket, Key="k", VersionId="3")
    with refused("NoSuchKey"):
        s3.do("GetObject", Bucket=bucket, Key="k")
    assert len(s3.rows("SELECT blob FROM s3_garbage")) == 1


def test_many_are_deleted_at_once(s3: Server, bucket: str) -> None:
    for key in ("a", "b"):
        s3.do("PutObject", Bucket=bucket, Key=key, Body=b"1")
    items = [{"Key": "a"}, {"Key": "none"}, {"Key": "b", "ETag": '"other"'}, {"Key": "b", "VersionId": "7"}]
    output = s3.do("DeleteObjects", Bucket=bucket, Delete={"Objects": items})
    assert output["Deleted"] == [{"Key": "a"}, {"Key": "none"}]
    assert [(error["Key"], error["Code"]) for error in output["Errors"]] == [("b", "PreconditionFailed"), ("b", "NoSuchVersion")]
    assert s3.do("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True}) == {}
    assert s3.rows("SELECT 1 FROM s3_object") == []
    for count in (0, 1001):
        with refused("MalformedXML"):
            s3.do("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": "x"}] * count})
    with refused("BadDigest"):
        s3.do("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": "x"}]}, raw=b"x", headers={"x-amz-checksum-crc32": "AAAAAA=="})


def test_rights_name_every_key_that_is_deleted(s3: Server) -> None:
    call = s3.begin("DeleteObjects", OWNER, "us-east-1", b"", {})
    rights = s3.service.operations["DeleteObjects"].rights(
        call, s3.input("DeleteObjects", {"Bucket": "box", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b/c"}, {"Key": "a"}]}})
    )
    assert [(right.action, right.resource) for right in rights] == [
        ("s3:DeleteObject", "arn:aws:s3:::box/a"),
        ("s3:DeleteObject", "arn:aws:s3:::box/b/c"),
    ]


def test_rights_carry_the_acl_that_policies_compare(s3: Server) -> None:
    call = s3.begin("PutObject", OWNER, "us-east-1", b"", {})
    input = s3.input("PutObject", {"Bucket": "box", "Key": "k", "ACL": "bucket-owner-full-control"})
    (right,) = s3.service.operations["PutObject"].rights(call, input)
    assert (right.action, right.resource) == ("s3:PutObject", "arn:aws:s3:::box/k")
    assert right.keys == {"s3:x-amz-acl": "bucket-owner-full-control"}


@pytest.mark.parametrize("key", ["/", "../../etc/passwd", "a/../b", "\x00", "\x01\x1f", "\U0001f600", "/lead", "trail/", " ", "a" * 1024])
def test_any_text_is_a_key_and_none_is_a_path(s3: Server, bucket: str, key: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key=key, Body=key.encode())
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key=key)) == key.encode()
    listed = s3.do("ListObjectsV2", Bucket=bucket, EncodingType="url")["Contents"]
    assert len(listed) == 1
    (file,) = (path for path in s3.folder.rglob("*") if path.is_file())
    assert file.parent.parent == s3.folder
    assert len(file.name) == 32
    s3.do("DeleteObjects", Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert s3.rows("SELECT 1 FROM s3_object") == []
