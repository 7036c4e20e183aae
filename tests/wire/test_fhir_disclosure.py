"""Who saw which patient: every call that returned a patient's data is found by the patient's name, and no other call is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.fhir_data import PATIENT, filled, observation, touched
from tests.wire.story import Caller, Story


@pytest.fixture
def ward(story: Story) -> Iterator[str]:
    yield from filled(story)


def ask(entry: str) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": entry}}]}


SHOWN = [
    # method, path, body, whether p1 is concerned
    ("GET", "Patient/p1", None, True),
    ("GET", "Patient/p2", None, False),
    ("GET", "Observation/o1", None, True),
    ("GET", "Observation/o3", None, False),
    ("GET", "Observation/o1/_history/1", None, True),
    ("GET", "Observation/o1/_history", None, True),
    ("GET", "Patient/_history", None, True),
    ("GET", "_history?_count=1", None, False),
    ("GET", "Observation?patient=p1", None, True),
    ("GET", "Observation?patient=p2", None, False),
    ("GET", "Patient?_id=p2&_revinclude=Observation:subject", None, False),
    ("GET", "Observation?_id=o2&_include=Observation:subject", None, True),
    ("GET", "Observation?patient=p1&_summary=count", None, False),
    ("GET", "Patient/p1/$everything", None, True),
    ("GET", "Patient/p2/$everything", None, False),
    ("POST", "", ask("Observation?patient=p1"), True),
    ("POST", "", ask("Patient/p2"), False),
    ("PUT", "Observation/o2", observation("o2", "p1"), True),
    ("PUT", "Observation/o3", observation("o3", "p2"), False),
    ("POST", "Patient", PATIENT, False),
    ("GET", "metadata", None, False),
]


def test_every_call_that_showed_a_patient_is_found_by_the_patient(story: Story, ward: str) -> None:
    callers = [story.user(("healthlake:*", "*")) for _ in range(3)]
    wanted = set()
    for number, (method, path, body, concerned) in enumerate(SHOWN):
        caller: Caller = callers[number % len(callers)]
        sent = json.dumps(body).encode() if body else b""
        answer = story.live.submit(story.live.signed(caller, "healthlake", method, f"/datastore/{ward}/r4/{path}", sent))
        assert answer.status < 300, (path, answer.data)
        if concerned:
            wanted.add((answer.headers["x-amzn-requestid"], caller.identity["userName"]))
    name = touched(ward, "Patient/p1")[1][1]
    pages = story.client("cloudtrail").get_paginator("lookup_events")
    asked = {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": name}]}
    events = [event for page in pages.paginate(**asked) for event in page["Events"] if event["Username"] != "root"]
    records = [json.loads(event["CloudTrailEvent"]) for event in events]
    assert {(one["requestID"], one["userIdentity"].get("userName")) for one in records if "userName" in one["userIdentity"]} == wanted
