"""Dataset groups: CreateDatasetGroup, DescribeDatasetGroup, ListDatasetGroups, DeleteDatasetGroup. Active at once."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import resources
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "dataset-group"


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]]]:
    """CreateDatasetGroup, first half."""
    if input.kmsKeyArn is not None:
        raise resources.invalid("kmsKeyArn is not supported: data are not encrypted with customer keys.")
    return input, resources.checked_tags(input.tags)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]]]) -> Output:
    """CreateDatasetGroup."""
    input, tags = plan
    body = msgspec.json.encode(resources.present(roleArn=input.roleArn)).decode()
    made = resources.create(tx, call, resources.new(call, KIND, input.name, body, domain=input.domain), tags)
    return resources.present(datasetGroupArn=made.arn, domain=made.domain)


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeDatasetGroup."""
    found = resources.find(snapshot, call, KIND, input.datasetGroupArn)
    return {"datasetGroup": {**summary(found), **msgspec.json.decode(found.body)}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListDatasetGroups."""
    return resources.listed(snapshot, call, input, KIND, "datasetGroups", summary)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteDatasetGroup."""
    resources.delete(tx, call, KIND, input.datasetGroupArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A dataset group as lists show it."""
    return resources.present(
        name=found.name,
        datasetGroupArn=found.arn,
        status=found.status,
        creationDateTime=found.created,
        lastUpdatedDateTime=found.updated,
        domain=found.domain,
    )
