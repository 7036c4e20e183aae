"""What is recorded of calls that were denied: whom and what they were aimed at, for the caller and for the owner."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks.servers import OTHER
from botocore.exceptions import ClientError

from tests.wire.story import ACCOUNT, REGION, Story, root

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
BUCKET, OBJECT = "AWS::S3::Bucket", "AWS::S3::Object"


@pytest.fixture
def bucket(story: Story) -> str:
    name = story.name("denied")
    story.client("s3").create_bucket(Bucket=name)
    return name


def refused(client: Any, operation: str, code: str = "AccessDenied", **input: Any) -> str:
    """Makes a call that is refused; its request id."""
    with pytest.raises(ClientError) as raised:
        getattr(client, operation)(**input)
    answer = raised.value.response
    assert answer["Error"]["Code"] == code
    return str(answer["ResponseMetadata"]["RequestId"])


@pytest.mark.parametrize(
    ("operation", "input", "types"),
    [
        ("delete_bucket", {}, [BUCKET]),
        ("get_bucket_location", {}, [BUCKET]),
        ("get_object", {"Key": "a"}, [OBJECT, BUCKET]),
        ("list_objects_v2", {}, [OBJECT, BUCKET]),
    ],
)
def test_the_owner_of_a_bucket_sees_what_another_account_was_denied(
    story: Story, bucket: str, operation: str, input: dict[str, Any], types: list[str]
) -> None:
    stranger = root(OTHER, story.live.server.keys)
    request_id = refused(story.client("s3", stranger), operation, Bucket=bucket, **input)
    both = {record["recipientAccountId"]: record for record in story.live.journal(request_id)}
    theirs, ours = both[OTHER], both[ACCOUNT]
    assert theirs["userIdentity"] == stranger.identity
    assert [(one["type"], one["accountId"]) for one in theirs["resources"]] == [(type, HIDDEN) for type in types]
    assert ours["userIdentity"] == {"type": "AWSAccount", "principalId": OTHER, "accountId": OTHER}
    assert [(one["type"], one["accountId"]) for one in ours["resources"]] == [(type, ACCOUNT) for type in types]
    assert ours["resources"][-1]["ARN"] == theirs["resources"][-1]["ARN"] == f"arn:aws:s3:::{bucket}"
    assert (ours["errorCode"], ours["errorMessage"]) == ("AccessDenied", "Access Denied")
    assert stranger.identity["arn"] in theirs["errorMessage"]
    assert (ours["requestParameters"], ours["responseElements"]) == (None, None)
    assert ours["sharedEventID"] == theirs["sharedEventID"]
    assert ours["eventID"] != theirs["eventID"]
    if types == [BUCKET]:
        (found,) = story.looked_up(ACCOUNT, REGION, ours["eventName"], request_id)
        assert found == ours


def test_a_denied_listing_is_named_as_an_allowed_one_is(story: Story, bucket: str) -> None:
    named = ((OBJECT, f"arn:aws:s3:::{bucket}/"), (BUCKET, f"arn:aws:s3:::{bucket}"))
    for operation in ("ListObjects", "ListObjectsV2"):
        story.call("s3", operation, {"Bucket": bucket}, caller=story.user(), event="ListObjects", request=None, resources=named,
                   data=True, error="AccessDenied")  # fmt: skip


def test_a_bucket_that_is_not_there_is_nobodys(story: Story) -> None:
    request_id = refused(story.client("s3"), "get_object", "NoSuchBucket", Bucket=story.name("absent"), Key="a")
    (record,) = story.live.journal(request_id)
    assert "resources" not in record


def test_a_name_that_another_has_taken_is_not_the_callers(story: Story, bucket: str) -> None:
    theirs = story.client("s3", root(OTHER, story.live.server.keys))
    for name, code in ((bucket, "BucketAlreadyExists"), ("Bad_Bucket", "InvalidBucketName")):
        (record,) = story.live.journal(refused(theirs, "create_bucket", code, Bucket=name))
        assert (record["recipientAccountId"], record.get("resources")) == (OTHER, None)


def test_what_a_denied_call_was_aimed_at_is_found(story: Story) -> None:
    """Who tried to stop the trail, to delete the data store, the schema, to become the role?"""
    user, place = story.user(), f"{REGION}:{ACCOUNT}"
    trail, schema = f"arn:aws:cloudtrail:{place}:trail/{story.name('t')}", f"arn:aws:personalize:{place}:schema/{story.name('s')}"
    datastore, role = f"arn:aws:healthlake:{place}:datastore/fhir/{'ab' * 16}", story.role(story.root.identity["arn"])["Arn"]
    asked: tuple[tuple[str, str, dict[str, Any], str, str], ...] = (
        ("cloudtrail", "StopLogging", {"Name": trail}, "AWS::CloudTrail::Trail", trail),
        ("cloudtrail", "DeleteTrail", {"Name": trail.rpartition("/")[2]}, "AWS::CloudTrail::Trail", trail),
        ("cloudtrail", "GetEventSelectors", {"TrailName": trail}, "AWS::CloudTrail::Trail", trail),
        ("personalize", "DeleteSchema", {"schemaArn": schema}, "AWS::Personalize::Schema", schema),
        ("healthlake", "DeleteFHIRDatastore", {"DatastoreId": "ab" * 16}, "AWS::HealthLake::FHIRDatastore", datastore),
        ("sts", "AssumeRole", {"RoleArn": role, "RoleSessionName": "night"}, "AWS::IAM::Role", role),
    )
    for service, operation, input, type, arn in asked:
        code = "AccessDenied" if service == "sts" else "AccessDeniedException"
        story.call(service, operation, input, caller=user, request=None, resources=[(type, arn)], error=code)
        for name in (arn, arn.rpartition("/")[2]):
            events = story.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": name}])
            assert operation in {event["EventName"] for event in events["Events"]}


def test_what_does_not_look_like_a_name_is_not_recorded(story: Story) -> None:
    text = "arn:aws:personalize:us-east-1:123456789012:schema/John Smith, born 1970"
    story.call("personalize", "DeleteSchema", {"schemaArn": text}, caller=story.user(), request=None, error="AccessDeniedException")
