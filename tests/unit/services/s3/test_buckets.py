"""Buckets: names, owners, places, grants, tags, policies."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from opentrail.kernel.errors import ServiceError
from opentrail.services.s3 import bucket_policies, names
from tests.unit.services.s3.support import OTHER, OWNER, Server
from tests.unit.services.s3.test_objects import refused


@pytest.mark.parametrize("name", ["abc", "events", "datastore", "a.b-c.d", "1" * 63, "0ab"])
def test_names_that_s3_allows(name: str) -> None:
    names.check_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 64, "Abc", "a_b", "-ab", "ab-", ".ab", "a..b", "192.168.5.4", "xn--abc", "sthree-x", "abc-s3alias", "abc\n", "äbc", ""],
)
def test_names_that_s3_refuses(name: str) -> None:
    with refused("InvalidBucketName"):
        names.check_bucket_name(name)


def test_a_bucket_has_one_owner_among_all_accounts(s3: Server) -> None:
    assert s3.do("CreateBucket", Bucket="box") == {"Location": "/box", "BucketArn": "arn:aws:s3:::box"}
    with refused("BucketAlreadyOwnedByYou") as own:
        s3.do("CreateBucket", Bucket="box")
    with refused("BucketAlreadyExists") as foreign:
        s3.do("CreateBucket", Bucket="box", account=OTHER)
    assert own.value.status == foreign.value.status == 409
    assert [b["Name"] for b in s3.do("ListBuckets")["Buckets"]] == ["box"]
    assert s3.do("ListBuckets", account=OTHER)["Buckets"] == []


def test_of_two_creations_prepared_at_once_one_wins(s3: Server) -> None:
    operation = s3.service.operations["CreateBucket"]
    plans = []
    for account in (OWNER, OTHER):
        call = s3.begin("CreateBucket", account, "us-east-1", b"", {})
        plans.append((call, operation.prepare(call, s3.input("CreateBucket", {"Bucket": "box"}))))
    assert operation.apply is not None
    with s3.database.write() as tx:
        operation.apply(tx, *plans[1])
        with refused("BucketAlreadyExists"):
            operation.apply(tx, *plans[0])
    assert s3.rows("SELECT account FROM s3_bucket") == [(OTHER,)]


@pytest.mark.parametrize(
    ("region", "constraint", "shown", "location"),
    [
        ("us-east-1", None, "us-east-1", ""),
        ("us-east-1", "eu-central-1", "eu-central-1", "eu-central-1"),
        ("us-east-1", "EU", "eu-west-1", "EU"),
        ("eu-west-1", "eu-west-1", "eu-west-1", "eu-west-1"),
    ],
)
def test_where_a_bucket_is(s3: Server, region: str, constraint: str | None, shown: str, location: str) -> None:
    configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    s3.do("CreateBucket", Bucket="box", region=region, **configuration)
    assert s3.do("GetBucketLocation", Bucket="box") == {"LocationConstraint": location}
    assert s3.do("HeadBucket", Bucket="box")["BucketRegion"] == shown
    assert [b["Name"] for b in s3.do("ListBuckets", BucketRegion=shown)["Buckets"]] == ["box"]
    assert s3.do("ListBuckets", BucketRegion="sa-east-1")["Buckets"] == []


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "eu-west-2", "IllegalLocationConstraintException"),
    ],
)
def test_where_a_bucket_cannot_be(s3: Server, region: str, constraint: str | None, code: str) -> None:
    configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    with refused(code):
        s3.do("CreateBucket", Bucket="box", region=region, **configuration)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"ACL": "public-read"}, "InvalidBucketAclWithObjectOwnership"),
        ({"ObjectLockEnabledForBucket": True}, "NotImplemented"),
        ({"ObjectOwnership": "ObjectWriter"}, "NotImplemented"),
        ({"BucketNamespace": "account-regional"}, "NotImplemented"),
        ({"GrantRead": "id=1"}, "NotImplemented"),
        ({"CreateBucketConfiguration": {"Tags": [{"Key": "a", "Value": "b"}]}}, "NotImplemented"),
    ],
)
def test_what_is_not_offered_is_refused(s3: Server, values: dict[str, Any], code: str) -> None:
    with refused(code):
        s3.do("CreateBucket", Bucket="box", **values)
    assert s3.rows("SELECT 1 FROM s3_bucket") == []


def test_only_an_empty_bucket_goes_and_takes_its_uploads_along(s3: Server, bucket: str) -> None:
    s3.do("PutObject", Bucket=bucket, Key="k", Body=b"1")
    upload = s3.do("CreateMultipartUpload", Bucket=bucket, Key="m")["UploadId"]
    s3.do("UploadPart", Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    with refused("BucketNotEmpty"):
        s3.do("DeleteBucket", Bucket=bucket)
    s3.do("DeleteObject", Bucket=bucket, Key="k")
    s3.do("DeleteBucket", Bucket=bucket)
    assert len(s3.rows("SELECT blob FROM s3_garbage")) == 2
    assert s3.rows("SELECT 1 FROM s3_part") == s3.rows("SELECT 1 FROM s3_upload") == []
    for name in ("HeadBucket", "DeleteBucket", "GetBucketLocation", "GetBucketAcl", "ListObjects", "GetBucketPolicy"):
        with refused("NoSuchBucket"):
            s3.do(name, Bucket=bucket)


def test_buckets_are_listed_in_pages_by_name(s3: Server) -> None:
    created = ["a-b", "a.b", "a0b", "ab1", "b00"]
    for name in reversed(created):
        s3.do("CreateBucket", Bucket=name)
    found: list[str] = []
    token = None
    while True:
        page = s3.do("ListBuckets", MaxBuckets=2, Prefix="a", ContinuationToken=token)
        assert page["Owner"] == {"ID": names.canonical_id(OWNER)}
        found += [bucket["Name"] for bucket in page["Buckets"]]
        token = page.get("ContinuationToken")
        if token is None:
            break
    assert found == created[:4]
    with refused("InvalidArgument"):
        s3.do("ListBuckets", ContinuationToken="forged")


def test_the_owner_alone_has_a_grant(s3: Server, bucket: str) -> None:
    acl = s3.do("GetBucketAcl", Bucket=bucket)
    (grant,) = acl["Grants"]
    assert grant == {"Grantee": {"ID": acl["Owner"]["ID"], "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}
    assert len(acl["Owner"]["ID"]) == 64


def test_tags_are_kept_replaced_and_removed(s3: Server, bucket: str) -> None:
    with refused("NoSuchTagSet"):
        s3.do("GetBucketTagging", Bucket=bucket)
    for value in ("one", "two"):
        s3.do("PutBucketTagging", Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": value}]})
        assert s3.do("GetBucketTagging", Bucket=bucket) == {"TagSet": [{"Key": "a", "Value": value}]}
    for tags in ([("a", "1"), ("a", "2")], [("", "1")], [("aws:x", "1")], [("a", "x" * 257)]):
        with refused("InvalidTag"):
            s3.do("PutBucketTagging", Bucket=bucket, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags]})
    with refused("BadRequest"):
        s3.do("PutBucketTagging", Bucket=bucket, Tagging={"TagSet": [{"Key": str(i), "Value": ""} for i in range(51)]})
    s3.do("DeleteBucketTagging", Bucket=bucket)
    with refused("NoSuchTagSet"):
        s3.do("GetBucketTagging", Bucket=bucket)


def policy(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*"} | changes
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]})


def test_a_policy_is_kept_as_put_and_found_by_bucket_or_object(s3: Server, bucket: str) -> None:
    document = policy()
    with refused("NoSuchBucketPolicy"):
        s3.do("GetBucketPolicy", Bucket=bucket)
    s3.do("PutBucketPolicy", Bucket=bucket, Policy=document)
    assert s3.do("GetBucketPolicy", Bucket=bucket) == {"Policy": document}
    with s3.database.read() as snapshot:
        for arn in ("arn:aws:s3:::box", "arn:aws:s3:::box/a/b"):
            found = bucket_policies.find(snapshot, arn)
            assert found is not None
            assert (found.owner, found.document) == (OWNER, document)
            assert s3.service.policy_holder(arn) == "arn:aws:s3:::box"
        for arn in ("*", "arn:aws:sns:us-east-1:1:box"):
            assert bucket_policies.find(snapshot, arn) is None
        with refused("NoSuchBucket"):
            bucket_policies.find(snapshot, "arn:aws:s3:::none")
    s3.do("DeleteBucketPolicy", Bucket=bucket)
    s3.do("DeleteBucketPolicy", Bucket=bucket)
    with s3.database.read() as snapshot:
        found = bucket_policies.find(snapshot, "arn:aws:s3:::box")
    assert found is not None
    assert found.document is None


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("", "MalformedPolicy"),
        ("[]", "MalformedPolicy"),
        ("[" * 9000, "MalformedPolicy"),
        ('{"Statement": 1}', "MalformedPolicy"),
        (policy(Principal=None), "MalformedPolicy"),
        (policy(Resource="arn:aws:s3:::other/*"), "MalformedPolicy"),
        (policy(Resource=["arn:aws:s3:::box", "arn:aws:s3:::boxes"]), "MalformedPolicy"),
        (policy(Action="iam:GetUser"), "MalformedPolicy"),
        (policy(Action=None, NotAction=["s3:*", "sts:*"]), "MalformedPolicy"),
        (policy(Sid="x" * 20480), "PolicyTooLarge"),
    ],
)
def test_policies_that_s3_refuses(s3: Server, bucket: str, document: str, code: str) -> None:
    with refused(code):
        s3.do("PutBucketPolicy", Bucket=bucket, Policy=document)


def test_the_evaluation_has_its_say_before_a_policy_is_stored(s3: Server, bucket: str) -> None:
    def never(document: str) -> None:
        raise ServiceError("MalformedPolicy", "Invalid principal in policy")

    s3.service = s3.service.__class__(
        **{
            **{name: getattr(s3.service, name) for name in s3.service.__dataclass_fields__},
            "operations": {**s3.service.operations, **{op.name: op for op in bucket_policies.operations(never)}},
        }
    )
    with refused("MalformedPolicy"):
        s3.do("PutBucketPolicy", Bucket=bucket, Policy=policy())
    with refused("NoSuchBucketPolicy"):
        s3.do("GetBucketPolicy", Bucket=bucket)


def test_a_changed_body_is_found(s3: Server, bucket: str) -> None:
    headers = {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    with refused("BadDigest"):
        s3.do("PutBucketPolicy", Bucket=bucket, Policy=policy(), raw=policy().encode(), headers=headers)
    with refused("NotImplemented"):
        s3.do("PutBucketPolicy", Bucket=bucket, Policy=policy(), raw=b"", headers={"x-amz-checksum-crc64nvme": "AA=="})
    digest = hashlib.sha256(b"raw").digest()
    with refused("InvalidRequest"):
        s3.do("PutBucketPolicy", Bucket=bucket, Policy=policy(), raw=b"raw", headers={"x-amz-checksum-sha256": digest.hex()})


@pytest.mark.parametrize(
    ("changes", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": OWNER}}, False),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": OWNER}}}, False),
        ({"Condition": {"StringLike": {"aws:SourceArn": "arn:aws:*"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}}, False),
        ({"Condition": {"StringEquals": {"s3:x-amz-acl": "private"}}}, True),
    ],
)
def test_which_policies_are_public(changes: dict[str, Any], public: bool) -> None:
    assert bucket_policies.is_public(policy(**changes)) is public


def test_policy_status(s3: Server, bucket: str) -> None:
    s3.do("PutBucketPolicy", Bucket=bucket, Policy=policy())
    assert s3.do("GetBucketPolicyStatus", Bucket=bucket) == {"PolicyStatus": {"IsPublic": True}}
