"""CreateTrail with every way in which a bucket's policy can be wrong: AWS's one error for the caller, the failed check in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.servers import ACCOUNT, OTHER, REGION, Server, serving
from botocore.exceptions import ClientError

ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/"
LOGS, DIGESTS = f"AWSLogs/{ACCOUNT}/CloudTrail/", f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/"
GIVEN = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}


def statement(
    action: str, resource: str, condition: dict[str, Any] | None = None, service: str = "cloudtrail.amazonaws.com"
) -> dict[str, Any]:
    allow = {"Effect": "Allow", "Principal": {"Service": service}, "Action": action, "Resource": f"arn:aws:s3:::{resource}"}
    return {**allow, **({"Condition": condition} if condition else {})}


def both(condition: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The documented policy with a condition in each statement."""
    return [statement("s3:GetBucketAcl", "{b}", condition), statement("s3:PutObject", "{b}/AWSLogs/*", {**GIVEN, **(condition or {})})]


RIGHT = {
    "plain": both(None),
    "for this trail and account": both({"ArnEquals": {"aws:SourceArn": ARN + "{b}"}, "StringLike": {"aws:SourceAccount": ACCOUNT}}),
}
WRONG: dict[str, tuple[list[dict[str, Any]], str]] = {
    "none at all": ([], "s3:GetBucketAcl on the bucket"),
    "no right to the ACL": (RIGHT["plain"][1:], "s3:GetBucketAcl on the bucket"),
    "no right to put": (RIGHT["plain"][:1], f"s3:PutObject on {LOGS}"),
    "another service": ([*RIGHT["plain"][:1], statement("s3:PutObject", "{b}/*", None, "config.amazonaws.com")], f"s3:PutObject on {LOGS}"),
    "another account's folder": ([*RIGHT["plain"][:1], statement("s3:PutObject", "{b}/AWSLogs/" + OTHER + "/*")], f"s3:PutObject on {LOGS}"),
    "no digests": ([*RIGHT["plain"][:1], statement("s3:PutObject", "{b}/" + LOGS + "*")], f"s3:PutObject on {DIGESTS}"),
    "another ACL": (
        [*RIGHT["plain"][:1], statement("s3:PutObject", "{b}/*", {"StringEquals": {"s3:x-amz-acl": "private"}})], f"s3:PutObject on {LOGS}",
    ),
    "another trail": (both({"ArnEquals": {"aws:SourceArn": ARN + "other"}}), "s3:GetBucketAcl on the bucket"),
    "another source account": (both({"StringEquals": {"aws:SourceAccount": OTHER}}), "s3:GetBucketAcl on the bucket"),
    "denied": ([*RIGHT["plain"], {**statement("s3:PutObject", "{b}/*"), "Effect": "Deny"}], f"s3:PutObject on {LOGS}"),
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("policies") / "data", "--log-format", "json") as running:
        yield running


def bucket(server: Server, number: int, statements: list[dict[str, Any]]) -> str:
    """A bucket with a policy whose {b} is its name."""
    name, s3 = f"policy-{number}", server.client("s3")
    s3.create_bucket(Bucket=name)
    if statements:
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}).replace("{b}", name))
    return name


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_policy_is_refused_and_the_log_names_the_check(server: Server, case: str) -> None:
    statements, check = WRONG[case]
    name, cloudtrail = bucket(server, list(WRONG).index(case), statements), server.client("cloudtrail")
    with pytest.raises(ClientError) as refused:
        cloudtrail.create_trail(Name=name, S3BucketName=name, EnableLogFileValidation=True)
    answer = refused.value.response
    assert answer["Error"]["Code"] == "InsufficientS3BucketPolicyException"
    assert answer["Error"]["Message"] == f"Incorrect S3 bucket policy is detected for bucket: {name}"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    said = [line["message"] for line in lines if f"bucket {name}:" in line["message"]]
    assert said == [f"trail {ARN}{name}: bucket {name}: check {check} failed with AccessDenied"]
    assert name not in [one["Name"] for one in cloudtrail.list_trails()["Trails"]]


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_policy_is_accepted(server: Server, case: str) -> None:
    name = bucket(server, 100 + list(RIGHT).index(case), RIGHT[case])
    made = server.client("cloudtrail").create_trail(Name=name, S3BucketName=name, EnableLogFileValidation=True)
    assert made["TrailARN"] == ARN + name
