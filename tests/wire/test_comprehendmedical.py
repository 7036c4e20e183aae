"""Comprehend Medical by boto3, and in plain JSON: detections, whose records keep nothing of text or findings."""

from __future__ import annotations

import json

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
