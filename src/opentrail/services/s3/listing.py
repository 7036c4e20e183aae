"""Listings: ListObjects, ListObjectsV2, and the walk over an ordered index that all listings of keys share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Output, Right
from opentrail.kernel import paging
from opentrail.services.s3 import checksums, errors, members, names, store
from opentrail.store.sql import Row, Snapshot

Place = tuple[bytes, str]
"""Where a listing goes on: the smallest (key, id) that may still be listed. Objects have no id."""

Fetch = Callable[[Place, bytes, int], list[Row]]
"""At most so many rows from a place on, below a key, in order; the first column is the key."""

V1 = members.COMMON | {"Delimiter", "EncodingType", "Marker", "MaxKeys", "Prefix", "RequestPayer"}
V2 = members.COMMON | {
    *("Delimiter", "EncodingType", "MaxKeys", "Prefix", "RequestPayer"),
    *("ContinuationToken", "FetchOwner", "StartAfter"),
}
_TOKEN = "ListObjectsV2"  # noqa: S105


class Page(NamedTuple):
    """One page: rows and common prefixes in order, and whether more follow from `next` on."""

    rows: list[Row]
    prefixes: list[bytes]
    truncated: bool
    next: Place
    last: bytes
    """The last key or common prefix of the page."""


def after(text: bytes) -> bytes:
    """The smallest key that is greater than every key beginning with `text`."""
    return text[:-1] + bytes([text[-1] + 1]) if text else store.LAST


def start(prefix: bytes, delimiter: bytes, marker: bytes) -> bytes:
    """The smallest key listed after a marker: a marker inside a common prefix is past all of that prefix."""
    if not marker:
        return prefix
    if delimiter and marker.startswith(prefix):
        end = marker.find(delimiter, len(prefix))
        if end >= 0:
            return after(marker[: end + len(delimiter)])
    return max(prefix, marker + b"\0")


def next_key(row: Row) -> Place:
    """The place after a row whose key is its own."""
    return bytes(row[0]) + b"\0", ""


def next_id(row: Row) -> Place:
    """The place after a row whose key others may share; ids hold nothing greater than letters."""
    return bytes(row[0]), row[1] + "~"


def walk(fetch: Fetch, prefix: bytes, delimiter: bytes, place: Place, most: int, following: Callable[[Row], Place] = next_key) -> Page:
    """Lists from `place` on. Reads about as many rows as it lists: behind a common prefix it seeks instead of scanning."""
    page = Page([], [], False, place, b"")
    high = after(prefix)
    size = most + 1 if not delimiter else min(most + 1, 64)
    last = b""
    while most and place[0] < high:
        rows = fetch(place, high, size)
        skipped = False
        for row in rows:
            key = bytes(row[0])
            if key < place[0]:
                continue
            if len(page.rows) + len(page.prefixes) == most:
                return page._replace(truncated=True, next=place, last=last)
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            skipped = end >= 0
            if skipped:
                last = key[: end + len(delimiter)]
                page.prefixes.append(last)
                place = (after(last), "")
            else:
                last = key
                page.rows.append(row)
                place = following(row)
        if len(rows) < size:
            break
        size = max(2, size // 4) if skipped else min(most + 1, size * 2)
    return page._replace(last=last)


def list_v1(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Lists keys after a marker (ListObjects)."""
    members.only(input, V1)
    if "list-type" in parse_qs(call.request.query, keep_blank_values=True):
        raise errors.invalid_argument("Incorrect List Type specified in request; it is 2, or not there", "list-type")
    bucket, prefix, delimiter = _common(snapshot, call, input)
    most = members.count(input.MaxKeys, "maxKeys")
    begin = start(prefix, delimiter, _bytes(input.Marker))
    page = walk(_objects(snapshot, input.Bucket), prefix, delimiter, (begin, ""), most)
    output = _output(input, page, most, bucket.account, with_owner=True)
    output["Marker"] = input.Marker or ""
    if page.truncated and delimiter:
        output["NextMarker"] = page.last.decode()
    return encoded(output, input.EncodingType)


def list_v2(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """Lists keys by continuation token (ListObjectsV2)."""
    members.only(input, V2)
    bucket, prefix, delimiter = _common(snapshot, call, input)
    most = members.count(input.MaxKeys, "maxKeys")
    bound = (input.Bucket, input.Prefix or "", input.Delimiter or "")
    begin = start(prefix, delimiter, _bytes(input.StartAfter))
    if input.ContinuationToken is not None:
        try:
            begin = paging.redeem(call.tools.sealer, _TOKEN, bound, input.ContinuationToken, bytes)
        except paging.BadToken:
            raise errors.invalid_argument("The continuation token provided is incorrect", "continuation-token") from None
    page = walk(_objects(snapshot, input.Bucket), prefix, delimiter, (begin, ""), most)
    output = _output(input, page, most, bucket.account, with_owner=bool(input.FetchOwner))
    output["KeyCount"] = len(page.rows) + len(page.prefixes)
    if input.StartAfter is not None:
        output["StartAfter"] = input.StartAfter
    if input.ContinuationToken is not None:
        output["ContinuationToken"] = input.ContinuationToken
    if page.truncated:
        output["NextContinuationToken"] = paging.issue(call.tools.sealer, _TOKEN, bound, page.next[0])
    return encoded(output, input.EncodingType)


def encoded(output: dict[str, Any], asked: str | None) -> dict[str, Any]:
    """The listing as asked: plain, or with every key-like text URL-encoded. A page with a character that XML cannot carry
    is URL-encoded, and says so, even when nobody asked."""
    if asked not in (None, "url"):
        raise errors.invalid_argument("Invalid Encoding Method specified in Request", "encoding-type")
    singles = ("Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker")
    items: list[tuple[dict[str, Any], str]] = [(output, name) for name in singles if name in output]
    items += [(item, "Key") for name in ("Contents", "Uploads") for item in output.get(name, ())]
    items += [(item, "Prefix") for item in output.get("CommonPrefixes", ())]
    if asked is None and all(names.xml_safe(item[name]) for item, name in items):
        return output
    for item, name in items:
        item[name] = names.url(item[name])
    output["EncodingType"] = "url"
    return output


def _common(snapshot: Snapshot, call: Call, input: Input) -> tuple[store.Bucket, bytes, bytes]:
    bucket = names.known_bucket(snapshot, call, input)
    names.touch(call, names.OBJECT_TYPE, names.object_arn(input.Bucket, input.Prefix or ""), bucket.account)
    return bucket, _bytes(input.Prefix), _bytes(input.Delimiter)


def _bytes(text: str | None) -> bytes:
    return names.key_bytes(text) if text else b""


def _objects(snapshot: Snapshot, bucket: str) -> Fetch:
    return lambda place, high, count: snapshot.all(store.OBJECTS, bucket=bucket, low=place[0], high=high, count=count)


def _output(input: Input, page: Page, most: int, account: str, with_owner: bool) -> dict[str, Any]:
    owner = {"Owner": names.owner(account)} if with_owner else {}
    output: dict[str, Any] = {"Name": input.Bucket, "Prefix": input.Prefix or "", "MaxKeys": most, "IsTruncated": page.truncated}
    if input.Delimiter:
        output["Delimiter"] = input.Delimiter
    if page.rows:
        output["Contents"] = [_entry(row) | owner for row in page.rows]
    if page.prefixes:
        output["CommonPrefixes"] = [{"Prefix": prefix.decode()} for prefix in page.prefixes]
    return output


def _entry(row: Row) -> dict[str, Any]:
    key, size, etag, modified, checksum = row
    return {
        "Key": bytes(key).decode(),
        "LastModified": modified,
        "ETag": names.etag(etag),
        "Size": size,
        "StorageClass": "STANDARD",
        **checksums.listed(checksum),
    }


def list_rights(action: str) -> Callable[[Call, Input], Sequence[Right]]:
    """The action on the bucket, with the parameters that policies compare."""

    def rights(call: Call, input: Input) -> Sequence[Right]:
        asked = {"s3:prefix": input.Prefix, "s3:delimiter": input.Delimiter, "s3:max-keys": getattr(input, "MaxKeys", None)}
        keys = {name: str(value) for name, value in asked.items() if value is not None}
        return (Right(action, names.bucket_arn(input.Bucket), keys),)

    return rights


OPERATIONS = (
    Operation("ListObjects", list_rights("s3:ListBucket"), read=list_v1, data_type=names.OBJECT_TYPE),
    Operation("ListObjectsV2", list_rights("s3:ListBucket"), read=list_v2, data_type=names.OBJECT_TYPE, event_name="ListObjects"),
)
