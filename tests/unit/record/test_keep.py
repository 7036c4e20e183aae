"""What a projector keeps: names recased, map keys not, times as records write them, nothing that is not listed."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kernel.errors import HIDDEN
from opentrail.record.keep import moment, projector


class Tag(msgspec.Struct):
    Key: str
    Value: str | None = None


class Input(msgspec.Struct):
    S3BucketName: str = "box"
    Tags: list[Tag] | None = None
    Map: dict[str, Any] | None = None
    Body: bytes | None = None
    Deep: Any = None


def test_only_what_is_listed() -> None:
    value = Input(Tags=[Tag("k", "secret")], Map={"MixedCase": "v"}, Body=b"secret")
    assert projector(("S3BucketName", "Tags[].Key", "Map{}"))(value) == {
        "s3BucketName": "box", "tags": [{"key": "k"}], "map": {"MixedCase": "v"},
    }  # fmt: skip
    assert projector(())(value) is None
    assert projector(("Absent", "Body.Below"))(value) in (None, {"body": {}})


def test_structs_and_mappings_alike() -> None:
    keep = projector(("Tags[].Key", "Tags[].Value"))
    assert keep(Input(Tags=[Tag("k")])) == keep({"Tags": [{"Key": "k", "Value": None}]}) == {"tags": [{"key": "k"}]}


def test_hidden_members_show_that_they_were_there() -> None:
    keep = projector(("Tags[].Key",), hide=("Tags[].Value", "Body"))
    assert keep(Input(Tags=[Tag("k", "v"), Tag("l")], Body=b"x")) == {
        "tags": [{"key": "k", "value": HIDDEN}, {"key": "l"}], "body": HIDDEN,
    }  # fmt: skip
    assert keep(Input()) is None
    assert projector(("Deep",), hide=("Deep.Secret",))(Input(Deep={"Secret": "s", "Other": 1})) == {"deep": {"secret": HIDDEN}}


def test_values_without_the_shape_of_their_member_are_hidden() -> None:
    keep = projector(("S3BucketName", "Tags[].Key"), shapes={"S3BucketName": re.compile("[a-z]+"), "Tags[].Key": re.compile("k")})
    assert keep(Input(Tags=[Tag("k"), Tag("John Smith")])) == {"s3BucketName": "box", "tags": [{"key": "k"}, {"key": HIDDEN}]}
    assert keep({"S3BucketName": "a box"}) == keep({"S3BucketName": 5}) == keep({"S3BucketName": "box\n"}) == {"s3BucketName": HIDDEN}


@pytest.mark.parametrize("value", [b"secret", {"a": "secret"}, ["secret"], Tag("secret")])
def test_structures_nobody_listed_are_hidden(value: Any) -> None:
    assert projector(("Deep",))(Input(Deep=value)) == {"deep": HIDDEN}


def test_everything_below_a_star() -> None:
    value = Input(Deep={"Inner": [Tag("k", "v")], "None": None, "Bytes": b"x"})
    assert projector(("Deep.*",))(value) == {"deep": {"inner": [{"key": "k", "value": "v"}], "bytes": HIDDEN}}


def test_renamed_at_the_top_only() -> None:
    keep = projector(("Key", "Tags[].Key"), rename={"Key": "x-key"})
    assert keep({"Key": "a", "Tags": [{"Key": "b"}]}) == {"x-key": "a", "tags": [{"key": "b"}]}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1688991869, "Jul 10, 2023 12:24:29 PM"), (0, "Jan 1, 1970 12:00:00 AM"), (1696118400.7, "Oct 1, 2023 12:00:00 AM"),
        (1696122000, "Oct 1, 2023 1:00:00 AM"), ("soon", HIDDEN), (2**63, HIDDEN), (float("inf"), HIDDEN), (float("nan"), HIDDEN), (-1e18, HIDDEN),
    ],
)  # fmt: skip
def test_times(seconds: Any, text: str) -> None:
    assert moment(seconds) == text
    assert projector(("When",), times=("When",))({"When": seconds}) == {"when": text}


@given(st.floats() | st.integers())
def test_no_number_is_too_odd_for_a_time(seconds: float) -> None:
    assert moment(seconds)
