"""Listings against a naive model, over both databases' indexes."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opentrail.services.s3 import listing, names, store
from opentrail.services.s3.store import Object
from tests.unit.services.s3.support import OWNER, Server
from tests.unit.services.s3.test_objects import refused

texts = st.text(alphabet="ab/\U0001f600é\x01", max_size=5)
keys = st.sets(st.text(alphabet="ab/\U0001f600é\x01", min_size=1, max_size=5), max_size=14)


def naive(found: set[str], prefix: str, delimiter: str, marker: str) -> list[str]:
    """Keys and common prefixes after the marker, in the order of their UTF-8 bytes."""
    items = set()
    for key in found:
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            items.add(key[: end + len(delimiter)] if end >= 0 else key)
    return sorted((item for item in items if item.encode() > marker.encode()), key=str.encode)


def fill(s3: Server, bucket: str, found: set[str]) -> None:
    with s3.database.write() as tx:
        for row in tx.all(store.OBJECTS, bucket=bucket, low=store.FIRST, high=store.LAST, count=10_000):
            old = store.find_object(tx, bucket, row[0])
            assert old is not None
            store.drop_object(tx, bucket, row[0], old, 0)
        for key in sorted(found):
            store.put_object(tx, bucket, key.encode(), Object(s3.tools.ids.hex(32), 1, "0" * 32, 0, "{}", ""))


def page_items(page: dict[str, Any]) -> list[str]:
    """The page's keys and prefixes, merged in order."""
    decode = unquote_plus if page.get("EncodingType") == "url" else str
    listed = [decode(entry["Key"]) for entry in page.get("Contents", [])]
    listed += [decode(entry["Prefix"]) for entry in page.get("CommonPrefixes", [])]
    return sorted(listed, key=str.encode)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=keys, prefix=texts, delimiter=st.sampled_from(["", "/", "a", "é", "//"]), marker=texts, size=st.integers(1, 5))
def test_both_listings_page_through_what_the_model_lists(
    s3: Server, found: set[str], prefix: str, delimiter: str, marker: str, size: int
) -> None:
    if not s3.rows("SELECT 1 FROM s3_bucket"):
        s3.do("CreateBucket", Bucket="box")
    fill(s3, "box", found)
    wanted = naive(found, prefix, delimiter, marker)
    common = {"Bucket": "box", "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": size, "EncodingType": "url"}

    listed: list[str] = []
    token = None
    while True:
        page = s3.do("ListObjectsV2", **common, StartAfter=marker, ContinuationToken=token)
        assert page["KeyCount"] == len(page_items(page)) <= size
        listed += page_items(page)
        token = page.get("NextContinuationToken")
        assert page["IsTruncated"] is (token is not None)
        if token is None:
            break
    assert listed == wanted

    listed, after = [], marker
    while True:
        page = s3.do("ListObjects", **common, Marker=after)
        items = page_items(page)
        listed += items
        if not page["IsTruncated"]:
            break
        after = unquote_plus(page["NextMarker"]) if delimiter else items[-1]
        assert after == items[-1]
    assert listed == wanted


def test_behind_a_common_prefix_rows_are_sought_not_scanned() -> None:
    found = sorted(f"{folder:03}/{i:04}".encode() for folder in range(20) for i in range(1000))
    read = 0

    def fetch(place: listing.Place, high: bytes, count: int) -> list[tuple[Any, ...]]:
        nonlocal read
        rows = [(key,) for key in found if place[0] <= key < high][:count]
        read += len(rows)
        return rows

    page = listing.walk(fetch, b"", b"/", (b"", ""), 1000)
    assert len(page.prefixes) == 20
    assert not page.truncated
    assert read < 300


def test_a_page_that_xml_cannot_carry_is_url_encoded_unasked(s3: Server, bucket: str) -> None:
    fill(s3, bucket, {"a b+c/\u00e9"})
    assert s3.do("ListObjects", Bucket=bucket)["Contents"][0]["Key"] == "a b+c/\u00e9"
    assert s3.do("ListObjects", Bucket=bucket, EncodingType="url")["Contents"][0]["Key"] == "a%20b%2Bc/%C3%A9"
    fill(s3, bucket, {"a b", "\x01"})
    page = s3.do("ListObjects", Bucket=bucket)
    assert page["EncodingType"] == "url"
    assert [entry["Key"] for entry in page["Contents"]] == ["%01", "a%20b"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_url_encoding_is_undone_by_clients(text: str) -> None:
    assert unquote_plus(names.url(text)) == text


def test_what_an_entry_says(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"hello", ChecksumCRC32="NhCmhg==")
    entry = {
        "Key": "k",
        "LastModified": s3.clock.now(),
        "ETag": '"5d41402abc4b2a76b9719d911017c592"',
        "Size": 5,
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": ["CRC32"],
        "ChecksumType": "FULL_OBJECT",
    }
    assert s3.do("ListObjectsV2", Bucket=bucket)["Contents"] == [entry]
    owned = entry | {"Owner": {"ID": names.canonical_id(OWNER)}}
    assert s3.do("ListObjectsV2", Bucket=bucket, FetchOwner=True)["Contents"] == [owned]
    assert s3.do("ListObjects", Bucket=bucket)["Contents"] == [owned]


def test_page_sizes_and_tokens_have_rules(s3: Server, bucket: str) -> None:
    fill(s3, bucket, {"a", "b"})
    page = s3.do("ListObjectsV2", Bucket=bucket, MaxKeys=0)
    assert (page["IsTruncated"], page["KeyCount"], page.get("Contents")) == (False, 0, None)
    assert s3.do("ListObjects", Bucket=bucket, MaxKeys=5000)["MaxKeys"] == 1000
    token = s3.do("ListObjectsV2", Bucket=bucket, MaxKeys=1)["NextContinuationToken"]
    for values in ({"ContinuationToken": token, "Prefix": "a"}, {"ContinuationToken": "x"}, {"MaxKeys": -1}, {"EncodingType": "xml"}):
        with refused("InvalidArgument"):
            s3.do("ListObjectsV2", Bucket=bucket, **values)
    with refused("NotImplemented"):
        s3.do("ListObjectsV2", Bucket=bucket, OptionalObjectAttributes=["RestoreStatus"])


@pytest.mark.parametrize(("name", "event"), [("ListObjectsV2", "ListObjects"), ("ListObjects", "")])
def test_both_listings_have_one_record_name(s3: Server, name: str, event: str) -> None:
    assert s3.service.operations[name].event_name == event
