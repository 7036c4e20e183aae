"""Trails: made, changed, shown, ended; by AWS's rules, on each database."""

from __future__ import annotations

from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError
from opentrail.services.cloudtrail import keys, public_keys, trail_logging, trail_tags, trails
from opentrail.services.cloudtrail.versions import trails_as_of
from tests.unit.services.cloudtrail.world import ACCOUNT, NOW, Input, World, error_of

ARN = "arn:aws:cloudtrail:us-east-1:123456789012:trail/audit"
DENIED = ServiceError("AccessDenied", "Access Denied", status=403)


def create(world: World, name: str = "audit", region: str = "us-east-1", **members: Any) -> Any:
    given = {"Name": name, "S3BucketName": "bucket"} | members
    return world.write(trails.prepare_create, trails.apply_create, region=region, **given)


def update(world: World, region: str = "us-east-1", **members: Any) -> Any:
    return world.write(trails.prepare_update, trails.apply_update, region=region, **members)


def start(world: World, name: str = "audit") -> Any:
    return world.write(trail_logging.prepare_start, trail_logging.apply_start, Name=name)


def stop(world: World, name: str = "audit") -> Any:
    return world.write(trail_logging.prepare_stop, trail_logging.apply_stop, Name=name)


def delete(world: World, name: str = "audit") -> Any:
    return world.write(trails.prepare_delete, trails.apply_delete, Name=name)


def test_a_new_trail_is_answered_and_described_as_aws_does(world: World) -> None:
    made = create(world, S3KeyPrefix="logs", EnableLogFileValidation=True)
    assert made == {
        "Name": "audit",
        "S3BucketName": "bucket",
        "S3KeyPrefix": "logs",
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": False,
        "TrailARN": ARN,
        "LogFileValidationEnabled": True,
        "IsOrganizationTrail": False,
        "RecursiveLogging": False,
    }
    described = made | {"HomeRegion": "us-east-1", "HasCustomEventSelectors": False, "HasInsightSelectors": False}
    assert world.read(trails.get_trail, Name=ARN) == {"Trail": described}
    assert world.read(trails.describe_trails) == {"trailList": [described]}
    assert world.read(trails.list_trails) == {"Trails": [{"TrailARN": ARN, "Name": "audit", "HomeRegion": "us-east-1"}]}


def test_the_bucket_is_asked_as_cloudtrail_for_the_trail(world: World) -> None:
    create(world, S3KeyPrefix="logs", EnableLogFileValidation=True)
    asked = [(operation, input.get("Key"), input.get("ACL")) for _, _, _, operation, input in world.s3.made]
    assert asked == [
        ("GetBucketAcl", None, None),
        ("PutObject", f"logs/AWSLogs/{ACCOUNT}/CloudTrail/", "bucket-owner-full-control"),
        ("PutObject", f"logs/AWSLogs/{ACCOUNT}/CloudTrail-Digest/", "bucket-owner-full-control"),
    ]
    principal = world.s3.made[0][0]
    assert (principal.service, principal.source_arn, principal.source_account) == ("cloudtrail.amazonaws.com", ARN, ACCOUNT)


@pytest.mark.parametrize("operation", ["GetBucketAcl", "PutObject"])
def test_a_wrong_bucket_policy_is_refused_in_aws_words_and_logged_by_name(
    sqlite_world: World, caplog: pytest.LogCaptureFixture, operation: str
) -> None:
    sqlite_world.s3.errors[operation] = DENIED
    code, text = error_of(lambda: create(sqlite_world))
    assert (code, text) == ("InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: bucket")
    assert f"s3:{operation}" in caplog.text
    assert sqlite_world.read(trails.list_trails) == {"Trails": []}


def test_a_missing_bucket_is_named_and_an_unavailable_one_is_not_blamed(sqlite_world: World) -> None:
    sqlite_world.s3.errors["GetBucketAcl"] = ServiceError("NoSuchBucket", "The specified bucket does not exist", status=404)
    assert error_of(lambda: create(sqlite_world)) == ("S3BucketDoesNotExistException", "S3 bucket bucket does not exist!")
    sqlite_world.s3.errors["GetBucketAcl"] = ServiceError("ServiceUnavailable", "later", status=503)
    assert error_of(lambda: create(sqlite_world))[0] == "ServiceUnavailable"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ab", "Trail name too short. Minimum allowed length: 3 characters. Specified name length: 2 characters."),
        ("a" * 129, "Trail name too long. Maximum allowed length: 128 characters. Specified name length: 129 characters."),
        ("-audit", "starts with a letter or number"),
        ("audit-", "ends with a letter or number"),
        ("au dit", "can only contain"),
        ("audit\n", "can only contain"),
        ("au.-dit", "adjacent"),
        ("10.0.0.1", "IP address"),
    ],
)
def test_names_break_rules_in_aws_words(sqlite_world: World, name: str, words: str) -> None:
    code, text = error_of(lambda: create(sqlite_world, name))
    assert code == "InvalidTrailNameException"
    assert words in text


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"S3BucketName": "Bucket"}, "InvalidS3BucketNameException"),
        ({"S3BucketName": "a..b"}, "InvalidS3BucketNameException"),
        ({"S3KeyPrefix": "x" * 201}, "InvalidS3PrefixException"),
        ({"S3KeyPrefix": "x\0"}, "InvalidS3PrefixException"),
        ({"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": False}, "InvalidParameterCombinationException"),
        ({"SnsTopicName": "topic"}, "UnsupportedOperationException"),
        ({"KmsKeyId": "alias/key"}, "UnsupportedOperationException"),
        ({"CloudWatchLogsLogGroupArn": "arn"}, "UnsupportedOperationException"),
        ({"CloudWatchLogsRoleArn": "arn"}, "UnsupportedOperationException"),
        ({"IsOrganizationTrail": True}, "UnsupportedOperationException"),
        ({"RecursiveLogging": True}, "UnsupportedOperationException"),
        ({"TagsList": [Input(Key="a", Value="1"), Input(Key="a", Value="2")]}, "InvalidTagParameterException"),
        ({"TagsList": [Input(Key=str(i), Value="1") for i in range(51)]}, "TagsLimitExceededException"),
    ],
)
def test_settings_break_rules_and_nothing_is_made(sqlite_world: World, members: dict[str, Any], code: str) -> None:
    found, text = error_of(lambda: create(sqlite_world, **members))
    assert found == code
    if code == "UnsupportedOperationException":
        assert text.startswith(next(iter(members)))
    assert sqlite_world.s3.made == []


def test_five_trails_a_region_and_shadow_trails_count(world: World) -> None:
    create(world, "everywhere", IsMultiRegionTrail=True)
    for number in range(4):
        create(world, f"local{number}", region="eu-west-1")
    code, text = error_of(lambda: create(world, "more", region="eu-west-1"))
    assert (code, text) == ("MaximumNumberOfTrailsExceededException", f"User: {ACCOUNT} already has 5 trails in eu-west-1.")
    create(world, "here")
    assert error_of(lambda: create(world, "other", IsMultiRegionTrail=True))[0] == "MaximumNumberOfTrailsExceededException"
    assert error_of(lambda: update(world, Name="here", IsMultiRegionTrail=True))[0] == "MaximumNumberOfTrailsExceededException"


def test_a_name_is_taken_wherever_the_trail_shows(sqlite_world: World) -> None:
    create(sqlite_world)
    assert error_of(lambda: create(sqlite_world)) == (
        "TrailAlreadyExistsException",
        f"Trail audit already exists for customer: {ACCOUNT}",
    )
    create(sqlite_world, region="eu-west-1")
    create(sqlite_world, "wide", IsMultiRegionTrail=True)
    assert error_of(lambda: create(sqlite_world, "wide", region="eu-west-1"))[0] == "TrailAlreadyExistsException"


def test_two_creations_of_one_name_that_were_both_prepared_end_with_one_trail(world: World) -> None:
    members = Input(Name="audit", S3BucketName="bucket")
    plan = trails.prepare_create(world.call(), members)
    create(world)
    late = lambda: world.write(lambda call, input: plan, trails.apply_create)  # noqa: E731
    assert error_of(late)[0] == "TrailAlreadyExistsException"


def test_trails_change_in_their_home_region_only(sqlite_world: World) -> None:
    create(sqlite_world, IsMultiRegionTrail=True)
    for name in ("audit", ARN):
        assert error_of(lambda name=name: update(sqlite_world, "eu-west-1", Name=name))[0] == "InvalidHomeRegionException"  # type: ignore[misc]
    assert sqlite_world.read(trails.get_trail, region="eu-west-1", Name=ARN)["Trail"]["Name"] == "audit"
    assert error_of(lambda: sqlite_world.read(trails.get_trail, region="eu-west-1", Name="audit")) == (
        "TrailNotFoundException",
        f"Unknown trail: audit for the user: {ACCOUNT}",
    )
    assert len(sqlite_world.read(trails.describe_trails, region="eu-west-1")["trailList"]) == 1
    assert sqlite_world.read(trails.describe_trails, region="eu-west-1", includeShadowTrails=False) == {"trailList": []}


@pytest.mark.parametrize("arn", ["arn:aws:s3:::audit", "arn:aws:cloudtrail:us-east-1:123456789012:channel/audit", "arn:x"])
def test_arns_that_are_no_trails_are_refused(sqlite_world: World, arn: str) -> None:
    assert error_of(lambda: sqlite_world.read(trails.get_trail, Name=arn))[0] == "CloudTrailARNInvalidException"


def test_an_update_changes_what_is_given_and_checks_the_bucket_again(world: World) -> None:
    create(world, S3KeyPrefix="logs")
    world.s3.made.clear()
    changed = update(world, Name="audit", S3BucketName="other", S3KeyPrefix="")
    assert changed["S3BucketName"] == "other"
    assert "S3KeyPrefix" not in changed
    assert [input["Bucket"] for *_, input in world.s3.made] == ["other", "other"]
    plan = trails.prepare_update(world.call(), Input(Name="audit", IsMultiRegionTrail=True))
    update(world, Name="audit", S3BucketName="third")
    assert error_of(lambda: world.write(lambda call, input: plan, trails.apply_update))[0] == "ConflictException"


def test_every_change_is_a_version_from_its_calls_position_on(world: World) -> None:
    create(world)
    start(world)
    world.clock.time += 60
    start(world)
    stop(world)
    delete(world)
    with world.main.read() as snapshot:
        versions = trails_as_of(snapshot)
        assert trails_as_of(snapshot, after=4)[0].deleted
    assert [(v.from_position, v.version, v.deleted, v.trail.logging) for v in versions] == [
        (1, 1, False, False),
        (2, 2, False, True),
        (4, 3, False, False),
        (5, 4, True, False),
    ]
    assert (versions[2].trail.started, versions[2].trail.stopped) == (NOW, NOW + 60)
    assert error_of(lambda: stop(world))[0] == "TrailNotFoundException"
    create(world)
    with world.main.read() as snapshot:
        assert trails_as_of(snapshot, after=5)[0][:3] == (7 - 1, 5, False)


def test_which_records_a_trail_covers(sqlite_world: World) -> None:
    create(sqlite_world, IncludeGlobalServiceEvents=False)
    create(sqlite_world, "wide", IsMultiRegionTrail=True)
    with sqlite_world.main.read() as snapshot:
        local, wide = (version.trail for version in trails_as_of(snapshot))
    assert local.covers(ACCOUNT, "us-east-1", "s3.amazonaws.com")
    assert not local.covers(ACCOUNT, "us-east-1", "iam.amazonaws.com")
    assert not local.covers(ACCOUNT, "eu-west-1", "s3.amazonaws.com")
    assert wide.covers(ACCOUNT, "eu-west-1", "iam.amazonaws.com")
    assert not wide.covers("210987654321", "us-east-1", "s3.amazonaws.com")


def test_the_first_trail_makes_the_signing_key_and_time_renews_it(world: World) -> None:
    create(world)
    create(world, "second")
    (first,) = world.read(public_keys.list_public_keys)["PublicKeyList"]
    assert len(first["Value"]) == 270
    assert first["ValidityEndTime"] - first["ValidityStartTime"] == 30 * 86400
    with world.main.read() as snapshot:
        key = keys.signing_key(snapshot, ACCOUNT, "us-east-1", NOW)
    assert key is not None
    assert key.private(world.sealer).public_key().key_size == 2048
    world.clock.time += 29.5 * 86400
    start(world)
    assert len(world.read(public_keys.list_public_keys)["PublicKeyList"]) == 2
    old = world.read(public_keys.list_public_keys, StartTime=NOW, EndTime=NOW + 5, NextToken="anything")
    assert [found["Fingerprint"] for found in old["PublicKeyList"]] == [first["Fingerprint"]]
    assert world.read(public_keys.list_public_keys, region="eu-west-1") == {"PublicKeyList": []}
    wrong = lambda: world.read(public_keys.list_public_keys, StartTime=NOW, EndTime=NOW - 1)  # noqa: E731
    assert error_of(wrong)[0] == "InvalidTimeRangeException"


def test_tags_are_set_listed_removed_and_end_with_the_trail(world: World) -> None:
    create(world, TagsList=[Input(Key="team", Value="audit")])
    world.write(trail_tags.prepare_add, trail_tags.apply_add, ResourceId=ARN, TagsList=[Input(Key="cost", Value="7")])
    world.write(trail_tags.prepare_remove, trail_tags.apply_remove, ResourceId=ARN, TagsList=[Input(Key="team")])
    assert world.read(trail_tags.list_tags, ResourceIdList=[ARN]) == {
        "ResourceTagList": [{"ResourceId": ARN, "TagsList": [{"Key": "cost", "Value": "7"}]}]
    }
    delete(world)
    assert error_of(lambda: world.read(trail_tags.list_tags, ResourceIdList=[ARN]))[0] == "ResourceNotFoundException"
    create(world)
    assert world.read(trail_tags.list_tags, ResourceIdList=[ARN])["ResourceTagList"][0]["TagsList"] == []
    channel = ARN.replace("trail/", "channel/")
    assert error_of(lambda: world.read(trail_tags.list_tags, ResourceIdList=[channel]))[0] == "ResourceTypeNotSupportedException"
    assert error_of(lambda: world.read(trail_tags.list_tags, ResourceIdList=["audit"]))[0] == "CloudTrailARNInvalidException"
