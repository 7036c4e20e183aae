"""RPC-v2-CBOR by hand-made bytes: what is well-formed is answered in it, nothing else is a fault of the server."""

from __future__ import annotations

import random

import cbor2
import pytest
import urllib3

from tests.wire.story import Live, Story

PATH = "/service/ComprehendMedical_20181030/operation/"
HEADERS = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
TEXT = "Mr Canaryberg takes aspirin 100 mg daily."


def posted(story: Story, operation: str, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
    live: Live = story.live
    return live.submit(live.signed(story.root, "comprehendmedical", "POST", PATH + operation, body, {**HEADERS, **headers}))


@pytest.mark.parametrize(
    "body",
    [
        cbor2.dumps({"Text": TEXT}),
        b"\xbf\x64Text\x7f\x78\x14" + TEXT[:20].encode() + b"\x75" + TEXT[20:].encode() + b"\xff\xff",
        cbor2.dumps({"Text": TEXT, "Unknown": [{"a": b"b"}, None, 1.5]}),
    ],
)
def test_bytes_are_answered_in_cbor(story: Story, body: bytes) -> None:
    answer = posted(story, "DetectPHI", body)
    assert (answer.status, answer.headers["smithy-protocol"], answer.headers["content-type"]) == (200, "rpc-v2-cbor", "application/cbor")
    (found,) = [one for one in cbor2.loads(answer.data)["Entities"] if one["Type"] == "NAME"]
    assert found["Text"] == "Canaryberg"


def test_refusals_are_answered_in_cbor_with_the_names_of_the_model(story: Story) -> None:
    answer = posted(story, "DetectPHI", cbor2.dumps({"Text": "a" * 20_001}))
    assert answer.status == 400
    error = cbor2.loads(answer.data)
    assert (error["__type"], "20000 bytes" in error["Message"]) == ("TextSizeLimitExceededException", True)
    assert posted(story, "Nothing", b"\xa0").status == 400
    assert posted(story, "DescribePHIDetectionJob", cbor2.dumps({"JobId": "x"})).status == 404


def test_mutations_are_never_a_fault_of_the_server(story: Story) -> None:
    chance = random.Random(5)
    whole = cbor2.dumps({"Filter": {"JobName": "a", "SubmitTimeBefore": cbor2.CBORTag(1, 1.5)}, "MaxResults": 5, "NextToken": "é" * 30})
    for _ in range(150):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        answer = posted(story, "ListPHIDetectionJobs", bytes(body[: chance.randint(1, len(body))]))
        assert answer.status < 500, bytes(body)
        assert answer.headers["content-type"] == "application/cbor"


@pytest.mark.parametrize(
    "body", [b"\x9f" * 500_000, b"\xc1" * 500_000, b"\xa1\x61a" * 200_000, b"\xd8\x1c\x81\xd8\x1d\x00", b"\x5b" + b"\xff" * 8]
)
def test_bombs_are_refused(story: Story, body: bytes) -> None:
    answer = posted(story, "DetectPHI", body)
    assert (answer.status, cbor2.loads(answer.data)["__type"]) == (400, "SerializationException")
