"""Objects of a user's buckets, as a service's job reads and writes them: by calls of its own, in pieces of bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from opentrail.calls.tools import Calls
from opentrail.kernel.errors import ServiceError
from opentrail.kernel.principal import Principal

PIECE = 8 * 1024 * 1024
"""Bytes asked for or sent at once: an object of any size passes through bounded memory."""

_LOCATION = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", re.DOTALL)


class Place(NamedTuple):
    """Where an s3:// address points: a bucket, and a key or the beginning of keys."""

    bucket: str
    key: str

    def below(self, name: str) -> Place:
        """What lies under this place as under a folder."""
        return Place(self.bucket, f"{self.key.rstrip('/')}/{name}" if self.key else name)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def place(address: str) -> Place | None:
    """The place of an s3:// address; None for any other text."""
    found = _LOCATION.fullmatch(address)
    return None if found is None else Place(found[1], found[2] or "")


class Stored(NamedTuple):
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str
    modified: float = 0.0
    """Seconds since 1970."""


class Buckets:
    """Access by one caller, in one region. Every method raises ServiceError as S3 answers it, and Unavailable."""

    def __init__(self, calls: Calls, caller: Principal, region: str) -> None:
        self._calls, self._caller, self._region = calls, caller, region

    def listed(self, prefix: Place, after: str = "") -> Iterator[Stored]:
        """The objects whose keys begin with the prefix and come after the key `after`, by key (its UTF-8), page by page."""
        more: dict[str, Any] = {"StartAfter": after} if after else {}
        while True:
            page = self._make("ListObjectsV2", {"Bucket": prefix.bucket, "Prefix": prefix.key, **more})
            for one in page.get("Contents") or ():
                yield Stored(one["Key"], one["Size"], one["ETag"], _seconds(one.get("LastModified", 0.0)))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def pieces(self, place: Place, stored: Stored, start: int = 0) -> Iterator[bytes]:
        """The object's bytes from `start` on, while it is the one that was listed (412 otherwise)."""
        for first in range(start, stored.size, PIECE):
            span = f"bytes={first}-{min(stored.size, first + PIECE) - 1}"
            yield self._make("GetObject", {"Bucket": place.bucket, "Key": stored.key, "Range": span, "IfMatch": stored.etag})["Body"]

    def put(self, place: Place, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Writes one small object."""
        self._make("PutObject", {"Bucket": place.bucket, "Key": place.key, "ContentType": content_type}, body)

    def put_file(self, place: Place, file: Path, content_type: str = "application/octet-stream") -> None:
        """Writes a file of any size: in parts when it is larger than one piece. It is there whole or not at all."""
        if file.stat().st_size <= PIECE:
            self.put(place, file.read_bytes(), content_type)
            return
        target = {"Bucket": place.bucket, "Key": place.key}
        upload = target | {"UploadId": self._make("CreateMultipartUpload", {**target, "ContentType": content_type})["UploadId"]}
        parts: list[dict[str, Any]] = []
        try:
            with file.open("rb") as source:
                while body := source.read(PIECE):
                    number = len(parts) + 1
                    parts.append({"PartNumber": number, "ETag": self._make("UploadPart", {**upload, "PartNumber": number}, body)["ETag"]})
            self._make("CompleteMultipartUpload", {**upload, "MultipartUpload": {"Parts": parts}})
        except ServiceError:
            self._make("AbortMultipartUpload", upload)
            raise

    def _make(self, operation: str, input: dict[str, Any], body: bytes = b"") -> Any:
        return self._calls.make(self._caller, self._region, "s3", operation, input, body)


def _seconds(moment: Any) -> float:
    """A time of an answer: over HTTP it is a datetime."""
    return float(moment.timestamp() if hasattr(moment, "timestamp") else moment)
