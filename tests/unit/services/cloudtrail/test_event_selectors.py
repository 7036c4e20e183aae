"""PutEventSelectors: AWS's rules and limits, and that a refused change changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from opentrail.services.cloudtrail import trails
from opentrail.services.cloudtrail.event_selectors import apply_put, get_event_selectors, prepare_put
from tests.unit.services.cloudtrail.world import Input, World, error_of

DEFAULT = {
    "ReadWriteType": "All",
    "IncludeManagementEvents": True,
    "DataResources": [],
    "ExcludeManagementEventSources": [],
}


def field(name: str, **operators: list[str]) -> Input:
    return Input(Field=name, **operators)


def advanced(*fields: Input) -> dict[str, Any]:
    return {"AdvancedEventSelectors": [Input(FieldSelectors=list(fields))]}


def basic(**members: Any) -> dict[str, Any]:
    return {"EventSelectors": [Input(**members)]}


def data(type: str, *values: str) -> dict[str, Any]:
    return basic(DataResources=[Input(Type=type, Values=list(values))])


IS_DATA, IS_OBJECT = field("eventCategory", Equals=["Data"]), field("resources.type", Equals=["AWS::S3::Object"])
IS_MANAGEMENT = field("eventCategory", Equals=["Management"])


def test_selectors_replace_each_other(world: World) -> None:
    arn = world.write(trails.prepare_create, trails.apply_create, Name="audit", S3BucketName="bucket")["TrailARN"]
    assert world.read(get_event_selectors, TrailName="audit") == {"TrailARN": arn, "EventSelectors": [DEFAULT]}
    wanted = advanced(IS_DATA, IS_OBJECT, field("eventName", StartsWith=["Put"], NotEquals=["PutObjectAcl"]))
    put = world.write(prepare_put, apply_put, TrailName=arn, **wanted)
    shown = [
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
        {"Field": "eventName", "StartsWith": ["Put"], "NotEquals": ["PutObjectAcl"]},
    ]
    assert put == {"TrailARN": arn, "AdvancedEventSelectors": [{"FieldSelectors": shown}]}
    world.write(prepare_put, apply_put, TrailName="audit", **data("AWS::S3::Object", "arn:aws:s3:::bucket/"))
    (found,) = world.read(get_event_selectors, TrailName="audit")["EventSelectors"]
    assert found == DEFAULT | {"DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::bucket/"]}]}
    assert world.read(trails.get_trail, Name="audit")["Trail"]["HasCustomEventSelectors"] is True


@pytest.mark.parametrize(
    "members",
    [
        {},
        basic() | advanced(IS_MANAGEMENT),
        {"EventSelectors": [Input()] * 6},
        basic(ReadWriteType="read-only"),
        basic(ExcludeManagementEventSources=["s3.amazonaws.com"]),
        data("AWS::SNS::Topic", "arn:aws:sns"),
        data("AWS::S3::Object", "arn:aws:s3:::bucket"),
        data("AWS::S3::Object", "bucket/"),
        data("AWS::S3::Object", *["arn:aws:s3:::bucket/"] * 251),
        advanced(),
        advanced(IS_OBJECT),
        advanced(IS_DATA),
        advanced(IS_DATA, IS_OBJECT, IS_OBJECT),
        advanced(IS_DATA, field("resources.type", StartsWith=["AWS::S3"])),
        advanced(IS_DATA, field("resources.type", Equals=["a", "b"])),
        advanced(IS_DATA, field("resources.type", Equals=["AWS::S3::Objects"])),
        advanced(IS_DATA, IS_OBJECT, field("eventName")),
        advanced(IS_DATA, IS_OBJECT, field("readOnly", Equals=["yes"])),
        advanced(IS_DATA, IS_OBJECT, field("vpcEndpointId", Equals=["vpce-1"])),
        advanced(IS_DATA, IS_OBJECT, field("eventName", Equals=[str(i) for i in range(499)])),
        advanced(IS_MANAGEMENT, field("eventName", Equals=["CreateKey"])),
        advanced(field("eventCategory", NotEquals=["Data"])),
        advanced(field("eventCategory", Equals=["Insight"])),
        advanced(field("eventCategory", Equals=["NetworkActivity"])),
    ],
)
def test_what_breaks_a_rule_is_refused(sqlite_world: World, members: dict[str, Any]) -> None:
    sqlite_world.write(trails.prepare_create, trails.apply_create, Name="audit", S3BucketName="bucket")
    code, _ = error_of(lambda: sqlite_world.write(prepare_put, apply_put, TrailName="audit", **members))
    assert code == "InvalidEventSelectorsException"
    assert sqlite_world.read(get_event_selectors, TrailName="audit")["EventSelectors"] == [DEFAULT]
