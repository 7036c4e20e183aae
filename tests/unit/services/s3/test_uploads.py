"""Multipart uploads and copies."""

from __future__ import annotations

import base64
import zlib
from functools import partial
from hashlib import md5 as any_md5
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.services.s3 import checksums, completion
from tests.unit.services.s3.support import Server
from tests.unit.services.s3.test_objects import HELLO_MD5, refused

md5 = partial(any_md5, usedforsecurity=False)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "LEAST_PART", 4)


def begin(s3: Server, **values: Any) -> dict[str, Any]:
    created = s3.do("CreateMultipartUpload", Bucket="box", Key="k", **values)
    return {"Bucket": "box", "Key": "k", "UploadId": created["UploadId"]}


def send(s3: Server, on: dict[str, Any], *bodies: bytes) -> list[dict[str, Any]]:
    return [{"PartNumber": i, "ETag": s3.do("UploadPart", **on, PartNumber=i, Body=body)["ETag"]} for i, body in enumerate(bodies, 1)]


@given(st.lists(st.binary(), min_size=1, max_size=5))
def test_the_tag_of_parts_is_the_md5_of_their_md5s(bodies: list[bytes]) -> None:
    digests = [md5(body).digest() for body in bodies]
    wanted = f"{md5(b''.join(digests)).hexdigest()}-{len(bodies)}"
    assert checksums.composite_etag(digest.hex() for digest in digests) == wanted


def test_parts_become_one_object_and_then_garbage(s3: Server, bucket: str) -> None:
    on = begin(s3, ContentType="text/plain", Metadata={"a": "b"})
    parts = send(s3, on, b"1234", b"5678", b"9")
    s3.do("UploadPart", **on, PartNumber=7, Body=b"never used")
    done = s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})
    digests = b"".join(md5(body).digest() for body in (b"1234", b"5678", b"9"))
    assert done["ETag"] == f'"{md5(digests).hexdigest()}-3"'
    assert (done["Bucket"], done["Key"]) == ("box", "k")
    got = s3.do("GetObject", Bucket=bucket, Key="k")
    assert s3.body(got) == b"123456789"
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/plain", {"a": "b"}, done["ETag"])
    assert len(s3.rows("SELECT blob FROM s3_garbage")) == 4
    with refused("NoSuchUpload"):
        s3.do("ListParts", **on)


def test_a_part_sent_again_replaces_the_first(s3: Server, bucket: str) -> None:
    on = begin(s3)
    old = send(s3, on, b"old!")
    new = send(s3, on, b"new!")
    with refused("InvalidPart"):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": old})
    s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": new})
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"new!"


@pytest.mark.parametrize(
    ("numbers", "code"), [([], "MalformedXML"), ([2, 1], "InvalidPartOrder"), ([1, 1], "InvalidPartOrder"), ([3], "InvalidPart")]
)
def test_lists_of_parts_that_are_refused(s3: Server, bucket: str, numbers: list[int], code: str) -> None:
    on = begin(s3)
    etags = {part["PartNumber"]: part["ETag"] for part in send(s3, on, b"1234", b"5678")}
    parts = [{"PartNumber": number, "ETag": etags.get(number, '"x"')} for number in numbers]
    with refused(code):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})


def test_other_rules_of_completion(s3: Server, bucket: str) -> None:
    on = begin(s3)
    parts = send(s3, on, b"1", b"2")
    with refused("EntityTooSmall"):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})
    with refused("InvalidRequest"):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts[1:]}, MpuObjectSize=7)
    with refused("InvalidArgument"):
        s3.do("UploadPart", **on, PartNumber=10_001, Body=b"")
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"there")
    with refused("PreconditionFailed"):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts[1:]}, IfNoneMatch="*")
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"there"


def test_a_part_replaced_while_parts_are_joined_is_noticed(s3: Server, bucket: str) -> None:
    on = begin(s3)
    parts = send(s3, on, b"1234")
    operation = s3.service.operations["CompleteMultipartUpload"]
    call = s3.begin("CompleteMultipartUpload", "111122223333", "us-east-1", b"", {})
    plan = operation.prepare(call, s3.input("CompleteMultipartUpload", {**on, "MultipartUpload": {"Parts": parts}}))
    send(s3, on, b"1234")
    assert operation.apply is not None
    with refused("InvalidPart"), s3.database.write() as tx:
        operation.apply(tx, call, plan)
    assert s3.rows("SELECT 1 FROM s3_object") == []


@pytest.mark.parametrize(("algorithm", "size"), [("CRC32", 4), ("SHA1", 20), ("SHA256", 32)])
def test_composite_checksums(s3: Server, bucket: str, algorithm: str, size: int) -> None:
    on = begin(s3, ChecksumAlgorithm=algorithm)
    parts = send(s3, on, b"1234", b"5")
    listed = s3.do("ListParts", **on)["Parts"]
    values = [part[f"Checksum{algorithm}"] for part in listed]
    done = s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})
    value, _, count = done[f"Checksum{algorithm}"].partition("-")
    assert (len(base64.b64decode(value)), count, done["ChecksumType"]) == (size, "2", "COMPOSITE")
    assert done[f"Checksum{algorithm}"] == checksums.composite(algorithm, values)


def test_full_object_checksum_is_that_of_the_bytes(s3: Server, bucket: str) -> None:
    on = begin(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    parts = send(s3, on, b"1234", b"5")
    with refused("BadDigest"):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts}, ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT")
    wanted = base64.b64encode(zlib.crc32(b"12345").to_bytes(4, "big")).decode()
    done = s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts}, ChecksumCRC32=wanted, ChecksumType="FULL_OBJECT")
    assert done["ChecksumCRC32"] == wanted
    got = s3.do("GetObject", Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["ChecksumCRC32"], got["ChecksumType"]) == (wanted, "FULL_OBJECT")


def test_a_listed_checksum_must_be_the_parts(s3: Server, bucket: str) -> None:
    on = begin(s3, ChecksumAlgorithm="CRC32")
    (part,) = send(s3, on, b"1234")
    with refused("InvalidPart"):
        s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": [part | {"ChecksumCRC32": "AAAAAA=="}]})
    with refused("InvalidRequest"):
        begin(s3, ChecksumAlgorithm="CRC64NVME")


def test_parts_are_listed_in_pages(s3: Server, bucket: str) -> None:
    on = begin(s3)
    send(s3, on, b"1", b"22", b"333")
    first = s3.do("ListParts", **on, MaxParts=2)
    assert ([part["Size"] for part in first["Parts"]], first["IsTruncated"], first["NextPartNumberMarker"]) == ([1, 2], True, 2)
    last = s3.do("ListParts", **on, MaxParts=2, PartNumberMarker=2)
    assert ([part["Size"] for part in last["Parts"]], last["IsTruncated"]) == ([3], False)


def test_uploads_are_listed_by_key_and_time_in_pages(s3: Server, bucket: str) -> None:
    wanted = []
    for key in ("a", "b", "b", "dir/x", "dir/y"):
        s3.clock.time += 1
        wanted.append((key, s3.do("CreateMultipartUpload", Bucket=bucket, Key=key)["UploadId"]))
    found: list[tuple[str, str]] = []
    markers: dict[str, Any] = {}
    while True:
        page = s3.do("ListMultipartUploads", Bucket=bucket, MaxUploads=2, **markers)
        found += [(upload["Key"], upload["UploadId"]) for upload in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert found == wanted
    page = s3.do("ListMultipartUploads", Bucket=bucket, Delimiter="/", KeyMarker="a")
    assert [upload["Key"] for upload in page["Uploads"]] == ["b", "b"]
    assert page["CommonPrefixes"] == [{"Prefix": "dir/"}]


def test_an_aborted_upload_is_gone(s3: Server, bucket: str) -> None:
    on = begin(s3)
    send(s3, on, b"1")
    assert s3.do("AbortMultipartUpload", **on) == {}
    assert len(s3.rows("SELECT blob FROM s3_garbage")) == 1
    for name in ("AbortMultipartUpload", "ListParts", "CompleteMultipartUpload"):
        with refused("NoSuchUpload"):
            s3.do(name, **on)
    with refused("NoSuchUpload"):
        s3.do("UploadPart", **on, PartNumber=1, Body=b"")
    assert s3.do("ListMultipartUploads", Bucket=bucket).get("Uploads") is None


def test_a_copy_lives_on_when_its_source_is_swept(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="dir/ä b", Body=b"hello", ContentType="text/plain", ChecksumCRC32="NhCmhg==")
    result = s3.do("CopyObject", Bucket=bucket, Key="copy", CopySource="/box/dir/%C3%A4%20b")["CopyObjectResult"]
    assert (result["ETag"], result["ChecksumCRC32"]) == ('"5d41402abc4b2a76b9719d911017c592"', "NhCmhg==")
    assert s3.last is not None
    assert "arn:aws:s3:::box/dir/ä b" in [touched.arn for touched in s3.last.touched]
    s3.do("DeleteObject", Bucket=bucket, Key="dir/ä b")
    s3.clock.time += 3601
    assert s3.sweep().garbage == 1
    got = s3.do("GetObject", Bucket=bucket, Key="copy")
    assert (s3.body(got), got["ContentType"]) == (b"hello", "text/plain")


def test_a_copy_can_replace_metadata_even_in_place(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"hello", Metadata={"a": "1"})
    with refused("InvalidRequest"):
        s3.do("CopyObject", Bucket=bucket, Key="k", CopySource="box/k")
    s3.do("CopyObject", Bucket=bucket, Key="k", CopySource="box/k", MetadataDirective="REPLACE", Metadata={"b": "2"})
    got = s3.do("GetObject", Bucket=bucket, Key="k")
    assert (s3.body(got), got["Metadata"]) == (b"hello", {"b": "2"})


def test_a_copy_of_parts_has_a_tag_and_checksum_of_its_own(s3: Server, bucket: str) -> None:
    on = begin(s3, ChecksumAlgorithm="CRC32")
    s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": send(s3, on, b"hell", b"o")})
    result = s3.do("CopyObject", Bucket=bucket, Key="copy", CopySource="box/k")["CopyObjectResult"]
    assert (result["ETag"], result["ChecksumCRC32"]) == ('"5d41402abc4b2a76b9719d911017c592"', "NhCmhg==")
    result = s3.do("CopyObject", Bucket=bucket, Key="copy", CopySource="box/k", ChecksumAlgorithm="MD5")["CopyObjectResult"]
    assert result["ChecksumMD5"] == HELLO_MD5


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"CopySource": "box"}, "InvalidArgument"),
        ({"CopySource": "arn:aws:s3:us-east-1:1:accesspoint/x/object/k"}, "InvalidArgument"),
        ({"CopySource": "box/none"}, "NoSuchKey"),
        ({"CopySource": "none/k"}, "NoSuchBucket"),
        ({"CopySource": "box/k?versionId=3"}, "NoSuchVersion"),
        ({"CopySource": "box/k", "CopySourceIfMatch": "x"}, "PreconditionFailed"),
        ({"CopySource": "box/k", "CopySourceIfNoneMatch": "*"}, "PreconditionFailed"),
        ({"CopySource": "box/k", "ExpectedSourceBucketOwner": "1"}, "AccessDenied"),
        ({"CopySource": "box/k", "TaggingDirective": "REPLACE"}, "NotImplemented"),
        ({"CopySource": "box/k", "ChecksumAlgorithm": "CRC32C"}, "InvalidRequest"),
    ],
)
def test_copies_that_are_refused(s3: Server, bucket: str, values: dict[str, Any], code: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"hello")
    with refused(code):
        s3.do("CopyObject", Bucket=bucket, Key="copy", **values)


def test_a_source_that_changes_during_the_copy_is_noticed(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"hello")
    operation = s3.service.operations["CopyObject"]
    call = s3.begin("CopyObject", "111122223333", "us-east-1", b"", {})
    plan = operation.prepare(call, s3.input("CopyObject", {"Bucket": bucket, "Key": "copy", "CopySource": "box/k"}))
    s3.do("DeleteObject", Bucket=bucket, Key="k")
    assert operation.apply is not None
    with refused("OperationAborted"), s3.database.write() as tx:
        operation.apply(tx, call, plan)


def test_parts_can_be_copied_from_ranges(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="source", Body=b"0123456789")
    on = begin(s3)
    copied = [
        s3.do("UploadPartCopy", **on, PartNumber=number, CopySource="box/source", CopySourceRange=asked)["CopyPartResult"]["ETag"]
        for number, asked in ((1, "bytes=2-5"), (2, None))
    ]
    for asked in ("bytes=2-10", "bytes=2-", "2-5"):
        with refused("InvalidArgument"):
            s3.do("UploadPartCopy", **on, PartNumber=1, CopySource="box/source", CopySourceRange=asked)
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(copied, 1)]
    s3.do("CompleteMultipartUpload", **on, MultipartUpload={"Parts": parts})
    assert s3.body(s3.do("GetObject", Bucket=bucket, Key="k")) == b"23450123456789"
