"""Checksums that callers send with bodies, and those of objects put together from parts.

Offered are the algorithms that can be verified here: CRC32, SHA1, SHA256, SHA512 and MD5. Values are base64, as they travel.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from opentrail.calls.call import Call, Upload
from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import errors

OFFERED = ("CRC32", "SHA1", "SHA256", "SHA512", "MD5")
MEMBERS = frozenset({"ContentMD5", "ChecksumAlgorithm", *(f"Checksum{name}" for name in OFFERED)})
"""The members of an input that carry a checksum."""


def sent(input: Any) -> dict[str, str]:
    """The checksum member that the input carries: none or one. Raises InvalidRequest."""
    found = {f"Checksum{name}": value for name in OFFERED if (value := getattr(input, f"Checksum{name}")) is not None}
    if len(found) > 1:
        raise errors.invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    asked = getattr(input, "ChecksumAlgorithm", None)
    if asked is not None and not found:
        raise errors.invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
        )
    if asked is not None and f"Checksum{asked}" not in found:
        raise errors.invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return found


def verified(body: Upload, input: Any) -> dict[str, str]:
    """The checksum member of a spooled body after comparing it, and Content-MD5, with the bytes. Raises BadDigest, InvalidDigest."""
    found = sent(input)
    if input.ContentMD5 is not None:
        _compare_md5(input.ContentMD5, bytes.fromhex(body.md5))
    for member, value in found.items():
        _compare(member, value, of_upload(body, member.removeprefix("Checksum")))
    return found


def of_upload(body: Upload, algorithm: str) -> str:
    """The checksum of a spooled body."""
    if algorithm == "SHA256":
        return _text(bytes.fromhex(body.sha256))
    if algorithm == "MD5":
        return _text(bytes.fromhex(body.md5))
    return of_chunks(algorithm, _chunks(body.file))


def of_chunks(algorithm: str, chunks: Iterable[bytes]) -> str:
    """The checksum of bytes that come in pieces."""
    if algorithm == "CRC32":
        crc = 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
        return _text(crc.to_bytes(4, "big"))
    digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return _text(digest.digest())


def of_file(algorithm: str, file: Path) -> str:
    """The checksum of a file's bytes."""
    return of_chunks(algorithm, _chunks(file))


def check_whole(call: Call) -> None:
    """Compares the checksums in a request's headers with its body, for bodies that are read whole. Raises BadDigest."""
    request = call.request
    if request.header("content-md5"):
        _compare_md5(request.header("content-md5"), hashlib.md5(request.body, usedforsecurity=False).digest())
    for name, value in request.headers.items():
        if not name.startswith("x-amz-checksum-"):
            continue
        algorithm = name.removeprefix("x-amz-checksum-").upper()
        if algorithm not in OFFERED:
            raise errors.not_implemented(name)
        _compare(f"Checksum{algorithm}", value, of_chunks(algorithm, [request.body]))


def composite(algorithm: str, values: Iterable[str]) -> str:
    """The checksum of the checksums of an object's parts, with their count."""
    raw = [base64.b64decode(value) for value in values]
    return f"{of_chunks(algorithm, raw)}-{len(raw)}"


def composite_etag(etags: Iterable[str]) -> str:
    """The entity tag of an object made of parts: the MD5 of their MD5s, with their count."""
    raw = [bytes.fromhex(etag) for etag in etags]
    return f"{hashlib.md5(b''.join(raw), usedforsecurity=False).hexdigest()}-{len(raw)}"


def packed(checksum: Mapping[str, str], type: str = "FULL_OBJECT") -> str:
    """A checksum member as rows keep it; empty for none."""
    return json.dumps({**checksum, "ChecksumType": type}) if checksum else ""


def unpacked(stored: str) -> dict[str, str]:
    """The members that `packed` stored."""
    found: dict[str, str] = json.loads(stored) if stored else {}
    return found


def listed(stored: str) -> dict[str, Any]:
    """The same as listings show it: the algorithm without the value."""
    members = unpacked(stored)
    type = members.pop("ChecksumType", "")
    return {"ChecksumAlgorithm": [name.removeprefix("Checksum") for name in members], "ChecksumType": type} if members else {}


def _compare(member: str, value: str, actual: str) -> None:
    try:
        size = len(base64.b64decode(value, validate=True))
    except ValueError:
        size = -1
    algorithm = member.removeprefix("Checksum")
    if size != len(base64.b64decode(actual)):
        raise errors.invalid_request(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
    if value != actual:
        raise ServiceError("BadDigest", f"The {algorithm} you specified did not match the calculated checksum.")


def _compare_md5(value: str, actual: bytes) -> None:
    try:
        digest = base64.b64decode(value, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 16:
        raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.")
    if digest != actual:
        raise ServiceError("BadDigest", "The Content-MD5 you specified did not match what we received.")


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(1 << 20):
            yield chunk


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
