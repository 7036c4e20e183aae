"""Event trackers: CreateEventTracker, DescribeEventTracker, ListEventTrackers, DeleteEventTracker. One in a group."""

from __future__ import annotations

from typing import Any

import msgspec

from opentrail.calls.call import Call
from opentrail.calls.operation import Input, Output
from opentrail.services.personalize import dataset_groups, resources
from opentrail.services.personalize.store import Resource
from opentrail.store.sql import Snapshot, Tx

KIND = "event-tracker"


class Plan(msgspec.Struct, frozen=True):
    """A tracker to make: `path` ends its ARN, `tracking` is the id that events name it by."""

    input: Any
    tags: list[tuple[str, str]]
    path: str
    tracking: str


def prepare_create(call: Call, input: Input) -> Plan:
    """CreateEventTracker, first half: draws its ids."""
    ids = call.tools.ids
    return Plan(input, resources.checked_tags(input.tags), ids.hex(8), ids.uuid())


def create(tx: Tx, call: Call, plan: Plan) -> Output:
    """CreateEventTracker."""
    group = resources.find(tx, call, dataset_groups.KIND, plan.input.datasetGroupArn)
    body = msgspec.json.encode({"trackingId": plan.tracking}).decode()
    made = resources.create(
        tx, call, resources.new(call, KIND, plan.input.name, body, parent=group.arn, uses=plan.tracking, path=plan.path), plan.tags
    )
    return {"eventTrackerArn": made.arn, "trackingId": plan.tracking}


def describe(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """DescribeEventTracker."""
    found = resources.find(snapshot, call, KIND, input.eventTrackerArn)
    more = {"accountId": found.account, "datasetGroupArn": found.parent}
    return {"eventTracker": {**summary(found), **msgspec.json.decode(found.body), **more}}


def list_all(snapshot: Snapshot, call: Call, input: Input) -> Output:
    """ListEventTrackers."""
    return resources.listed(snapshot, call, input, KIND, "eventTrackers", summary, input.datasetGroupArn)


def delete(tx: Tx, call: Call, input: Input) -> Output:
    """DeleteEventTracker."""
    resources.delete(tx, call, KIND, input.eventTrackerArn)
    return {}


def summary(found: Resource) -> dict[str, Any]:
    """A tracker as lists show it."""
    return {**resources.common(found), "eventTrackerArn": found.arn}
