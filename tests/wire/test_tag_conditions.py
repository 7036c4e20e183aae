"""Policies about tags, proven on the wire for every service whose resources have them: a Deny on a tag of the resource or of the
request denies, from the very next call on, and tagging at creation needs the right to tag."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.wire.story import Caller, Story

SECRET, OPEN = ("class", "secret"), ("class", "open")
REGION = "eu-west-2"


def caller(story: Story, condition: dict[str, Any], action: str | list[str] = "*") -> Caller:
    """A user who may do everything but what a condition denies."""
    user = story.user(("*", "*"))
    deny = {"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition}
    document = json.dumps({"Version": "2012-10-17", "Statement": deny})
    story.client("iam").put_user_policy(UserName=user.identity["userName"], PolicyName="deny", PolicyDocument=document)
    return user


def denied(call: Callable[..., Any], **input: Any) -> str:
    """The call is denied; the message."""
    with pytest.raises(ClientError) as caught:
        call(**input)
    assert caught.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return str(caught.value.response["Error"]["Message"])


ON_RESOURCE = {"StringEquals": {"aws:ResourceTag/class": "secret"}}


def test_tags_of_a_data_store_and_its_fhir_interactions(story: Story) -> None:
    user, root = caller(story, ON_RESOURCE), story.client("healthlake", region=REGION)
    client = story.client("healthlake", user, REGION)
    store = root.create_fhir_datastore(DatastoreTypeVersion="R4")
    id, arn = store["DatastoreId"], store["DatastoreArn"]
    role = story.role("*")["Arn"]
    export = {"S3Configuration": {"S3Uri": "s3://nowhere/", "KmsKeyId": f"arn:aws:kms:{REGION}:123456789012:key/k"}}

    def fhir(method: str, path: str, body: Any = None) -> int:
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/fhir+json"} if sent else {}
        signed = story.live.signed(user, "healthlake", method, f"/datastore/{id}/r4/{path}", sent, headers, REGION)
        return story.live.submit(signed).status

    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient"}}]}
    try:
        for key, value in (OPEN, SECRET):
            client.describe_fhir_datastore(DatastoreId=id)
            assert fhir("POST", "Patient", {"resourceType": "Patient"}) == 201
            assert fhir("GET", "Patient") == 200
            assert fhir("POST", "", bundle) == 200
            root.tag_resource(ResourceARN=arn, Tags=[{"Key": key, "Value": value}])
        assert "explicit deny in an identity-based policy" in denied(client.describe_fhir_datastore, DatastoreId=id)
        denied(client.untag_resource, ResourceARN=arn, TagKeys=["class"])
        denied(client.list_fhir_export_jobs, DatastoreId=id)
        denied(client.start_fhir_export_job, DatastoreId=id, OutputDataConfig=export, DataAccessRoleArn=role)
        assert fhir("POST", "Patient", {"resourceType": "Patient"}) == 403
        assert fhir("GET", "Patient") == 403
        assert fhir("POST", "", bundle) == 403
        root.untag_resource(ResourceARN=arn, TagKeys=["class"])
        client.describe_fhir_datastore(DatastoreId=id)
    finally:
        root.delete_fhir_datastore(DatastoreId=id)


def test_tags_of_a_passed_role(story: Story) -> None:
    user, role = caller(story, {"StringEquals": {"iam:ResourceTag/class": "secret"}}), story.role("*")
    story.client("iam").tag_role(RoleName=role["RoleName"], Tags=[{"Key": "class", "Value": "secret"}])
    input = {"InputDataConfig": {"S3Bucket": "nowhere"}, "OutputDataConfig": {"S3Bucket": "nowhere"}, "LanguageCode": "en"}
    start = story.client("comprehendmedical", user).start_phi_detection_job
    assert "iam:PassRole" in denied(start, **input, DataAccessRoleArn=role["Arn"])
    denied(story.client("sts", user).assume_role, RoleArn=role["Arn"], RoleSessionName="night")


def test_tags_of_a_trail(story: Story) -> None:
    name = story.name("tagged")
    s3, root = story.client("s3"), story.client("cloudtrail")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=for_trails(name))
    client = story.client("cloudtrail", caller(story, ON_RESOURCE))
    arn = root.create_trail(Name=name, S3BucketName=name, TagsList=[{"Key": "class", "Value": "secret"}])["TrailARN"]
    try:
        denied(client.get_trail, Name=arn)
        denied(client.stop_logging, Name=name)
        denied(client.delete_trail, Name=name)
        root.remove_tags(ResourceId=arn, TagsList=[{"Key": "class"}])
        client.get_trail(Name=name)
    finally:
        root.delete_trail(Name=name)


def for_trails(bucket: str) -> str:
    """The bucket policy that CloudTrail asks for."""
    place = f"arn:aws:s3:::{bucket}"
    statements = [
        {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": action, "Resource": resource}
        for action, resource in (("s3:GetBucketAcl", place), ("s3:PutObject", f"{place}/*"))
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def test_tags_of_a_resource_of_personalize(story: Story) -> None:
    client, root = story.client("personalize", caller(story, ON_RESOURCE)), story.client("personalize")
    arn = root.create_schema(name=story.name("plain"), schema=SCHEMA)["schemaArn"]
    client.describe_schema(schemaArn=arn)
    root.delete_schema(schemaArn=arn)
    arn = root.create_dataset_group(name=story.name("g"), tags=[{"tagKey": "class", "tagValue": "secret"}])["datasetGroupArn"]
    try:
        denied(client.describe_dataset_group, datasetGroupArn=arn)
        denied(client.delete_dataset_group, datasetGroupArn=arn)
        denied(client.list_tags_for_resource, resourceArn=arn)
        root.untag_resource(resourceArn=arn, tagKeys=["class"])
        client.describe_dataset_group(datasetGroupArn=arn)
    finally:
        root.delete_dataset_group(datasetGroupArn=arn)


FIELDS = [{"name": name, "type": "string"} for name in ("USER_ID", "ITEM_ID")] + [{"name": "TIMESTAMP", "type": "long"}]
SCHEMA = json.dumps(
    {"type": "record", "name": "Interactions", "namespace": "com.amazonaws.personalize.schema", "fields": FIELDS, "version": "1.0"}
)


def test_tags_of_a_bucket_count_for_its_objects(story: Story) -> None:
    name, root = story.name("tagged"), story.client("s3")
    client = story.client("s3", caller(story, ON_RESOURCE, ["s3:GetObject", "s3:ListBucket"]))
    root.create_bucket(Bucket=name)
    root.put_object(Bucket=name, Key="k", Body=b"b")
    client.get_object(Bucket=name, Key="k")
    root.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "class", "Value": "secret"}]})
    denied(client.get_object, Bucket=name, Key="k")
    denied(client.list_objects_v2, Bucket=name)
    root.delete_bucket_tagging(Bucket=name)
    client.get_object(Bucket=name, Key="k")
    everyone = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{name}/*",
        "Condition": ON_RESOURCE,
    }
    root.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": everyone}))
    root.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "class", "Value": "secret"}]})
    denied(root.get_object, Bucket=name, Key="k")


@pytest.mark.parametrize(
    "condition",
    [{"ForAnyValue:StringEquals": {"aws:TagKeys": "forbidden"}}, {"StringLike": {"aws:RequestTag/forbidden": "*"}}],
    ids=["TagKeys", "RequestTag"],
)
def test_tags_in_requests(story: Story, condition: dict[str, Any]) -> None:
    user, tag, small = caller(story, condition), {"Key": "forbidden", "Value": "x"}, {"tagKey": "forbidden", "tagValue": "x"}
    healthlake, personalize = story.client("healthlake", user), story.client("personalize", user)
    cloudtrail, s3 = story.client("cloudtrail", user), story.client("s3", user)
    place = ":us-east-1:123456789012:"
    denied(healthlake.tag_resource, ResourceARN=f"arn:aws:healthlake{place}datastore/fhir/{'a' * 32}", Tags=[tag])
    denied(healthlake.create_fhir_datastore, DatastoreTypeVersion="R4", Tags=[tag])
    denied(personalize.tag_resource, resourceArn=f"arn:aws:personalize{place}dataset-group/g", tags=[small])
    denied(personalize.create_dataset_group, name="g", tags=[small])
    denied(cloudtrail.add_tags, ResourceId=f"arn:aws:cloudtrail{place}trail/some", TagsList=[tag])
    denied(cloudtrail.create_trail, Name="some", S3BucketName="some", TagsList=[tag])
    name = story.name("tagged")
    s3.create_bucket(Bucket=name)
    denied(s3.put_bucket_tagging, Bucket=name, Tagging={"TagSet": [tag]})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "fine", "Value": "x"}]})


def test_removing_a_tag_names_its_key(story: Story) -> None:
    user = caller(story, {"ForAnyValue:StringEquals": {"aws:TagKeys": "kept"}})
    place = ":us-east-1:123456789012:"
    arn = f"arn:aws:healthlake{place}datastore/fhir/{'a' * 32}"
    denied(story.client("healthlake", user).untag_resource, ResourceARN=arn, TagKeys=["kept"])
    arn = f"arn:aws:personalize{place}dataset-group/g"
    denied(story.client("personalize", user).untag_resource, resourceArn=arn, tagKeys=["kept"])
    arn = f"arn:aws:cloudtrail{place}trail/some"
    denied(story.client("cloudtrail", user).remove_tags, ResourceId=arn, TagsList=[{"Key": "kept"}])


def test_tagging_at_creation_needs_the_right_to_tag(story: Story) -> None:
    user = story.user((["healthlake:Create*", "personalize:Create*", "cloudtrail:Create*"], "*"))
    tag, small = {"Key": "k", "Value": "x"}, {"tagKey": "k", "tagValue": "x"}
    healthlake, personalize = story.client("healthlake", user), story.client("personalize", user)
    assert "healthlake:TagResource" in denied(healthlake.create_fhir_datastore, DatastoreTypeVersion="R4", Tags=[tag])
    assert "personalize:TagResource" in denied(personalize.create_dataset_group, name="g", tags=[small])
    create = story.client("cloudtrail", user).create_trail
    assert "cloudtrail:AddTags" in denied(create, Name="some", S3BucketName="some", TagsList=[tag])


def test_tags_whose_keys_differ_in_case_alone_are_refused(story: Story) -> None:
    both = [("Class", "open"), ("class", "secret")]
    with pytest.raises(ClientError, match="differ in case alone"):
        story.client("personalize").create_dataset_group(
            name=story.name("g"), tags=[{"tagKey": key, "tagValue": value} for key, value in both]
        )
    root = story.client("personalize")
    arn = root.create_dataset_group(name=story.name("g"), tags=[{"tagKey": "Class", "tagValue": "open"}])["datasetGroupArn"]
    with pytest.raises(ClientError, match="differ in case alone"):
        root.tag_resource(resourceArn=arn, tags=[{"tagKey": "class", "tagValue": "secret"}])
    assert root.list_tags_for_resource(resourceArn=arn)["tags"] == [{"tagKey": "Class", "tagValue": "open"}]
    root.delete_dataset_group(datasetGroupArn=arn)
