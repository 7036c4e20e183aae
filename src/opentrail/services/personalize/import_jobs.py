"""Dataset import jobs: CreateDatasetImportJob, DescribeDatasetImportJob, ListDatasetImportJobs. The work is in `importing`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import datasets, metric_attributions, queue, resources
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import location
from opentrail.store.sql import Snapshot, Tx

KIND = "dataset-import-job"


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]]]:
    """CreateDatasetImportJob, first half."""
    location(input.dataSource.dataLocation, "dataSource.dataLocation")
    if input.roleArn is None:
        raise resources.invalid("roleArn is required.")
    return input, resources.checked_tags(input.tags)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]]]) -> Output:
    """CreateDatasetImportJob."""
    input, tags = plan
    dataset = resources.find(tx, call, datasets.KIND, input.datasetArn)
    if input.publishAttributionMetricsToS3:
        _check_reports(tx, dataset)
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


def _check_reports(snapshot: Snapshot, dataset: Resource) -> None:
    attribution = metric_attributions.of_group(snapshot, dataset.parent or "")
    if not dataset.arn.endswith("/INTERACTIONS") or attribution is None:
        raise resources.invalid("publishAttributionMetricsToS3 needs an Interactions dataset, and a metric attribution of its group.")
    if "s3DataDestination" not in msgspec.json.decode(attribution.body)["metricsOutputConfig"]:
        raise resources.invalid("publishAttributionMetricsToS3 needs a metric attribution that names where reports go.")


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
    more = resources.present(failureReason=body.get("failureReason"), importMode=body["importMode"])
    return {"datasetImportJobArn": found.arn, **resources.job(found), **more}
