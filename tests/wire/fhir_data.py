"""What the tests of FHIR data share: a data store with two patients, and what the records say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import urllib3

from tests.wire.story import Story

TYPE, RESOURCE = "AWS::HealthLake::FHIRDatastore", "AWS::HealthLake::FHIRResource"
PATIENT = {"resourceType": "Patient", "name": [{"family": "Canary-Lindqvist"}]}


def touched(store: str, *resource: str) -> list[tuple[str, str]]:
    """The record's resources: the store, and the resource in it."""
    arn = f"arn:aws:healthlake:us-east-1:123456789012:datastore/fhir/{store}"
    return [(TYPE, arn), *((RESOURCE, f"{arn}/{one}") for one in resource)]


def send(
    story: Story, store: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    """The answer to a signed FHIR request, whatever it is."""
    sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {**({"content-type": "application/fhir+json"} if sent else {}), **(headers or {})}
    return story.live.submit(story.live.signed(story.root, "healthlake", method, f"/datastore/{store}/r4/{path}", sent, named))


def facts(story: Story, headers: Mapping[str, str]) -> Any:
    """What the record of an answer says beside the request."""
    (record,) = story.live.journal(headers["x-amzn-requestid"])
    return record["additionalEventData"]


def observation(id: str, patient: str) -> dict[str, Any]:
    """An observation of a patient."""
    coded = {"coding": [{"system": "http://codes", "code": "c1"}]}
    return {"resourceType": "Observation", "id": id, "status": "final", "code": coded, "subject": {"reference": f"Patient/{patient}"}}


def filled(story: Story) -> Iterator[str]:
    """A data store with patients p1 and p2 and their observations o1, o2 and o3."""
    client = story.client("healthlake")
    id = client.create_fhir_datastore(DatastoreTypeVersion="R4", DatastoreName=story.name("ward"))["DatastoreId"]
    for one in ("p1", "p2"):
        assert send(story, id, "PUT", f"Patient/{one}", {**PATIENT, "id": one}).status == 201
    for one, patient in (("o1", "p1"), ("o2", "p1"), ("o3", "p2")):
        assert send(story, id, "PUT", f"Observation/{one}", observation(one, patient)).status == 201
    yield id
    client.delete_fhir_datastore(DatastoreId=id)
