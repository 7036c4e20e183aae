"""Personalize by boto3: schemas and dataset groups."""

from __future__ import annotations

import json
from unittest.mock import ANY

from opentrail.kernel.errors import HIDDEN
from tests.wire.covers import covers
from tests.wire.story import Story

SCHEMA = json.dumps(
    {
        "type": "record", "name": "Interactions", "namespace": "com.amazonaws.personalize.schema", "version": "1.0",
        "fields": [{"name": name, "type": kind} for name, kind in (("USER_ID", "string"), ("ITEM_ID", "string"), ("TIMESTAMP", "long"))],
    }
)  # fmt: skip


@covers("personalize", "CreateSchema", "DescribeSchema", "ListSchemas", "DeleteSchema")
def test_schemas(story: Story) -> None:
    name = story.name("visits")
    arn = f"arn:aws:personalize:us-east-1:123456789012:schema/{name}"
    touched = [("AWS::Personalize::Schema", arn)]
    story.call("personalize", "CreateSchema", {"name": name, "schema": SCHEMA}, response={"schemaArn": arn}, resources=touched)
    assert story.call("personalize", "DescribeSchema", {"schemaArn": arn}, resources=touched)["schema"]["schema"] == SCHEMA
    listed = story.call("personalize", "ListSchemas", {"maxResults": 100})["schemas"]
    assert arn in [one["schemaArn"] for one in listed]
    story.call("personalize", "DeleteSchema", {"schemaArn": arn}, resources=touched)
    story.call("personalize", "DescribeSchema", {"schemaArn": arn}, error="ResourceNotFoundException")


@covers("personalize", "CreateDatasetGroup", "DescribeDatasetGroup", "ListDatasetGroups", "DeleteDatasetGroup")
def test_dataset_groups(story: Story) -> None:
    name, region = story.name("shop"), "eu-west-1"
    arn = f"arn:aws:personalize:{region}:123456789012:dataset-group/{name}"
    touched = [("AWS::Personalize::DatasetGroup", arn)]
    input = {"name": name, "domain": "ECOMMERCE", "tags": [{"tagKey": "ward", "tagValue": "east"}]}
    story.call(
        "personalize", "CreateDatasetGroup", input, region=region, request={"name": name, "domain": "ECOMMERCE", "tags": HIDDEN},
        response={"datasetGroupArn": arn, "domain": "ECOMMERCE"}, resources=touched,
    )  # fmt: skip
    found = story.call("personalize", "DescribeDatasetGroup", {"datasetGroupArn": arn}, region=region, resources=touched)
    assert found["datasetGroup"]["status"] == "ACTIVE"
    assert arn in [one["datasetGroupArn"] for one in story.call("personalize", "ListDatasetGroups", region=region)["datasetGroups"]]
    story.call("personalize", "DeleteDatasetGroup", {"datasetGroupArn": arn}, region=region, resources=touched)


def test_listings_page(story: Story) -> None:
    client = story.client("personalize", region="eu-north-1")
    made = {client.create_schema(name=story.name(f"s{number}"), schema=SCHEMA)["schemaArn"] for number in range(3)}
    pages = list(client.get_paginator("list_schemas").paginate(PaginationConfig={"PageSize": 1}))
    assert made <= {one["schemaArn"] for page in pages for one in page["schemas"]}
    assert {len(page["schemas"]) for page in pages} == {1}


def test_what_breaks_a_rule_is_refused_by_personalizes_code(story: Story) -> None:
    bad = story.call("personalize", "CreateSchema", {"name": "-", "schema": SCHEMA}, request=None, error="InvalidInputException")
    assert "'name' failed to satisfy constraint" in bad["Error"]["Message"]
    broken = {"name": story.name("x"), "schema": '{"type":"record"}'}
    story.call("personalize", "CreateSchema", broken, error="InvalidInputException", request=ANY)
