"""What is accepted of an input: members that are not offered are refused by name, never stored and ignored."""

from __future__ import annotations

from typing import Any

from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import errors

COMMON = frozenset({"Bucket", "ExpectedBucketOwner"})
ON_OBJECT = COMMON | {"Key", "RequestPayer"}
"""RequestPayer says that the caller accepts charges; no bucket here charges a requester, so it changes nothing."""

HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires", "Metadata")
"""What is kept with an object and given back when it is read."""

WRITES = ON_OBJECT | {*HEADERS, "ACL", "StorageClass"}
METADATA_BYTES = 2048
_ACLS = (None, "private", "bucket-owner-full-control")


def only(input: Any, offered: frozenset[str]) -> None:
    """Raises NotImplemented, naming the first member that was sent and is not offered."""
    for name in input.__struct_fields__:
        if name not in offered and getattr(input, name) is not None:
            raise errors.not_implemented(name)


def check_write(input: Any) -> None:
    """Raises unless ACL and storage class are ones that hold here: objects belong to the bucket's owner alone."""
    if input.ACL not in _ACLS:
        text = "The bucket does not allow ACLs"
        raise ServiceError("AccessControlListNotSupported", text)
    if input.StorageClass not in (None, "STANDARD"):
        raise errors.not_implemented("StorageClass")


def headers(input: Any) -> dict[str, Any]:
    """What the input says to keep with the object. Raises MetadataTooLarge."""
    kept = {name: value for name in HEADERS if (value := getattr(input, name)) not in (None, {}, "")}
    coding = [part for part in str(kept.pop("ContentEncoding", "")).split(",") if part.strip() not in ("", "aws-chunked")]
    if coding:
        kept["ContentEncoding"] = ",".join(coding).strip()
    kept.setdefault("ContentType", "binary/octet-stream")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in kept.get("Metadata", {}).items())
    if size > METADATA_BYTES:
        error = ServiceError("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
        error.members = {"Size": size, "MaxSizeAllowed": METADATA_BYTES}
        raise error
    return kept


def version(id: str | None) -> None:
    """Raises NoSuchVersion unless the version is the only one there is, `null`."""
    if id not in (None, "null"):
        raise errors.no_such_version()


def count(value: int | None, name: str, most: int = 1000) -> int:
    """A page size: absent means the most, which is also what larger values mean. Raises InvalidArgument."""
    if value is None:
        return most
    if not 0 <= value < 2**31:
        raise errors.invalid_argument(f"Argument {name} must be an integer between 0 and 2147483647", name)
    return min(value, most)
