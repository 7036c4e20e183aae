"""Which records event selectors want."""

from __future__ import annotations

import pytest

from opentrail.record.schema import Identity, Resource, View
from opentrail.record.selectors import DEFAULT, AdvancedEventSelector, DataResource, EventSelector, FieldSelector, compile


def record(**members: object) -> View:
    given = {"eventID": "1", "eventTime": "", "eventName": "PutObject", "eventSource": "s3.amazonaws.com", "awsRegion": "us-east-1"}
    return View(**(given | {"userIdentity": Identity(arn="arn:aws:iam::1:user/a")} | members))  # type: ignore[arg-type]


MANAGED = record(eventName="CreateKey", eventSource="kms.amazonaws.com")
STORED = record(eventCategory="Data", managementEvent=False, resources=[Resource("arn:aws:s3:::b/k/1", "AWS::S3::Object")])


def test_default_wants_management_events_only() -> None:
    wants = compile(DEFAULT, ())
    assert wants(MANAGED)
    assert not wants(STORED)


@pytest.mark.parametrize(
    ("selector", "managed", "stored"),
    [
        (EventSelector(read_write_type="ReadOnly"), False, False),
        (EventSelector(read_write_type="WriteOnly"), True, False),
        (EventSelector(exclude_management_event_sources=("kms.amazonaws.com",)), False, False),
        (EventSelector("All", False, (DataResource("AWS::S3::Object", ("arn:aws:s3:::b/k",)),)), False, True),
        (EventSelector("All", True, (DataResource("AWS::S3::Object", ("arn:aws:s3",)),)), True, True),
        (EventSelector("All", False, (DataResource("AWS::S3::Object", ("arn:aws:s3:::c/",)),)), False, False),
        (EventSelector("All", False, (DataResource("AWS::Lambda::Function", ("arn:aws:s3",)),)), False, False),
        (EventSelector("ReadOnly", False, (DataResource("AWS::S3::Object", ("arn:aws:s3",)),)), False, False),
    ],
)
def test_basic(selector: EventSelector, managed: bool, stored: bool) -> None:
    wants = compile((selector,), ())
    assert (wants(MANAGED), wants(STORED)) == (managed, stored)


CATEGORY = FieldSelector("eventCategory", equals=("Data",))
TYPE = FieldSelector("resources.type", equals=("AWS::S3::Object",))


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (FieldSelector("eventName", equals=("PutObject", "GetObject")), True),
        (FieldSelector("eventName", starts_with=("Get",)), False),
        (FieldSelector("eventName", starts_with=("Get",), ends_with=("Object",)), True),
        (FieldSelector("eventName", not_equals=("PutObject",)), False),
        (FieldSelector("eventName", equals=("PutObject",), not_starts_with=("Put",)), False),
        (FieldSelector("eventName", not_ends_with=("Version",), not_equals=("GetObject",)), True),
        (FieldSelector("readOnly", equals=("true",)), False),
        (FieldSelector("readOnly", equals=("false",)), True),
        (FieldSelector("resources.ARN", starts_with=("arn:aws:s3:::b/",)), True),
        (FieldSelector("resources.ARN", not_starts_with=("arn:aws:s3:::b/",)), False),
        (FieldSelector("userIdentity.arn", equals=("arn:aws:iam::1:user/a",)), True),
        (FieldSelector("sessionCredentialFromConsole", equals=("true",)), False),
        (FieldSelector("eventSource", not_equals=("s3.amazonaws.com",)), False),
        (FieldSelector("eventType", equals=("AwsApiCall",)), True),
    ],
)
def test_advanced(field: FieldSelector, wanted: bool) -> None:
    wants = compile((), (AdvancedEventSelector((CATEGORY, TYPE, field)),))
    assert (wants(MANAGED), wants(STORED)) == (False, wanted)


def test_type_and_arn_are_about_one_resource_and_selectors_are_alternatives() -> None:
    two = record(eventCategory="Data", resources=[Resource("x", "AWS::S3::Object"), Resource("y", "AWS::S3::Bucket")])
    only_y = FieldSelector("resources.ARN", equals=("y",))
    assert not compile((), (AdvancedEventSelector((CATEGORY, TYPE, only_y)),))(two)
    management = AdvancedEventSelector((FieldSelector("eventCategory", equals=("Management",)),))
    both = compile((), (management, AdvancedEventSelector((CATEGORY, TYPE))))
    assert both(MANAGED)
    assert both(two)
