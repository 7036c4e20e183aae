"""Dataset import jobs: CreateDatasetImportJob, DescribeDatasetImportJob, ListDatasetImportJobs. The work is in `importing`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import datasets, queue, resources
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import location
from opentrail.store.sql import Snapshot, Tx

KIND = "dataset-import-job"


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]]]:
    """CreateDatasetImportJob, first half."""
    location(input.dataSource.dataLocation, "dataSource.dataLocation")
    if input.roleArn is None:
        raise resources.invalid("roleArn is required.")
    if input.publishAttributionMetricsToS3:
        raise resources.invalid("publishAttributionMetricsToS3 is not supported: metric attributions are not offered.")
    return input, resources.checked_tags(input.tags)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]]]) -> Output:
    """CreateDatasetImportJob."""
    input, tags = plan
    dataset = resources.find(tx, call, datasets.KIND, input.datasetArn)
    body = resources.present(
        dataSource={"dataLocation": input.dataSource.dataLocation},
        roleArn=input.roleArn,
        importMode=input.importMode or "FULL",
        publishAttributionMetricsToS3=input.publishAttributionMetricsToS3,
    )
    made = resources.new(call, KIND, input.jobName, msgspec.json.encode(body).decode(), parent=dataset.arn)
    resources.create(tx, call, made._replace(status=resources.PENDING), tags)
    queue.submit(tx, made, call.now)
    return {"datasetImportJobArn": made.arn}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeDatasetImportJob."""
    found = resources.find(snapshot, call, KIND, input.datasetImportJobArn)
    return {"datasetImportJob": {**summary(found), **msgspec.json.decode(found.body), "datasetArn": found.parent}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListDatasetImportJobs."""
    return resources.listed(snapshot, call, input, KIND, "datasetImportJobs", summary, input.datasetArn)


def summary(found: Resource) -> dict[str, Any]:
    """A job as lists show it."""
    body = msgspec.json.decode(found.body)
    shown = resources.common(found)
    more = resources.present(failureReason=body.get("failureReason"), importMode=body["importMode"])
    return {"datasetImportJobArn": found.arn, "jobName": shown.pop("name"), **shown, **more}
