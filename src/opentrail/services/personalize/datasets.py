"""Datasets: CreateDataset, DescribeDataset, ListDatasets, UpdateDataset, DeleteDataset. One of each type in a group."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.kernel.errors import Content, ServiceError
from opentrail.services.personalize import dataset_groups, resources, schemas, store, streams
from opentrail.services.personalize.engine.schemas import DATASET_TYPES, Schema, check_dataset_type, read_schema
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "dataset"


def arn_from(input: Input, call: Call) -> str:
    """The ARN that CreateDataset will give: dataset/{group}/{TYPE}."""
    return resources.arn_of(call, KIND, _path(input))


def _path(input: Input) -> str:
    return f"{input.datasetGroupArn.rpartition('/')[2]}/{input.datasetType.upper()}"


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]]]:
    """CreateDataset, first half."""
    if input.datasetType.upper() not in DATASET_TYPES:
        raise resources.invalid(
            "The dataset type must be one of {types}; it is {given}.", types=", ".join(DATASET_TYPES), given=Content(input.datasetType)
        )
    return input, resources.checked_tags(input.tags)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]]]) -> Output:
    """CreateDataset. The schema is one for the dataset's type and for the group's domain."""
    input, tags = plan
    group = resources.find(tx, call, dataset_groups.KIND, input.datasetGroupArn)
    schema = resources.find(tx, call, schemas.KIND, input.schemaArn)
    if schema.domain != group.domain:
        raise resources.invalid(
            "The domain of the schema {schema} is not that of the dataset group {group}.", schema=schema.arn, group=group.arn
        )
    check_dataset_type(read_schema(schema.body, schema.domain), input.datasetType)
    body = msgspec.json.encode({"datasetType": input.datasetType.upper()}).decode()
    made = resources.new(call, KIND, input.name, body, domain=group.domain, parent=group.arn, uses=schema.arn, path=_path(input))
    return {"datasetArn": resources.create(tx, call, made, tags).arn}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeDataset."""
    found = resources.find(snapshot, call, KIND, input.datasetArn)
    body = msgspec.json.decode(found.body)
    body.pop("segments", None)
    return {"dataset": {**summary(found), **body, "datasetGroupArn": found.parent, "schemaArn": found.uses}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListDatasets."""
    return resources.listed(snapshot, call, input, KIND, "datasets", summary, input.datasetGroupArn)


def update(tx: Tx, call: Call, input: Input) -> Output:
    """UpdateDataset: another schema, which keeps every field and adds only fields that may be null."""
    found = resources.find(tx, call, KIND, input.datasetArn)
    schema = resources.find(tx, call, schemas.KIND, input.schemaArn)
    if schema.arn == found.uses:
        raise resources.invalid("The dataset {arn} already uses the schema {schema}.", arn=found.arn, schema=schema.arn)
    if schema.domain != found.domain:
        raise resources.invalid("The domain of the schema {schema} is not that of the dataset {arn}.", schema=schema.arn, arn=found.arn)
    check_successor(schema_of(tx, found), read_schema(schema.body, schema.domain))
    body = msgspec.json.decode(found.body)
    latest = {"schemaArn": schema.arn, "status": "ACTIVE", "creationDateTime": call.now, "lastUpdatedDateTime": call.now}
    changed = msgspec.json.encode({**body, "latestDatasetUpdate": latest}).decode()
    store.update(tx, found._replace(updated=call.now, body=changed, uses=schema.arn))
    return {"datasetArn": found.arn}


def check_successor(before: Schema, after: Schema) -> None:
    """Refuses a schema that drops or changes a field, or adds one that rows which are there would lack."""
    if before.name != after.name:
        raise resources.invalid("The schema's name must be {name}.", name=before.name)
    for field in before.fields:
        kept = after.field(field.name)
        if kept is None or kept.kind != field.kind:
            raise resources.invalid("Field {name}: the new schema must keep it with its type.", name=field.name)
    for field in after.fields:
        if before.field(field.name) is None and not field.nullable:
            raise resources.invalid("Field {name}: a field that is added must allow null.", name=field.name)


def schema_of(snapshot: Snapshot, dataset: Resource) -> Schema:
    """The schema of a dataset. Raises ServiceError."""
    found = store.one(snapshot, dataset.uses or "")
    if found is None:
        raise ServiceError("ResourceNotFoundException", "Could not find resource {arn}", arn=dataset.uses)
    return _read(found.body, found.domain)


def of_group(snapshot: Snapshot, group: str, kind: str) -> Resource | None:
    """The dataset of a type in a group."""
    return next((one for one in store.children(snapshot, group, KIND) if one.arn.endswith(f"/{kind}")), None)


_read = lru_cache(256)(read_schema)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteDataset."""
    found = resources.find(tx, call, KIND, input.datasetArn)
    resources.delete(tx, call, KIND, input.datasetArn)
    streams.forget(tx, found.arn, found.parent)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A dataset as lists show it."""
    return {**resources.common(found), "datasetArn": found.arn, "datasetType": found.arn.rpartition("/")[2]}
