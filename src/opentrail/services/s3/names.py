"""Names: buckets, keys, ARNs, regions, owners."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from opentrail.calls.call import Call, Touched
from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import errors, store
from opentrail.services.s3.store import Bucket
from opentrail.store.sql import Snapshot

BUCKET_TYPE = "AWS::S3::Bucket"
OBJECT_TYPE = "AWS::S3::Object"
KEY_BYTES = 1024

_BUCKET = re.compile(r"\A[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]\Z", re.ASCII)
_ADDRESS = re.compile(r"\A[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z", re.ASCII)
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "-an")
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")


def is_bucket_name(name: str) -> bool:
    """Whether it follows the user guide's rules for general purpose bucket names."""
    fine = _BUCKET.match(name) and not _ADDRESS.match(name) and ".." not in name
    return bool(fine) and not name.startswith(_PREFIXES) and not name.endswith(_SUFFIXES)


def check_bucket_name(name: str) -> None:
    """Raises InvalidBucketName."""
    if not is_bucket_name(name):
        error = ServiceError("InvalidBucketName", "The specified bucket is not valid.")
        error.members = {"BucketName": name}
        raise error


def key_bytes(key: str) -> bytes:
    """The key's UTF-8 bytes. Raises KeyTooLongError past 1,024 of them, InvalidURI when it is no text."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise ServiceError("InvalidURI", "Couldn't parse the specified URI.") from None
    if len(encoded) > KEY_BYTES:
        error = ServiceError("KeyTooLongError", "Your key is too long")
        error.members = {"Size": len(encoded), "MaxSizeAllowed": KEY_BYTES}
        raise error
    if not encoded:
        raise errors.invalid_argument("A key has at least one character.", "Key")
    return encoded


def bucket_arn(bucket: str) -> str:
    """The ARN of a bucket."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """The ARN of an object."""
    return f"arn:aws:s3:::{bucket}/{key}"


def arn_of_bucket(call: Call, input: Any) -> str:
    """The ARN of the bucket that the input names."""
    return bucket_arn(input.Bucket)


def arn_of_object(call: Call, input: Any) -> str:
    """The ARN of the object that the input names."""
    return object_arn(input.Bucket, input.Key)


def named(arn: str, data: bool) -> Sequence[tuple[str, str]]:
    """As calls.naming.Named: an object and its bucket; a bucket, and in a data event what it holds, as an allowed listing names it."""
    bucket, slash, _ = arn.removeprefix(bucket_arn("")).partition("/")
    if not is_bucket_name(bucket):
        return ()
    whole = (BUCKET_TYPE, bucket_arn(bucket))
    return ((OBJECT_TYPE, arn if slash else object_arn(bucket, "")), whole) if slash or data else (whole,)


def region_of(location: str) -> str:
    """The region of a bucket with that location constraint."""
    return {"": "us-east-1", "EU": "eu-west-1"}.get(location, location)


def canonical_id(account: str) -> str:
    """The 64 digits that name an account as the owner of things in S3; the same on every installation."""
    return hashlib.sha256(b"s3 canonical user " + account.encode()).hexdigest()


def owner(account: str) -> dict[str, str]:
    """The Owner structure of an account."""
    return {"ID": canonical_id(account)}


def etag(value: str) -> str:
    """The entity tag as it travels."""
    return f'"{value}"'


def xml_safe(text: str) -> bool:
    """Whether XML 1.0 can carry the text (it has no way to write most control characters)."""
    return not _NOT_XML.search(text)


def url(text: str) -> str:
    """The text as `encoding-type=url` writes it: decoded alike with and without plus signs for spaces."""
    return quote(text, safe="/-_.~*")


def known_bucket(snapshot: Snapshot, call: Call, input: Any) -> Bucket:
    """The bucket the input names, named in the record with its owner. Raises NoSuchBucket, or AccessDenied when the caller
    expects another owner."""
    return _known(store.find_bucket(snapshot, input.Bucket), call, input)


def _known(bucket: Bucket | None, call: Call, input: Any) -> Bucket:
    touch(call, BUCKET_TYPE, bucket_arn(input.Bucket), bucket.account if bucket else "")
    if bucket is None:
        raise errors.no_such_bucket(input.Bucket)
    if input.ExpectedBucketOwner not in (None, bucket.account):
        raise errors.access_denied()
    return bucket


def known_for_object(snapshot: Snapshot, call: Call, input: Any) -> Bucket:
    """As `known_bucket` for operations on one object, which the record names first."""
    bucket = store.find_bucket(snapshot, input.Bucket)
    touch(call, OBJECT_TYPE, object_arn(input.Bucket, input.Key), bucket.account if bucket else "")
    return _known(bucket, call, input)


def touch(call: Call, type: str, arn: str, account: str = "") -> None:
    """Names a resource in the record, once however often the operation runs."""
    resource = Touched(type, arn, account)
    if resource not in call.touched:
        call.touched.append(resource)
