"""The record's JSON: field order, nulls, what is cut and what is left out whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentrail.kernel.principal import Principal
from opentrail.record.build import ADDITIONAL_LIMIT, ELEMENTS_LIMIT, TEXT_LIMIT, Action, Facts, build

ME = Principal("IAMUser", "123456789012", "AIDA", "arn:aws:iam::123456789012:user/nurse", "AKIA", "nurse")
ACTION = Action("cloudtrail.amazonaws.com", "CreateTrail", False, False)


def record(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "action": ACTION, "principal": ME, "time": 1790000000.9, "region": "us-east-1", "source_ip": "10.0.0.1", "user_agent": "Boto3",
        "request_id": "r-1", "event_id": "e-1", "recipient": "123456789012",
    }  # fmt: skip
    found: dict[str, Any] = msgspec.json.decode(build(Facts(**facts | changes)))
    return found


def test_order_of_fields() -> None:
    full = record(error_code="A", error_message="b", request={"a": 1}, additional={"b": 2}, resources=[("arn", "T", "1")],
                  shared_event_id="s", tls=True, host="h")  # fmt: skip
    assert list(full) == [
        "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode",
        "errorMessage", "requestParameters", "responseElements", "additionalEventData", "requestID", "eventID", "readOnly", "resources",
        "eventType", "managementEvent", "recipientAccountId", "sharedEventID", "eventCategory", "tlsDetails",
    ]  # fmt: skip


def test_what_is_absent_and_what_is_null() -> None:
    least = record(user_agent="")
    assert (least["requestParameters"], least["responseElements"]) == (None, None)
    assert not {"userAgent", "errorCode", "errorMessage", "additionalEventData", "resources", "sharedEventID", "tlsDetails"} & set(least)
    assert (least["eventTime"], least["readOnly"], least["managementEvent"], least["eventCategory"]) == (
        "2026-09-21T14:13:20Z", False, True, "Management",
    )  # fmt: skip
    assert "errorMessage" not in record(error_code="AccessDenied")
    assert "errorMessage" not in record(error_message="alone")


def test_who_called_as_the_owner_of_the_resource_sees_it() -> None:
    assert record(foreign=True)["userIdentity"] == {"type": "AWSAccount", "principalId": "AIDA", "accountId": "123456789012"}
    service = Principal("AWSService", "123456789012", service="cloudtrail.amazonaws.com")
    assert record(foreign=True, principal=service)["userIdentity"] == {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}


def test_data_events() -> None:
    found = record(action=Action("s3.amazonaws.com", "GetObject", True, True))
    assert (found["readOnly"], found["managementEvent"], found["eventCategory"]) == (True, False, "Data")


@pytest.mark.parametrize(("field", "wire"), [("request", "requestParameters"), ("response", "responseElements")])
def test_elements_over_their_limit_are_omitted_not_cut(field: str, wire: str) -> None:
    room = ELEMENTS_LIMIT - len('{"a":""}')
    assert len(record(**{field: {"a": "x" * room}})[wire]["a"]) == room
    assert wire not in record(**{field: {"a": "x" * (room + 1)}})
    assert wire not in record(**{field: {"a": "é" * (room // 2 + 1)}})


def test_additional_data_over_its_limit_is_omitted() -> None:
    room = ADDITIONAL_LIMIT - len('{"a":""}')
    assert record(additional={"a": "x" * room})["additionalEventData"]
    assert "additionalEventData" not in record(additional={"a": "x" * (room + 1)})


@pytest.mark.parametrize("field", ["user_agent", "error_code", "error_message"])
def test_texts_are_cut(field: str) -> None:
    wire = {"user_agent": "userAgent", "error_code": "errorCode", "error_message": "errorMessage"}[field]
    assert record(**({"error_code": "A"} | {field: "x" * 5000}))[wire] == "x" * TEXT_LIMIT


def test_resources_leave_out_what_is_not_known() -> None:
    assert record(resources=[("arn:a", "", ""), ("arn:b", "T", "1")])["resources"] == [
        {"ARN": "arn:a"}, {"accountId": "1", "type": "T", "ARN": "arn:b"},
    ]  # fmt: skip


def test_calls_of_services() -> None:
    found = record(principal=Principal("AWSService", "", service="cloudtrail.amazonaws.com"))
    assert found["userIdentity"] == {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}
    assert found["sourceIPAddress"] == found["userAgent"] == "cloudtrail.amazonaws.com"


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(agent=TEXT, code=TEXT, message=TEXT, region=TEXT, key=TEXT, host=TEXT)
def test_any_text_makes_valid_json(agent: str, code: str, message: str, region: str, key: str, host: str) -> None:
    found = record(user_agent=agent, error_code=code, error_message=message, region=region, request={key: key}, tls=True, host=host)
    assert found["requestParameters"] == {key: key}
    assert found["awsRegion"] == region
    assert found.get("userAgent", "") == agent[:TEXT_LIMIT]
    assert found["tlsDetails"]["clientProvidedHostHeader"] == host[:TEXT_LIMIT]
