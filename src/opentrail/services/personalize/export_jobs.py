"""Dataset export jobs: CreateDatasetExportJob, DescribeDatasetExportJob, ListDatasetExportJobs. The work is in `exporting`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import datasets, queue, resources
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import location, no_key
from opentrail.store.sql import Snapshot, Tx

KIND = "dataset-export-job"


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]]]:
    """CreateDatasetExportJob, first half."""
    target = input.jobOutput.s3DataDestination
    location(target.path, "jobOutput.s3DataDestination.path")
    no_key(target, "jobOutput.s3DataDestination")
    return input, resources.checked_tags(input.tags)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]]]) -> Output:
    """CreateDatasetExportJob."""
    input, tags = plan
    dataset = resources.find(tx, call, datasets.KIND, input.datasetArn)
    body = {
        "ingestionMode": input.ingestionMode or "PUT",
        "roleArn": input.roleArn,
        "jobOutput": {"s3DataDestination": {"path": input.jobOutput.s3DataDestination.path}},
    }
    made = resources.new(call, KIND, input.jobName, msgspec.json.encode(body).decode(), parent=dataset.arn)
    resources.create(tx, call, made._replace(status=resources.PENDING), tags)
    queue.submit(tx, made, call.now)
    return {"datasetExportJobArn": made.arn}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeDatasetExportJob."""
    found = resources.find(snapshot, call, KIND, input.datasetExportJobArn)
    body = msgspec.json.decode(found.body)
    more = {name: body[name] for name in ("ingestionMode", "roleArn", "jobOutput")}
    return {"datasetExportJob": {**summary(found), **more, "datasetArn": found.parent}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListDatasetExportJobs."""
    return resources.listed(snapshot, call, input, KIND, "datasetExportJobs", summary, input.datasetArn)


def summary(found: Resource) -> dict[str, Any]:
    """A job as lists show it."""
    reason = resources.present(failureReason=msgspec.json.decode(found.body).get("failureReason"))
    return {"datasetExportJobArn": found.arn, **resources.job(found), **reason}
