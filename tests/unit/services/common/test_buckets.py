"""Reading and writing objects in pieces, over calls that a dictionary answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal, service_principal
from opentrail.services.common import buckets
from opentrail.services.common.buckets import Buckets, Place, Stored, place

CALLER = service_principal("healthlake.amazonaws.com", "123456789012", "arn:x", "arn:aws:iam::123456789012:role/r")


class Shelf:
    """A bucket in memory, as S3 answers; pages of two."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.asked: list[str] = []
        self.refuse = ""

    def make(
        self, principal: Principal, region: str, service: str, operation: str, input: Mapping[str, Any], body: bytes = b""
    ) -> Mapping[str, Any]:
        assert (principal, region, service, input["Bucket"]) == (CALLER, "eu-west-1", "s3", "b")
        self.asked.append(operation)
        if operation == self.refuse:
            raise ServiceError("AccessDenied", "No.", status=403)
        if operation == "ListObjectsV2":
            keys = sorted(key for key in self.objects if key.startswith(input["Prefix"]) and key > input.get("ContinuationToken", ""))
            contents = [{"Key": key, "Size": len(self.objects[key]), "ETag": tag(self.objects[key])} for key in keys[:2]]
            return {"Contents": contents, "IsTruncated": len(keys) > 2, **({"NextContinuationToken": keys[1]} if len(keys) > 2 else {})}
        if operation == "GetObject":
            found = self.objects[input["Key"]]
            if tag(found) != input["IfMatch"]:
                raise ServiceError("PreconditionFailed", "Changed.", status=412)
            first, last = map(int, input["Range"].removeprefix("bytes=").split("-"))
            return {"Body": found[first : last + 1]}
        if operation == "PutObject":
            self.objects[input["Key"]] = body
        if operation == "UploadPart":
            self.parts[input["PartNumber"]] = body
        if operation == "CompleteMultipartUpload":
            self.objects[input["Key"]] = b"".join(self.parts[part["PartNumber"]] for part in input["MultipartUpload"]["Parts"])
        return {"UploadId": "u", "ETag": tag(body)}


def tag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(buckets, "PIECE", 4)
    return Shelf()


def reader(shelf: Shelf) -> Buckets:
    return Buckets(shelf, CALLER, "eu-west-1")


def test_every_page_of_a_listing_is_read(shelf: Shelf) -> None:
    shelf.objects = {f"in/{n}": b"x" * n for n in range(5)} | {"other": b""}
    assert [(one.key, one.size) for one in reader(shelf).listed(Place("b", "in/"))] == [(f"in/{n}", n) for n in range(5)]


@pytest.mark.parametrize("size", [0, 3, 4, 5, 13])
@pytest.mark.parametrize("start", [0, 2])
def test_pieces_make_the_object_from_a_start(shelf: Shelf, size: int, start: int) -> None:
    body = bytes(range(size))
    shelf.objects["k"] = body
    assert b"".join(reader(shelf).pieces(Place("b", "k"), Stored("k", size, tag(body)), start)) == body[start:]


def test_an_object_that_changed_meanwhile_is_not_mixed(shelf: Shelf) -> None:
    shelf.objects["k"] = b"12345678"
    pieces = reader(shelf).pieces(Place("b", "k"), Stored("k", 8, tag(b"12345678")))
    assert next(pieces) == b"1234"
    shelf.objects["k"] = b"abcdefgh"
    with pytest.raises(ServiceError):
        next(pieces)


@pytest.mark.parametrize("size", [0, 4, 5, 13])
def test_a_file_arrives_whole(shelf: Shelf, tmp_path: Path, size: int) -> None:
    file = tmp_path / "f"
    file.write_bytes(bytes(range(size)))
    reader(shelf).put_file(Place("b", "k"), file)
    assert shelf.objects["k"] == bytes(range(size))
    assert ("PutObject" in shelf.asked) == (size <= 4)


def test_an_upload_that_fails_is_given_up(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"123456789")
    shelf.refuse = "CompleteMultipartUpload"
    with pytest.raises(ServiceError):
        reader(shelf).put_file(Place("b", "k"), file)
    assert shelf.asked[-1] == "AbortMultipartUpload"
    assert shelf.objects == {}


def test_addresses() -> None:
    assert place("s3://bucket/a/b.csv") == Place("bucket", "a/b.csv")
    assert place("s3://bucket") == place("s3://bucket/") == Place("bucket", "")
    assert Place("b", "a/").below("c") == Place("b", "a").below("c") == Place("b", "a/c")
    assert Place("b", "").below("c") == Place("b", "c")
    assert [place(text) for text in ("", "s3://", "s3://B/x", "https://bucket/x", "s3://b")] == [None] * 5


@given(st.text())
def test_a_place_says_what_it_was_made_of(text: str) -> None:
    found = place("s3://bucket/" + text)
    assert found is not None
    assert str(found) == "s3://bucket/" + text
