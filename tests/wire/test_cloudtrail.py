"""CloudTrail by boto3: trails, their status, selectors and tags, keys, and Event history itself."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest
from benchmarks.servers import OTHER

from tests.wire.covers import covers
from tests.wire.story import MOMENT, Caller, Story, root

TYPE = "AWS::CloudTrail::Trail"


@pytest.fixture
def bucket(story: Story) -> str:
    """A bucket into which CloudTrail may write."""
    name, client = story.name("trail-logs"), story.client("s3")
    client.create_bucket(Bucket=name)
    service = {"Service": "cloudtrail.amazonaws.com"}
    statements = [
        {"Effect": "Allow", "Principal": service, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{name}"},
        {"Effect": "Allow", "Principal": service, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/AWSLogs/123456789012/*"},
    ]
    client.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return name


@pytest.fixture
def trail(story: Story, bucket: str) -> Iterator[dict[str, Any]]:
    """A trail that does not log yet, as CreateTrail answers it."""
    client = story.client("cloudtrail")
    made = client.create_trail(Name=story.name("trail"), S3BucketName=bucket)
    yield made
    client.delete_trail(Name=made["TrailARN"])


@covers("cloudtrail", "CreateTrail", "GetTrail", "DescribeTrails", "ListTrails", "UpdateTrail", "DeleteTrail")
def test_trails(story: Story, bucket: str) -> None:
    name, region = story.name("trail"), "us-west-2"
    arn = f"arn:aws:cloudtrail:{region}:123456789012:trail/{name}"
    touched = [(TYPE, arn)]
    input = {"Name": name, "S3BucketName": bucket, "EnableLogFileValidation": True, "TagsList": [{"Key": "unit", "Value": "icu"}]}
    shown = {
        "name": name, "s3BucketName": bucket, "includeGlobalServiceEvents": True, "isMultiRegionTrail": False, "trailARN": arn,
        "logFileValidationEnabled": True, "isOrganizationTrail": False, "recursiveLogging": False,
    }  # fmt: skip
    made = story.call("cloudtrail", "CreateTrail", input, region=region, response=shown, resources=touched)
    assert made["TrailARN"] == arn
    story.call("cloudtrail", "CreateTrail", input, region=region, resources=touched, error="TrailAlreadyExistsException")
    found = story.call("cloudtrail", "GetTrail", {"Name": name}, region=region, resources=touched)["Trail"]
    assert (found["HomeRegion"], found["LogFileValidationEnabled"]) == (region, True)
    asked = {"trailNameList": [arn], "includeShadowTrails": False}
    assert [one["TrailARN"] for one in story.call("cloudtrail", "DescribeTrails", asked, region=region)["trailList"]] == [arn]
    assert arn in [one["TrailARN"] for one in story.call("cloudtrail", "ListTrails", region=region)["Trails"]]
    change = {"Name": name, "S3KeyPrefix": "logs", "EnableLogFileValidation": False}
    refused = "InsufficientS3BucketPolicyException"
    story.call("cloudtrail", "UpdateTrail", change, region=region, resources=touched, error=refused)
    change = {"Name": name, "EnableLogFileValidation": False}
    changed = {**shown, "logFileValidationEnabled": False}
    story.call("cloudtrail", "UpdateTrail", change, region=region, response=changed, resources=touched)
    story.call("cloudtrail", "DeleteTrail", {"Name": arn}, region=region, resources=touched)
    story.call("cloudtrail", "GetTrail", {"Name": name}, region=region, resources=touched, error="TrailNotFoundException")


@covers("cloudtrail", "StartLogging", "GetTrailStatus", "StopLogging")
def test_logging(story: Story, trail: dict[str, Any]) -> None:
    input, touched = {"Name": trail["Name"]}, [(TYPE, trail["TrailARN"])]
    story.call("cloudtrail", "StartLogging", input, resources=touched)
    assert story.call("cloudtrail", "GetTrailStatus", input, resources=touched)["IsLogging"] is True
    story.call("cloudtrail", "StopLogging", {"Name": trail["TrailARN"]}, resources=touched)
    assert story.call("cloudtrail", "GetTrailStatus", input, resources=touched)["IsLogging"] is False


@covers("cloudtrail", "PutEventSelectors", "GetEventSelectors")
def test_event_selectors(story: Story, trail: dict[str, Any]) -> None:
    arn = trail["TrailARN"]
    basic = [
        {
            "ReadWriteType": "WriteOnly", "IncludeManagementEvents": True,
            "DataResources": [{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}], "ExcludeManagementEventSources": [],
        }
    ]  # fmt: skip
    kept = [
        {
            "readWriteType": "WriteOnly", "includeManagementEvents": True,
            "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}], "excludeManagementEventSources": [],
        }
    ]  # fmt: skip
    input = {"TrailName": trail["Name"], "EventSelectors": basic}
    response = {"trailARN": arn, "eventSelectors": kept}
    story.call("cloudtrail", "PutEventSelectors", input, response=response, resources=[(TYPE, arn)])
    found = story.call("cloudtrail", "GetEventSelectors", {"TrailName": arn}, resources=[(TYPE, arn)])
    assert found["EventSelectors"] == basic
    fields = [{"Field": "eventCategory", "Equals": ["Data"]}, {"Field": "resources.type", "Equals": ["AWS::S3::Object"]}]
    kept = [{"field": "eventCategory", "equals": ["Data"]}, {"field": "resources.type", "equals": ["AWS::S3::Object"]}]
    input = {"TrailName": arn, "AdvancedEventSelectors": [{"Name": "objects", "FieldSelectors": fields}]}
    response = {"trailARN": arn, "advancedEventSelectors": [{"name": "objects", "fieldSelectors": kept}]}
    story.call("cloudtrail", "PutEventSelectors", input, response=response, resources=[(TYPE, arn)])


@covers("cloudtrail", "AddTags", "ListTags", "RemoveTags")
def test_tags(story: Story, trail: dict[str, Any]) -> None:
    arn = trail["TrailARN"]
    touched, tags = [(TYPE, arn)], [{"Key": "unit", "Value": "icu"}]
    story.call("cloudtrail", "AddTags", {"ResourceId": arn, "TagsList": tags}, resources=touched)
    found = story.call("cloudtrail", "ListTags", {"ResourceIdList": [arn]}, resources=touched)
    assert found["ResourceTagList"] == [{"ResourceId": arn, "TagsList": tags}]
    story.call("cloudtrail", "RemoveTags", {"ResourceId": arn, "TagsList": tags}, resources=touched)


@covers("cloudtrail", "ListPublicKeys")
def test_public_keys(story: Story, trail: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    input = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)}
    keys = story.call("cloudtrail", "ListPublicKeys", input, request={"startTime": MOMENT, "endTime": MOMENT})["PublicKeyList"]
    assert len(keys[0]["Fingerprint"]) == 32


@covers("cloudtrail", "LookupEvents")
def test_looking_up_is_recorded_too(story: Story) -> None:
    attributes = [{"AttributeKey": "EventSource", "AttributeValue": "iam.amazonaws.com"}]
    kept = {
        "lookupAttributes": [{"attributeKey": "EventSource", "attributeValue": "iam.amazonaws.com"}], "maxResults": 5,
        "startTime": MOMENT,
    }  # fmt: skip
    input = {"LookupAttributes": attributes, "StartTime": datetime.now(UTC) - timedelta(hours=1), "MaxResults": 5}
    story.call("cloudtrail", "LookupEvents", input, request=kept)


def test_every_attribute_finds_the_call(story: Story) -> None:
    user, region = story.user(("personalize:*", "*")), "ca-central-1"
    story.call("personalize", "ListSchemas", caller=user, region=region)
    client = story.client("cloudtrail", region=region)
    (event,) = lookup(client, "Username", user.identity["userName"])
    for key, value in (
        ("EventId", event["EventId"]), ("AccessKeyId", user.key), ("EventName", "ListSchemas"),
        ("EventSource", "personalize.amazonaws.com"), ("ReadOnly", "true"),
    ):  # fmt: skip
        assert event["EventId"] in [one["EventId"] for one in lookup(client, key, value)], key


def test_any_combination_of_attributes_must_hold_together(story: Story, trail: dict[str, Any]) -> None:
    """Every pair of the eight attributes, all of them, and each of them wrong beside the other seven."""
    client = story.client("cloudtrail")
    answer = client.get_trail_status(Name=trail["TrailARN"])
    (record,) = story.live.journal(answer["ResponseMetadata"]["RequestId"])
    right = {
        "EventId": record["eventID"], "EventName": "GetTrailStatus", "ReadOnly": "true", "Username": "root", "ResourceType": TYPE,
        "ResourceName": trail["TrailARN"], "EventSource": "cloudtrail.amazonaws.com", "AccessKeyId": story.root.key,
    }  # fmt: skip

    def found(asked: dict[str, str]) -> bool:
        attributes = [{"AttributeKey": key, "AttributeValue": value} for key, value in asked.items()]
        return record["eventID"] in [one["EventId"] for one in client.lookup_events(LookupAttributes=attributes)["Events"]]

    for pair in combinations(right, 2):
        assert found({key: right[key] for key in pair}), pair
    assert found(right)
    wrong = {"EventId": str(uuid4()), "ReadOnly": "false"}
    for key in right:
        assert not found({**right, key: wrong.get(key, "AWS::S3::Bucket")}), key


def lookup(client: Any, key: str, value: str) -> list[dict[str, Any]]:
    """The newest events with an attribute."""
    found: list[dict[str, Any]] = client.lookup_events(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])["Events"]
    return found


def test_history_is_the_accounts_and_the_regions_own(story: Story) -> None:
    user, region = story.user(("personalize:*", "*")), "sa-east-1"
    story.call("personalize", "ListSchemas", caller=user, region=region)
    name = user.identity["userName"]
    other: Caller = root(OTHER, story.live.server.keys)
    assert lookup(story.client("cloudtrail", region="us-east-2"), "Username", name) == []
    assert lookup(story.client("cloudtrail", other, region), "Username", name) == []


def test_history_pages_newest_first_without_gaps(story: Story) -> None:
    user, region = story.user(("personalize:*", "*")), "ap-northeast-1"
    ids = [story.client("personalize", user, region).list_schemas()["ResponseMetadata"]["RequestId"] for _ in range(7)]
    pages = story.client("cloudtrail", region=region).get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": user.identity["userName"]}], PaginationConfig={"PageSize": 3}
    )  # fmt: skip
    found = [[json.loads(one["CloudTrailEvent"])["requestID"] for one in page["Events"]] for page in pages]
    assert [len(page) for page in found] == [3, 3, 1]
    assert sorted(id for page in found for id in page) == sorted(ids)


def test_refusals_name_who_what_and_why(story: Story) -> None:
    user = story.user(("cloudtrail:GetTrail", "*"))
    denied = story.call("cloudtrail", "ListTrails", caller=user, request=None, error="AccessDeniedException")
    assert denied["Error"]["Message"] == (
        f"User: {user.identity['arn']} is not authorized to perform: cloudtrail:ListTrails on resource: *"
        " because no identity-based policy allows the cloudtrail:ListTrails action"
    )
    role = story.role(user.identity["arn"])
    story.client("iam").put_user_policy(
        UserName=user.identity["userName"],
        PolicyName="more",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}',
    )
    session = story.session(role, user)
    story.call("cloudtrail", "CreateTrail", {"Name": "abc", "S3BucketName": "xyz"}, caller=session, request=None,
               resources=[("AWS::CloudTrail::Trail", "arn:aws:cloudtrail:us-east-1:123456789012:trail/abc")], error="AccessDeniedException")  # fmt: skip


@pytest.mark.parametrize(
    ("input", "error"),
    [
        ({"Name": "ab", "S3BucketName": "xyz"}, "InvalidTrailNameException"),
        ({"Name": "a..b", "S3BucketName": "xyz"}, "InvalidTrailNameException"),
        ({"Name": "abc", "S3BucketName": "no-such-bucket-at-all"}, "S3BucketDoesNotExistException"),
        ({"Name": "abc", "S3BucketName": "xyz", "SnsTopicName": "topic"}, None),
        ({"Name": "abc", "S3BucketName": "xyz", "KmsKeyId": "alias/x"}, None),
    ],
)
def test_what_a_trail_may_not_be(story: Story, input: dict[str, Any], error: str | None) -> None:
    client = story.client("cloudtrail")
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_trail(**input)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error in (None, refused.value.response["Error"]["Code"])
    assert not [one for one in client.list_trails()["Trails"] if one["Name"] == input["Name"]]


def test_object_calls_reach_the_log_files_when_a_trail_selects_them(story: Story, bucket: str, trail: dict[str, Any]) -> None:
    cloudtrail, s3, arn = story.client("cloudtrail"), story.client("s3"), trail["TrailARN"]
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": False}
    resources = [{"Type": "AWS::S3::Object", "Values": [f"arn:aws:s3:::{bucket}/kept/"]}]
    cloudtrail.put_event_selectors(TrailName=arn, EventSelectors=[{**selector, "DataResources": resources}])
    cloudtrail.start_logging(Name=arn)
    wanted = s3.put_object(Bucket=bucket, Key="kept/x", Body=b"x")["ResponseMetadata"]["RequestId"]
    s3.put_object(Bucket=bucket, Key="left/x", Body=b"x")
    records: list[dict[str, Any]] = []
    until = time.monotonic() + 60
    while not records and time.monotonic() < until:
        time.sleep(0.2)
        records = delivered(s3, bucket)
    cloudtrail.stop_logging(Name=arn)
    assert [one["requestID"] for one in records] == [wanted]
    assert [one["eventCategory"] for one in records] == ["Data"]


def delivered(s3: Any, bucket: str) -> list[dict[str, Any]]:
    """The records in a bucket's log files."""
    found: list[dict[str, Any]] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="AWSLogs/123456789012/CloudTrail/"):
        for one in page.get("Contents", ()):
            if one["Key"].endswith(".json.gz"):
                found += json.loads(gzip.decompress(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()))["Records"]
    return found
