"""S3 by boto3 and the AWS CLI: buckets, objects, uploads in parts, listings, presigned addresses, chunked bodies."""

from __future__ import annotations

import base64
import json
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.servers import OTHER
from botocore.auth import S3SigV4Auth
from botocore.exceptions import ClientError

from tests.wire.covers import covers
from tests.wire.story import Live, Story, host, root

BUCKET, OBJECT = "AWS::S3::Bucket", "AWS::S3::Object"
PART = 5 * 1024 * 1024


@pytest.fixture
def bucket(story: Story) -> Iterator[str]:
    """A bucket, emptied and removed afterwards."""
    name, client = story.name("ward"), story.client("s3")
    client.create_bucket(Bucket=name)
    yield name
    for upload in client.list_multipart_uploads(Bucket=name).get("Uploads", ()):
        client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for one in page.get("Contents", ()):
            client.delete_object(Bucket=name, Key=one["Key"])
    client.delete_bucket(Bucket=name)


def of(bucket: str, *keys: str) -> list[tuple[str, str]]:
    """The resources of a record: objects first, then their bucket."""
    return [*((OBJECT, f"arn:aws:s3:::{bucket}/{key}") for key in keys), (BUCKET, f"arn:aws:s3:::{bucket}")]


def on(story: Story, operation: str, bucket: str, more: dict[str, Any] | None = None, **wanted: Any) -> dict[str, Any]:
    """A call on a bucket; its record shows the bucket's name unless `wanted` says more."""
    wanted = {"request": {"bucketName": bucket}, "resources": of(bucket), **wanted}
    return story.call("s3", operation, {"Bucket": bucket, **(more or {})}, **wanted)


def at(story: Story, operation: str, bucket: str, key: str, more: dict[str, Any] | None = None, **wanted: Any) -> dict[str, Any]:
    """A call on an object, a data event."""
    request = {"bucketName": bucket, "key": key, **wanted.pop("shown", {})}
    wanted = {"request": request, "resources": of(bucket, key), "data": True, **wanted}
    return story.call("s3", operation, {"Bucket": bucket, "Key": key, **(more or {})}, **wanted)


@covers("s3", "CreateBucket", "HeadBucket", "ListBuckets", "GetBucketLocation", "GetBucketAcl", "DeleteBucket")
def test_buckets(story: Story) -> None:
    name, region = story.name("ward"), "eu-west-1"
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    kept = {"bucketName": name, "CreateBucketConfiguration": {"locationConstraint": region}}
    on(story, "CreateBucket", name, place, region=region, request=kept)
    on(story, "HeadBucket", name)
    story.client("s3").get_waiter("bucket_exists").wait(Bucket=name, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    listed = story.call("s3", "ListBuckets", {"Prefix": name}, request={"prefix": name})
    assert [one["Name"] for one in listed["Buckets"]] == [name]
    assert on(story, "GetBucketLocation", name)["LocationConstraint"] == region
    assert on(story, "GetBucketAcl", name)["Grants"][0]["Permission"] == "FULL_CONTROL"
    on(story, "DeleteBucket", name)
    story.client("s3").get_waiter("bucket_not_exists").wait(Bucket=name, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    missing = on(story, "GetBucketAcl", name, resources=[], error="NoSuchBucket")
    assert missing["Error"]["BucketName"] == name


@covers("s3", "PutBucketTagging", "GetBucketTagging", "DeleteBucketTagging")
def test_bucket_tags(story: Story, bucket: str) -> None:
    tags = {"TagSet": [{"Key": "unit", "Value": "icu"}]}
    kept = {"bucketName": bucket, "tagging": {"tagSet": [{"key": "unit", "value": "icu"}]}}
    on(story, "PutBucketTagging", bucket, {"Tagging": tags}, request=kept)
    assert on(story, "GetBucketTagging", bucket)["TagSet"] == tags["TagSet"]
    on(story, "DeleteBucketTagging", bucket)


@covers("s3", "PutBucketPolicy", "GetBucketPolicy", "GetBucketPolicyStatus", "DeleteBucketPolicy")
def test_bucket_policies(story: Story, bucket: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    on(story, "PutBucketPolicy", bucket, {"Policy": document}, request={"bucketName": bucket, "bucketPolicy": document})
    assert json.loads(on(story, "GetBucketPolicy", bucket)["Policy"]) == json.loads(document)
    assert on(story, "GetBucketPolicyStatus", bucket)["PolicyStatus"]["IsPublic"] is True
    on(story, "DeleteBucketPolicy", bucket)
    on(story, "GetBucketPolicy", bucket, error="NoSuchBucketPolicy")


def test_a_bucket_policy_never_locks_the_owner_out(story: Story, bucket: str) -> None:
    """Another account may not touch the policy whatever it is allowed; the owner's root user may whatever it is denied."""
    theirs = story.client("s3", root(OTHER, story.live.server.keys))
    everything = {"Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
    allowed, denied = ({"Version": "2012-10-17", "Statement": [{"Effect": effect, **everything}]} for effect in ("Allow", "Deny"))
    ours = story.client("s3")
    ours.put_bucket_policy(Bucket=bucket, Policy=json.dumps(allowed))
    theirs.put_object(Bucket=bucket, Key="theirs", Body=b"")
    for refused in (
        lambda: theirs.put_bucket_policy(Bucket=bucket, Policy=json.dumps(denied)),
        lambda: theirs.get_bucket_policy(Bucket=bucket),
        lambda: theirs.delete_bucket_policy(Bucket=bucket),
    ):
        with pytest.raises(ClientError) as raised:
            refused()
        answer = raised.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("MethodNotAllowed", 405)
    ours.put_bucket_policy(Bucket=bucket, Policy=json.dumps(denied))
    with pytest.raises(ClientError, match="explicit deny"):
        ours.list_objects_v2(Bucket=bucket)
    with pytest.raises(ClientError, match="explicit deny"):
        story.client("s3", story.user(("s3:*", "*"))).get_bucket_policy(Bucket=bucket)
    assert json.loads(ours.get_bucket_policy(Bucket=bucket)["Policy"]) == denied
    ours.delete_bucket_policy(Bucket=bucket)
    ours.list_objects_v2(Bucket=bucket)


@covers("s3", "PutObject", "HeadObject", "GetObject", "CopyObject", "DeleteObject", "DeleteObjects")
def test_objects(story: Story, bucket: str) -> None:
    key, copy = "a b/Zürich+1.txt", "copy"
    put = at(story, "PutObject", bucket, key, {"Body": b"0123456789", "Metadata": {"shift": "night"}, "ContentType": "text/plain"})
    head = at(story, "HeadObject", bucket, key)
    assert (head["ContentLength"], head["Metadata"], head["ETag"]) == (10, {"shift": "night"}, put["ETag"])
    assert at(story, "GetObject", bucket, key)["Body"].read() == b"0123456789"
    part = at(story, "GetObject", bucket, key, {"Range": "bytes=2-4"}, shown={"Range": "bytes=2-4"})
    assert (part["Body"].read(), part["ContentRange"], part["ResponseMetadata"]["HTTPStatusCode"]) == (b"234", "bytes 2-4/10", 206)
    assert at(story, "HeadObject", bucket, key, {"Range": "bytes=-3"}, shown={"Range": "bytes=-3"})["ContentLength"] == 3
    source = {"Bucket": bucket, "Key": key}
    at(
        story, "CopyObject", bucket, copy, {"CopySource": source}, shown={"x-amz-copy-source": f"{bucket}/a%20b/Z%C3%BCrich%2B1.txt"},
        resources=[*of(bucket, copy), (OBJECT, f"arn:aws:s3:::{bucket}/{key}")],
    )  # fmt: skip
    at(story, "DeleteObject", bucket, copy)
    gone = at(story, "GetObject", bucket, copy, error="NoSuchKey")
    assert (gone["Error"]["Key"], gone["ResponseMetadata"]["HTTPStatusCode"]) == (copy, 404)
    many = [(BUCKET, f"arn:aws:s3:::{bucket}"), (OBJECT, f"arn:aws:s3:::{bucket}/{key}")]
    on(story, "DeleteObjects", bucket, {"Delete": {"Objects": [{"Key": key}]}}, resources=many, data=True)


def test_conditional_reads(story: Story, bucket: str) -> None:
    client = story.client("s3")
    etag = client.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    signed = story.live.signed(story.root, "s3", "GET", f"/{bucket}/k", headers={"if-none-match": etag}, signer=S3SigV4Auth)
    answer = story.live.submit(signed)
    assert (answer.status, answer.data) == (304, b"")
    at(story, "GetObject", bucket, "k", {"IfMatch": '"other"'}, error="PreconditionFailed")
    at(story, "GetObject", bucket, "k", {"Range": "bytes=9-"}, shown={"Range": "bytes=9-"}, error="InvalidRange")


@covers("s3", "ListObjects", "ListObjectsV2")
def test_listings(story: Story, bucket: str) -> None:
    client = story.client("s3")
    keys = ["a/1", "a/2", "b ü", "c"]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    shown = [(BUCKET, f"arn:aws:s3:::{bucket}"), (OBJECT, f"arn:aws:s3:::{bucket}/a/")]
    kept = {"bucketName": bucket, "prefix": "a/", "max-keys": 5, "encoding-type": "url"}
    old = on(story, "ListObjects", bucket, {"Prefix": "a/", "MaxKeys": 5}, request=kept, resources=shown, data=True)
    assert [one["Key"] for one in old["Contents"]] == ["a/1", "a/2"]
    every = [(BUCKET, f"arn:aws:s3:::{bucket}"), (OBJECT, f"arn:aws:s3:::{bucket}/")]
    kept = {"bucketName": bucket, "delimiter": "/", "encoding-type": "url"}
    new = on(story, "ListObjectsV2", bucket, {"Delimiter": "/"}, request=kept, resources=every, data=True, event="ListObjects")
    assert ([one["Key"] for one in new["Contents"]], new["CommonPrefixes"]) == (["b ü", "c"], [{"Prefix": "a/"}])
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
    assert [one["Key"] for page in pages for one in page["Contents"]] == keys


@covers(
    *("s3", "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "ListParts", "ListMultipartUploads"),
    *("CompleteMultipartUpload", "AbortMultipartUpload"),
)
def test_uploads_in_parts(story: Story, bucket: str) -> None:
    key = "scan"
    story.client("s3").put_object(Bucket=bucket, Key="source", Body=b"tail")
    begun = at(story, "CreateMultipartUpload", bucket, key)
    upload = {"UploadId": begun["UploadId"]}
    shown = {"uploadId": begun["UploadId"]}
    one = at(story, "UploadPart", bucket, key, {**upload, "PartNumber": 1, "Body": b"x" * PART}, shown={**shown, "partNumber": 1})
    two = at(
        story, "UploadPartCopy", bucket, key, {**upload, "PartNumber": 2, "CopySource": f"{bucket}/source"},
        shown={**shown, "partNumber": 2, "x-amz-copy-source": f"{bucket}/source"},
        resources=[*of(bucket, key), (OBJECT, f"arn:aws:s3:::{bucket}/source")],
    )  # fmt: skip
    assert [part["Size"] for part in at(story, "ListParts", bucket, key, upload, shown=shown)["Parts"]] == [PART, 4]
    going = on(story, "ListMultipartUploads", bucket)
    assert [each["Key"] for each in going["Uploads"]] == [key]
    parts = [{"PartNumber": 1, "ETag": one["ETag"]}, {"PartNumber": 2, "ETag": two["CopyPartResult"]["ETag"]}]
    done = at(story, "CompleteMultipartUpload", bucket, key, {**upload, "MultipartUpload": {"Parts": parts}}, shown=shown)
    assert done["ETag"].endswith('-2"')
    other = at(story, "CreateMultipartUpload", bucket, key)["UploadId"]
    at(story, "AbortMultipartUpload", bucket, key, {"UploadId": other}, shown={"uploadId": other})


def test_a_large_file_goes_up_in_parts_and_comes_back(story: Story, bucket: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * (20 * 4096)
    file = tmp_path / "scan.bin"
    file.write_bytes(data)
    story.client("s3").upload_file(str(file), bucket, "scan.bin")
    story.client("s3").download_file(bucket, "scan.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == data


def test_the_cli_copies_lists_and_removes(story: Story, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("hello")
    server = story.live.server
    done = server.aws("s3", "cp", str(file), f"s3://{bucket}/notes/note.txt")
    assert done.returncode == 0, done.stderr
    listed = server.aws("s3", "ls", f"s3://{bucket}/notes/")
    assert listed.stdout.split()[-2:] == ["5", "note.txt"]
    assert server.aws("s3", "rm", f"s3://{bucket}/notes/note.txt").returncode == 0


def test_presigned_addresses(story: Story, bucket: str) -> None:
    client, named = story.client("s3", signature_version="s3v4"), {"Bucket": bucket, "Key": "k"}
    put = story.live.send("PUT", client.generate_presigned_url("put_object", named), {}, b"by link")
    assert put.status == 200, put.data
    got = story.live.send("GET", client.generate_presigned_url("get_object", named), {})
    assert (got.status, got.data) == (200, b"by link")
    (record,) = story.live.journal(got.headers["x-amz-request-id"])
    assert (record["eventName"], record["userIdentity"]) == ("GetObject", story.root.identity)
    assert "errorCode" not in record
    assert record["requestParameters"] == {"bucketName": bucket, "key": "k"}


class _Trailer(S3SigV4Auth):
    def payload(self, request: Any) -> str:
        return "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.mark.parametrize(("spoilt", "status"), [(0, 200), (1, 400)])
def test_chunked_bodies_are_checked_by_their_trailer(story: Story, bucket: str, spoilt: int, status: int) -> None:
    data = b"chunk by chunk" * 1000
    checksum = base64.b64encode((zlib.crc32(data) ^ spoilt).to_bytes(4, "big"))
    body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (9000, data[:9000], len(data) - 9000, data[9000:], checksum)
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(data)), "x-amz-trailer": "x-amz-checksum-crc32"}
    signed = story.live.signed(story.root, "s3", "PUT", f"/{bucket}/chunked", body, headers, signer=_Trailer)
    answer = story.live.submit(signed)
    assert answer.status == status, answer.data
    if status == 200:
        found = story.client("s3").get_object(Bucket=bucket, Key="chunked")
        assert (found["Body"].read(), found.get("ContentEncoding")) == (data, None)


def test_a_checksum_that_was_announced_must_come(story: Story, bucket: str) -> None:
    headers = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": "4", "x-amz-trailer": "x-amz-checksum-crc32"}
    for body, code in ((b"4\r\ndata\r\n0\r\n\r\n", b"MalformedTrailerError"), (b"4\r\ndata\r\n0\r\n", b"IncompleteBody")):
        answer = story.live.submit(story.live.signed(story.root, "s3", "PUT", f"/{bucket}/left", body, headers, signer=_Trailer))
        assert (answer.status, b"<Code>%s</Code>" % code in answer.data) == (400, True), answer.data
    assert "Contents" not in story.client("s3").list_objects_v2(Bucket=bucket)


def test_an_object_without_a_length_is_refused(story: Story, bucket: str) -> None:
    signed = story.live.signed(story.root, "s3", "PUT", f"/{bucket}/no-length", b"", {}, signer=S3SigV4Auth)
    lines = [f"{name}: {value}" for name, value in signed.headers.items() if name.lower() != "content-length"]
    with socket.create_connection(("127.0.0.1", story.live.server.port), timeout=10) as peer:
        peer.sendall("\r\n".join([f"PUT /{bucket}/no-length HTTP/1.1", f"host: {host(story.live)}", *lines, "", ""]).encode())
        answer = peer.recv(65536)
    assert answer.startswith(b"HTTP/1.1 411 "), answer
    assert b"<Code>MissingContentLength</Code>" in answer


@pytest.mark.parametrize("name", ["events", "datastore", "items"])
def test_buckets_may_be_called_like_other_services_paths(story: Story, name: str) -> None:
    client = story.client("s3")
    client.create_bucket(Bucket=name)
    for key in ("r4/Patient/1", "a/r4/x", "plain"):
        client.put_object(Bucket=name, Key=key, Body=b"1")
        assert client.get_object(Bucket=name, Key=key)["Body"].read() == b"1"
        client.delete_object(Bucket=name, Key=key)
    client.delete_bucket(Bucket=name)


def test_an_unsigned_read_is_denied(live: Live) -> None:
    answer = live.send("GET", "/some-bucket/key", {"host": host(live)})
    assert (answer.status, b"<Code>AccessDenied</Code>" in answer.data) == (403, True)


def test_a_user_without_the_right_is_denied(story: Story, bucket: str) -> None:
    user = story.user(("s3:GetObject", f"arn:aws:s3:::{bucket}/open/*"))
    at(
        story,
        "PutObject",
        bucket,
        "open/x",
        {"Body": b""},
        caller=user,
        request=None,
        error="AccessDenied",
    )
    at(story, "GetObject", bucket, "open/x", caller=user, error="NoSuchKey")


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("delete", b"<Foo/>", b"MalformedXML"),
        ("delete", b"<Delete><Object/></Delete>", b"MalformedXML"),
        ("delete", b"<Delete></Delete>", b"MalformedXML"),
        ("delete", b"", b"MissingRequestBodyError"),
        ("max-keys=99999999999999999999", None, b"InvalidArgument"),
        ("max-keys=9999999999999999999999", None, b"InvalidArgument"),
        ("list-type=3", None, b"InvalidArgument"),
    ],
)
def test_what_is_wrong_with_a_request_is_named_as_s3_does(story: Story, bucket: str, query: str, body: bytes | None, code: bytes) -> None:
    method = "GET" if body is None else "POST"
    answer = story.live.submit(story.live.signed(story.root, "s3", method, f"/{bucket}?{query}", body or b"", {}, signer=S3SigV4Auth))
    assert (answer.status, b"<Code>%s</Code>" % code in answer.data) == (400, True), answer.data


def test_a_bucket_is_in_a_region(story: Story) -> None:
    with pytest.raises(ClientError, match="InvalidLocationConstraint"):
        story.client("s3").create_bucket(Bucket=story.name("mars"), CreateBucketConfiguration={"LocationConstraint": "mars"})


@pytest.mark.parametrize(
    ("asked", "said"), [("bytes=0-4", "object of size: 4"), ("bytes=3-2", "must be of the form"), ("bytes=-2", "must be of the form")]
)
def test_a_part_is_copied_from_bytes_that_are_there(story: Story, bucket: str, asked: str, said: str) -> None:
    client = story.client("s3")
    client.put_object(Bucket=bucket, Key="source", Body=b"tail")
    upload = {"Bucket": bucket, "Key": "k", "UploadId": client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    with pytest.raises(ClientError, match=said):
        client.upload_part_copy(**upload, PartNumber=1, CopySource=f"{bucket}/source", CopySourceRange=asked)
    client.upload_part_copy(**upload, PartNumber=1, CopySource=f"{bucket}/source", CopySourceRange="bytes=1-3")
    assert [part["Size"] for part in client.list_parts(**upload)["Parts"]] == [3]
