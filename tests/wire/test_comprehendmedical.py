"""Comprehend Medical by boto3, and in plain JSON: detections, whose records keep nothing of text or findings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.wire.covers import covers
from tests.wire.story import Story

TEXT = "Mr Canaryberg, 54, takes aspirin 100 mg daily for chest pain."


def detected(story: Story, operation: str) -> None:
    """A detection answers and leaves a record without parameters."""
    answer = story.call("comprehendmedical", operation, {"Text": TEXT}, request=None)
    assert isinstance(answer["Entities"], list)
    assert "anaryberg" not in json.dumps(story.live.journal(answer["ResponseMetadata"]["RequestId"]))


@covers("comprehendmedical", "DetectEntities", "DetectEntitiesV2", "DetectPHI", "InferICD10CM", "InferRxNorm")
def test_detections(story: Story) -> None:
    for operation in ("DetectEntities", "DetectEntitiesV2", "DetectPHI", "InferICD10CM", "InferRxNorm"):
        detected(story, operation)


def test_json_clients_are_answered_too(story: Story) -> None:
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "ComprehendMedical_20181030.DetectPHI"}
    body = json.dumps({"Text": TEXT}).encode()
    answer = story.live.submit(story.live.signed(story.root, "comprehendmedical", "POST", "/", body, headers))
    assert (answer.status, "Entities" in json.loads(answer.data)) == (200, True)


def plain(story: Story, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """A call in plain JSON with this body: status and answer."""
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"ComprehendMedical_20181030.{operation}"}
    answer = story.live.submit(story.live.signed(story.root, "comprehendmedical", "POST", "/", body, headers))
    return answer.status, json.loads(answer.data)


@pytest.mark.parametrize("body", [b'{"Text": "fever \xff"}', b'{"Text": "fever \\ud800"}', b'{"Text": "\xed\xa0\x80"}'])
def test_what_is_no_utf_8_is_refused(story: Story, body: bytes) -> None:
    status, answer = plain(story, "DetectEntitiesV2", body)
    assert (status, answer["__type"].split("#")[-1]) in ((400, "InvalidEncodingException"), (400, "SerializationException"))


@pytest.mark.parametrize(
    ("operation", "most"), [("DetectEntitiesV2", 20_000), ("DetectPHI", 20_000), ("InferICD10CM", 10_000), ("InferRxNorm", 10_000)]
)
def test_texts_have_as_many_bytes_as_the_quota_and_no_more(story: Story, operation: str, most: int) -> None:
    whole = "é" * (most // 2)
    assert plain(story, operation, json.dumps({"Text": whole}).encode())[0] == 200
    status, answer = plain(story, operation, json.dumps({"Text": whole + "."}).encode())
    assert (status, answer["__type"].split("#")[-1]) == (400, "TextSizeLimitExceededException")
    assert plain(story, operation, b'{"Text": ""}')[0] == 400


@pytest.mark.parametrize(
    "text",
    [
        "😀😀 fever 👩‍⚕️\r\ncough",
        "zero\u200bwidth fever\ufeff",
        "a" * 19_999,
        "el paciente tiene fiebre; 患者发烧 fever",
        "\x00 fever \x1b[31m",
        "1,1,1," * 3_000,
        "((((" * 4_000 + "fever",
    ],
)
def test_awkward_texts_are_answered_with_offsets_of_code_points(story: Story, text: str) -> None:
    answer = story.client("comprehendmedical").detect_entities_v2(Text=text)
    assert all(text[one["BeginOffset"] : one["EndOffset"]] == one["Text"] for one in answer["Entities"])
    if "fever" in text:
        assert "fever" in [one["Text"] for one in answer["Entities"]]
