"""HealthLake's control plane by boto3: data stores and their tags."""

from __future__ import annotations

from opentrail.kernel.errors import HIDDEN
from tests.wire.covers import covers
from tests.wire.story import Like, Story

TYPE = "AWS::HealthLake::FHIRDatastore"
ID = Like("[0-9a-f]{32}")
REGION = "eu-west-2"


def elements(story: Story, status: str) -> dict[str, object]:
    """The response of a creation or deletion as records show it."""
    return {
        "datastoreId": ID, "datastoreArn": Like(f"arn:aws:healthlake:{REGION}:123456789012:datastore/fhir/[0-9a-f]{{32}}"),
        "datastoreStatus": status, "datastoreEndpoint": Like(f"{story.live.server.url}/datastore/[0-9a-f]{{32}}/r4/"),
    }  # fmt: skip


@covers("healthlake", "CreateFHIRDatastore", "DescribeFHIRDatastore", "ListFHIRDatastores", "DeleteFHIRDatastore")
def test_data_stores(story: Story) -> None:
    name = story.name("ward")
    input = {
        "DatastoreName": name, "DatastoreTypeVersion": "R4", "ClientToken": story.name("token"),
        "Tags": [{"Key": "unit", "Value": "icu"}],
    }  # fmt: skip
    kept = {
        "datastoreName": name, "datastoreTypeVersion": "R4", "clientToken": story.name("token"),
        "tags": [{"key": "unit", "value": HIDDEN}],
    }  # fmt: skip
    client = story.client("healthlake", region=REGION)
    made = client.create_fhir_datastore(**{**input, "ClientToken": story.name("first")})
    client.delete_fhir_datastore(DatastoreId=made["DatastoreId"])
    arn = Like(f"arn:aws:healthlake:{REGION}:123456789012:datastore/fhir/[0-9a-f]{{32}}")
    made = story.call(
        "healthlake", "CreateFHIRDatastore", input, region=REGION, request=kept, response=elements(story, "ACTIVE"),
        resources=[(TYPE, arn)],
    )  # fmt: skip
    id, touched = made["DatastoreId"], [(TYPE, made["DatastoreArn"])]
    client.get_waiter("fhir_datastore_active").wait(DatastoreId=id, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    story.call("healthlake", "DescribeFHIRDatastore", {"DatastoreId": id}, region=REGION, resources=touched)
    listed = story.call("healthlake", "ListFHIRDatastores", {"Filter": {"DatastoreName": name}, "MaxResults": 10}, region=REGION)
    assert id in [one["DatastoreId"] for one in listed["DatastorePropertiesList"]]
    gone = elements(story, "DELETED")
    story.call("healthlake", "DeleteFHIRDatastore", {"DatastoreId": id}, region=REGION, response=gone, resources=touched)
    client.get_waiter("fhir_datastore_deleted").wait(DatastoreId=id, WaiterConfig={"Delay": 1, "MaxAttempts": 1})
    story.call("healthlake", "DescribeFHIRDatastore", {"DatastoreId": "0" * 32}, region=REGION, error="ResourceNotFoundException")


@covers("healthlake", "TagResource", "ListTagsForResource", "UntagResource")
def test_tags(story: Story) -> None:
    client = story.client("healthlake", region=REGION)
    made = client.create_fhir_datastore(DatastoreTypeVersion="R4")
    arn = made["DatastoreArn"]
    touched = [(TYPE, arn)]
    story.call(
        "healthlake", "TagResource", {"ResourceARN": arn, "Tags": [{"Key": "unit", "Value": "icu"}]}, region=REGION,
        request={"resourceARN": arn, "tags": [{"key": "unit", "value": HIDDEN}]}, resources=touched,
    )  # fmt: skip
    found = story.call("healthlake", "ListTagsForResource", {"ResourceARN": arn}, region=REGION, resources=touched)
    assert found["Tags"] == [{"Key": "unit", "Value": "icu"}]
    story.call("healthlake", "UntagResource", {"ResourceARN": arn, "TagKeys": ["unit"]}, region=REGION, resources=touched)
    client.delete_fhir_datastore(DatastoreId=made["DatastoreId"])


def test_a_member_that_is_not_supported_is_refused(story: Story) -> None:
    input = {"DatastoreTypeVersion": "R4", "PreloadDataConfig": {"PreloadDataType": "SYNTHEA"}, "ClientToken": "t"}
    kept = {"datastoreTypeVersion": "R4", "clientToken": "t"}
    story.call("healthlake", "CreateFHIRDatastore", input, request=kept, error="ValidationException")
