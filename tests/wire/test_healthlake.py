"""HealthLake's control plane by boto3: data stores and their tags."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from botocore.exceptions import ClientError

from opentrail.kernel.errors import HIDDEN
from opentrail.services.healthlake.engine import synthetic
from tests.wire.covers import covers
from tests.wire.fhir_data import send
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


@pytest.mark.parametrize(
    ("member", "value", "kept"),
    [
        ("AnalyticsConfiguration", {"Status": "ENABLED"}, {"status": "ENABLED"}),
        ("BackupConfiguration", {"Status": "ENABLED", "RetentionPeriodInDays": 3}, {"status": "ENABLED", "retentionPeriodInDays": 3}),
        ("ProfileConfiguration", {"DefaultProfiles": ["a"]}, {"defaultProfiles": ["a"]}),
        ("SseConfiguration", {"KmsEncryptionConfig": {"CmkType": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": "k"}}, ANY),
    ],
)
def test_a_member_that_is_not_supported_is_refused(story: Story, member: str, value: Any, kept: Any) -> None:
    input = {"DatastoreTypeVersion": "R4", member: value, "ClientToken": "t"}
    request = {"datastoreTypeVersion": "R4", "clientToken": "t", member[:1].lower() + member[1:]: kept}
    answer = story.call("healthlake", "CreateFHIRDatastore", input, request=request, error="ValidationException")
    assert member in answer["Error"]["Message"]


@covers("healthlake", "UpdateFHIRDatastore")
def test_an_update_changes_what_it_names(story: Story) -> None:
    client = story.client("healthlake", region=REGION)
    off = {"NlpConfiguration": {"Status": "DISABLED"}, "BackupConfiguration": {"Status": "DISABLED"}}
    made = client.create_fhir_datastore(DatastoreTypeVersion="R4", DatastoreName=story.name("old"), **off)
    id, name = made["DatastoreId"], story.name("new")
    input = {"DatastoreId": id, "DatastoreName": name, "IdentityProviderConfiguration": {"AuthorizationStrategy": "AWS_AUTH"}}
    answer = story.call("healthlake", "UpdateFHIRDatastore", input, region=REGION, resources=[(TYPE, made["DatastoreArn"])])
    found = client.describe_fhir_datastore(DatastoreId=id)["DatastoreProperties"]
    assert found == answer["DatastoreProperties"]
    assert (found["DatastoreName"], found["NlpConfiguration"], found["DatastoreStatus"]) == (name, {"Status": "DISABLED"}, "ACTIVE")
    assert found["BackupStatusInfo"]["Configuration"] == {"Status": "DISABLED"}
    assert found["IdentityProviderConfiguration"]["AuthorizationStrategy"] == "AWS_AUTH"
    for wrong, error in (
        ({"DatastoreId": id}, "ValidationException"),
        ({"DatastoreId": id, "AnalyticsConfiguration": {"Status": "ENABLED"}}, "ValidationException"),
        ({"DatastoreId": "0" * 32, "DatastoreName": "x"}, "ResourceNotFoundException"),
    ):
        with pytest.raises(ClientError) as refused:
            client.update_fhir_datastore(**wrong)
        assert refused.value.response["Error"]["Code"] == error
    client.delete_fhir_datastore(DatastoreId=id)
    for operation in (client.update_fhir_datastore, client.delete_fhir_datastore):
        with pytest.raises(client.exceptions.ConflictException):
            operation(DatastoreId=id, **({"DatastoreName": "x"} if operation == client.update_fhir_datastore else {}))


def test_lists_are_filtered_and_paged(story: Story) -> None:
    client, name = story.client("healthlake", region=REGION), story.name("paged")
    ids = [client.create_fhir_datastore(DatastoreTypeVersion="R4", DatastoreName=name)["DatastoreId"] for _ in range(3)]
    client.delete_fhir_datastore(DatastoreId=ids[1])
    filter, token, found = {"DatastoreName": name}, {}, []
    while True:
        page = client.list_fhir_datastores(Filter=filter, MaxResults=1, **token)
        found += [(one["DatastoreId"], one["DatastoreStatus"]) for one in page["DatastorePropertiesList"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == [(ids[0], "ACTIVE"), (ids[1], "DELETED"), (ids[2], "ACTIVE")]
    created = client.describe_fhir_datastore(DatastoreId=ids[0])["DatastoreProperties"]["CreatedAt"]
    for more, expected in (
        ({"DatastoreStatus": "ACTIVE"}, [ids[0], ids[2]]),
        ({"CreatedBefore": created - timedelta(seconds=1)}, []),
        ({"CreatedAfter": created - timedelta(seconds=2)}, ids),
    ):
        listed = client.list_fhir_datastores(Filter={**filter, **more})["DatastorePropertiesList"]
        assert [one["DatastoreId"] for one in listed] == expected
    with pytest.raises(client.exceptions.ValidationException):
        client.list_fhir_datastores(Filter={"DatastoreName": "other"}, **token)
    for id in (ids[0], ids[2]):
        client.delete_fhir_datastore(DatastoreId=id)


def test_a_client_token_is_good_for_one_input(story: Story) -> None:
    client, token = story.client("healthlake", region=REGION), story.name("token")
    first = client.create_fhir_datastore(DatastoreTypeVersion="R4", ClientToken=token)
    assert client.create_fhir_datastore(DatastoreTypeVersion="R4", ClientToken=token)["DatastoreId"] == first["DatastoreId"]
    with pytest.raises(client.exceptions.ValidationException):
        client.create_fhir_datastore(DatastoreTypeVersion="R4", ClientToken=token, DatastoreName="other")
    client.delete_fhir_datastore(DatastoreId=first["DatastoreId"])


def test_a_preloaded_data_store_becomes_active_with_its_patients(story: Story) -> None:
    input = {"DatastoreTypeVersion": "R4", "PreloadDataConfig": {"PreloadDataType": "SYNTHEA"}, "ClientToken": story.name("token")}
    made = story.call(
        "healthlake", "CreateFHIRDatastore", input,
        response={**elements(story, "CREATING"), "datastoreArn": ANY}, resources=[(TYPE, ANY)],
    )  # fmt: skip
    id, client = made["DatastoreId"], story.client("healthlake")
    with pytest.raises(client.exceptions.ConflictException):
        client.delete_fhir_datastore(DatastoreId=id)
    client.get_waiter("fhir_datastore_active").wait(DatastoreId=id, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert client.describe_fhir_datastore(DatastoreId=id)["DatastoreProperties"]["PreloadDataConfig"] == input["PreloadDataConfig"]
    assert json.loads(send(story, id, "GET", "?_summary=count").data)["total"] == len(synthetic.lines())
    (entry,) = json.loads(send(story, id, "GET", "Patient?name=arden").data)["entry"]
    whole = json.loads(send(story, id, "GET", f"Patient/{entry['resource']['id']}/$everything").data)
    assert whole["total"] > 20
    client.delete_fhir_datastore(DatastoreId=id)


@pytest.mark.parametrize(
    ("operation", "input"),
    [
        ("restore_fhir_datastore", {"SourceDatastoreId": "0" * 32, "RestoreConfiguration": {"ContinuousBackupRestoreConfiguration": {}}}),
        ("list_data_transformation_profiles", {}),
        ("describe_data_transformation_job", {"JobId": "0" * 32}),
    ],
)
def test_what_is_not_offered_says_so(story: Story, operation: str, input: Any) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(story.client("healthlake", parameter_validation=False, inject_host_prefix=False), operation)(**input)
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert "is not offered" in refused.value.response["Error"]["Message"]
