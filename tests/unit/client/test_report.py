"""Lines of a report: who, how, and how many others, from records as Event history gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from opentrail.client.report import effect, report, seen, who

SERVICE = {"type": "AWSService", "invokedBy": "healthlake.amazonaws.com"}
NURSE = {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/nurse"}


def record(id: int, identity: Any = NURSE, name: str = "ProcessBundle", **facts: Any) -> dict[str, Any]:
    return {
        "eventID": f"event-{id}", "requestID": f"request-{id}", "eventTime": f"2026-11-21T00:00:{id:02}Z", "eventName": name,
        "eventSource": "healthlake.amazonaws.com", "userIdentity": identity, "readOnly": False, "additionalEventData": facts,
    }  # fmt: skip


class CloudTrail:
    """Answers with its records, newest first, whatever the attributes; what is asked for by resource is the last one."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self.records = records[::-1]

    def get_paginator(self, name: str) -> CloudTrail:
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        keys = {one["AttributeKey"] for one in asked["LookupAttributes"]}
        found = self.records[:1] if "ResourceName" in keys else self.records
        yield {"Events": [{"CloudTrailEvent": json.dumps(one)} for one in found]}


def test_an_asynchronous_transaction_is_its_submitters() -> None:
    calls = record(1, {"arn": "another"}), record(2), record(3, {"arn": "another"}), record(4, SERVICE, submittedBy="request-2")
    (line,) = report(CloudTrail(*calls), "Patient/p1", None, None, 10)
    assert (line.who, line.via) == (NURSE["arn"], "healthlake.amazonaws.com")
    (line,) = report(CloudTrail(record(4, SERVICE, submittedBy="request-9")), "Patient/p1", None, None, 10)
    assert (line.who, line.via) == ("healthlake.amazonaws.com", "healthlake.amazonaws.com")


def test_refused_calls_are_left_out() -> None:
    assert list(report(CloudTrail({**record(1), "errorCode": "AccessDenied"}), "Patient/p1", None, None, 10)) == []


def test_a_bearer_tokens_caller_is_its_issuer_and_subject() -> None:
    assert (
        who({"type": "WebIdentityUser", "principalId": "x", "userName": "nurse-7", "identityProvider": "https://i"}) == "https://i nurse-7"
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"patients": {"count": 2, "items": ["p1", "p2"]}}, "read"),
        ({"patients": {"count": 2, "items": ["p1", "p2"]}, "patientsChanged": {"count": 1, "items": ["p1"]}}, "changed"),
        ({"patients": {"count": 2, "items": ["p1", "p2"]}, "patientsChanged": {"count": 1, "items": ["p2"]}}, "read"),
        ({"patients": {"count": 9, "items": []}, "patientsChanged": {"count": 9, "items": [], "sha256": "0"}}, "changed"),
        ({"patients": {"count": 9, "items": []}, "patientsChanged": {"count": 8, "items": ["p2"], "sha256": "0"}}, "read or changed"),
        ({"patients": {"count": 2, "items": []}, "patientsChanged": {"count": 1, "items": ["h" + "0" * 32]}}, "read or changed"),
        ({"created": False}, "read"),
    ],
)
def test_what_a_bundle_did_to_a_patient(facts: dict[str, Any], said: str) -> None:
    assert effect(record(1), facts, "p1") == said
    assert seen(record(1, **facts), "p1").effect == said
