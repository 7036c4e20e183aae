"""Filters: CreateFilter, DescribeFilter, ListFilters, DeleteFilter. The expression is checked when it is made."""

from __future__ import annotations

from typing import Any

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import dataset_groups, datasets, resources, store
from opentrail.services.personalize.engine.filter_language import Filter, check_filter, fields_of, parse_filter
from opentrail.services.personalize.engine.schemas import Schema
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "filter"
MOST_FIELDS = 10
"""Distinct fields that all filters of a group may name (AWS's quota)."""

Plan = tuple[Input, list[tuple[str, str]], Filter]


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateFilter, first half: parses the expression."""
    return input, resources.checked_tags(input.tags), parse_filter(input.filterExpression)


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateFilter. Its fields are fields of the group's datasets."""
    input, tags, parsed = plan
    group = resources.find(tx, call, dataset_groups.KIND, input.datasetGroupArn)
    named = fields_of(check_filter(parsed, schemas_of(tx, group)))
    for one in store.children(tx, group.arn, KIND):
        named |= fields_of(parse_filter(one.body))
    if len(named) > MOST_FIELDS:
        raise resources.invalid(
            "Could not create filter. The filters of a dataset group name at most {most} distinct fields.", most=MOST_FIELDS
        )
    made = resources.new(call, KIND, input.name, input.filterExpression, parent=group.arn)
    return {"filterArn": resources.create(tx, call, made, tags).arn}


def schemas_of(snapshot: Snapshot, group: Resource) -> dict[str, Schema]:
    """The schemas of a group's datasets by record name."""
    found = [datasets.schema_of(snapshot, one) for one in store.children(snapshot, group.arn, datasets.KIND)]
    return {schema.name: schema for schema in found}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeFilter."""
    found = resources.find(snapshot, call, KIND, input.filterArn)
    return {"filter": {**summary(found), "filterExpression": found.body}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListFilters."""
    return resources.listed(snapshot, call, input, KIND, "Filters", summary, input.datasetGroupArn)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteFilter."""
    resources.delete(tx, call, KIND, input.filterArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A filter without its expression."""
    return {**resources.common(found), "filterArn": found.arn, "datasetGroupArn": found.parent}
