"""Personalize's doors: the control plane, and the runtime and events services that sign with the same name."""

from __future__ import annotations

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Operation, Service, right
from opentrail.services.personalize import dataset_groups, resources, schemas
from opentrail.services.personalize.audit import AUDIT, EVENTS_AUDIT, RUNTIME_AUDIT


def _new_schema(call: Call, input: Input) -> str:
    return resources.arn_of(call, schemas.KIND, input.name)


def _schema(call: Call, input: Input) -> str:
    return str(input.schemaArn)


def _new_group(call: Call, input: Input) -> str:
    return resources.arn_of(call, dataset_groups.KIND, input.name)


def _group(call: Call, input: Input) -> str:
    return str(input.datasetGroupArn)


OPERATIONS = (
    Operation("CreateSchema", right("personalize:CreateSchema", _new_schema), prepare=schemas.prepare_create, apply=schemas.create),
    Operation("DescribeSchema", right("personalize:DescribeSchema", _schema), read=schemas.describe, point=True),
    Operation("ListSchemas", right("personalize:ListSchemas"), read=schemas.list_all, point=True),
    Operation("DeleteSchema", right("personalize:DeleteSchema", _schema), apply=schemas.delete),
    Operation(
        "CreateDatasetGroup",
        right("personalize:CreateDatasetGroup", _new_group),
        prepare=dataset_groups.prepare_create,
        apply=dataset_groups.create,
    ),
    Operation("DescribeDatasetGroup", right("personalize:DescribeDatasetGroup", _group), read=dataset_groups.describe, point=True),
    Operation("ListDatasetGroups", right("personalize:ListDatasetGroups"), read=dataset_groups.list_all, point=True),
    Operation("DeleteDatasetGroup", right("personalize:DeleteDatasetGroup", _group), apply=dataset_groups.delete),
)

SERVICE = Service(
    name="personalize",
    operations={operation.name: operation for operation in OPERATIONS},
    audit=AUDIT,
    event_source="personalize.amazonaws.com",
    signing_names=("personalize",),
    action_prefix="personalize",
    invalid_code="InvalidInputException",
)

RUNTIME = Service(
    name="personalize-runtime",
    operations={},
    audit=RUNTIME_AUDIT,
    event_source="personalize.amazonaws.com",
    signing_names=("personalize",),
    action_prefix="personalize",
    invalid_code="InvalidInputException",
)

EVENTS = Service(
    name="personalize-events",
    operations={},
    audit=EVENTS_AUDIT,
    event_source="personalize.amazonaws.com",
    signing_names=("personalize",),
    action_prefix="personalize",
    invalid_code="InvalidInputException",
)
