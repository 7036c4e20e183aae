"""Schemas: CreateSchema, DescribeSchema, ListSchemas, DeleteSchema. The Avro text is checked by Personalize's rules."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import resources
from opentrail.services.personalize.engine.schemas import read_schema
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "schema"


def prepare_create(call: Call, input: Input) -> Input:
    """CreateSchema, first half: the Avro text keeps every rule."""
    read_schema(input.schema, input.domain)
    return input


def create(tx: Tx, call: Call, input: Input) -> Output:
    """CreateSchema."""
    return {"schemaArn": resources.create(tx, call, resources.new(call, KIND, input.name, input.schema, domain=input.domain)).arn}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeSchema."""
    found = resources.find(snapshot, call, KIND, input.schemaArn)
    return {"schema": {**summary(found), "schema": found.body}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListSchemas."""
    return resources.listed(snapshot, call, input, KIND, "schemas", summary)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteSchema."""
    resources.delete(tx, call, KIND, input.schemaArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A schema without its text."""
    return resources.present(
        name=found.name,
        schemaArn=found.arn,
        creationDateTime=found.created,
        lastUpdatedDateTime=found.updated,
        domain=found.domain,
    )
