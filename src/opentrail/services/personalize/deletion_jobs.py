"""Data deletion jobs: CreateDataDeletionJob, DescribeDataDeletionJob, ListDataDeletionJobs. The work is in `deleting`."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import dataset_groups, queue, resources
from opentrail.services.personalize.store import Resource
from opentrail.services.personalize.work import location
from opentrail.store.sql import Snapshot, Tx

KIND = "data-deletion-job"


def prepare_create(call: Call, input: Input) -> tuple[Input, list[tuple[str, str]]]:
    """CreateDataDeletionJob, first half."""
    location(input.dataSource.dataLocation, "dataSource.dataLocation")
    return input, resources.checked_tags(input.tags)


def create(tx: Tx, call: Call, plan: tuple[Input, list[tuple[str, str]]]) -> Output:
    """CreateDataDeletionJob."""
    input, tags = plan
    group = resources.find(tx, call, dataset_groups.KIND, input.datasetGroupArn)
    body = {"dataSource": {"dataLocation": input.dataSource.dataLocation}, "roleArn": input.roleArn}
    made = resources.new(call, KIND, input.jobName, msgspec.json.encode(body).decode(), parent=group.arn)
    resources.create(tx, call, made._replace(status=resources.WAITING), tags)
    queue.submit(tx, made, call.now)
    return {"dataDeletionJobArn": made.arn}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeDataDeletionJob."""
    found = resources.find(snapshot, call, KIND, input.dataDeletionJobArn)
    body = msgspec.json.decode(found.body)
    more = {name: body[name] for name in ("dataSource", "roleArn", "numDeleted") if name in body}
    return {"dataDeletionJob": {**summary(found), **more}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListDataDeletionJobs."""
    return resources.listed(snapshot, call, input, KIND, "dataDeletionJobs", summary, input.datasetGroupArn)


def summary(found: Resource) -> dict[str, Any]:
    """A job as lists show it."""
    reason = resources.present(failureReason=msgspec.json.decode(found.body).get("failureReason"))
    return {"dataDeletionJobArn": found.arn, "datasetGroupArn": found.parent, **resources.job(found), **reason}
